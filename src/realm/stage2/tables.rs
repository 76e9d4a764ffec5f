// SPDX-License-Identifier: BSD-3-Clause
//! What is done to whole tables: created (unfolding an entry), destroyed, folded into an entry.

use super::entry::Entry;
use super::table::RttTable;
use super::walk::{Walk, gone};
use super::{Refusal, Stopped, broken};
use crate::address::Ipa;
use crate::granule::state::{Delegated, Rtt, Unused};
use crate::granule::{GranuleAddress, LockedGranule};
use crate::mem::Slot;
use crate::xlat::{Level, TABLE_ENTRIES};

/// References of a table of which every entry is live.
const FULL: u16 = 512;
static_assertions::const_assert_eq!(FULL as usize, TABLE_ENTRIES);

/// The coarsest level at which there are blocks (RMM specification 1.0; the architecture with LPA2
/// has them at level 0, too).
const COARSEST_BLOCK: Level = Level::One;

impl<'g> Walk<'_, 'g> {
    /// Puts a table, wiped and given by `table`, in place of the entry at level `parent`, filled
    /// with what that entry was (RMI_RTT_CREATE).
    ///
    /// # Errors
    ///
    /// [`Refusal::Short`], [`Refusal::IsTable`]; then no table has been asked for.
    pub fn create_table(
        self,
        slot: &mut Slot,
        table_slot: &mut Slot,
        parent: Level,
        table: impl FnOnce() -> LockedGranule<'g, Rtt>,
    ) -> Result<(), Refusal> {
        self.to(slot, parent, |reached| {
            reached.expect_level(parent)?;
            // Level 3 has no tables below it; the caller asks for none.
            let Some(level) = parent.finer() else { return Err(Refusal::Short(parent)) };
            let entry = reached.entry;
            if matches!(entry, Entry::Table(_)) {
                return Err(Refusal::IsTable(parent));
            }
            let table = table();
            if entry.is_mapping() {
                // Break-before-make: the block is in no TLB when pages are.
                reached.withdraw(gone(reached.stage2, reached.ipa));
            }
            let mut mapping = table_slot.map(&table);
            mapping.get_mut::<RttTable>().unfold(entry, level, reached.stage2.format());
            drop(mapping);
            if entry.is_live() {
                // The block was counted, as the table is now.
                if table.get(FULL).is_err() {
                    broken("a table that was just made has live entries");
                }
            } else {
                reached.count();
            }
            reached.publish(Entry::Table(table.address()));
            Ok(())
        })
    }

    /// Takes the table below the entry at level `parent` out of use, if it has no live entries
    /// (RMI_RTT_DESTROY).
    ///
    /// Gives the granule it was, and the next IPA that the host has to look at.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoTable`], [`Refusal::Live`].
    pub fn destroy_table(
        self,
        slot: &mut Slot,
        parent: Level,
    ) -> Result<(GranuleAddress, Ipa), Stopped> {
        self.to(slot, parent, |reached| {
            let (Entry::Table(address), Some(level)) = (reached.entry, reached.level.finer())
            else {
                return Err(Stopped {
                    refusal: Refusal::NoTable(reached.level),
                    top: reached.next_live(),
                });
            };
            let Ok(table) = reached.lock::<Unused<Rtt>>(address) else {
                return Err(Stopped { refusal: Refusal::Live(level), top: reached.ipa });
            };
            // Walks may have cached the way to the table.
            reached.withdraw(gone(reached.stage2, reached.ipa));
            reached.discount();
            drop(table.transition::<Delegated>());
            Ok((address, reached.next_live()))
        })
    }

    /// Replaces the entry at level `parent`, a table whose entries are alike, by the one entry that
    /// maps the same, and takes the table out of use (RMI_RTT_FOLD). Gives the granule it was.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoTable`], [`Refusal::NotAlike`], [`Refusal::NoBlock`].
    pub fn fold_table(
        self,
        slot: &mut Slot,
        table_slot: &mut Slot,
        parent: Level,
    ) -> Result<GranuleAddress, Refusal> {
        self.to(slot, parent, |reached| {
            let (Entry::Table(address), Some(level)) = (reached.entry, reached.level.finer())
            else {
                return Err(Refusal::NoTable(reached.level));
            };
            let Ok(table) = reached.lock::<Rtt>(address) else {
                broken("a table has more references than entries");
            };
            let mapping = table_slot.map(&table);
            let folded = mapping.get::<RttTable>().folded(level, reached.stage2.format());
            drop(mapping);
            let entry = folded.ok_or(Refusal::NotAlike(level))?;
            if entry.is_live() && reached.level < COARSEST_BLOCK {
                return Err(Refusal::NoBlock(reached.level));
            }
            let invalid = gone(reached.stage2, reached.ipa);
            if entry.is_mapping() {
                // Break-before-make: the pages are in no TLB when the block is.
                reached.withdraw_table(invalid);
            } else {
                reached.withdraw(invalid);
            }
            reached.publish(entry);
            if entry.is_live() {
                // The table was counted, as the block is now.
                if table.put(FULL).is_err() {
                    broken("a table has fewer live entries than were counted");
                }
            } else {
                reached.discount();
            }
            match table.into_unused() {
                Ok(table) => drop(table.transition::<Delegated>()),
                Err(_) => broken("a table whose entries are not live is referred to"),
            }
            Ok(address)
        })
    }
}
