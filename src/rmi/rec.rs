// SPDX-License-Identifier: BSD-3-Clause
//! The commands on RECs (RMM specification 1.0, RMI_REC_*, RMI_PSCI_COMPLETE).
//!
//! A REC is its own granule, its auxiliary granules and a reference to the RD of its Realm, so that
//! the Realm outlives it.
//!
//! No REC runs yet: [`enter`] answers as for a REC that is not runnable.

use super::call::{Answered, Call, Status};
use super::rtt::granule;
use super::state::Rmm;
use crate::abi::rmi_v1::MAX_REC_AUX;
use crate::address::PhysAddr;
use crate::granule::state::{self, Delegated, Rd, RecAux, Unused};
use crate::granule::{GranuleAddress, LockError, LockedGranule, MAX_SET};
use crate::percpu::Cpu;
use crate::psci::{self, Target};
use crate::realm::rd::{MAX_RECS, RealmDescriptor, RealmState};
use crate::realm::rec::parameters::HostRecParameters;
use crate::realm::rec::{AUXILIARY, Mpidr, Rec, RecIdentity};

// A REC and its auxiliary granules are locked as one set.
static_assertions::const_assert!(MAX_REC_AUX < MAX_SET);

/// RMI_REC_CREATE(x1 = RD, x2 = REC, x3 = Non-secure page with an RmiRecParams).
pub(super) fn create(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let created = try_create(rmm, cpu, call.x1(), call.x2(), PhysAddr::new(call.x3()));
    call.answer(created.err().unwrap_or(Status::Success))
}

fn try_create(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: u64,
    rec: u64,
    parameters: PhysAddr,
) -> Result<(), Status> {
    let page = rmm.granules.ns_granule(parameters).ok_or(Status::ErrorInput)?;
    let page = cpu.slots.ns.map(page);
    let parameters = HostRecParameters::read(|offset, words| page.read(offset as u64, words));
    drop(page);
    let parameters = parameters.map_err(|_| Status::ErrorInput)?;
    let auxiliary = parameters.auxiliary().map_err(|_| Status::ErrorInput)?;
    let (rd, rec) = (granule(rd)?, granule(rec)?);

    let mut named = [rec; MAX_SET];
    let mut count = 1;
    for (place, granule) in named.iter_mut().skip(1).zip(auxiliary.clone()) {
        *place = granule;
        count += 1;
    }
    let named = named.get(..count).ok_or(Status::ErrorInput)?;
    let (locked, rd) = rmm.granules.lock_set_with::<Delegated, Rd>(cpu.index, named, rd)?;
    let mut mapping = cpu.slots.rd.map(&rd);
    let realm: &mut RealmDescriptor = mapping.get_mut();
    let mpidr = next_rec(realm, &parameters)?;
    let auxiliary = array(auxiliary).ok_or(Status::ErrorInput)?;
    // There are at most as many RECs as a granule may have references.
    let reference = rd.reference().map_err(|_| Status::ErrorRealm(0))?;
    // From here on nothing is refused.
    let measured = parameters.measured();
    let runnable = parameters.is_runnable();
    let realm_address = reference.keep();
    for granule in locked {
        let is_rec = granule.address() == rec;
        let wiped = granule.wipe(&mut cpu.slots.delegated);
        if is_rec {
            let rec: LockedGranule<'_, state::Rec> = wiped.transition();
            let mut mapping = cpu.slots.rec.map(&rec);
            let content: &mut Rec = mapping.get_mut();
            content.init(realm_address, mpidr, runnable, auxiliary, &measured);
        } else {
            drop(wiped.transition::<RecAux>());
        }
    }
    if runnable {
        realm.initial_measurement.extend_with_rec(&measured);
    }
    realm.next_rec += 1;
    Ok(())
}

/// The name of the REC that these parameters make, if it is the next that the Realm may have.
fn next_rec(realm: &RealmDescriptor, parameters: &HostRecParameters) -> Result<Mpidr, Status> {
    if realm.next_rec >= MAX_RECS || realm.state != RealmState::New {
        return Err(Status::ErrorRealm(0));
    }
    let is_next = |mpidr: &Mpidr| mpidr.index() == u32::from(realm.next_rec);
    parameters.mpidr().filter(is_next).ok_or(Status::ErrorInput)
}

/// All of `granules` as an array; `None` when there are fewer or more.
fn array(
    mut granules: impl Iterator<Item = GranuleAddress>,
) -> Option<[GranuleAddress; AUXILIARY]> {
    let mut array = [granules.next()?; AUXILIARY];
    for place in array.iter_mut().skip(1) {
        *place = granules.next()?;
    }
    granules.next().is_none().then_some(array)
}

/// RMI_REC_DESTROY(x1 = REC).
pub(super) fn destroy(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let destroyed = try_destroy(rmm, cpu, call.x1());
    call.answer(destroyed.err().unwrap_or(Status::Success))
}

fn try_destroy(rmm: &Rmm<'_>, cpu: &mut Cpu, rec: u64) -> Result<(), Status> {
    let rec = lock_idle(rmm, cpu, rec)?;
    let RecIdentity { realm, auxiliary, .. } = *cpu.slots.rec.map(&rec).get();
    // Auxiliary granules are in no other use while their REC is in its own.
    let locked =
        rmm.granules.lock_set::<RecAux>(cpu.index, &auxiliary).map_err(|_| Status::ErrorRec)?;
    for granule in locked {
        drop(granule.transition::<Delegated>());
    }
    drop(rec.transition::<Delegated>());
    // Last: now the Realm may go.
    drop(rmm.granules.adopt_reference::<Rd>(realm));
    Ok(())
}

/// Locks a REC that does not run.
fn lock_idle<'a>(
    rmm: &Rmm<'a>,
    cpu: &Cpu,
    rec: u64,
) -> Result<LockedGranule<'a, Unused<state::Rec>>, Status> {
    rmm.granules.lock(cpu.index, granule(rec)?).map_err(|refusal| match refusal {
        // Its one reference is that of the CPU that runs it.
        LockError::InUse => Status::ErrorRec,
        _ => Status::ErrorInput,
    })
}

/// RMI_REC_ENTER(x1 = REC, x2 = Non-secure page with an RmiRecRun).
///
/// A Realm that may run is answered as if the REC were not runnable, which is the truth of every
/// REC yet. All checks that would come after that one have this answer, too, so that none is left
/// out; the exit half of the page is not written.
pub(super) fn enter(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let status = match try_enter(rmm, cpu, call.x1(), PhysAddr::new(call.x2())) {
        Ok(RealmState::New) => Status::ErrorRealm(0),
        Ok(RealmState::SystemOff) => Status::ErrorRealm(1),
        Ok(RealmState::Active) => Status::ErrorRec,
        Err(status) => status,
    };
    call.answer(status)
}

/// The state of the Realm of the REC that is to run, after the checks that do not depend on it.
fn try_enter(rmm: &Rmm<'_>, cpu: &mut Cpu, rec: u64, run: PhysAddr) -> Result<RealmState, Status> {
    let page = rmm.granules.ns_granule(run).ok_or(Status::ErrorInput)?;
    let rec = rmm.granules.lock::<state::Rec>(cpu.index, granule(rec)?)?;
    // While this CPU has it the REC stays, its Realm with it, and no other CPU enters it.
    let running = rec.reference().map_err(|_| Status::ErrorRec)?;
    let realm = cpu.slots.rec.map(&rec).get::<RecIdentity>().realm;
    drop(rec);
    cpu.slots.ns.read(page, 0, &mut [0]).map_err(|_| Status::ErrorInput)?;
    let rd = rmm.granules.lock::<Rd>(cpu.index, realm)?;
    let state = cpu.slots.rd.map(&rd).get::<RealmDescriptor>().state;
    drop(running);
    Ok(state)
}

/// RMI_PSCI_COMPLETE(x1 = calling REC, x2 = target REC, x3 = PSCI status).
pub(super) fn psci_complete(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let completed = try_psci_complete(rmm, cpu, call.x1(), call.x2(), call.x3());
    call.answer(completed.err().unwrap_or(Status::Success))
}

fn try_psci_complete(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    calling: u64,
    target: u64,
    status: u64,
) -> Result<(), Status> {
    let (calling, target) = (granule(calling)?, granule(target)?);
    let (calling, target) =
        rmm.granules.lock_pair::<Unused<state::Rec>, state::Rec>(cpu.index, calling, target)?;
    let mut calling = cpu.slots.rec.map(&calling);
    let slot = &mut cpu.slots.second_rec;
    let completed = match target.into_unused() {
        Ok(idle) => {
            psci::complete(calling.get_mut(), Target::Idle(slot.map(&idle).get_mut()), status)
        }
        Err(running) => {
            psci::complete(calling.get_mut(), Target::Running(slot.map(&running).get()), status)
        }
    };
    completed.map_err(|_| Status::ErrorInput)
}
