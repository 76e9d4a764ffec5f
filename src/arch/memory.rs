// SPDX-License-Identifier: BSD-3-Clause
//! Memory accesses that the compiler must neither split, merge nor drop: descriptors and device
//! registers.

use core::sync::atomic::{AtomicU64, Ordering};

/// Stores a translation table descriptor in one single-copy atomic access.
///
/// The table walker of this and other CPUs observes it like another CPU would; what makes it
/// visible and when is the caller's barrier.
pub fn store_descriptor(entry: &AtomicU64, value: u64) {
    #[cfg(not(target_os = "none"))]
    crate::host::store_descriptor(entry, value);
    // Release: content written for this mapping before is observed before the entry is (Arm ARM
    // B2.3).
    entry.store(value, Ordering::Release);
}

/// Loads a translation table descriptor in one single-copy atomic access.
pub fn load_descriptor(entry: &AtomicU64) -> u64 {
    entry.load(Ordering::Acquire)
}

/// Makes every descriptor of a table that no walker can reach invalid (zero).
///
/// What makes the table reachable is a later [`store_descriptor`], which also orders these stores
/// before itself.
pub fn clear_descriptors(entries: &[AtomicU64; 512]) {
    #[cfg(not(target_os = "none"))]
    crate::host::clear_descriptors(entries);
    // By 32, so that the loop costs nothing beside the stores: this is the better part of building
    // a small context.
    let (lines, _) = entries.as_chunks::<32>();
    for line in lines {
        for entry in line {
            entry.store(0, Ordering::Relaxed);
        }
    }
}

/// Reads the 32-bit device register at virtual address `address`.
///
/// # Safety
///
/// A device register is mapped there as Device memory, and reading it has no effect on memory.
pub unsafe fn read_device(address: u64) -> u32 {
    #[cfg(not(target_os = "none"))]
    return crate::host::read_device(address);
    #[cfg(target_os = "none")]
    {
        let value;
        // SAFETY: the caller says that a register is mapped there.
        unsafe {
            core::arch::asm!("ldr {value:w}, [{address}]", value = out(reg) value, address = in(reg) address,
                options(nostack, preserves_flags))
        };
        value
    }
}

/// Writes the 32-bit device register at virtual address `address`.
///
/// # Safety
///
/// As for [`read_device`], and writing `value` has no effect on memory either.
pub unsafe fn write_device(address: u64, value: u32) {
    #[cfg(not(target_os = "none"))]
    crate::host::write_device(address, value);
    #[cfg(target_os = "none")]
    // SAFETY: the caller says that a register is mapped there.
    unsafe {
        core::arch::asm!("str {value:w}, [{address}]", value = in(reg) value, address = in(reg) address,
            options(nostack, preserves_flags))
    };
}
