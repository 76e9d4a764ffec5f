// SPDX-License-Identifier: BSD-3-Clause
//! The page that the RMM and EL3 share, for inputs and outputs of EL3's services.
//!
//! Only the owner of the one [`SharedBuffer`] uses the page. Each use ends with zeroing it.

use super::GRANULE_WORDS;
use crate::address::{GRANULE_SIZE, PhysAddr, VirtAddr, native};
use crate::arch::window::Window;

/// Bytes of the page.
pub const SHARED_BUFFER_SIZE: usize = native(GRANULE_SIZE);

/// The page.
#[derive(Debug)]
pub struct SharedBuffer {
    address: PhysAddr,
}

impl SharedBuffer {
    /// The page at `address`.
    ///
    /// # Safety
    ///
    /// The Low VA map maps the page at `address` flat, as writable Realm memory. Nothing else in
    /// the RMM accesses it from now on.
    pub const unsafe fn new(address: PhysAddr) -> Self {
        Self { address }
    }

    /// Runs `then` with the page, and zeroes the page afterwards.
    pub fn lend<R>(&mut self, then: impl FnOnce(&mut LentBuffer<'_>) -> R) -> R {
        let mut lent = LentBuffer(self);
        let result = then(&mut lent);
        lent.zero();
        result
    }
}

/// The page while it is used.
#[derive(Debug)]
pub struct LentBuffer<'a>(&'a mut SharedBuffer);

impl LentBuffer<'_> {
    /// Its physical address, which services of EL3 take.
    pub fn address(&self) -> PhysAddr {
        self.0.address
    }

    fn words(&self) -> *mut u64 {
        let address = self.0.address;
        Window::new(VirtAddr::new(address.get()), address).pointer()
    }

    fn zero(&mut self) {
        for word in 0..GRANULE_WORDS {
            // SAFETY: a word of the page, which is mapped and used by nothing else
            // (`SharedBuffer::new`).
            unsafe { self.words().add(word).write_volatile(0) };
        }
    }

    /// Copies the first bytes of the page to `to`, as many as fit.
    pub fn read(&self, to: &mut [u8]) {
        let from = self.words().cast::<u8>();
        for (offset, byte) in to.iter_mut().enumerate().take(SHARED_BUFFER_SIZE) {
            // SAFETY: as for zeroing.
            *byte = unsafe { from.add(offset).read_volatile() };
        }
    }

    /// Copies `from` to the beginning of the page, as many bytes as fit.
    pub fn write(&mut self, from: &[u8]) {
        let to = self.words().cast::<u8>();
        for (offset, byte) in from.iter().enumerate().take(SHARED_BUFFER_SIZE) {
            // SAFETY: as for zeroing.
            unsafe { to.add(offset).write_volatile(*byte) };
        }
    }
}
