// SPDX-License-Identifier: BSD-3-Clause
//! The memory of a page or block while it moves into a Realm or out of one.
//!
//! Granules move one by one, so that an interrupt of the host need not wait for all. Meanwhile they
//! are Data granules that no entry maps. Only the owner of the [`BlockMemory`] knows them: it
//! assigns all of them to an entry, or gives all back.

use super::corrupt;
use crate::address::{GRANULE_SIZE, PhysAddr};
use crate::arch::interrupt;
use crate::granule::state::{Data, Delegated};
use crate::granule::{GranuleAddress, GranuleTable};
use crate::operation::Step;
use crate::percpu::Cpu;
use crate::realm::RealmError;
use crate::xlat::Level;

/// The first granules of a page or block: those that are Data, while no entry maps them.
#[derive(Debug)]
#[must_use = "Data granules that no entry maps must be assigned or given back"]
pub struct BlockMemory {
    base: PhysAddr,
    level: Level,
    taken: u64,
}

impl BlockMemory {
    /// No granule yet of the block that an entry at `level` maps to `base`, a multiple of its size.
    pub const fn new(base: PhysAddr, level: Level) -> Self {
        Self { base, level, taken: 0 }
    }

    /// All granules of the block that an entry at `level` mapped to `base` until now.
    pub(super) const fn of_entry(base: PhysAddr, level: Level) -> Self {
        Self { base, level, taken: level.entry_size() / GRANULE_SIZE }
    }

    /// Where it begins.
    pub const fn base(&self) -> PhysAddr {
        self.base
    }

    /// The level of the entry that maps it.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Where it begins, for an entry that maps all of it from now on.
    pub(super) fn into_entry(self) -> PhysAddr {
        self.base
    }

    fn granule(&self, index: u64) -> GranuleAddress {
        let address = self.base.checked_add(index * GRANULE_SIZE);
        GranuleAddress::containing(address.unwrap_or(self.base))
    }

    /// Takes Delegated granules, at least one, until it has all or an interrupt is pending.
    ///
    /// # Errors
    ///
    /// [`RealmError::Granule`], [`RealmError::Memory`]. The caller must then give back the granules
    /// taken before.
    pub fn take(&mut self, granules: &GranuleTable<'_>, cpu: &mut Cpu) -> Result<Step, RealmError> {
        while self.taken * GRANULE_SIZE < self.level.entry_size() {
            let granule = granules.lock::<Delegated>(cpu.index, self.granule(self.taken))?;
            let granule = granule.wipe(&mut cpu.slots.delegated)?.transition::<Data>();
            cpu.slots.realm_data.clean_for_fetches(&granule);
            drop(granule);
            self.taken += 1;
            if self.taken * GRANULE_SIZE < self.level.entry_size() && interrupt::is_pending() {
                return Ok(Step::Continue);
            }
        }
        Ok(Step::Done)
    }

    /// Gives back its granules, at least one, until none is left or an interrupt is pending.
    pub fn give_back(&mut self, granules: &GranuleTable<'_>, cpu: &Cpu) -> Step {
        while let Some(last) = self.taken.checked_sub(1) {
            match granules.lock::<Data>(cpu.index, self.granule(last)) {
                Ok(granule) => drop(granule.transition::<Delegated>()),
                Err(_) => corrupt("memory of a Realm is in another state"),
            }
            self.taken = last;
            if last != 0 && interrupt::is_pending() {
                return Step::Continue;
            }
        }
        Step::Done
    }
}
