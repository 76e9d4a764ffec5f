// SPDX-License-Identifier: BSD-3-Clause
//! The commands on RECs.
//!
//! No REC runs yet: [`enter`] answers as for a REC that is not runnable.

use crate::address::PhysAddr;
use crate::granule::GranuleAddress;
use crate::granule::state::{Rd, Rec};
use crate::percpu::Cpu;
use crate::psci;
use crate::realm::rd::{RealmDescriptor, RealmState};
use crate::realm::rec::parameters::HostRecParameters;
use crate::realm::rec::{RecIdentity, lifecycle};
use crate::rmi::call::{Outcome, Status};
use crate::rmi::state::Rmm;

/// RMI_REC_CREATE. `params` is a Non-secure page with an RmiRecParams.
pub(super) fn create(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    rec: GranuleAddress,
    params: PhysAddr,
) -> Outcome {
    let page = rmm.granules.ns_granule(params).ok_or(Status::Input)?;
    let page = cpu.slots.ns.map(page);
    let parameters = HostRecParameters::read(|offset, words| page.read(offset as u64, words))?;
    drop(page);
    lifecycle::create(&rmm.granules, cpu, rd, rec, &parameters)?;
    Ok([])
}

/// RMI_REC_DESTROY.
pub(super) fn destroy(rmm: &Rmm<'_>, cpu: &mut Cpu, rec: GranuleAddress) -> Outcome {
    lifecycle::destroy(&rmm.granules, cpu, rec)?;
    Ok([])
}

/// RMI_REC_ENTER. `run` is a Non-secure page with an RmiRecRun.
///
/// A Realm that may run is answered as if the REC were not runnable. Each later check has this
/// answer, too. The exit half of the page is not written.
pub(super) fn enter(rmm: &Rmm<'_>, cpu: &mut Cpu, rec: GranuleAddress, run: PhysAddr) -> Outcome {
    let page = rmm.granules.ns_granule(run).ok_or(Status::Input)?;
    let rec = rmm.granules.lock::<Rec>(cpu.index, rec)?;
    // While this CPU has it the REC stays, its Realm with it, and no other CPU enters it.
    let _running = rec.reference().map_err(|_| Status::Rec)?;
    let realm = cpu.slots.rec.map(&rec).get::<RecIdentity>().realm;
    drop(rec);
    cpu.slots.ns.read(page, 0, &mut [0])?;
    let rd = rmm.granules.lock::<Rd>(cpu.index, realm)?;
    let state = cpu.slots.rd.map(&rd).get::<RealmDescriptor>().state;
    Err(match state {
        RealmState::New => Status::Realm(0),
        RealmState::SystemOff => Status::Realm(1),
        RealmState::Active => Status::Rec,
    }
    .into())
}

/// RMI_PSCI_COMPLETE. `status` is the host's answer to the call, a PSCI return code.
pub(super) fn psci_complete(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    calling: GranuleAddress,
    target: GranuleAddress,
    status: u64,
) -> Outcome {
    psci::complete_call(&rmm.granules, cpu, calling, target, status)?;
    Ok([])
}
