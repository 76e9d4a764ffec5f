// SPDX-License-Identifier: BSD-3-Clause
//! The two maps of the RMM (`low_va`, shared; `high_va`, per CPU), and what each CPU has of its own: its index, and the slot
//! through which it sees memory that is not the RMM's.

#[cfg(target_os = "none")]
pub mod high_va;
#[cfg(target_os = "none")]
pub mod layout;
#[cfg(target_os = "none")]
pub mod low_va;

use crate::address::GRANULE_SIZE;
use crate::arch;
use crate::cpu::CpuIndex;
use crate::granule::{GranuleAddress, Wipe};

/// The context of a CPU, passed down every call that it makes.
#[derive(Debug)]
pub struct Cpu {
    /// Its linear index.
    pub index: CpuIndex,
    /// Its windows on granules.
    pub slots: SlotBuffer,
}

/// Why Non-secure memory could not be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NsAccessError {
    /// The page is not Non-secure, or no longer: a Granule Protection Fault, recovered.
    GranuleProtectionFault,
    /// The words are not aligned, or not all in the granule.
    Bounds,
}

/// The windows of one CPU on granules outside the RMM's own memory. Between commands none is open.
#[derive(Debug)]
pub struct SlotBuffer {
    #[cfg(target_os = "none")]
    page: crate::xlat::TransientPage<'static, crate::xlat::El2And0>,
    #[cfg(target_os = "none")]
    template: crate::xlat::PageTemplate<crate::xlat::El2And0>,
}

#[cfg(target_os = "none")]
impl SlotBuffer {
    /// A slot at `page` of this CPU's tables, for Realm memory with the attributes of `template`.
    pub const fn new(
        page: crate::xlat::TransientPage<'static, crate::xlat::El2And0>,
        template: crate::xlat::PageTemplate<crate::xlat::El2And0>,
    ) -> Self {
        Self { page, template }
    }
}

#[cfg(not(target_os = "none"))]
impl SlotBuffer {
    /// The slots of a CPU of the model machine that this thread is attached to.
    pub const fn new() -> Self {
        Self {}
    }
}

#[cfg(not(target_os = "none"))]
impl Default for SlotBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl SlotBuffer {
    /// Reads words of the Non-secure granule at `granule`, from byte `offset`. The host may write them at the same time; each is read once.
    ///
    /// # Errors
    ///
    /// [`NsAccessError`]; some words may have been read.
    pub fn ns_read(
        &mut self,
        granule: GranuleAddress,
        offset: u64,
        words: &mut [u64],
    ) -> Result<(), NsAccessError> {
        let address = ns_words(granule, offset, words.len())?;
        arch::memory::ns_read(address, words).map_err(|_| NsAccessError::GranuleProtectionFault)
    }

    /// Writes words to the Non-secure granule at `granule`, from byte `offset`.
    ///
    /// # Errors
    ///
    /// [`NsAccessError`]; some words may have been written.
    pub fn ns_write(
        &mut self,
        granule: GranuleAddress,
        offset: u64,
        words: &[u64],
    ) -> Result<(), NsAccessError> {
        let address = ns_words(granule, offset, words.len())?;
        arch::memory::ns_write(address, words).map_err(|_| NsAccessError::GranuleProtectionFault)
    }
}

impl SlotBuffer {
    /// Whether no window is open, as it is between commands.
    pub fn is_empty(&self) -> bool {
        #[cfg(target_os = "none")]
        return !self.page.is_mapped();
        // The model machine is reached without windows.
        #[cfg(not(target_os = "none"))]
        true
    }
}

/// The address of `count` words at `offset` in a granule, all of which are in it.
fn ns_words(granule: GranuleAddress, offset: u64, count: usize) -> Result<u64, NsAccessError> {
    const WORD: u64 = 8;
    let bytes = u64::try_from(count).ok().and_then(|count| count.checked_mul(WORD));
    match bytes.and_then(|bytes| bytes.checked_add(offset)) {
        Some(end) if end <= GRANULE_SIZE && offset.is_multiple_of(WORD) => Ok(granule.get().get() + offset),
        _ => Err(NsAccessError::Bounds),
    }
}

impl Wipe for SlotBuffer {
    #[inline]
    fn wipe(&mut self, address: GranuleAddress) {
        #[cfg(target_os = "none")]
        {
            // The slot is empty between commands and banks lie in the physical address range, so neither can be refused;
            // were it, going on would give the granule away unwiped.
            if self.page.map(address.get(), self.template).is_err() {
                panic!("slot in use at {address:?}");
            }
            // SAFETY: the slot maps the granule, which is locked by the caller and in use by nobody.
            unsafe { arch::memory::zero_granule(self.page.address().get()) };
            // The zeroes are in before EL3 gives the granule to another world: complete for the system.
            arch::barrier::dsb_ish();
            if self.page.unmap().is_err() {
                panic!("slot lost at {address:?}");
            }
        }
        #[cfg(not(target_os = "none"))]
        arch::memory::zero_granule(address.get().get());
    }
}
