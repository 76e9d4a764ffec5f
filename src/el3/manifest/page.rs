// SPDX-License-Identifier: BSD-3-Clause
//! The page that holds the boot manifest, as 64-bit words, and the arrays in it that the manifest's
//! pointers name.
//!
//! Offsets and counts only cut slices. They are never multiplied, so no count can overflow.

use super::error::Rule;
use crate::address::{GRANULE_SIZE, PhysAddr};

/// Bytes of a [`Word`]: the manifest's structures are made of, aligned to, and summed in 64-bit
/// words.
pub(super) const WORD_SIZE: usize = size_of::<u64>();

/// A 64-bit little-endian word of the manifest, not decoded.
pub(super) type Word = [u8; WORD_SIZE];

/// A private copy of the page that holds the manifest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    words: &'a [Word],
    base: PhysAddr,
    header_words: usize,
}

/// Count, pointer and checksum of a list, in the manifest's fixed part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Triple {
    pub(super) count: u64,
    pub(super) pointer: PhysAddr,
    pub(super) checksum: u64,
}

impl<'a> Page<'a> {
    /// `base` is the physical address of the page, to which its pointers refer. No array may lie in
    /// the first `header_words` words.
    pub(super) fn new(bytes: &'a [u8; 4096], base: PhysAddr, header_words: usize) -> Self {
        Self { words: bytes.as_chunks().0, base, header_words }
    }

    /// The triple of a list, from these words of the fixed part.
    pub(super) fn triple(&self, words: [usize; 3]) -> Triple {
        let [count, pointer, checksum] = words.map(|index| self.word(index));
        Triple { count, pointer: PhysAddr::new(pointer), checksum }
    }

    /// The word at an index of the fixed part; 0 if there is none. The caller's indices are
    /// constants in the page.
    pub(super) fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().map_or(0, u64::from_le_bytes)
    }

    /// The array of `count` entries, of `WORDS` words each, at a physical address. If `count` is 0
    /// the address is ignored.
    pub(super) fn array<const WORDS: usize>(
        &self,
        pointer: PhysAddr,
        count: u64,
    ) -> Result<&'a [[Word; WORDS]], Rule> {
        if count == 0 {
            return Ok(&[]);
        }
        if pointer == PhysAddr::new(0) {
            return Err(Rule::PointerNull);
        }
        let offset = pointer
            .checked_sub(self.base)
            .filter(|&offset| offset < GRANULE_SIZE)
            .and_then(|offset| usize::try_from(offset).ok())
            .ok_or(Rule::PointerOutsidePage(pointer))?;
        if offset % WORD_SIZE != 0 {
            return Err(Rule::PointerMisaligned(pointer));
        }
        let first = offset / WORD_SIZE;
        if first < self.header_words {
            return Err(Rule::PointerInHeader(pointer));
        }
        let entries = self.words.get(first..).unwrap_or_default().as_chunks().0;
        usize::try_from(count)
            .ok()
            .and_then(|count| entries.get(..count))
            .ok_or(Rule::CountPastPage(count))
    }
}

/// The sum of all words of an array, modulo 2^64.
pub(super) fn sum<const WORDS: usize>(entries: &[[Word; WORDS]]) -> u64 {
    entries.as_flattened().iter().fold(0, |sum, &word| sum.wrapping_add(u64::from_le_bytes(word)))
}
