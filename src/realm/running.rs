// SPDX-License-Identifier: BSD-3-Clause
//! The Realm of a running REC, as calls of the REC access it: its memory and its RD.

use super::epoch::Learned;
use super::rd::RealmDescriptor;
use super::rec::{Mpidr, PendingRequest, Rec, RecIdentity};
use super::stage2::Stage2;
use super::stage2::memory::RealmMemory;
use crate::attest::platform::Platform;
use crate::cpu::CpuIndex;
use crate::granule::state::{self, Rd};
use crate::granule::{Epochs, GranuleAddress, GranuleTable};
use crate::mem::{NsMapping, RunningAuxiliary, Slot};

/// The Realm whose REC this CPU runs.
#[derive(Debug)]
pub struct RunningRealm<'m, 'g> {
    /// The identity of the REC.
    pub identity: &'m RecIdentity,
    /// The memory of the Realm.
    pub memory: RealmMemory<'m, 'g>,
    /// The auxiliary granules of the REC.
    pub auxiliary: RunningAuxiliary<'m>,
    /// What tokens need; `None` if the RMM makes no tokens.
    pub platform: Option<&'static Platform>,
    granules: &'m GranuleTable<'g>,
    cpu: CpuIndex,
    rd: &'m mut Slot,
    other_rec: Option<&'m mut Slot>,
}

impl<'m, 'g> RunningRealm<'m, 'g> {
    /// The Realm of the REC with this identity, which runs on `cpu`, seen through slots of that
    /// CPU. With a slot for `other_rec` the RMM itself finds out which RECs are on (RMI 2.0).
    pub fn new(
        granules: &'m GranuleTable<'g>,
        cpu: CpuIndex,
        identity: &'m RecIdentity,
        [rd, rtt, data]: [&'m mut Slot; 3],
        other_rec: Option<&'m mut Slot>,
        auxiliary: RunningAuxiliary<'m>,
        platform: Option<&'static Platform>,
    ) -> Self {
        let memory = RealmMemory::new(granules, cpu, &identity.stage2, rtt, data);
        Self { identity, memory, auxiliary, platform, granules, cpu, rd, other_rec }
    }

    /// The stage-2 translation.
    pub fn stage2(&self) -> &'m Stage2 {
        &self.identity.stage2
    }

    /// The epochs of Realms.
    pub fn epochs(&self) -> &'g Epochs {
        self.granules.epochs()
    }

    /// Runs `then` with the RD, which is locked meanwhile.
    pub fn with_descriptor<R>(&mut self, then: impl FnOnce(&mut RealmDescriptor) -> R) -> R {
        let Ok(locked) = self.granules.lock::<Rd>(self.cpu, self.identity.realm) else {
            // Unreachable: the REC's reference keeps it in state RD.
            panic!("the RD of a REC is not in state RD");
        };
        then(self.rd.map(&locked).get_mut())
    }

    /// Whether another REC of the Realm is on; `None` if the host must complete the call (RMI 1.0).
    /// A REC that was destroyed is off.
    pub fn is_on(&mut self, mpidr: Mpidr) -> Option<bool> {
        self.other_rec.as_ref()?;
        let address = self.with_descriptor(|realm| realm.rec(mpidr.index()));
        Some(address.and_then(|address| self.is_on_at(address, mpidr)).unwrap_or(false))
    }

    /// Whether the REC at an address is on; `None` if it is no longer the REC `mpidr`.
    fn is_on_at(&mut self, address: GranuleAddress, mpidr: Mpidr) -> Option<bool> {
        let slot = self.other_rec.as_mut()?;
        let locked = self.granules.lock::<state::Rec>(self.cpu, address).ok()?;
        let (found, is_on) = match locked.into_unused() {
            Ok(idle) => {
                let mapping = slot.map(&idle);
                let rec: &Rec = mapping.get();
                (rec.identity, rec.state.runnable)
            }
            // Another CPU runs it.
            Err(running) => (*slot.map(&running).get::<RecIdentity>(), true),
        };
        (found.realm == self.identity.realm && found.mpidr == mpidr).then_some(is_on)
    }
}

/// A REC that calls the RMM.
#[derive(Debug)]
pub struct Caller<'c, 'm, 'g> {
    /// Its pending request.
    pub pending: &'c mut PendingRequest,
    /// Whether the REC is runnable.
    pub runnable: &'c mut bool,
    /// What it has learned about its Realm.
    pub learned: &'c mut Learned,
    /// Its Realm.
    pub realm: &'c mut RunningRealm<'m, 'g>,
    /// The host's page, which takes the general registers of a host call.
    pub page: &'c NsMapping<'c>,
}
