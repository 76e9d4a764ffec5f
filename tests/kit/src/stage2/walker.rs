// SPDX-License-Identifier: BSD-3-Clause
//! A stage 2 as the hardware walks it, from VTCR_EL2, VTTBR_EL2 and memory.

use std::sync::atomic::Ordering;

use super::sharing::Part;
use crate::memory::Memory;
use crate::walker::{Kind, TableWalk, WalkedEntry};

/// A leaf that the hardware finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The first IPA that it translates.
    pub ipa: u64,
    /// Bytes that it translates.
    pub size: u64,
    /// The output address of the first one.
    pub output: u64,
    /// NS: the output is in the Non-secure PAS instead of the Realm PAS.
    pub non_secure: bool,
    /// MemAttr\[3:0\].
    pub memory_attributes: u64,
    /// S2AP.
    pub permissions: u64,
    /// XN\[1:0\].
    pub execute_never: u64,
}

/// A table descriptor of a walk: the level of its table, the first IPA that it covers, and the
/// table that it points to.
pub type Step = (i64, u64, u64);

/// A stage 2, from its registers.
#[derive(Clone, Copy, Debug)]
pub struct Walker(TableWalk);

impl Walker {
    /// The walker for these register values.
    pub fn new(vtcr: u64, vttbr: u64) -> Self {
        let field = |low: u32, bits: u32| vtcr >> low & ((1 << bits) - 1);
        assert_eq!(field(14, 2), 0, "TG0 says 4 KiB");
        assert_eq!(
            (field(8, 2), field(10, 2), field(12, 2)),
            (1, 1, 3),
            "walks are write-back, Inner Shareable"
        );
        let lpa2 = field(32, 1) == 1;
        let start: i8 = match (field(33, 1), field(6, 2)) {
            (1, 0) => -1,
            (0, 0) => 2,
            (0, 1) => 1,
            (0, 2) => 0,
            (0, 3) => 3,
            reserved => panic!("SL2 and SL0 are {reserved:?}"),
        };
        let base = vttbr & 0x0000_ffff_ffff_ffff;
        // With 52-bit addresses, bits 5:2 of BADDR are address bits 51:48, and the table is aligned
        // to at least 64 bytes.
        let root = if lpa2 { base & !0x3f | (base >> 2 & 0xf) << 48 } else { base & !1 };
        let bits = u32::try_from(64 - field(0, 6)).expect("six bits");
        Self(TableWalk { root, start_level: start, input_bits: bits, ds: lpa2 })
    }

    /// `entry` as a leaf, if it is one.
    fn leaf(&self, entry: &WalkedEntry) -> Option<Leaf> {
        let Kind::Leaf(output) = entry.kind else { return None };
        let descriptor = entry.raw;
        assert_ne!(descriptor >> 10 & 1, 0, "AF is set");
        assert!(self.0.ds || descriptor >> 8 & 3 == 3, "Inner Shareable");
        assert!(entry.level > 0, "no block at level 0");
        Some(Leaf {
            ipa: entry.first,
            size: entry.size(),
            output,
            non_secure: descriptor >> 55 & 1 != 0,
            memory_attributes: descriptor >> 2 & 0xf,
            permissions: descriptor >> 6 & 3,
            execute_never: descriptor >> 53 & 3,
        })
    }

    /// The descriptors of a walk for `ipa`: tables, then the leaf if there is one.
    pub fn walk(&self, memory: &Memory, ipa: u64) -> (Vec<Step>, Option<Leaf>) {
        let (tables, end) = self.0.walk(ipa, |address| read(memory, address));
        let step = |entry: &WalkedEntry| match entry.kind {
            Kind::Table(table) => Some((i64::from(entry.level), entry.first, table)),
            _ => None,
        };
        (tables.iter().filter_map(step).collect(), self.leaf(&end))
    }

    /// Every leaf in `part`, in ascending order, and every table except the root tables. `part` is
    /// made of whole root entries.
    pub fn enumerate(&self, memory: &Memory, part: &Part) -> (Vec<Leaf>, Vec<u64>) {
        let (mut leaves, mut tables) = (Vec::new(), Vec::new());
        self.0.visit(&|address| read(memory, address), |ipa| part.contains(ipa), &mut |entry| {
            if let Kind::Table(table) = entry.kind {
                tables.push(table);
            }
            leaves.extend(self.leaf(entry));
        });
        (leaves, tables)
    }
}

fn read(memory: &Memory, address: u64) -> u64 {
    memory.word(address).expect("tables are in memory").load(Ordering::Relaxed)
}
