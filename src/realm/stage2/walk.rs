// SPDX-License-Identifier: BSD-3-Clause
//! Walking the tables of a Realm down to an entry.
//!
//! A child is locked before its parent is unlocked, so that no table on the way is destroyed. CPUs
//! in different tables do not wait for each other.

use super::entry::{Entry, Ripas};
use super::geometry::EntryIndex;
use super::table::{RttTable, end_of_table};
use super::tlb::{invalidate_entry, invalidate_realm};
use super::{WalkError, corrupt};
use crate::address::Ipa;
use crate::arch::barrier;
use crate::cpu::CpuIndex;
use crate::granule::state::{Lockable, Rtt};
use crate::granule::{Epochs, GranuleAddress, GranuleTable, LockError, LockedGranule};
use crate::mem::{LockedMapping, Slot};
use crate::operation::{Operation, Step};
use crate::realm::epoch;
use crate::realm::stage2::Stage2;
use crate::xlat::Level;

/// A walk that has locked the root table for its IPA.
#[derive(Debug)]
pub struct Walk<'w, 'g> {
    granules: &'w GranuleTable<'g>,
    cpu: CpuIndex,
    stage2: Stage2,
    ipa: Ipa,
    root: LockedGranule<'g, Rtt>,
}

/// The end of a walk: a table, locked and mapped, and its entry for the IPA.
///
/// The tables above are unlocked.
#[derive(Debug)]
pub(super) struct Reached<'r, 'g> {
    granules: &'r GranuleTable<'g>,
    cpu: CpuIndex,
    pub(super) stage2: &'r Stage2,
    /// The IPA that was walked for.
    pub(super) ipa: Ipa,
    granule: &'r LockedGranule<'g, Rtt>,
    table: &'r RttTable,
    /// The level of the table.
    pub(super) level: Level,
    index: EntryIndex,
    /// The entry, as the walk found it.
    pub(super) entry: Entry,
}

impl<'w, 'g> Walk<'w, 'g> {
    /// Locks the root table for `ipa`, which is in the IPA space.
    ///
    /// The caller holds the lock of the RD that has `stage2`, and may unlock it now: a Realm with
    /// locked or live tables cannot be destroyed.
    #[inline(always)]
    pub fn new(granules: &'w GranuleTable<'g>, cpu: CpuIndex, stage2: &Stage2, ipa: Ipa) -> Self {
        let root = lock_table(granules, cpu, stage2.root_table(ipa));
        Self { granules, cpu, stage2: *stage2, ipa, root }
    }

    /// Walks to the table at `level`, or to the first entry that is not a TABLE; then runs `then`.
    ///
    /// `level` is not above the root tables.
    #[inline(always)]
    pub(super) fn to<R>(
        self,
        slot: &mut Slot,
        level: Level,
        then: impl FnOnce(Reached<'_, 'g>) -> R,
    ) -> R {
        let Self { granules, cpu, stage2, ipa, root } = self;
        let format = stage2.format();
        let mut at = stage2.start_level;
        let mut mapping = LockedMapping::new(slot, root);
        while at < level {
            let table: &RttTable = mapping.get();
            let Some(finer) = at.finer() else { break };
            let Some(child) = table.child(EntryIndex::of(ipa, at), format) else { break };
            mapping.replace(lock_table(granules, cpu, child));
            at = finer;
        }
        let table: &RttTable = mapping.get();
        let index = EntryIndex::of(ipa, at);
        let result = then(Reached {
            granules,
            cpu,
            stage2: &stage2,
            ipa,
            granule: mapping.granule(),
            table,
            level: at,
            index,
            entry: table.entry(index, at, format),
        });
        mapping.end();
        result
    }

    /// The entry that a walk to `level` reaches, and its level (RMI_RTT_READ_ENTRY).
    #[inline(always)]
    pub fn read(self, slot: &mut Slot, level: Level) -> (Level, Entry) {
        self.to(slot, level, |reached| (reached.level, reached.entry))
    }
}

impl<'g> Reached<'_, 'g> {
    /// The epochs of Realms.
    pub(super) fn epochs(&self) -> &'g Epochs {
        self.granules.epochs()
    }

    /// Locks a granule that the entry points to, in state `S`.
    ///
    /// # Errors
    ///
    /// [`LockError::InUse`].
    pub(super) fn lock<S: Lockable>(
        &self,
        granule: GranuleAddress,
    ) -> Result<LockedGranule<'g, S>, LockError> {
        match self.granules.lock(self.cpu, granule) {
            Err(LockError::InUse) => Err(LockError::InUse),
            Ok(locked) => Ok(locked),
            Err(_) => corrupt("an entry leads to a granule in another state"),
        }
    }

    /// Checks that the walk reached `level`.
    ///
    /// # Errors
    ///
    /// [`WalkError::Short`].
    pub(super) fn expect_level(&self, level: Level) -> Result<(), WalkError> {
        if self.level == level { Ok(()) } else { Err(WalkError::Short(self.level)) }
    }

    /// Replaces the entry with a non-mapping one and invalidates its TLB entries.
    ///
    /// Use only if at most one translation is cached for it.
    pub(super) fn unmap_entry(&self, entry: Entry) {
        self.table.set(self.index, entry, self.level, self.stage2.format());
        invalidate_entry(self.stage2, self.ipa);
    }

    /// Replaces a TABLE entry with a non-mapping one and invalidates all TLB entries of the Realm.
    pub(super) fn unmap_table(&self, entry: Entry) {
        self.table.set(self.index, entry, self.level, self.stage2.format());
        invalidate_realm(self.stage2);
    }

    /// Replaces the entry, which is not a mapping, with another.
    pub(super) fn store_entry(&self, entry: Entry) {
        self.table.set(self.index, entry, self.level, self.stage2.format());
        // The store is complete before the command returns: a CPU that enters the Realm after that
        // walks the new entry.
        barrier::dsb_ishst();
    }

    /// Counts the entry as live. It was not.
    pub(super) fn inc_live(&self) {
        if self.granule.get(1).is_err() {
            corrupt("a table has more live entries than entries");
        }
    }

    /// Counts the entry as not live. It was.
    pub(super) fn dec_live(&self) {
        if self.granule.put(1).is_err() {
            corrupt("a table has fewer live entries than were counted");
        }
    }

    /// The first IPA of a live entry, from the one walked for on, or the end of the table.
    pub(super) fn next_live(&self) -> Ipa {
        if self.granule.references() == 0 {
            return end_of_table(self.ipa, self.index, self.level);
        }
        self.table.skip_non_live(self.ipa, self.index, self.level)
    }

    /// The end of the protected entries that have RIPAS `ripas`, from the one reached on, which has
    /// it: at most `top`, and within the table.
    pub(super) fn end_of_ripas(&self, top: Ipa, ripas: Ripas) -> Ipa {
        let Self { table, level, .. } = *self;
        let size = level.entry_size();
        let mut index = self.index;
        // The IPA space ends far below the end of an address.
        let mut end = self.ipa.align_down(size).get().saturating_add(size);
        while end < top.get()
            && let Some(next) = index.next()
            && table.has_ripas(next, level, ripas)
        {
            (index, end) = (next, end.saturating_add(size));
        }
        Ipa::new(end).min(top)
    }

    /// Changes entries, from the one reached up to `top` or the end of the table, until an
    /// interrupt is pending. Returns the first IPA not changed.
    ///
    /// `change` gets the range that an entry maps, and the entry; it returns the new entry, or
    /// `None` to stop. The TLB entries of removed mappings are invalidated.
    ///
    /// # Errors
    ///
    /// [`WalkError::Unaligned`], [`WalkError::NoProgress`]. Then nothing has changed.
    pub(super) fn change_range(
        &self,
        top: Ipa,
        change: impl FnMut(Ipa, Ipa, Entry) -> Option<Entry>,
    ) -> Result<Ipa, WalkError> {
        if !self.ipa.is_aligned(self.level.entry_size()) {
            return Err(WalkError::Unaligned(self.level));
        }
        let (next, index) = (self.ipa, Some(self.index));
        let mut range =
            RangeChange { reached: self, top, change, next, index, unmapped: Unmapped::Nothing };
        range.run();
        if !matches!(range.unmapped, Unmapped::Nothing) {
            epoch::end(self.epochs(), self.stage2.vmid);
        }
        match range.unmapped {
            Unmapped::Nothing => barrier::dsb_ishst(),
            Unmapped::One(ipa) => invalidate_entry(self.stage2, ipa),
            Unmapped::Several => invalidate_realm(self.stage2),
        }
        let next = range.next;
        if next == self.ipa { Err(WalkError::NoProgress(self.level)) } else { Ok(next) }
    }
}

/// A range of entries that is being changed, one entry a step.
struct RangeChange<'r, 'w, 'g, F> {
    reached: &'r Reached<'w, 'g>,
    top: Ipa,
    change: F,
    /// The first IPA not changed, and the index of its entry unless that is beyond the table.
    next: Ipa,
    index: Option<EntryIndex>,
    unmapped: Unmapped,
}

impl<F: FnMut(Ipa, Ipa, Entry) -> Option<Entry>> Operation for RangeChange<'_, '_, '_, F> {
    fn step(&mut self) -> Step {
        let Reached { table, level, stage2, .. } = *self.reached;
        let (Some(index), Some(end)) = (self.index, self.next.checked_add(level.entry_size()))
        else {
            return Step::Done;
        };
        if end > self.top {
            return Step::Done;
        }
        let entry = table.entry(index, level, stage2.format());
        let Some(changed) = (self.change)(self.next, end, entry) else { return Step::Done };
        if changed != entry {
            table.set(index, changed, level, stage2.format());
        }
        if entry.is_mapping() && !changed.is_mapping() {
            self.unmapped = self.unmapped.and(self.next);
        }
        (self.next, self.index) = (end, index.next());
        Step::Continue
    }
}

/// How many mappings were removed.
#[derive(Clone, Copy)]
enum Unmapped {
    Nothing,
    One(Ipa),
    Several,
}

impl Unmapped {
    fn and(self, ipa: Ipa) -> Self {
        match self {
            Self::Nothing => Self::One(ipa),
            Self::One(_) | Self::Several => Self::Several,
        }
    }
}

/// The entry left where memory or a table was: it depends on the half of the IPA space.
pub(super) fn destroyed_entry(stage2: &Stage2, ipa: Ipa) -> Entry {
    let ripas = if stage2.is_protected(ipa) { Ripas::Destroyed } else { Ripas::Empty };
    Entry::Unassigned(ripas)
}

/// Locks a table that an RD or a TABLE entry points to.
#[inline(always)]
fn lock_table<'g>(
    granules: &GranuleTable<'g>,
    cpu: CpuIndex,
    table: GranuleAddress,
) -> LockedGranule<'g, Rtt> {
    match granules.lock(cpu, table) {
        Ok(locked) => locked,
        Err(_) => corrupt("a table is not in state RTT"),
    }
}
