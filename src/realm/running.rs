// SPDX-License-Identifier: BSD-3-Clause
//! A Realm as a REC that runs reaches it by its calls: its memory and its RD.

use super::epoch::Learned;
use super::rd::RealmDescriptor;
use super::rec::{PendingRequest, RecIdentity};
use super::stage2::Stage2;
use super::stage2::memory::RealmMemory;
use crate::abi::rmi_v1::GPRS;
use crate::attest::platform::Platform;
use crate::cpu::CpuIndex;
use crate::granule::GranuleTable;
use crate::granule::state::Rd;
use crate::mem::{RunningAuxiliary, Slot};

/// The Realm whose REC this CPU runs.
#[derive(Debug)]
pub struct RunningRealm<'m, 'g> {
    /// What the REC is.
    pub identity: &'m RecIdentity,
    /// The memory of the Realm.
    pub memory: RealmMemory<'m, 'g>,
    /// The auxiliary granules of the REC.
    pub auxiliary: RunningAuxiliary<'m>,
    /// What tokens need; `None`: there are none.
    pub platform: Option<&'static Platform>,
    granules: &'m GranuleTable<'g>,
    cpu: CpuIndex,
    rd: &'m mut Slot,
}

impl<'m, 'g> RunningRealm<'m, 'g> {
    /// The Realm of the REC with this identity, which runs on `cpu`, seen through slots of that CPU.
    pub fn new(
        granules: &'m GranuleTable<'g>,
        cpu: CpuIndex,
        identity: &'m RecIdentity,
        [rd, rtt, data]: [&'m mut Slot; 3],
        auxiliary: RunningAuxiliary<'m>,
        platform: Option<&'static Platform>,
    ) -> Self {
        let memory = RealmMemory::new(granules, cpu, &identity.stage2, rtt, data);
        Self { identity, memory, auxiliary, platform, granules, cpu, rd }
    }

    /// The stage-2 translation.
    pub fn stage2(&self) -> &'m Stage2 {
        &self.identity.stage2
    }

    /// Has `then` see or change the RD, which is locked meanwhile.
    pub fn with_descriptor<R>(&mut self, then: impl FnOnce(&mut RealmDescriptor) -> R) -> R {
        let Ok(locked) = self.granules.lock::<Rd>(self.cpu, self.identity.realm) else {
            // The REC has a reference to it.
            panic!("the RD of a REC is not in state RD");
        };
        then(self.rd.map(&locked).get_mut())
    }
}

/// A REC that calls the RMM.
#[derive(Debug)]
pub struct Caller<'c, 'm, 'g> {
    /// What it waits for.
    pub pending: &'c mut PendingRequest,
    /// Whether the host may have it run.
    pub runnable: &'c mut bool,
    /// What it has learned of its Realm.
    pub learned: &'c mut Learned,
    /// Its Realm.
    pub realm: &'c mut RunningRealm<'m, 'g>,
    /// The general registers that it passes to the host, if that is why it leaves.
    pub gprs: &'c mut [u64; GPRS],
}
