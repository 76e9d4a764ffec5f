// SPDX-License-Identifier: BSD-3-Clause
//! Accesses to memory that the host may have delegated. A fault is returned as a value.

use core::fmt;

/// The syndrome (ESR_EL2) of a faulting access.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fault(u64);

impl Fault {
    /// ESR_EL2 of a data abort at the host's own level, not on a table walk, with this fault
    /// status.
    const fn data_abort(status: u64) -> u64 {
        0x25 << 26 | status
    }

    /// Whether it is a Granule Protection Fault on the access itself.
    pub fn is_granule_protection(self) -> bool {
        const CLASS_AND_STATUS: u64 = 0x3f << 26 | 0x3f;
        self.0 & CLASS_AND_STATUS == Self::data_abort(0x28)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault with ESR {:#x}", self.0)
    }
}

#[repr(C)]
struct Probed {
    value: u64,
    syndrome: u64,
}

unsafe extern "C" {
    fn host_probe_read(address: u64) -> Probed;
    fn host_probe_write(address: u64, value: u64) -> Probed;
}

/// Reads the word at an 8-byte aligned physical address.
///
/// # Errors
///
/// The [`Fault`] the read took.
pub fn read(address: u64) -> Result<u64, Fault> {
    // SAFETY: Rust owns nothing at this address, and a fault is recovered.
    let probed = unsafe { host_probe_read(address) };
    if probed.syndrome == 0 { Ok(probed.value) } else { Err(Fault(probed.syndrome)) }
}

/// Writes the word at an 8-byte aligned physical address, which must be test memory.
///
/// # Errors
///
/// The [`Fault`] the write took.
pub fn write(address: u64, value: u64) -> Result<(), Fault> {
    // SAFETY: as in `read`; tests write only test memory.
    let probed = unsafe { host_probe_write(address, value) };
    if probed.syndrome == 0 { Ok(()) } else { Err(Fault(probed.syndrome)) }
}

/// Fills a granule of test memory with a word.
///
/// # Errors
///
/// The first [`Fault`].
pub fn fill_granule(address: u64, value: u64) -> Result<(), Fault> {
    (0..512).try_for_each(|word| write(address + 8 * word, value))
}

/// Whether every word of a granule has this value.
///
/// # Errors
///
/// The first [`Fault`].
pub fn granule_holds(address: u64, value: u64) -> Result<bool, Fault> {
    for word in 0..512 {
        if read(address + 8 * word)? != value {
            return Ok(false);
        }
    }
    Ok(true)
}
