// SPDX-License-Identifier: BSD-3-Clause
//! The memory of a page or block on its way into a Realm, or out of one.
//!
//! Granules come and go one by one, so that an interrupt of the host need not wait for all. On the
//! way they are Data to which no entry leads: the owner of a [`BlockMemory`] alone knows them, and
//! either assigns all or gives all back.

use super::corrupt;
use crate::address::{GRANULE_SIZE, PhysAddr};
use crate::granule::state::{Data, Delegated};
use crate::granule::{GranuleAddress, GranuleTable};
use crate::operation::Step;
use crate::percpu::Cpu;
use crate::realm::RealmError;
use crate::xlat::Level;

/// The granules of a page or block, from its base up, that are Data and that no entry leads to.
#[derive(Debug)]
#[must_use = "Data that no entry leads to is assigned or given back"]
pub struct BlockMemory {
    base: PhysAddr,
    level: Level,
    taken: u64,
}

impl BlockMemory {
    /// None yet of what an entry at `level` maps from `base`, a multiple of its size.
    pub const fn new(base: PhysAddr, level: Level) -> Self {
        Self { base, level, taken: 0 }
    }

    /// All that an entry at `level` mapped to `base`, which does not lead there any more.
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

    /// Where it begins, for an entry that leads to all of it from now on.
    pub(super) fn into_entry(self) -> PhysAddr {
        self.base
    }

    fn granule(&self, index: u64) -> GranuleAddress {
        let address = self.base.checked_add(index * GRANULE_SIZE);
        GranuleAddress::containing(address.unwrap_or(self.base))
    }

    /// Takes the next granule, which is Delegated.
    ///
    /// # Errors
    ///
    /// [`RealmError::Granule`], [`RealmError::Memory`]. Those taken before are to be given back.
    pub fn take(&mut self, granules: &GranuleTable<'_>, cpu: &mut Cpu) -> Result<Step, RealmError> {
        if self.taken * GRANULE_SIZE < self.level.entry_size() {
            let granule = granules.lock::<Delegated>(cpu.index, self.granule(self.taken))?;
            let granule = granule.wipe(&mut cpu.slots.delegated)?.transition::<Data>();
            cpu.slots.realm_data.clean_for_fetches(&granule);
            drop(granule);
            self.taken += 1;
        }
        let is_whole = self.taken * GRANULE_SIZE == self.level.entry_size();
        Ok(if is_whole { Step::Done } else { Step::Continue })
    }

    /// Makes one of the granules Delegated.
    pub fn give_back(&mut self, granules: &GranuleTable<'_>, cpu: &Cpu) -> Step {
        let Some(last) = self.taken.checked_sub(1) else { return Step::Done };
        match granules.lock::<Data>(cpu.index, self.granule(last)) {
            Ok(granule) => drop(granule.transition::<Delegated>()),
            Err(_) => corrupt("memory of a Realm is in another state"),
        }
        self.taken = last;
        if last == 0 { Step::Done } else { Step::Continue }
    }
}
