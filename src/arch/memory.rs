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
