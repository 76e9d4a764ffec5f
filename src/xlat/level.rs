// SPDX-License-Identifier: BSD-3-Clause
//! Lookup levels of the 4 KiB granule, and which entries of a table cover a range of addresses.
//!
//! `xlat` counts in *offsets* from the base of the VA range, with inclusive ends: nothing wraps at
//! the top of the address space.

use core::fmt;

use crate::address::native;

/// Descriptors in a table.
pub const TABLE_ENTRIES: usize = 512;
/// Entries that the Contiguous hint joins (Arm ARM (DDI 0487 L.a) D8.7.1).
pub(super) const CONTIGUOUS_ENTRIES: u64 = 16;

/// A lookup level. Recursion goes through [`Level::finer`], so it is at most five deep.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(i8)]
pub enum Level {
    /// Level -1: 256 TiB an entry. LPA2 with more than 48 bits of VA only.
    MinusOne = -1,
    /// Level 0: 512 GiB an entry, blocks with LPA2 only.
    Zero = 0,
    /// Level 1: 1 GiB an entry.
    One = 1,
    /// Level 2: 2 MiB an entry.
    Two = 2,
    /// Level 3: 4 KiB an entry, always pages.
    Three = 3,
}

impl Level {
    /// All levels, coarsest first.
    pub const ALL: [Self; 5] = [Self::MinusOne, Self::Zero, Self::One, Self::Two, Self::Three];

    /// log2 of the bytes that an entry of a table at this level covers.
    pub const fn shift(self) -> u32 {
        match self {
            Self::MinusOne => 48,
            Self::Zero => 39,
            Self::One => 30,
            Self::Two => 21,
            Self::Three => 12,
        }
    }

    /// Bytes that an entry of a table at this level covers.
    pub const fn entry_size(self) -> u64 {
        1 << self.shift()
    }

    /// The next level, of the tables that entries at this level point to; `None` at level 3.
    pub const fn finer(self) -> Option<Self> {
        Self::from_number(self.number() as i64 + 1)
    }

    /// The level before, of the tables that point to tables at this level; `None` at level -1.
    pub const fn coarser(self) -> Option<Self> {
        Self::from_number(self.number() as i64 - 1)
    }

    /// The level by its number, -1 to 3.
    pub const fn from_number(number: i64) -> Option<Self> {
        match number {
            -1 => Some(Self::MinusOne),
            0 => Some(Self::Zero),
            1 => Some(Self::One),
            2 => Some(Self::Two),
            3 => Some(Self::Three),
            _ => None,
        }
    }

    /// Its number.
    pub const fn number(self) -> i8 {
        self as i8
    }

    /// Its place in [`Level::ALL`].
    pub(super) const fn depth(self) -> usize {
        match self {
            Self::MinusOne => 0,
            Self::Zero => 1,
            Self::One => 2,
            Self::Two => 3,
            Self::Three => 4,
        }
    }

    /// The initial lookup level for `address_bits` of VA.
    pub(super) const fn initial(address_bits: u32) -> Self {
        match address_bits {
            49.. => Self::MinusOne,
            40.. => Self::Zero,
            31.. => Self::One,
            22.. => Self::Two,
            _ => Self::Three,
        }
    }

    /// The index of the entry that covers `offset` in its table at this level.
    pub const fn index(self, offset: u64) -> usize {
        native((offset >> self.shift()) & (TABLE_ENTRIES as u64 - 1))
    }

    /// The parts of `span` by entry of the table at this level that covers all of it, ascending.
    pub(super) fn pieces(self, span: Span) -> impl Iterator<Item = Piece> {
        let mut next = Some(span.first);
        core::iter::from_fn(move || {
            let first = next?;
            let entry_last = first | (self.entry_size() - 1);
            next = if entry_last < span.last { Some(entry_last + 1) } else { None };
            Some(Piece {
                index: self.index(first),
                span: Span { first, last: entry_last.min(span.last) },
            })
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

/// A range of offsets, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Span {
    pub(super) const fn contains(self, offset: u64) -> bool {
        self.first <= offset && offset <= self.last
    }

    pub(super) const fn encloses(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    pub(super) const fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Whether this is an aligned unit of `size` bytes, a power of two.
    pub(super) const fn is_unit(self, size: u64) -> bool {
        self.first & (size - 1) == 0 && self.last == self.first | (size - 1)
    }

    /// The aligned unit of `size` bytes, a power of two, that holds `offset`.
    pub(super) const fn unit(offset: u64, size: u64) -> Self {
        Self { first: offset & !(size - 1), last: offset | (size - 1) }
    }
}

/// The part of a span that one entry of a table covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) index: usize,
    pub(super) span: Span,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_starts_where_the_address_size_says() {
        for (bits, level) in [
            (16, Level::Three),
            (21, Level::Three),
            (22, Level::Two),
            (30, Level::Two),
            (31, Level::One),
            (39, Level::One),
            (40, Level::Zero),
            (48, Level::Zero),
            (49, Level::MinusOne),
            (52, Level::MinusOne),
        ] {
            assert_eq!(Level::initial(bits), level, "{bits} bits");
        }
    }

    #[test]
    fn a_level_and_its_number_name_each_other() {
        for level in Level::ALL {
            assert_eq!(Level::from_number(level.number().into()), Some(level));
            assert_eq!(level.finer().map_or(Some(level), Level::coarser), Some(level));
        }
        for number in [i64::MIN, -2, 4, 0xff, i64::MAX] {
            assert_eq!(Level::from_number(number), None, "{number}");
        }
        assert_eq!(Level::MinusOne.coarser(), None);
    }

    #[test]
    fn pieces_cover_a_span_once_and_in_order() {
        let span = Span { first: 0x1f_f000, last: 0x40_0fff };
        let pieces: Vec<_> = Level::Two.pieces(span).collect();
        assert_eq!(
            pieces,
            [
                Piece { index: 0, span: Span { first: 0x1f_f000, last: 0x1f_ffff } },
                Piece { index: 1, span: Span { first: 0x20_0000, last: 0x3f_ffff } },
                Piece { index: 2, span: Span { first: 0x40_0000, last: 0x40_0fff } },
            ]
        );
    }

    #[test]
    fn pieces_end_at_the_last_offset_there_is() {
        let top = (1 << 52) - 1;
        let span = Span { first: top - 0xfff, last: top };
        for level in Level::ALL {
            assert_eq!(level.pieces(span).count(), 1, "level {level}");
        }
    }

    #[test]
    fn the_finest_level_is_reached_in_at_most_five_tables() {
        let mut level = Some(Level::MinusOne);
        let mut tables = 0;
        while let Some(at) = level {
            tables += 1;
            level = at.finer();
        }
        assert_eq!(tables, Level::ALL.len());
    }
}
