// SPDX-License-Identifier: BSD-3-Clause
//! Ranges of physical addresses as RMI 2.0 passes them: descriptors, and lists of descriptors in
//! the host's memory.

use crate::abi::rmi_v2::{
    MAX_RANGE_COUNT, RANGE_ADDRESS, RANGE_COUNT_SHIFT, RANGE_SIZE, RANGE_STATE,
};
use crate::address::{GRANULE_SIZE, PhysAddr, native};
use crate::granule::{GranuleAddress, GranuleTable, NsGranule};
use crate::mem::{NsAccessError, NsMapping};
use crate::rmi::answer::Status;
use crate::xlat::Level;

/// Bytes of an entry of a list.
const ENTRY: u64 = size_of::<u64>() as u64;

/// Entries of a list that are read at a time.
const CHUNK: usize = 32;

/// RmiAddressRangeDescriptor: adjacent blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RangeDescriptor {
    /// The level at which an entry maps a block.
    pub(super) level: Level,
    /// How many blocks.
    pub(super) count: u64,
    /// Where the first begins.
    pub(super) base: PhysAddr,
    state: u64,
}

impl RangeDescriptor {
    pub(super) const fn decode(word: u64) -> Self {
        let level = match word & RANGE_SIZE {
            0 => Level::Three,
            1 => Level::Two,
            2 => Level::One,
            _ => Level::Zero,
        };
        Self {
            level,
            count: word >> RANGE_COUNT_SHIFT & MAX_RANGE_COUNT,
            base: PhysAddr::new(word & RANGE_ADDRESS),
            state: word & RANGE_STATE,
        }
    }

    /// Whether an entry of a list has no blocks.
    const fn is_empty(word: u64) -> bool {
        word >> RANGE_COUNT_SHIFT & MAX_RANGE_COUNT == 0
    }

    pub(super) const fn encode(self) -> u64 {
        let size = match self.level {
            Level::Three => 0,
            Level::Two => 1,
            Level::One => 2,
            Level::Zero | Level::MinusOne => 3,
        };
        size | self.count << RANGE_COUNT_SHIFT | self.base.get() & RANGE_ADDRESS | self.state
    }

    /// One block of delegated memory, or of the host's.
    pub(super) const fn block(level: Level, base: PhysAddr) -> Self {
        Self { level, count: 1, base, state: 0 }
    }

    /// One delegated granule.
    pub(super) const fn page(granule: GranuleAddress) -> Self {
        Self::block(Level::Three, granule.get())
    }

    /// Whether the host says that the memory is delegated.
    pub(super) const fn is_delegated(self) -> bool {
        self.state == 0
    }

    /// Appends a block at `level`, if it begins where this ends and fits. Returns whether it did.
    pub(super) fn append_block(&mut self, level: Level, base: PhysAddr) -> bool {
        let end = self.base.checked_add(self.count * self.level.entry_size());
        let fits = level == self.level && Some(base) == end && self.count < MAX_RANGE_COUNT;
        self.count += u64::from(fits);
        fits
    }

    /// Appends a granule, if it begins where this ends and fits. Returns whether it did.
    pub(super) fn append(&mut self, granule: GranuleAddress) -> bool {
        self.append_block(Level::Three, granule.get())
    }

    /// The granules of a range of pages; `None` if it is one of blocks.
    pub(super) fn granules(self) -> Option<impl Iterator<Item = GranuleAddress>> {
        let first = GranuleAddress::new(self.base).filter(|_| self.level == Level::Three)?;
        let granules = core::iter::successors(Some(first), |granule| granule.next());
        Some(granules.take(usize::try_from(self.count).ok()?))
    }
}

/// A list of descriptors in the host's memory, clipped to its page.
#[derive(Clone, Copy, Debug)]
pub(super) struct AddressList {
    page: NsGranule,
    offset: u64,
    len: usize,
}

impl AddressList {
    /// The list of `len` entries at `address`, which is a multiple of 8 in a page of the host.
    ///
    /// # Errors
    ///
    /// [`Status::INPUT`].
    pub(super) fn new(
        granules: &GranuleTable<'_>,
        address: PhysAddr,
        len: u64,
    ) -> Result<Self, Status> {
        let granule = GranuleAddress::containing(address);
        let page = granules.ns_granule(granule.get()).ok_or(Status::INPUT)?;
        if !address.is_aligned(ENTRY) {
            return Err(Status::INPUT);
        }
        let offset = address.get() % GRANULE_SIZE;
        Ok(Self { page, offset, len: native(len.min((GRANULE_SIZE - offset) / ENTRY)) })
    }

    /// The page that it is in.
    pub(super) fn page(&self) -> NsGranule {
        self.page
    }

    /// How many entries it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn entry(&self, index: usize) -> u64 {
        self.offset + u64::try_from(index).unwrap_or(u64::MAX / ENTRY) * ENTRY
    }

    /// Reads the next entry that is not empty, from `index` on, through its page. Moves `index`
    /// past it.
    pub(super) fn next(
        &self,
        page: &NsMapping<'_>,
        index: &mut usize,
    ) -> Result<Option<u64>, NsAccessError> {
        if *index >= self.len {
            return Ok(None);
        }
        let mut words = [0];
        page.read(self.entry(*index), &mut words)?;
        let [word] = words;
        *index += 1;
        if RangeDescriptor::is_empty(word) {
            return self.next_behind_empty(page, index);
        }
        Ok(Some(word))
    }

    /// As [`next`](Self::next), but reads several entries at a time, so that an interrupt does not
    /// wait long for a list of empty ones.
    fn next_behind_empty(
        &self,
        page: &NsMapping<'_>,
        index: &mut usize,
    ) -> Result<Option<u64>, NsAccessError> {
        let mut chunk = [0; CHUNK];
        while *index < self.len {
            let count = CHUNK.min(self.len - *index);
            let words = chunk.get_mut(..count).unwrap_or_default();
            page.read(self.entry(*index), words)?;
            let empty = words.iter().take_while(|word| RangeDescriptor::is_empty(**word)).count();
            *index += empty;
            if let Some(word) = words.get(empty) {
                *index += 1;
                return Ok(Some(*word));
            }
        }
        Ok(None)
    }

    /// Writes an entry through its page.
    pub(super) fn write(
        &self,
        page: &NsMapping<'_>,
        index: usize,
        word: u64,
    ) -> Result<(), NsAccessError> {
        page.write(self.entry(index), &[word])
    }
}
