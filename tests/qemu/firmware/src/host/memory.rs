// SPDX-License-Identifier: BSD-3-Clause
//! Test memory: DRAM for scenarios, which nothing else uses. The options give its address.

use rmm_test_firmware::options::{GRANULE, Range};

/// Bytes of test memory.
const SIZE: u64 = 128 << 20;

/// Granule Protection Information of a Non-secure granule (Arm ARM, chapter D9).
pub const GPI_NONSECURE: u64 = 9;
/// Granule Protection Information of a Realm granule.
pub const GPI_REALM: u64 = 11;

/// The address of a granule of test memory.
pub fn granule(index: u64) -> u64 {
    assert!(index < SIZE / GRANULE);
    crate::options().test_memory + index * GRANULE
}

/// The memory of this image, which the host must not delegate.
pub fn image() -> Range {
    unsafe extern "C" {
        safe static entry: u8;
        safe static __image_end: u8;
    }
    let base = (&raw const entry).addr() as u64;
    Range { base, size: (&raw const __image_end).addr() as u64 - base }
}
