// SPDX-License-Identifier: BSD-3-Clause
//! What each CPU has of its own: its index, and the slot through which it sees memory that is not the RMM's.

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

/// The host took a page away while the RMM was accessing it: a Granule Protection Fault, recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GranuleProtectionFault;

/// The windows of one CPU on granules outside the RMM's own memory. Between commands none is open.
#[derive(Debug)]
pub struct SlotBuffer {
    #[cfg(target_os = "none")]
    entry: &'static core::sync::atomic::AtomicU64,
    #[cfg(target_os = "none")]
    window: u64,
    #[cfg(target_os = "none")]
    attributes: u64,
}

#[cfg(target_os = "none")]
impl SlotBuffer {
    /// A slot at virtual address `window`, mapped by `entry`, a level 3 descriptor of this CPU's tables; `attributes` are its other bits.
    pub const fn new(entry: &'static core::sync::atomic::AtomicU64, window: u64, attributes: u64) -> Self {
        Self { entry, window, attributes }
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

impl Wipe for SlotBuffer {
    #[inline]
    fn wipe(&mut self, address: GranuleAddress) {
        #[cfg(target_os = "none")]
        {
            arch::memory::store_descriptor(self.entry, address.get().get() | self.attributes);
            arch::barrier::dsb_nshst();
            arch::barrier::isb();
            // SAFETY: the slot maps the granule, which is locked by the caller and in use by nobody.
            unsafe { arch::memory::zero_granule(self.window) };
            arch::memory::store_descriptor(self.entry, 0);
            arch::barrier::dsb_nsh();
            arch::tlbi::vae2((self.window >> crate::address::GRANULE_SHIFT) & ((1 << 44) - 1));
            arch::barrier::dsb_nsh();
            arch::barrier::isb();
        }
        #[cfg(not(target_os = "none"))]
        arch::memory::zero_granule(address.get().get());
    }
}
