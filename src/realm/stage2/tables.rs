// SPDX-License-Identifier: BSD-3-Clause
//! Changes of whole tables: created by unfolding an entry, destroyed, folded into an entry.

use super::entry::Entry;
use super::geometry::COARSEST_BLOCK;
use super::table::RttTable;
use super::walk::{Walk, destroyed_entry};
use super::{UnmapError, WalkError, corrupt};
use crate::address::Ipa;
use crate::granule::state::{Delegated, Rtt, Unused};
use crate::granule::{GranuleAddress, LockedGranule};
use crate::mem::Slot;
use crate::xlat::{Level, TABLE_ENTRIES};

/// References of a table whose entries are all live.
const FULL: u16 = 512;
static_assertions::const_assert_eq!(FULL as usize, TABLE_ENTRIES);

impl<'g> Walk<'_, 'g> {
    /// Unfolds the entry at level `parent` into the wiped table that `table` returns, and replaces
    /// the entry with that table (RMI_RTT_CREATE).
    ///
    /// # Errors
    ///
    /// [`WalkError::Short`], [`WalkError::IsTable`]; then `table` has not been called.
    pub fn create_table(
        self,
        slot: &mut Slot,
        table_slot: &mut Slot,
        parent: Level,
        table: impl FnOnce() -> LockedGranule<'g, Rtt>,
    ) -> Result<(), WalkError> {
        self.to(slot, parent, |reached| {
            reached.expect_level(parent)?;
            // Level 3 has no tables below it; no caller asks for one.
            let Some(level) = parent.finer() else { return Err(WalkError::Short(parent)) };
            let entry = reached.entry;
            if matches!(entry, Entry::Table(_)) {
                return Err(WalkError::IsTable(parent));
            }
            let table = table();
            if entry.is_mapping() {
                // Break-before-make: no TLB holds the block once it may hold pages.
                reached.unmap_entry(destroyed_entry(reached.stage2, reached.ipa));
            }
            let mut mapping = table_slot.map(&table);
            mapping.get_mut::<RttTable>().unfold(entry, level, reached.stage2.format());
            drop(mapping);
            if entry.is_live() {
                // The parent counted the block; it counts the table now.
                if table.get(FULL).is_err() {
                    corrupt("a table that was just made has live entries");
                }
            } else {
                reached.inc_live();
            }
            reached.store_entry(Entry::Table(table.address()));
            Ok(())
        })
    }

    /// Destroys the table below the entry at level `parent`, which has no live entries
    /// (RMI_RTT_DESTROY).
    ///
    /// Returns its granule, now Delegated, and the next IPA for the host to look at.
    ///
    /// # Errors
    ///
    /// [`WalkError::NoTable`], [`WalkError::Live`].
    pub fn destroy_table(
        self,
        slot: &mut Slot,
        parent: Level,
    ) -> Result<(GranuleAddress, Ipa), UnmapError> {
        self.to(slot, parent, |reached| {
            let (Entry::Table(address), Some(level)) = (reached.entry, reached.level.finer())
            else {
                return Err(UnmapError {
                    error: WalkError::NoTable(reached.level),
                    walk_top: reached.next_live(),
                });
            };
            let Ok(table) = reached.lock::<Unused<Rtt>>(address) else {
                return Err(UnmapError { error: WalkError::Live(level), walk_top: reached.ipa });
            };
            // TLBs may hold the TABLE entry.
            reached.unmap_entry(destroyed_entry(reached.stage2, reached.ipa));
            reached.dec_live();
            drop(table.transition::<Delegated>());
            Ok((address, reached.next_live()))
        })
    }

    /// Folds the table below the entry at level `parent`, which is homogeneous, into that entry
    /// (RMI_RTT_FOLD). Returns its granule, now Delegated.
    ///
    /// # Errors
    ///
    /// [`WalkError::NoTable`], [`WalkError::NotHomogeneous`], [`WalkError::NoBlock`].
    pub fn fold_table(
        self,
        slot: &mut Slot,
        table_slot: &mut Slot,
        parent: Level,
    ) -> Result<GranuleAddress, WalkError> {
        self.to(slot, parent, |reached| {
            let (Entry::Table(address), Some(level)) = (reached.entry, reached.level.finer())
            else {
                return Err(WalkError::NoTable(reached.level));
            };
            let Ok(table) = reached.lock::<Rtt>(address) else {
                corrupt("a table has more references than entries");
            };
            let mut mapping = table_slot.map(&table);
            let folded = mapping.get_mut::<RttTable>().folded(level, reached.stage2.format());
            drop(mapping);
            let entry = folded.ok_or(WalkError::NotHomogeneous(level))?;
            if entry.is_live() && reached.level < COARSEST_BLOCK {
                return Err(WalkError::NoBlock(reached.level));
            }
            let invalid = destroyed_entry(reached.stage2, reached.ipa);
            if entry.is_mapping() {
                // Break-before-make: no TLB holds pages once it may hold the block.
                reached.unmap_table(invalid);
            } else {
                reached.unmap_entry(invalid);
            }
            reached.store_entry(entry);
            if entry.is_live() {
                // The parent counted the table; it counts the block now.
                if table.put(FULL).is_err() {
                    corrupt("a table has fewer live entries than were counted");
                }
            } else {
                reached.dec_live();
            }
            match table.into_unused() {
                Ok(table) => drop(table.transition::<Delegated>()),
                Err(_) => corrupt("a table whose entries are not live is referred to"),
            }
            Ok(address)
        })
    }
}
