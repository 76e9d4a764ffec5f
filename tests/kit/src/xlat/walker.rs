// SPDX-License-Identifier: BSD-3-Clause
//! Stage 1 as the hardware walks it, from register values and memory. A RES0 bit that is set, or an
//! address out of range, panics.

pub use crate::walker::index_shift;
use crate::walker::{Kind, TableWalk, WalkedEntry, kind};

/// The translation regime, as far as a walk depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegimeKind {
    El1And0,
    El2,
    El2And0,
    El3,
}

impl RegimeKind {
    pub fn has_el0(self) -> bool {
        matches!(self, Self::El1And0 | Self::El2And0)
    }
}

/// What the registers say about a walk.
#[derive(Clone, Copy, Debug)]
pub struct WalkConfig {
    pub regime: RegimeKind,
    /// The table base register, TTBR0 or TTBR1.
    pub ttbr: u64,
    /// The range of TTBR1.
    pub high: bool,
    pub txsz: u32,
    /// TCR.DS.
    pub ds: bool,
    /// TCR.SHx.
    pub walk_shareability: u64,
    pub mair: u64,
    /// Bits of physical address.
    pub pa_bits: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pas {
    Secure,
    NonSecure,
    Root,
    Realm,
}

/// The effective attributes of a leaf.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Output {
    pub pa: u64,
    /// The byte of MAIR_ELx.
    pub memory: u8,
    pub el0_access: bool,
    pub writable: bool,
    pub executable: bool,
    pub el0_executable: bool,
    pub guarded: bool,
    pub pas: Pas,
    /// SH\[1:0\], as it takes effect.
    pub shareability: u64,
    pub non_global: bool,
}

/// A decoded descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded {
    Invalid,
    Table(u64),
    /// The output for the leaf's first byte, and whether it has the Contiguous hint.
    Leaf(Output, bool),
}

/// The leaf of a walk, or the level at which it ended without one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walked {
    /// The first offset in the range and the bytes that the entry covers.
    pub first: u64,
    pub size: u64,
    pub level: i8,
    pub leaf: Option<(Output, bool)>,
}

/// A table: where it is, its level, and the first offset that it covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reached {
    pub pa: u64,
    pub level: i8,
    pub first: u64,
}

fn field(value: u64, high: u32, low: u32) -> u64 {
    value >> low & ((1 << (high - low + 1)) - 1)
}

fn bit(value: u64, n: u32) -> bool {
    value >> n & 1 == 1
}

impl WalkConfig {
    pub fn input_bits(&self) -> u32 {
        64 - self.txsz
    }

    pub fn first_va(&self) -> u64 {
        if self.high { u64::MAX << self.input_bits() } else { 0 }
    }

    pub fn start_level(&self) -> i8 {
        let strides = (self.input_bits() - 12 - 1) / 9;
        3 - i8::try_from(strides).expect("at most five levels")
    }

    /// The physical address of the initial table.
    pub fn root(&self) -> u64 {
        let index_bits = self.input_bits() - index_shift(self.start_level());
        let align = 1u64 << (index_bits + 3);
        let base = field(self.ttbr, 47, 1) << 1;
        // With 52-bit addresses, the table is aligned to at least 64 bytes, and bits 5:2 are
        // address bits 51:48.
        let root = if self.ds { base & !0x3f | field(self.ttbr, 5, 2) << 48 } else { base };
        assert_eq!(root % align, 0, "the initial table is not aligned to its size");
        root
    }

    /// Decodes descriptor `raw` of a table at `level`.
    pub fn decode(&self, raw: u64, level: i8) -> Decoded {
        self.decoded(raw, kind(raw, level, self.ds))
    }

    fn decoded(&self, raw: u64, kind: Kind) -> Decoded {
        let (Kind::Table(address) | Kind::Leaf(address)) = kind else { return Decoded::Invalid };
        assert_eq!(address >> self.pa_bits, 0, "address size fault by {raw:#x}");
        if let Kind::Table(_) = kind {
            let address_bits = if self.ds { 0x0003_ffff_ffff_f300 } else { 0x0000_ffff_ffff_f000 };
            assert_eq!(raw & !address_bits, 3, "a table descriptor with other bits: {raw:#x}");
            return Decoded::Table(address);
        }
        assert!(bit(raw, 10), "access flag fault by {raw:#x}");
        assert_eq!(
            field(raw, 63, 59) | field(raw, 51, 51),
            0,
            "bits with no use here are set: {raw:#x}"
        );
        Decoded::Leaf(self.output(raw, address), bit(raw, 52))
    }

    fn output(&self, raw: u64, pa: u64) -> Output {
        let el0 = self.regime.has_el0();
        let (ap2, ap1, xn54, pxn53) = (bit(raw, 7), bit(raw, 6), bit(raw, 54), bit(raw, 53));
        if !el0 {
            assert!(ap1, "AP[1] is RES1 here: {raw:#x}");
            assert!(!pxn53, "bit 53 is RES0 here: {raw:#x}");
        }
        let el0_access = el0 && ap1;
        let writable = !ap2;
        let executable = if el0 { !(pxn53 || el0_access && writable) } else { !xn54 };
        let index = u32::try_from(field(raw, 4, 2)).expect("three bits");
        let memory = u8::try_from(field(self.mair, 8 * index + 7, 8 * index)).expect("eight bits");
        let device_like = memory & 0xf0 == 0 || memory == 0x44;
        let (ns, bit11) = (bit(raw, 5), bit(raw, 11));
        let pas = match (self.regime, bit11, ns) {
            (RegimeKind::El3, false, false) => Pas::Secure,
            (RegimeKind::El3, false, true) => Pas::NonSecure,
            (RegimeKind::El3, true, false) => Pas::Root,
            (RegimeKind::El3, true, true) => Pas::Realm,
            (RegimeKind::El1And0, _, true) => panic!("NS is RES0 in Realm EL1&0: {raw:#x}"),
            (_, _, true) => Pas::NonSecure,
            (_, _, false) => Pas::Realm,
        };
        assert!(el0 || self.regime == RegimeKind::El3 || !bit11, "bit 11 is RES0 here: {raw:#x}");
        Output {
            pa,
            memory,
            el0_access,
            writable,
            executable,
            el0_executable: el0 && !xn54,
            guarded: bit(raw, 50),
            pas,
            shareability: match (device_like, self.ds) {
                (true, _) => 0b10,
                (false, true) => self.walk_shareability,
                (false, false) => field(raw, 9, 8),
            },
            non_global: el0 && bit11,
        }
    }

    fn table_walk(&self) -> TableWalk {
        TableWalk {
            root: self.root(),
            start_level: self.start_level(),
            input_bits: self.input_bits(),
            ds: self.ds,
        }
    }

    fn walked(&self, entry: &WalkedEntry) -> Walked {
        let leaf = match self.decoded(entry.raw, entry.kind) {
            Decoded::Leaf(output, hint) => Some((output, hint)),
            _ => None,
        };
        Walked { first: entry.first, size: entry.size(), level: entry.level, leaf }
    }

    /// Walks for the address at `offset` in the range. `read` gives the descriptor at a physical
    /// address.
    pub fn walk(&self, offset: u64, read: impl Fn(u64) -> u64) -> Walked {
        let (tables, end) = self.table_walk().walk(offset, read);
        for table in tables {
            self.walked(&table);
        }
        self.walked(&end)
    }

    /// Every leaf of the whole range, in ascending order, as [`Self::walk`] finds it.
    pub fn leaves(&self, read: impl Fn(u64) -> u64) -> Vec<Walked> {
        let mut leaves = Vec::new();
        self.table_walk().visit(&read, |_| true, &mut |entry| {
            let walked = self.walked(entry);
            if walked.leaf.is_some() {
                leaves.push(walked);
            }
        });
        leaves
    }

    /// Every table that can be reached, once for each pointer to it, the initial one first.
    pub fn tables(&self, read: impl Fn(u64) -> u64) -> Vec<Reached> {
        let mut tables = vec![Reached { pa: self.root(), level: self.start_level(), first: 0 }];
        self.table_walk().visit(&read, |_| true, &mut |entry| {
            if let Decoded::Table(pa) = self.decoded(entry.raw, entry.kind) {
                tables.push(Reached { pa, level: entry.level + 1, first: entry.first });
            }
        });
        tables
    }
}
