// SPDX-License-Identifier: BSD-3-Clause
//! The host's translation: flat GiB blocks, with Device memory below the DRAM. With caches on,
//! atomics between CPUs work, and the RMM's mappings of the same memory agree.

/// MAIR_EL2: index 0 Normal write-back, index 1 Device-nGnRE.
pub const MAIR: u64 = 0x04ff;
/// TCR_EL2 (E2H clear): 39-bit addresses from level 1, 4 KiB granule, write-back inner-shareable
/// walks, 40-bit output.
pub const TCR: u64 = (1 << 31) | (1 << 23) | (2 << 16) | (3 << 12) | (1 << 10) | (1 << 8) | 25;
/// SCTLR_EL2: RES1 bits, MMU and caches on.
pub const SCTLR: u64 = 0x30c5_1835;

const BLOCK: u64 = 1;
const ACCESS_FLAG: u64 = 1 << 10;
const INNER_SHAREABLE: u64 = 3 << 8;
/// RES1 in a regime with a single exception level.
const AP_1: u64 = 1 << 6;
const DEVICE: u64 = 1 << 2;
const EXECUTE_NEVER: u64 = 1 << 54;

/// A level 1 table.
#[repr(C, align(4096))]
pub struct Table([u64; 512]);

/// The only table, for TTBR0_EL2. Only the table walker reads it; nothing writes it.
pub static LEVEL_1: Table = Table(flat());

const fn flat() -> [u64; 512] {
    let mut table = [0; 512];
    table[0] = AP_1 | ACCESS_FLAG | DEVICE | EXECUTE_NEVER | BLOCK;
    let mut gib = 1;
    while gib < 512 {
        table[gib] = (gib as u64) << 30 | AP_1 | ACCESS_FLAG | INNER_SHAREABLE | BLOCK;
        gib += 1;
    }
    table
}
