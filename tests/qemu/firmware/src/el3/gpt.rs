// SPDX-License-Identifier: BSD-3-Clause
//! The Granule Protection Table: built at cold boot as TF-A lays it out on QEMU `virt`, edited by
//! the RMM's delegate and undelegate (Arm ARM, chapter D9).
//!
//! Level 0 covers 1 TiB with an entry per GiB. A GiB with memory has a level 1 table, described
//! granule by granule. (TF-A joins equal neighbors to contiguous descriptors, which makes no
//! visible difference.) One atomic exchange changes one granule, so CPUs need no lock.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use rmm_test_firmware::options::{DRAM_BASE, GRANULE, Options, Range};
use rmm_test_firmware::{read_register, write_register};
use spin::Once;

const GIB: u64 = 1 << 30;
/// Physical addresses are 40 bits.
const PROTECTED_SIZE: u64 = 1 << 40;
const LEVEL_0_ENTRIES: usize = 1024;
const LEVEL_0_SIZE: u64 = 8 * 1024;
const LEVEL_1_ENTRIES: usize = 16384;
const LEVEL_1_SIZE: u64 = 128 * 1024;
/// The tables end with the secure SRAM; TF-A has a MiB of level 1 tables there.
const SRAM_END: u64 = 0x0f00_0000;
const LEAST_LEVEL_1_TABLES: u64 = 8;
const GRANULES_PER_ENTRY: u64 = 16;

const DESCRIPTOR_BLOCK: u64 = 1;
const DESCRIPTOR_TABLE: u64 = 3;

/// 40-bit physical addresses, write-back inner-shareable walks, 4 KiB granules, checks on.
const GPCCR: u64 = 2 | (1 << 8) | (1 << 10) | (3 << 12) | (1 << 16);

/// Granule Protection Information: who may access a granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Gpi {
    /// The Secure PAS only.
    Secure = 8,
    /// The Non-secure PAS only.
    Nonsecure = 9,
    /// The Root PAS only.
    Root = 10,
    /// The Realm PAS only.
    Realm = 11,
    /// Every PAS.
    Any = 15,
}

/// Why a granule's GPI was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GptError {
    /// Not a granule described by a level 1 table.
    Address,
    /// The granule's GPI is not the one expected.
    Gpi,
}

/// The table in memory.
pub struct Gpt {
    level_0: &'static [AtomicU64],
    level_1: &'static [AtomicU64],
}

static GPT: Once<Gpt> = Once::new();

/// The table, once built.
pub fn gpt() -> &'static Gpt {
    GPT.get().expect("the Granule Protection Table is built at cold boot")
}

/// Builds the table for this machine. Cold boot only.
pub fn build(options: &Options) {
    GPT.call_once(|| Gpt::new(options));
}

impl Gpt {
    fn new(options: &Options) -> Self {
        let covered = DRAM_BASE + options.memory;
        let tables = covered.div_ceil(GIB);
        let level_1_base = SRAM_END - tables.max(LEAST_LEVEL_1_TABLES) * LEVEL_1_SIZE;
        let level_0_base = level_1_base - LEVEL_0_SIZE;
        assert!(level_0_base >= 0x0e10_0000, "too much memory for the Granule Protection Table");
        // SAFETY: no other code uses this part of the secure SRAM, and it is taken once.
        let (level_0, level_1) = unsafe {
            (
                words(level_0_base, LEVEL_0_ENTRIES),
                words(level_1_base, to_usize(tables) * LEVEL_1_ENTRIES),
            )
        };
        let gpt = Self { level_0, level_1 };

        for (gib, entry) in gpt.level_0.iter().enumerate() {
            let gib = gib as u64;
            let descriptor = if gib < tables {
                (level_1_base + gib * LEVEL_1_SIZE) | DESCRIPTOR_TABLE
            } else {
                (Gpi::Any as u64) << 4 | DESCRIPTOR_BLOCK
            };
            entry.store(descriptor, Ordering::Relaxed);
        }
        gpt.fill(Range { base: 0, size: tables * GIB }, Gpi::Any);
        gpt.fill(Range { base: 0x0e00_1000, size: 0xf_f000 }, Gpi::Root);
        gpt.fill(Range { base: 0x0e10_0000, size: level_0_base - 0x0e10_0000 }, Gpi::Secure);
        gpt.fill(Range { base: level_0_base, size: SRAM_END - level_0_base }, Gpi::Root);
        gpt.fill(Range { base: DRAM_BASE, size: tables * GIB - DRAM_BASE }, Gpi::Nonsecure);
        gpt.fill(options.carve_out, Gpi::Realm);
        if let Some(range) = options.secure {
            gpt.fill(range, Gpi::Secure);
        }
        if let Some(range) = options.root {
            gpt.fill(range, Gpi::Root);
        }
        gpt
    }

    /// Describes every granule of a range, while checks are still off.
    fn fill(&self, range: Range, gpi: Gpi) {
        let mut address = range.base;
        while address < range.end() {
            let (entry, shift) =
                self.locate(address).expect("the range is covered by level 1 tables");
            if shift == 0 && range.end() - address >= GRANULES_PER_ENTRY * GRANULE {
                entry.store(0x1111_1111_1111_1111 * gpi as u64, Ordering::Relaxed);
                address += GRANULES_PER_ENTRY * GRANULE;
            } else {
                let others = entry.load(Ordering::Relaxed) & !(0xf << shift);
                entry.store(others | (gpi as u64) << shift, Ordering::Relaxed);
                address += GRANULE;
            }
        }
    }

    /// The level 1 entry of an address and the shift of the granule's GPI in it.
    fn locate(&self, address: u64) -> Option<(&AtomicU64, u32)> {
        let granule = address / GRANULE;
        let entry = self.level_1.get(usize::try_from(granule / GRANULES_PER_ENTRY).ok()?)?;
        Some((entry, u32::try_from(granule % GRANULES_PER_ENTRY).ok()? * 4))
    }

    /// Turns the checks on for the calling CPU.
    pub fn enable(&self) {
        let base = self.level_0.as_ptr().addr() as u64;
        // SAFETY: the table describes everything that any world uses, and is complete before this.
        unsafe {
            asm!("dsb sy", options(nostack, preserves_flags));
            write_register!("s3_6_c2_c1_4", base >> 12);
            write_register!("s3_6_c2_c1_6", GPCCR);
            asm!("isb", "sys #6, c8, c7, #4", "dsb sy", "isb", options(nostack, preserves_flags));
        }
    }

    /// The GPI of the granule at `address`, also from a level 0 block.
    pub fn gpi(&self, address: u64) -> Option<u64> {
        match self.locate(address) {
            Some((entry, shift)) => Some(entry.load(Ordering::Acquire) >> shift & 0xf),
            None => {
                let entry = self.level_0.get(usize::try_from(address / GIB).ok()?)?;
                Some(entry.load(Ordering::Relaxed) >> 4 & 0xf)
            }
        }
    }

    /// Changes the GPI of one granule from `from` to `to`, complete on every CPU when this returns.
    ///
    /// # Errors
    ///
    /// [`GptError::Address`] when the address is unaligned, beyond 40 bits or in a level 0 block,
    /// [`GptError::Gpi`] when the granule is not in `from`.
    pub fn change(&self, address: u64, from: Gpi, to: Gpi) -> Result<(), GptError> {
        if !address.is_multiple_of(GRANULE) || address >= PROTECTED_SIZE {
            return Err(GptError::Address);
        }
        let (entry, shift) = self.locate(address).ok_or(GptError::Address)?;
        entry
            .try_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                (word >> shift & 0xf == from as u64)
                    .then_some(word & !(0xf << shift) | (to as u64) << shift)
            })
            .map_err(|_| GptError::Gpi)?;
        invalidate(address);
        clean_to_physical_aliasing(address, from);
        clean_to_physical_aliasing(address, to);
        Ok(())
    }
}

/// Invalidates cached copies of one granule's GPI on every CPU: TLBI RPALOS, 4 KiB.
fn invalidate(address: u64) {
    // SAFETY: TLB maintenance. The first barrier completes the store before it.
    unsafe {
        asm!(
            "dsb sy", "sys #6, c8, c4, #7, {0}", "dsb sy", "isb",
            in(reg) address / GRANULE, options(nostack, preserves_flags)
        );
    }
}

/// Cleans and invalidates a granule under one PAS, by DC CIPAPA, line by line.
fn clean_to_physical_aliasing(address: u64, gpi: Gpi) {
    let pas = match gpi {
        Gpi::Nonsecure => 1 << 63,
        Gpi::Realm => (1 << 63) | (1 << 62),
        Gpi::Root => 1 << 62,
        Gpi::Secure | Gpi::Any => 0,
    };
    let line = 4 << (read_register!("ctr_el0") >> 16 & 0xf);
    let mut at = address;
    while at < address + GRANULE {
        // SAFETY: cache maintenance changes no content.
        unsafe {
            asm!("sys #6, c7, c14, #1, {0}", in(reg) at | pas, options(nostack, preserves_flags))
        };
        at += line;
    }
    // SAFETY: a barrier.
    unsafe { asm!("dsb sy", options(nostack, preserves_flags)) };
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).expect("addresses are 64 bits")
}

/// `count` words of the secure SRAM.
///
/// # Safety
///
/// The memory must be used only through the result.
unsafe fn words(base: u64, count: usize) -> &'static [AtomicU64] {
    let pointer = core::ptr::with_exposed_provenance(to_usize(base));
    // SAFETY: mapped, aligned SRAM that the caller gives away; any value is a valid AtomicU64.
    unsafe { core::slice::from_raw_parts(pointer, count) }
}
