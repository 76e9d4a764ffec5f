// SPDX-License-Identifier: BSD-3-Clause
//! Access to a Realm's memory by IPA, while one of its RECs runs.

use core::hint::cold_path;

use super::{Entry, Ripas, Stage2, Walk};
use crate::address::{GRANULE_SIZE, Ipa};
use crate::arch::atomic::AtomicU64;
use crate::cpu::CpuIndex;
use crate::granule::state::Data;
use crate::granule::{GranuleAddress, GranuleTable};
use crate::mem::{GRANULE_WORDS, Slot};
use crate::realm::epoch::{self, CallPage, Learned};
use crate::xlat::Level;

/// Why an IPA has no memory of the Realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMemory {
    /// The IPA is not protected.
    Unprotected,
    /// RIPAS is EMPTY.
    Empty,
    /// RIPAS is RAM or DESTROYED, and the walk ended at this level.
    Missing(Level),
}

/// The memory of the Realm whose REC this CPU runs.
#[derive(Debug)]
pub struct RealmMemory<'m, 'g> {
    granules: &'m GranuleTable<'g>,
    cpu: CpuIndex,
    stage2: &'m Stage2,
    rtt: &'m mut Slot,
    data: &'m mut Slot,
}

impl<'m, 'g> RealmMemory<'m, 'g> {
    /// The memory that `stage2` maps, seen through two slots of this CPU.
    ///
    /// The caller runs a REC of the Realm, which keeps the root tables.
    pub fn new(
        granules: &'m GranuleTable<'g>,
        cpu: CpuIndex,
        stage2: &'m Stage2,
        rtt: &'m mut Slot,
        data: &'m mut Slot,
    ) -> Self {
        Self { granules, cpu, stage2, rtt, data }
    }

    /// The stage-2 translation.
    pub fn stage2(&self) -> &Stage2 {
        self.stage2
    }

    /// The RIPAS at a protected IPA; `None` at an unprotected one.
    pub fn ripas(&mut self, ipa: Ipa) -> Option<Ripas> {
        if !self.stage2.is_protected(ipa) {
            return None;
        }
        let walk = Walk::new(self.granules, self.cpu, self.stage2, ipa);
        walk.read(self.rtt, Level::Three).1.ripas()
    }

    /// The RIPAS at `base`, and the first IPA up to `top` that has another RIPAS or is beyond the
    /// table that the walk reaches. `base` to `top`, exclusive, is a range of protected IPAs.
    pub fn ripas_range(&mut self, base: Ipa, top: Ipa) -> (Ripas, Ipa) {
        let walk = Walk::new(self.granules, self.cpu, self.stage2, base);
        walk.ripas_range(self.rtt, top)
    }

    /// As [`with_page`](Self::with_page), for the page of a host call, which is usually the same
    /// each time. It is walked for only if it is another page, or if the Realm's epoch has ended.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn with_call_page<R>(
        &mut self,
        page: Ipa,
        learned: &mut Learned,
        then: impl FnOnce(&[AtomicU64; GRANULE_WORDS]) -> R,
    ) -> Result<R, NoMemory> {
        let Self { granules, cpu, stage2, data, .. } = self;
        if let CallPage::At(known, granule) = learned.call_page
            && known == page
            && let Ok(locked) = granules.lock::<Data>(*cpu, granule)
            // While it is locked it cannot be taken from the Realm.
            && learned.epoch == epoch::now(granules.epochs(), stage2.vmid)
        {
            let result = data.with_words(&locked, then);
            locked.unlock();
            return Ok(result);
        }
        cold_path();
        // Read before the walk: the epoch may end at any time after it.
        let is_current = learned.epoch == epoch::now(self.granules.epochs(), self.stage2.vmid);
        let (granule, result) = self.with_granule(page, |granule, words| (granule, then(words)))?;
        learned.call_page = if is_current { CallPage::At(page, granule) } else { CallPage::None };
        Ok(result)
    }

    /// Runs `then` with the words of the page at `page` while its table is locked. The Realm may
    /// change them at the same time.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn with_page<R>(
        &mut self,
        page: Ipa,
        then: impl FnOnce(&[AtomicU64; GRANULE_WORDS]) -> R,
    ) -> Result<R, NoMemory> {
        self.with_granule(page, |_, words| then(words))
    }

    fn with_granule<R>(
        &mut self,
        page: Ipa,
        then: impl FnOnce(GranuleAddress, &[AtomicU64; GRANULE_WORDS]) -> R,
    ) -> Result<R, NoMemory> {
        let Self { granules, cpu, stage2, rtt, data } = self;
        if !stage2.is_protected(page) {
            return Err(NoMemory::Unprotected);
        }
        Walk::new(granules, *cpu, stage2, page).to(rtt, Level::Three, |reached| {
            let memory = match reached.entry {
                Entry::Assigned(Ripas::Ram, memory) => memory,
                Entry::Assigned(Ripas::Empty, _) | Entry::Unassigned(Ripas::Empty) => {
                    return Err(NoMemory::Empty);
                }
                _ => return Err(NoMemory::Missing(reached.level)),
            };
            let within = page.get() % reached.level.entry_size();
            let granule = memory.checked_add(within - within % GRANULE_SIZE);
            let granule = GranuleAddress::containing(granule.unwrap_or(memory));
            let Ok(locked) = reached.lock::<Data>(granule) else {
                super::corrupt("memory of a Realm is referred to");
            };
            Ok(then(granule, data.map(&locked).words()))
        })
    }
}
