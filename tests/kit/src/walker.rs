// SPDX-License-Identifier: BSD-3-Clause
//! Walks translation tables of either stage with the 4 KiB granule. Written from the Arm ARM (DDI
//! 0487 L.a) D8.2, D8.3, AArch64.S1Walk and AArch64.S2Walk; shares no code with the firmware.
//!
//! A reserved descriptor, a RES0 address bit that is set, or an unaligned address panics.

/// Low bit of the index into a table at `level`.
pub fn index_shift(level: i8) -> u32 {
    12 + 9 * u32::try_from(3 - level).expect("levels end at 3")
}

/// The tables of one VA range, or of one stage 2.
#[derive(Clone, Copy, Debug)]
pub struct TableWalk {
    /// The initial table, or the first of several concatenated ones.
    pub root: u64,
    pub start_level: i8,
    pub input_bits: u32,
    /// 52-bit addresses (TCR.DS, VTCR.DS).
    pub ds: bool,
}

/// A descriptor by its kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Invalid,
    /// The address of a table.
    Table(u64),
    /// The output address of a block or page.
    Leaf(u64),
}

/// An entry of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalkedEntry {
    /// The first input address that it covers.
    pub first: u64,
    pub level: i8,
    pub raw: u64,
    pub kind: Kind,
}

impl WalkedEntry {
    /// Bytes of input addresses that it covers.
    pub fn size(&self) -> u64 {
        1 << index_shift(self.level)
    }
}

fn address(raw: u64, ds: bool) -> u64 {
    if ds {
        raw & 0x0003_ffff_ffff_f000 | (raw >> 8 & 3) << 50
    } else {
        assert_eq!(raw >> 48 & 3, 0, "RES0 address bits in {raw:#x}");
        raw & 0x0000_ffff_ffff_f000
    }
}

/// The kind of descriptor `raw` at `level`.
pub fn kind(raw: u64, level: i8, ds: bool) -> Kind {
    match (raw & 3, level) {
        (0 | 2, _) => return Kind::Invalid,
        (3, ..=2) => return Kind::Table(address(raw, ds)),
        (3, _) | (1, 1 | 2) => {}
        (_, 0) if ds => {}
        _ => panic!("{raw:#x} is reserved at level {level}"),
    }
    let output = address(raw, ds);
    assert_eq!(output & ((1 << index_shift(level)) - 1), 0, "unaligned output in {raw:#x}");
    Kind::Leaf(output)
}

impl TableWalk {
    fn entry(&self, first: u64, level: i8, raw: u64) -> WalkedEntry {
        WalkedEntry { first, level, raw, kind: kind(raw, level, self.ds) }
    }

    /// Walks for `input`. Gives the entries that point to tables, then the last entry. `read` gives
    /// the descriptor at a physical address.
    pub fn walk(&self, input: u64, read: impl Fn(u64) -> u64) -> (Vec<WalkedEntry>, WalkedEntry) {
        assert_eq!(input >> self.input_bits, 0, "{input:#x} is out of range");
        let (mut table, mut level, mut steps) = (self.root, self.start_level, Vec::new());
        loop {
            let shift = index_shift(level);
            // The index into concatenated initial tables has more than nine bits.
            let index =
                if level == self.start_level { input >> shift } else { input >> shift & 511 };
            let raw = read(table + 8 * index);
            let entry = self.entry(input >> shift << shift, level, raw);
            let Kind::Table(next) = entry.kind else { return (steps, entry) };
            steps.push(entry);
            table = next;
            level += 1;
        }
    }

    /// Calls `f` with every entry in ascending order; a table's entries follow the entry that
    /// points to it. Only those entries of the initial table are visited whose first input address
    /// is `wanted`.
    pub fn visit(
        &self,
        read: &impl Fn(u64) -> u64,
        wanted: impl Fn(u64) -> bool,
        f: &mut impl FnMut(&WalkedEntry),
    ) {
        let shift = index_shift(self.start_level);
        for index in 0..(1u64 << self.input_bits).div_ceil(1 << shift) {
            if wanted(index << shift) {
                let raw = read(self.root + 8 * index);
                self.visit_entry(self.entry(index << shift, self.start_level, raw), read, f);
            }
        }
    }

    fn visit_entry(
        &self,
        entry: WalkedEntry,
        read: &impl Fn(u64) -> u64,
        f: &mut impl FnMut(&WalkedEntry),
    ) {
        f(&entry);
        let (Kind::Table(table), level) = (entry.kind, entry.level + 1) else { return };
        for index in 0..512 {
            let first = entry.first + (index << index_shift(level));
            self.visit_entry(self.entry(first, level, read(table + 8 * index)), read, f);
        }
    }
}
