// SPDX-License-Identifier: BSD-3-Clause
//! A reference table walker, written from the walk rules of the Arm ARM (D8.2, D8.3,
//! AArch64.TranslationTableWalk) and sharing no code with `xlat`. It starts from register values
//! and a memory image, and is strict: a RES0 bit that is set, or an address out of range, is an
//! error and not ignored.

/// What of a regime a walk depends on.
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

/// What registers tell the walker.
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

/// What a leaf gives, in effect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Output {
    pub pa: u64,
    /// The byte of MAIR.
    pub memory: u8,
    pub el0_access: bool,
    pub writable: bool,
    pub executable: bool,
    pub el0_executable: bool,
    pub guarded: bool,
    pub pas: Pas,
    /// SH\[1:0\], in effect.
    pub shareability: u64,
    pub non_global: bool,
}

/// A descriptor understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded {
    Invalid,
    Table(u64),
    /// The output for the leaf's first byte, and whether it has the Contiguous hint.
    Leaf(Output, bool),
}

/// The leaf that a walk found, or the level it found none at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walked {
    /// First offset in the range, and bytes, that the entry covers.
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

/// Low bit of the index of a table at `level`.
pub fn index_shift(level: i8) -> u32 {
    12 + 9 * u32::try_from(3 - level).expect("levels end at 3")
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
        // With 52-bit addresses, at least 64-byte aligned and bits 51:48 in 5:2.
        let root = if self.ds { base & !0x3f | field(self.ttbr, 5, 2) << 48 } else { base };
        assert_eq!(root % align, 0, "the initial table is not aligned to its size");
        root
    }

    fn address(&self, raw: u64) -> u64 {
        if self.ds {
            field(raw, 49, 12) << 12 | field(raw, 9, 8) << 50
        } else {
            assert_eq!(field(raw, 49, 48), 0, "RES0 bits set in {raw:#x}");
            field(raw, 47, 12) << 12
        }
    }

    /// What `raw` says in a table at `level`.
    pub fn decode(&self, raw: u64, level: i8) -> Decoded {
        if !bit(raw, 0) {
            return Decoded::Invalid;
        }
        let address = self.address(raw);
        assert_eq!(address >> self.pa_bits, 0, "address size fault by {raw:#x}");
        if level < 3 && bit(raw, 1) {
            let address_bits = if self.ds { 0x0003_ffff_ffff_f300 } else { 0x0000_ffff_ffff_f000 };
            assert_eq!(raw & !address_bits, 3, "a table descriptor with other bits: {raw:#x}");
            return Decoded::Table(address);
        }
        if level < 3 {
            assert!(level >= 1 || (level == 0 && self.ds), "a block at level {level}: {raw:#x}");
        } else {
            assert!(bit(raw, 1), "a reserved descriptor at level 3: {raw:#x}");
        }
        assert_eq!(
            address & ((1 << index_shift(level)) - 1),
            0,
            "an unaligned output address: {raw:#x}"
        );
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

    /// Walks for the address at `offset` of the range; `read` gives the descriptor at a physical
    /// address.
    pub fn walk(&self, offset: u64, read: impl Fn(u64) -> u64) -> Walked {
        let mut level = self.start_level();
        let mut table = self.root();
        loop {
            let shift = index_shift(level);
            let index =
                if level == self.start_level() { offset >> shift } else { offset >> shift & 511 };
            let covered =
                Walked { first: offset >> shift << shift, size: 1 << shift, level, leaf: None };
            match self.decode(read(table + 8 * index), level) {
                Decoded::Invalid => return covered,
                Decoded::Leaf(output, hint) => {
                    return Walked { leaf: Some((output, hint)), ..covered };
                }
                Decoded::Table(next) => {
                    table = next;
                    level += 1;
                }
            }
        }
    }

    /// Every leaf of the whole range, in ascending order: what [`Self::walk`] finds for each
    /// address.
    pub fn leaves(&self, read: impl Fn(u64) -> u64) -> Vec<Walked> {
        let mut leaves = Vec::new();
        let initial = Reached { pa: self.root(), level: self.start_level(), first: 0 };
        self.leaves_in(initial, &read, &mut leaves);
        leaves
    }

    fn leaves_in(&self, table: Reached, read: &impl Fn(u64) -> u64, leaves: &mut Vec<Walked>) {
        let shift = index_shift(table.level);
        for index in 0..(1 << (self.input_bits() - shift).min(9)) {
            let first = table.first + (index << shift);
            match self.decode(read(table.pa + 8 * index), table.level) {
                Decoded::Invalid => {}
                Decoded::Table(pa) => {
                    self.leaves_in(Reached { pa, level: table.level + 1, first }, read, leaves);
                }
                Decoded::Leaf(output, hint) => {
                    let leaf = Some((output, hint));
                    leaves.push(Walked { first, size: 1 << shift, level: table.level, leaf });
                }
            }
        }
    }

    /// Every table that can be reached, once per pointer to it, the initial one first.
    pub fn tables(&self, read: impl Fn(u64) -> u64) -> Vec<Reached> {
        let mut tables = vec![Reached { pa: self.root(), level: self.start_level(), first: 0 }];
        let mut next = 0;
        while let Some(&Reached { pa, level, first }) = tables.get(next) {
            next += 1;
            let shift = index_shift(level);
            for index in 0..(1 << (self.input_bits() - shift).min(9)) {
                if let Decoded::Table(below) = self.decode(read(pa + 8 * index), level) {
                    tables.push(Reached {
                        pa: below,
                        level: level + 1,
                        first: first + (index << shift),
                    });
                }
            }
        }
        tables
    }
}
