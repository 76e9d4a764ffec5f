// SPDX-License-Identifier: BSD-3-Clause
//! Memory accesses that the compiler must neither split, merge nor drop: descriptors, device registers, and whole granules by their virtual address.

use core::sync::atomic::{AtomicU64, Ordering};

/// Stores a translation table descriptor in one single-copy atomic access.
///
/// The table walker of this and other CPUs observes it like another CPU would; what makes it visible and when
/// is the caller's barrier.
#[inline(always)]
pub fn store_descriptor(entry: &AtomicU64, value: u64) {
    #[cfg(not(target_os = "none"))]
    crate::host::store_descriptor(entry, value);
    // Release: content written for this mapping before is observed before the entry is (Arm ARM B2.3).
    entry.store(value, Ordering::Release);
}

/// Loads a translation table descriptor in one single-copy atomic access.
#[inline(always)]
pub fn load_descriptor(entry: &AtomicU64) -> u64 {
    entry.load(Ordering::Acquire)
}

/// Makes every descriptor of a table that no walker can reach invalid (zero).
///
/// What makes the table reachable is a later [`store_descriptor`], which also orders these stores before itself.
#[inline]
pub fn clear_descriptors(entries: &[AtomicU64; 512]) {
    #[cfg(not(target_os = "none"))]
    crate::host::clear_descriptors(entries);
    // By 32, so that the loop costs nothing beside the stores: this is the better part of building a small context.
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
#[inline]
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
#[inline]
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

/// Bytes that one DC ZVA zeroes where DCZID_EL0.BS is 4, as on the CPUs this firmware is for.
#[cfg(target_os = "none")]
const USUAL_ZERO_BLOCK: u64 = 64;

/// Zeroes the 4 KiB granule that is mapped, Normal memory, at virtual address `granule`, with DC ZVA (Arm ARM C6.2, D7.5.9.8).
///
/// Like ordinary stores these are not complete until a DSB.
///
/// # Safety
///
/// The granule is mapped writable at `granule`, a multiple of its size, and nothing that Rust knows of lives in it.
#[cfg(target_os = "none")]
#[inline]
pub unsafe fn zero_granule(granule: u64) {
    use super::sysreg::{DCZID_EL0, fields};
    use crate::address::GRANULE_SIZE;
    use tock_registers::interfaces::Readable;

    let zero_block = 4 << DCZID_EL0.read(fields::DCZID_EL0::BS);
    if zero_block == USUAL_ZERO_BLOCK {
        // Unrolled: the loop's own instructions would cost as much as the zeroing.
        // SAFETY: 64 blocks of 64 bytes are the granule, which the caller gives over.
        unsafe {
            core::arch::asm!(".rept 63", "dc zva, {block}", "add {block}, {block}, #64", ".endr", "dc zva, {block}",
                block = inout(reg) granule => _, options(nostack, preserves_flags))
        };
        return;
    }
    // BS is at most 9, 2 KiB, so that a whole number of blocks always makes a granule.
    let mut offset = 0;
    while offset < GRANULE_SIZE {
        // SAFETY: a block inside the granule, which the caller gives over.
        unsafe {
            core::arch::asm!("dc zva, {block}", block = in(reg) granule | offset, options(nostack, preserves_flags))
        };
        offset += zero_block;
    }
}

/// Zeroes the granule of the model machine at physical address `granule`.
#[cfg(not(target_os = "none"))]
pub fn zero_granule(granule: u64) {
    crate::host::zero_granule(granule);
}

/// The host's memory could not be accessed: a Granule Protection Fault, recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GranuleProtectionFault;

/// Reads words of Non-secure memory of the model machine, from physical address `address` up.
///
/// # Errors
///
/// The fault, when the memory is another world's.
pub fn ns_read(address: u64, words: &mut [u64]) -> Result<(), GranuleProtectionFault> {
    #[cfg(not(target_os = "none"))]
    return crate::host::ns_read(address, words);
    // Without a Non-secure slot there is no Non-secure memory to be reached.
    #[cfg(target_os = "none")]
    {
        let _ = (address, words);
        Err(GranuleProtectionFault)
    }
}

/// Writes words of Non-secure memory of the model machine, from physical address `address` up.
///
/// # Errors
///
/// The fault, when the memory is another world's.
pub fn ns_write(address: u64, words: &[u64]) -> Result<(), GranuleProtectionFault> {
    #[cfg(not(target_os = "none"))]
    return crate::host::ns_write(address, words);
    // As for reading.
    #[cfg(target_os = "none")]
    {
        let _ = (address, words);
        Err(GranuleProtectionFault)
    }
}
