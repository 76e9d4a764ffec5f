// SPDX-License-Identifier: BSD-3-Clause
//! The memory scenarios play with: DRAM that nothing else uses, wherever the RMM is loaded.

use rmm_test_firmware::options::{GRANULE, Range};

/// First byte of the test memory.
pub const TEST_MEMORY: u64 = 0x7000_0000;
/// First byte after it.
pub const TEST_MEMORY_END: u64 = 0x7800_0000;

/// Granule Protection Information of a Non-secure granule (Arm ARM, chapter D9).
pub const GPI_NONSECURE: u64 = 9;
/// Granule Protection Information of a Realm granule.
pub const GPI_REALM: u64 = 11;

/// The address of a granule of test memory.
pub const fn granule(index: u64) -> u64 {
    assert!(index < (TEST_MEMORY_END - TEST_MEMORY) / GRANULE);
    TEST_MEMORY + index * GRANULE
}

/// The memory this image runs from: the one part of the host's memory that it must not give away.
pub fn image() -> Range {
    unsafe extern "C" {
        safe static entry: u8;
        safe static __image_end: u8;
    }
    let base = (&raw const entry).addr() as u64;
    Range { base, size: (&raw const __image_end).addr() as u64 - base }
}
