// SPDX-License-Identifier: BSD-3-Clause
//! A stage-2 table walker written from the architecture alone (Arm ARM D8.2 and D8.3, 4 KiB
//! granule): what the hardware makes of VTCR_EL2, VTTBR_EL2 and memory. It shares no code with the
//! firmware.

use std::sync::atomic::Ordering;

use crate::memory::Memory;

use super::sharing::Part;

/// A leaf that the hardware would use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The first IPA that it translates.
    pub ipa: u64,
    /// How many bytes from there.
    pub size: u64,
    /// Where to.
    pub output: u64,
    /// NS: in Non-secure PAS rather than Realm.
    pub non_secure: bool,
    /// MemAttr\[3:0\].
    pub memory_attributes: u64,
    /// S2AP.
    pub permissions: u64,
    /// XN\[1:0\].
    pub execute_never: u64,
}

/// A table descriptor on the way: the level of its table, the IPA that it begins to translate at,
/// and the table it leads to.
pub type Step = (i64, u64, u64);

/// A stage 2 as its registers have it.
#[derive(Clone, Copy, Debug)]
pub struct Walker {
    root: u64,
    start: i64,
    bits: u32,
    lpa2: bool,
}

/// What an entry at `level` translates.
fn entry_size(level: i64) -> u64 {
    1 << (12 + 9 * (3 - level))
}

impl Walker {
    /// The walker that these registers make.
    pub fn new(vtcr: u64, vttbr: u64) -> Self {
        let field = |low: u32, bits: u32| vtcr >> low & ((1 << bits) - 1);
        assert_eq!(field(14, 2), 0, "TG0 says 4 KiB");
        assert_eq!(
            (field(8, 2), field(10, 2), field(12, 2)),
            (1, 1, 3),
            "walks are write-back, Inner Shareable"
        );
        let lpa2 = field(32, 1) == 1;
        let start = match (field(33, 1), field(6, 2)) {
            (1, 0) => -1,
            (0, 0) => 2,
            (0, 1) => 1,
            (0, 2) => 0,
            (0, 3) => 3,
            reserved => panic!("SL2 and SL0 are {reserved:?}"),
        };
        let base = vttbr & 0x0000_ffff_ffff_ffff;
        // With 52-bit addresses bits 5:2 of BADDR are address bits 51:48, and the table is aligned
        // to 64 bytes at least.
        let root = if lpa2 { base & !0x3f | (base >> 2 & 0xf) << 48 } else { base & !1 };
        let bits = u32::try_from(64 - field(0, 6)).expect("six bits");
        Self { root, start, bits, lpa2 }
    }

    fn address(&self, descriptor: u64) -> u64 {
        if self.lpa2 {
            descriptor & 0x0003_ffff_ffff_f000 | (descriptor >> 8 & 3) << 50
        } else {
            descriptor & 0x0000_ffff_ffff_f000
        }
    }

    /// Entries of all root tables together.
    fn root_entries(&self) -> u64 {
        (1_u64 << self.bits).div_ceil(entry_size(self.start))
    }

    fn leaf(&self, descriptor: u64, level: i64, ipa: u64) -> Leaf {
        assert_ne!(descriptor >> 10 & 1, 0, "AF is set");
        assert!(self.lpa2 || descriptor >> 8 & 3 == 3, "Inner Shareable");
        let size = entry_size(level);
        Leaf {
            ipa: ipa & !(size - 1),
            size,
            output: self.address(descriptor) & !(size - 1),
            non_secure: descriptor >> 55 & 1 != 0,
            memory_attributes: descriptor >> 2 & 0xf,
            permissions: descriptor >> 6 & 3,
            execute_never: descriptor >> 53 & 3,
        }
    }

    /// The descriptors that a walk for `ipa` takes: tables, then the leaf, if there is one.
    pub fn walk(&self, memory: &Memory, ipa: u64) -> (Vec<Step>, Option<Leaf>) {
        assert!(ipa >> self.bits == 0, "within the IPA space");
        let (mut table, mut level, mut steps) = (self.root, self.start, Vec::new());
        loop {
            let size = entry_size(level);
            // The root tables are concatenated: their index is not cut to nine bits.
            let index = if level == self.start { ipa / size } else { ipa / size % 512 };
            let descriptor = read(memory, table + 8 * index);
            match (descriptor & 3, level) {
                (3, 3) | (1, 1 | 2) => return (steps, Some(self.leaf(descriptor, level, ipa))),
                (3, _) => {
                    table = self.address(descriptor);
                    steps.push((level, ipa & !(size - 1), table));
                    level += 1;
                }
                (1, _) => panic!("{descriptor:#x} is reserved at level {level}"),
                _ => return (steps, None),
            }
        }
    }

    /// Every leaf there is in `part`, which is whole entries of the root, in ascending order, and
    /// every table but those of the root.
    pub fn enumerate(&self, memory: &Memory, part: &Part) -> (Vec<Leaf>, Vec<u64>) {
        let (mut leaves, mut tables) = (Vec::new(), Vec::new());
        for index in 0..self.root_entries() {
            let ipa = index * entry_size(self.start);
            if part.contains(ipa) {
                self.enumerate_entry(
                    memory,
                    self.root + 8 * index,
                    self.start,
                    ipa,
                    &mut leaves,
                    &mut tables,
                );
            }
        }
        (leaves, tables)
    }

    fn enumerate_entry(
        &self,
        memory: &Memory,
        entry: u64,
        level: i64,
        ipa: u64,
        leaves: &mut Vec<Leaf>,
        tables: &mut Vec<u64>,
    ) {
        let descriptor = read(memory, entry);
        match (descriptor & 3, level) {
            (3, 3) | (1, 1 | 2) => leaves.push(self.leaf(descriptor, level, ipa)),
            (3, _) => {
                let child = self.address(descriptor);
                tables.push(child);
                for index in 0..512 {
                    let ipa = ipa + index * entry_size(level + 1);
                    self.enumerate_entry(memory, child + 8 * index, level + 1, ipa, leaves, tables);
                }
            }
            (1, _) => panic!("{descriptor:#x} is reserved at level {level}"),
            _ => {}
        }
    }
}

fn read(memory: &Memory, address: u64) -> u64 {
    memory.word(address).expect("tables are in memory").load(Ordering::Relaxed)
}
