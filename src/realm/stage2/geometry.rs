// SPDX-License-Identifier: BSD-3-Clause
//! The IPA space of a Realm: which IPAs it has, which are protected, and the table entry of each.

use crate::address::{GRANULE_SIZE, Ipa};
use crate::granule::GranuleAddress;
use crate::realm::stage2::Stage2;
use crate::xlat::{Level, TABLE_ENTRIES};

/// Why an IPA, a range or a level is refused. All are input errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// Beyond the IPA space of the Realm.
    OutOfSpace,
    /// Not a multiple of what an entry at that level maps.
    Unaligned,
    /// In the other half of the IPA space.
    WrongHalf,
    /// A range that ends where it begins, or before.
    Empty,
    /// No such entries exist at this level.
    Level,
    /// An address that descriptors cannot hold.
    OutOfReach,
}

/// The index of an entry in a table: less than [`TABLE_ENTRIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryIndex(usize);

impl EntryIndex {
    /// The entry for `ipa` in a table at `level`.
    pub const fn of(ipa: Ipa, level: Level) -> Self {
        Self(level.index(ipa.get()))
    }

    /// The index, visibly in range to the compiler.
    pub const fn get(self) -> usize {
        self.0 % TABLE_ENTRIES
    }

    /// The next entry of the table; `None` after the last.
    pub const fn next(self) -> Option<Self> {
        if self.0 + 1 < TABLE_ENTRIES { Some(Self(self.0 + 1)) } else { None }
    }
}

/// Entries of a table at `level` that a walk can use: at level -1, those that 52-bit IPAs reach.
pub(super) const fn entries(level: Level) -> usize {
    match level {
        Level::MinusOne => 16,
        _ => TABLE_ENTRIES,
    }
}

/// The coarsest level that has blocks (RMM specification 1.0; with LPA2 the architecture also has
/// them at level 0).
pub(super) const COARSEST_BLOCK: Level = Level::One;

/// log2 of the entries of a table: bits of an IPA that a level resolves.
pub(super) const TABLE_BITS: u32 = TABLE_ENTRIES.ilog2();

impl Stage2 {
    /// The first IPA beyond the IPA space.
    pub const fn ipa_end(&self) -> u64 {
        // No bit is lost: `ipa_bits` is at most 52.
        1_u64.wrapping_shl(self.ipa_bits as u32)
    }

    /// The first unprotected IPA.
    pub const fn protected_end(&self) -> u64 {
        self.ipa_end() / 2
    }

    /// Whether `ipa` is in the protected half.
    pub const fn is_protected(&self, ipa: Ipa) -> bool {
        ipa.get() < self.protected_end()
    }

    /// Checks that `ipa` is the first IPA of an entry at `level`.
    ///
    /// # Errors
    ///
    /// [`RangeError::OutOfSpace`], [`RangeError::Unaligned`].
    pub const fn entry_ipa(&self, ipa: u64, level: Level) -> Result<Ipa, RangeError> {
        let ipa = Ipa::new(ipa);
        if ipa.get() >= self.ipa_end() {
            Err(RangeError::OutOfSpace)
        } else if !ipa.is_aligned(level.entry_size()) {
            Err(RangeError::Unaligned)
        } else {
            Ok(ipa)
        }
    }

    /// Checks that `ipa` is that of a granule in the protected half.
    ///
    /// # Errors
    ///
    /// Those of [`entry_ipa`](Self::entry_ipa), and [`RangeError::WrongHalf`].
    pub fn protected_granule(&self, ipa: u64) -> Result<Ipa, RangeError> {
        let ipa = self.entry_ipa(ipa, Level::Three)?;
        if self.is_protected(ipa) { Ok(ipa) } else { Err(RangeError::WrongHalf) }
    }

    /// Checks that `ipa` is the first of a page or block at `level` in the unprotected half.
    ///
    /// # Errors
    ///
    /// Those of [`walk_entry`](Self::walk_entry), and [`RangeError::WrongHalf`].
    pub fn unprotected_entry(&self, ipa: u64, level: Level) -> Result<Ipa, RangeError> {
        if level < COARSEST_BLOCK {
            return Err(RangeError::Level);
        }
        let ipa = self.walk_entry(ipa, level)?;
        if self.is_protected(ipa) { Err(RangeError::WrongHalf) } else { Ok(ipa) }
    }

    /// Checks that a walk can look for the entry at `level` that begins at `ipa`.
    ///
    /// # Errors
    ///
    /// Those of [`entry_ipa`](Self::entry_ipa), and [`RangeError::Level`].
    pub fn walk_entry(&self, ipa: u64, level: Level) -> Result<Ipa, RangeError> {
        if level < self.start_level {
            return Err(RangeError::Level);
        }
        self.entry_ipa(ipa, level)
    }

    /// The parent entry of the table at `level` that begins at `ipa`: its IPA, and its level.
    ///
    /// # Errors
    ///
    /// Those of [`walk_entry`](Self::walk_entry).
    pub fn parent_entry(&self, ipa: u64, level: Level) -> Result<(Ipa, Level), RangeError> {
        let parent = level.coarser().ok_or(RangeError::Level)?;
        Ok((self.walk_entry(ipa, parent)?, parent))
    }

    /// Checks that descriptors of this stage 2 can hold the address of `granule`.
    ///
    /// # Errors
    ///
    /// [`RangeError::OutOfReach`].
    pub fn check_reach(&self, granule: GranuleAddress) -> Result<(), RangeError> {
        let reachable = granule.get().get() >> self.format().address_bits() == 0;
        if reachable { Ok(()) } else { Err(RangeError::OutOfReach) }
    }

    /// Checks that `base` to `top`, exclusive, is a range of protected granules.
    ///
    /// # Errors
    ///
    /// [`RangeError`].
    pub fn protected_range(&self, base: u64, top: u64) -> Result<(Ipa, Ipa), RangeError> {
        let (base, top) = self.range(base, top)?;
        let is_protected = self.is_protected(base) && top.get() <= self.protected_end();
        if is_protected { Ok((base, top)) } else { Err(RangeError::WrongHalf) }
    }

    /// Checks that `base` to `top`, exclusive, is a range of unprotected granules.
    ///
    /// # Errors
    ///
    /// [`RangeError`].
    pub fn unprotected_range(&self, base: u64, top: u64) -> Result<(Ipa, Ipa), RangeError> {
        let (base, top) = self.range(base, top)?;
        if top.get() > self.ipa_end() {
            Err(RangeError::OutOfSpace)
        } else if self.is_protected(base) {
            Err(RangeError::WrongHalf)
        } else {
            Ok((base, top))
        }
    }

    /// Checks that `base` to `top`, exclusive, is a range of granules that begins in the IPA space.
    fn range(&self, base: u64, top: u64) -> Result<(Ipa, Ipa), RangeError> {
        if top <= base {
            return Err(RangeError::Empty);
        }
        let (base, top) = (self.entry_ipa(base, Level::Three)?, Ipa::new(top));
        if top.is_aligned(GRANULE_SIZE) { Ok((base, top)) } else { Err(RangeError::Unaligned) }
    }

    /// The root table for `ipa`, which is in the IPA space.
    ///
    /// Concatenated tables are contiguous, indexed by the bits above those that index a table (Arm
    /// ARM (DDI 0487 L.a) D8.2.2).
    pub fn root_table(&self, ipa: Ipa) -> GranuleAddress {
        let table = ipa.get() >> (self.start_level.shift() + TABLE_BITS);
        let root = self.root.get();
        // Root tables do not pass the end of the address space. The default is for an IPA beyond
        // the IPA space.
        root.checked_add(table * GRANULE_SIZE).map_or(self.root, GranuleAddress::containing)
    }
}
