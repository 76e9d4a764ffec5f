// SPDX-License-Identifier: BSD-3-Clause
//! Which CPU: the linear index that EL3 gives each CPU at boot, and what TPIDR_EL2 says of the running one.
//!
//! | TPIDR_EL2 | Meaning |
//! | --- | --- |
//! | 15:0 | the index plus 1; 0 until boot has checked it |
//! | 16 | this CPU has been reported to EL3 as booted: it serves calls |
//!
//! Boot writes it on each CPU; all else only reads it, and for reports only.

use tock_registers::interfaces::{Readable, Writeable};

use crate::arch::sysreg::TPIDR_EL2;

/// CPUs that one image serves. EL3 names its own count at boot; more than this is a refused boot.
pub const MAX_CPUS: usize = 512;

/// TPIDR_EL2, the CPU serves calls.
const SERVES: u64 = 1 << SERVES_BIT;
/// The number of that bit, which the exception vectors test.
pub const SERVES_BIT: u32 = 16;

static_assertions::const_assert!(MAX_CPUS < 1 << SERVES_BIT);

/// The linear index of a CPU, always less than [`MAX_CPUS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuIndex(usize);

impl CpuIndex {
    /// The index EL3 passed in x0; `None` from [`MAX_CPUS`] on.
    pub const fn new(index: usize) -> Option<Self> {
        if index < MAX_CPUS { Some(Self(index)) } else { None }
    }

    /// The index, less than [`MAX_CPUS`].
    #[inline]
    pub const fn get(self) -> usize {
        self.0
    }
}

/// Makes `index` the running CPU's, which is booting.
pub fn identify(index: CpuIndex) {
    TPIDR_EL2.set(index.get() as u64 + 1);
}

/// Says that the boot of the running CPU is done: from here on it cannot be refused to EL3.
pub fn start_serving() {
    TPIDR_EL2.set(TPIDR_EL2.get() | SERVES);
}

/// Whether the running CPU has finished its boot.
pub fn serves() -> bool {
    TPIDR_EL2.get() & SERVES != 0
}

/// The linear index of the running CPU, for reports; `None` before [`identify`].
pub fn this_index() -> Option<usize> {
    let [low, high, ..] = TPIDR_EL2.get().to_le_bytes();
    usize::from(u16::from_le_bytes([low, high])).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::preset_register;

    #[test]
    fn a_cpu_is_known_from_identify_on_and_serves_from_start_serving_on() {
        preset_register("TPIDR_EL2", 0);
        assert_eq!((this_index(), serves()), (None, false));
        for index in [0, MAX_CPUS - 1] {
            identify(CpuIndex::new(index).unwrap());
            assert_eq!((this_index(), serves()), (Some(index), false));
            start_serving();
            assert_eq!((this_index(), serves()), (Some(index), true));
        }
        assert_eq!(CpuIndex::new(MAX_CPUS), None);
    }
}
