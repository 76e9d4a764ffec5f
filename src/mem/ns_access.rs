// SPDX-License-Identifier: BSD-3-Clause
//! Access to the host's memory: bounded, aligned copies through one slot. Each may fail: the PAS of
//! the granule can change at any time.
//!
//! The host may change its memory at any time. So there are no references into it: data is copied
//! once, and only the copy is checked and used.

use zerocopy::{FromBytes, IntoBytes};

use super::mapping::Mapping;
use super::page::{MappedPage, Slot};
use crate::address::GRANULE_SIZE;
use crate::arch::atomic::AtomicU64;
use crate::granule::state::{Unproven, Untyped};
use crate::granule::{LockedGranule, NsGranule, Probe, ProbeError};

/// Bytes of a word, the alignment of accesses.
const WORD: u64 = size_of::<u64>() as u64;

/// Why the host's memory could not be accessed. Part of the access may have been done.
///
/// As wide as a register, like [`LockError`](crate::granule::LockError): with a smaller type the
/// compiler moves structures that were read byte by byte where alignment is strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum NsAccessError {
    /// The page is no longer Non-secure, or does not answer.
    Aborted,
    /// The words are unaligned, or not all in the granule.
    Bounds,
}

/// The words of a structure, whose size and alignment are those of whole words.
pub fn words_of<T: FromBytes + IntoBytes>(value: &mut T) -> &mut [u64] {
    const { assert!(align_of::<T>() == align_of::<u64>()) };
    const { assert!(size_of::<T>().is_multiple_of(size_of::<u64>())) };
    <[u64]>::mut_from_bytes(value.as_mut_bytes()).unwrap_or_default()
}

/// The slot for the host's memory.
#[derive(Debug)]
pub struct NsSlot(Slot);

impl NsSlot {
    /// Wraps a slot that maps with the attributes of the host's memory.
    pub(super) const fn new(slot: Slot) -> Self {
        Self(slot)
    }

    /// The slot.
    pub(super) fn slot(&mut self) -> &mut Slot {
        &mut self.0
    }

    /// Maps the granule for several accesses.
    pub fn map(&mut self, granule: NsGranule) -> NsMapping<'_> {
        NsMapping::new(MappedPage::new(&mut self.0, granule.address()))
    }

    /// Reads words of the granule from byte `offset` on, each once. The host may write them at the
    /// same time.
    ///
    /// # Errors
    ///
    /// [`NsAccessError`]; some words may have been read.
    pub fn read(
        &mut self,
        granule: NsGranule,
        offset: u64,
        words: &mut [u64],
    ) -> Result<(), NsAccessError> {
        self.map(granule).read(offset, words)
    }

    /// Writes words to the granule from byte `offset` on.
    ///
    /// # Errors
    ///
    /// [`NsAccessError`]; some words may have been written.
    pub fn write(
        &mut self,
        granule: NsGranule,
        offset: u64,
        words: &[u64],
    ) -> Result<(), NsAccessError> {
        self.map(granule).write(offset, words)
    }

    /// Reads a structure at byte `offset` of the granule.
    ///
    /// # Errors
    ///
    /// [`NsAccessError`].
    pub fn read_value<T: FromBytes + IntoBytes>(
        &mut self,
        granule: NsGranule,
        offset: u64,
    ) -> Result<T, NsAccessError> {
        let mut value = T::new_zeroed();
        self.read(granule, offset, words_of(&mut value))?;
        Ok(value)
    }

    /// Writes a structure at byte `offset` of the granule.
    ///
    /// # Errors
    ///
    /// [`NsAccessError`]; part of it may have been written.
    pub fn write_value<T: FromBytes + IntoBytes + Copy>(
        &mut self,
        granule: NsGranule,
        offset: u64,
        value: &T,
    ) -> Result<(), NsAccessError> {
        let mut value = *value;
        self.write(granule, offset, words_of(&mut value))
    }

    /// Copies the whole granule into a mapped one.
    ///
    /// # Errors
    ///
    /// [`NsAccessError::Aborted`]; then `to` holds some of it.
    pub fn copy_granule<S: Untyped>(
        &mut self,
        granule: NsGranule,
        to: &mut Mapping<'_, S>,
    ) -> Result<(), NsAccessError> {
        self.read(granule, 0, to.words_mut())
    }
}

impl Probe for NsSlot {
    fn probe(&mut self, granule: &LockedGranule<'_, Unproven>) -> Result<(), ProbeError> {
        self.map(NsGranule::of(granule)).read_word(0).map(|_| ()).map_err(|_| ProbeError)
    }
}

/// A granule of the host, mapped.
#[derive(Debug)]
#[must_use = "dropping the mapping unmaps the granule"]
pub struct NsMapping<'m>(MappedPage<'m>);

impl<'m> NsMapping<'m> {
    /// Wraps a page that maps a granule of the host's with its attributes.
    pub(super) const fn new(page: MappedPage<'m>) -> Self {
        Self(page)
    }

    /// The page.
    pub(super) const fn page(&self) -> &MappedPage<'m> {
        &self.0
    }

    /// As [`NsSlot::read`].
    ///
    /// # Errors
    ///
    /// [`NsAccessError`]; some words may have been read.
    pub fn read(&self, offset: u64, words: &mut [u64]) -> Result<(), NsAccessError> {
        check(offset, words.len())?;
        // SAFETY: the page is mapped as Non-secure, and `check` has found that the words are
        // aligned and all in it.
        unsafe { self.0.window().ns_read(offset, words) }.map_err(|_| NsAccessError::Aborted)
    }

    /// As [`NsSlot::write`].
    ///
    /// # Errors
    ///
    /// [`NsAccessError`]; some words may have been written.
    pub fn write(&self, offset: u64, words: &[u64]) -> Result<(), NsAccessError> {
        check(offset, words.len())?;
        // SAFETY: as for reading.
        unsafe { self.0.window().ns_write(offset, words) }.map_err(|_| NsAccessError::Aborted)
    }

    /// Reads one word, as [`NsSlot::read`].
    ///
    /// # Errors
    ///
    /// [`NsAccessError`].
    pub fn read_word(&self, offset: u64) -> Result<u64, NsAccessError> {
        check(offset, 1)?;
        // SAFETY: as for `read`.
        unsafe { self.0.window().ns_read_word(offset) }.map_err(|_| NsAccessError::Aborted)
    }

    /// Reads a few words, as [`NsSlot::read`].
    ///
    /// # Errors
    ///
    /// [`NsAccessError`]; some words may have been read.
    pub fn read_array<const N: usize>(
        &self,
        offset: u64,
        words: &mut [u64; N],
    ) -> Result<(), NsAccessError> {
        check(offset, N)?;
        // SAFETY: as for `read`.
        unsafe { self.0.window().ns_read_array(offset, words) }.map_err(|_| NsAccessError::Aborted)
    }

    /// Reads a few words to where a Realm may access them at the same time, each once, as
    /// [`NsSlot::read`].
    ///
    /// # Errors
    ///
    /// [`NsAccessError`]; some words may have been read.
    pub fn read_shared<const N: usize>(
        &self,
        offset: u64,
        words: &[AtomicU64; N],
    ) -> Result<(), NsAccessError> {
        check(offset, N)?;
        // SAFETY: as for `read`.
        unsafe { self.0.window().ns_read_shared(offset, words) }.map_err(|_| NsAccessError::Aborted)
    }

    /// Writes a few words, as [`NsSlot::write`].
    ///
    /// # Errors
    ///
    /// [`NsAccessError`]; some words may have been written.
    pub fn write_array<const N: usize>(
        &self,
        offset: u64,
        words: &[u64; N],
    ) -> Result<(), NsAccessError> {
        check(offset, N)?;
        // SAFETY: as for `read`.
        unsafe { self.0.window().ns_write_array(offset, words) }.map_err(|_| NsAccessError::Aborted)
    }

    /// Writes a few words that a Realm may change at the same time, each read once, as
    /// [`NsSlot::write`].
    ///
    /// # Errors
    ///
    /// [`NsAccessError`]; some words may have been written.
    pub fn write_shared<const N: usize>(
        &self,
        offset: u64,
        words: &[AtomicU64; N],
    ) -> Result<(), NsAccessError> {
        check(offset, N)?;
        // SAFETY: as for `read`.
        unsafe { self.0.window().ns_write_shared(offset, words) }
            .map_err(|_| NsAccessError::Aborted)
    }

    /// Writes two words, as [`NsSlot::write`].
    ///
    /// # Errors
    ///
    /// [`NsAccessError`]; one may have been written.
    pub fn write_pair(&self, offset: u64, words: [u64; 2]) -> Result<(), NsAccessError> {
        check(offset, words.len())?;
        // SAFETY: as for `read`.
        unsafe { self.0.window().ns_write_pair(offset, words) }.map_err(|_| NsAccessError::Aborted)
    }

    /// Zeroes the second half of the granule.
    ///
    /// # Errors
    ///
    /// [`NsAccessError::Aborted`]; some of it may have been zeroed.
    pub fn zero_second_half(&self) -> Result<(), NsAccessError> {
        // SAFETY: the page is mapped as Non-secure.
        unsafe { self.0.window().ns_zero_second_half() }.map_err(|_| NsAccessError::Aborted)
    }
}

/// Checks that `count` words at byte `offset` are aligned and in a granule.
fn check(offset: u64, count: usize) -> Result<(), NsAccessError> {
    let bytes = u64::try_from(count).ok().and_then(|count| count.checked_mul(WORD));
    match bytes.and_then(|bytes| bytes.checked_add(offset)) {
        Some(end) if end <= GRANULE_SIZE && offset.is_multiple_of(WORD) => Ok(()),
        _ => Err(NsAccessError::Bounds),
    }
}
