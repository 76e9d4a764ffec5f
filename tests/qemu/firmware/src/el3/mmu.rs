// SPDX-License-Identifier: BSD-3-Clause
//! EL3's own translation: the flash and the secure SRAM mapped flat, and a window to the page
//! shared with the RMM in the Realm PAS. CPU 0 builds it once with the MMU off.

use core::cell::UnsafeCell;

use crate::boot;

/// MAIR_EL3: index 0 is Normal write-back.
pub const MAIR: u64 = 0xff;
/// TCR_EL3: 39-bit addresses from level 1, 4 KiB granule, write-back inner-shareable walks, 40-bit
/// output.
pub const TCR: u64 = (1 << 31) | (1 << 23) | (2 << 16) | (3 << 12) | (1 << 10) | (1 << 8) | 25;

/// The address of the shared page: the first page of the level 1 entry after all other addresses.
const WINDOW: u64 = 0x10_0000_0000;
/// Bytes of a level 2 block.
const LEVEL_2_BLOCK: u64 = 1 << 21;
/// Blocks of flash to map; the image takes a fraction of the first.
const FLASH_BLOCKS: u64 = 2;
/// The secure SRAM of QEMU `virt`.
const SRAM: core::ops::Range<u64> = 0x0e00_0000..0x0f00_0000;

const TABLE: u64 = 3;
const PAGE: u64 = 3;
const BLOCK: u64 = 1;
/// Access flag, inner-shareable, and AP[1], which is RES1.
const NORMAL: u64 = (1 << 10) | (3 << 8) | (1 << 6);
const READ_ONLY: u64 = 1 << 7;
const EXECUTE_NEVER: u64 = 1 << 54;
/// NSE with NS clear: the Root PAS.
const ROOT: u64 = 1 << 11;
/// NSE with NS set: the Realm PAS.
const REALM: u64 = (1 << 11) | (1 << 5);

/// One translation table.
#[repr(C, align(4096))]
pub struct Table(UnsafeCell<[u64; 512]>);

// SAFETY: only CPU 0 writes it, before the MMU is on anywhere. Later only the table walker reads
// it.
unsafe impl Sync for Table {}

impl Table {
    const fn empty() -> Self {
        Self(UnsafeCell::new([0; 512]))
    }

    fn address(&self) -> u64 {
        self.0.get().expose_provenance() as u64
    }

    fn set(&self, index: u64, descriptor: u64) {
        // SAFETY: CPU 0 is alone and the MMU is off, so nothing else accesses the table.
        unsafe { (&mut *self.0.get())[usize::try_from(index).unwrap_or(0)] = descriptor };
    }
}

/// The base table, for TTBR0_EL3.
pub static LEVEL_1: Table = Table::empty();
static LEVEL_2_LOW: Table = Table::empty();
static LEVEL_2_WINDOW: Table = Table::empty();
static LEVEL_3_WINDOW: Table = Table::empty();

/// Called by entry.S on CPU 0 with the MMU off, before all other Rust: reads the options and builds
/// the tables.
#[unsafe(no_mangle)]
extern "C" fn el3_build_translation_tables() {
    let shared_page = boot::read_options().shared_page();
    LEVEL_1.set(0, LEVEL_2_LOW.address() | TABLE);
    for block in 0..FLASH_BLOCKS {
        LEVEL_2_LOW.set(block, (block * LEVEL_2_BLOCK) | ROOT | READ_ONLY | NORMAL | BLOCK);
    }
    for block in SRAM.start / LEVEL_2_BLOCK..SRAM.end / LEVEL_2_BLOCK {
        LEVEL_2_LOW.set(block, (block * LEVEL_2_BLOCK) | ROOT | EXECUTE_NEVER | NORMAL | BLOCK);
    }
    LEVEL_1.set(WINDOW >> 30, LEVEL_2_WINDOW.address() | TABLE);
    LEVEL_2_WINDOW.set(0, LEVEL_3_WINDOW.address() | TABLE);
    LEVEL_3_WINDOW.set(0, shared_page | REALM | EXECUTE_NEVER | NORMAL | PAGE);
}

/// The shared page as EL3 maps it: 512 words, which the RMM also writes.
pub fn shared_page() -> *mut u64 {
    core::ptr::with_exposed_provenance_mut(usize::try_from(WINDOW).unwrap_or(0))
}

/// Gives `then` the words of a granule in the Realm PAS, mapped at the window's second page. For
/// one CPU at a time.
pub fn with_realm_granule<R>(address: u64, then: impl FnOnce(*mut u64) -> R) -> R {
    let store = |descriptor: u64| {
        // SAFETY: only this function uses the entry, on one CPU at a time, and invalidates it in
        // TLBs.
        unsafe {
            (&raw mut (*LEVEL_3_WINDOW.0.get())[1]).write_volatile(descriptor);
            core::arch::asm!("dsb sy", "tlbi alle3", "dsb sy", "isb", options(nostack));
        }
    };
    store(address & !0xfff | REALM | EXECUTE_NEVER | NORMAL | PAGE);
    let page = usize::try_from(WINDOW + 0x1000).unwrap_or(0);
    let result = then(core::ptr::with_exposed_provenance_mut(page));
    store(0);
    result
}
