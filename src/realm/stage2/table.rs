// SPDX-License-Identifier: BSD-3-Clause
//! The content of an RTT: 512 entries.
//!
//! Only the holder of the granule's lock writes. The table walkers of all CPUs read at any time, so
//! each entry is written by one store.

use core::sync::atomic::{AtomicU64, Ordering};

use super::entry::{self, Entry, Ripas};
use super::geometry::{EntryIndex, entries};
use crate::address::Ipa;
use crate::arch::memory::{is_progression, load_descriptor, store_descriptor};
use crate::granule::GranuleAddress;
use crate::granule::state::Rtt;
use crate::mem::Content;
use crate::xlat::{DescriptorFormat, Level, TABLE_ENTRIES};

/// Entries that a loop over a table reads or writes at a time.
const CHUNK: usize = 16;

/// The entries of an RTT.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct RttTable([AtomicU64; TABLE_ENTRIES]);

static_assertions::const_assert_eq!(size_of::<RttTable>(), 4096);

// SAFETY: zero is the descriptor of an UNASSIGNED entry, and any bits are an `AtomicU64`; RTTs hold
// nothing else.
unsafe impl Content for RttTable {
    type State = Rtt;
}

impl RttTable {
    /// The entry at `index` of a table at `level`.
    pub fn entry(&self, index: EntryIndex, level: Level, format: DescriptorFormat) -> Entry {
        Entry::decode(load_descriptor(&self.0[index.get()]), level, format)
    }

    /// Whether the protected entry at `index` of a table at `level` has this RIPAS.
    pub fn has_ripas(&self, index: EntryIndex, level: Level, ripas: Ripas) -> bool {
        entry::has_ripas(load_descriptor(&self.0[index.get()]), level, ripas)
    }

    /// The table that the entry at `index` points to. This table is not at level 3.
    pub fn child(&self, index: EntryIndex, format: DescriptorFormat) -> Option<GranuleAddress> {
        entry::table_address(load_descriptor(&self.0[index.get()]), format)
    }

    /// Stores the entry at `index` of a table at `level`. The caller issues the barrier that makes
    /// it visible to walkers.
    pub fn set(&self, index: EntryIndex, entry: Entry, level: Level, format: DescriptorFormat) {
        store_descriptor(&self.0[index.get()], entry.encode(level, format));
    }

    /// Unfolds `parent`, which is not a TABLE, into this table at `level`, which no walker can
    /// reach.
    pub fn unfold(&mut self, parent: Entry, level: Level, format: DescriptorFormat) {
        let first = parent.encode(level, format);
        match step(parent, level) {
            // The granule is wiped already.
            0 if first == 0 => {}
            0 => {
                for chunk in self.0.as_chunks_mut::<CHUNK>().0 {
                    chunk.iter_mut().for_each(|entry| *entry.get_mut() = first);
                }
            }
            step => {
                let mut raw = first;
                for chunk in self.0.as_chunks_mut::<CHUNK>().0 {
                    for entry in chunk {
                        *entry.get_mut() = raw;
                        // Never carries out of the address: `parent` is aligned to its size.
                        raw = raw.wrapping_add(step);
                    }
                }
            }
        }
    }

    /// The entry that this table at `level` folds into, if it is homogeneous: addresses, if any,
    /// are contiguous from an aligned one.
    ///
    /// Table walkers only read, and the caller holds the lock: the entries are read as plain words.
    pub fn folded(&mut self, level: Level, format: DescriptorFormat) -> Option<Entry> {
        let raw = self.0[0].load(Ordering::Relaxed);
        let first = Entry::decode(raw, level, format);
        let block_size = level.coarser()?.entry_size();
        match first {
            Entry::Table(_) => return None,
            Entry::Assigned(_, memory) if !memory.is_aligned(block_size) => return None,
            Entry::AssignedNs(mapping) if !mapping.output().is_aligned(block_size) => return None,
            _ => {}
        }
        // As for unfolding, addresses never carry.
        is_progression(&mut self.0, raw, step(first, level)).then_some(first)
    }

    /// The first IPA, from `ipa` on, of a live entry of this table at `level`, or the end of the
    /// table. The entry for `ipa` is at `index`.
    pub fn skip_non_live(&self, ipa: Ipa, index: EntryIndex, level: Level) -> Ipa {
        let (first, end) = (index.get(), entries(level));
        let is_live = |entry: &AtomicU64| entry::is_live(entry.load(Ordering::Relaxed));
        let rest = self.0.get(first..end).unwrap_or_default();
        if rest.first().is_some_and(is_live) {
            return ipa;
        }
        // By chunks to the one that holds it, then one by one.
        let (chunks, _) = rest.as_chunks::<CHUNK>();
        let any_live = |chunk: &[AtomicU64; CHUNK]| {
            entry::is_live(chunk.iter().fold(0, |all, entry| all | entry.load(Ordering::Relaxed)))
        };
        let dead = CHUNK * chunks.iter().take_while(|chunk| !any_live(chunk)).count();
        let more =
            rest.get(dead..).unwrap_or_default().iter().take_while(|entry| !is_live(entry)).count();
        after(ipa, level, dead + more)
    }
}

/// The first IPA beyond the table at `level` in which the entry for `ipa` is at `index`.
pub(super) fn end_of_table(ipa: Ipa, index: EntryIndex, level: Level) -> Ipa {
    after(ipa, level, entries(level).saturating_sub(index.get()))
}

/// The first IPA of the entry at `level` that is `count` entries after the one for `ipa`.
fn after(ipa: Ipa, level: Level, count: usize) -> Ipa {
    let size = level.entry_size();
    // No more than a table's entries: this passes no 2^53.
    Ipa::new(ipa.align_down(size).get() + u64::try_from(count).unwrap_or_default() * size)
}

/// The difference between neighbouring descriptors at `level` that fold into `entry`.
fn step(entry: Entry, level: Level) -> u64 {
    match entry {
        Entry::Assigned(..) | Entry::AssignedNs(_) => level.entry_size(),
        Entry::Unassigned(_) | Entry::Table(_) => 0,
    }
}
