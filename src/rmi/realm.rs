// SPDX-License-Identifier: BSD-3-Clause
//! The commands on a Realm as a whole (RMM specification 1.0, RMI_REALM_*).
//!
//! A Realm is its RD, its root tables and its VMID. They come into use together and go out of use
//! together: a command that cannot have all changes nothing.

use super::call::{Answered, Call, Status};
use super::rtt::{granule, stage2_of};
use super::state::Rmm;
use crate::address::PhysAddr;
use crate::granule::state::{Delegated, Rd, Rtt, Unused};
use crate::granule::{GranuleAddress, LockedGranule, MAX_SET};
use crate::percpu::Cpu;
use crate::realm::parameters::HostRealmParameters;
use crate::realm::rd::{RealmDescriptor, RealmState};
use crate::realm::rec;
use crate::realm::stage2::{MAX_ROOT_TABLES, Stage2};
use crate::realm::stage2::{RttTable, invalidate_realm};

// An RD and its root tables are locked as one set.
static_assertions::const_assert!((MAX_ROOT_TABLES as usize) < MAX_SET);

/// A Realm that still has something is not destroyed, and one that is not NEW is not activated: the
/// index is 0.
const ERROR_REALM: Status = Status::ErrorRealm(0);

/// The root tables of a Realm, in ascending order.
fn roots(stage2: &Stage2) -> impl Iterator<Item = GranuleAddress> {
    // Validated parameters: the tables do not pass the end of the address space.
    core::iter::successors(Some(stage2.root), |root| root.next())
        .take(usize::from(stage2.root_count))
}

/// `granules` in an array that has room for a locked set, and their number.
fn collect(granules: impl Iterator<Item = GranuleAddress>) -> ([GranuleAddress; MAX_SET], usize) {
    let mut collected = [GranuleAddress::containing(PhysAddr::new(0)); MAX_SET];
    let mut count = 0;
    for (place, granule) in collected.iter_mut().zip(granules) {
        *place = granule;
        count += 1;
    }
    (collected, count)
}

/// RMI_REALM_CREATE(x1 = RD, x2 = Non-secure page with an RmiRealmParams).
pub(super) fn create(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let created = try_create(rmm, cpu, call.x1(), PhysAddr::new(call.x2()));
    call.answer(created.err().unwrap_or(Status::Success))
}

fn try_create(rmm: &Rmm<'_>, cpu: &mut Cpu, rd: u64, parameters: PhysAddr) -> Result<(), Status> {
    let page = rmm.granules.ns_granule(parameters).ok_or(Status::ErrorInput)?;
    let page = cpu.slots.ns.map(page);
    let parameters = HostRealmParameters::read(|offset, words| page.read(offset as u64, words));
    drop(page);
    let parameters = parameters.map_err(|_| Status::ErrorInput)?;
    let parameters =
        parameters.validate(rmm.features.realm_limits()).map_err(|_| Status::ErrorInput)?;
    let stage2 = parameters.stage2;
    let rd = granule(rd)?;

    let (named, count) = collect(core::iter::once(rd).chain(roots(&stage2)));
    let named = named.get(..count).ok_or(Status::ErrorInput)?;
    // That the RD is one of the root tables is found here, too: it is then named twice.
    let locked = rmm.granules.lock_set::<Delegated>(cpu.index, named)?;
    if !rmm.vmids.take(stage2.vmid) {
        return Err(Status::ErrorInput);
    }
    // From here on nothing is refused.
    let mut number = 0;
    for granule in locked {
        let is_rd = granule.address() == rd;
        let wiped = granule.wipe(&mut cpu.slots.delegated);
        if is_rd {
            let rd: LockedGranule<'_, Rd> = wiped.transition();
            cpu.slots.rd.map(&rd).get_mut::<RealmDescriptor>().init(&parameters);
        } else {
            let root: LockedGranule<'_, Rtt> = wiped.transition();
            cpu.slots.rtt.map(&root).get::<RttTable>().fill_root(&stage2, number);
            // A locked set ascends, as the numbers of the tables do.
            number += 1;
        }
    }
    Ok(())
}

/// RMI_REALM_ACTIVATE(x1 = RD).
pub(super) fn activate(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let activated = try_activate(rmm, cpu, call.x1());
    call.answer(activated.err().unwrap_or(Status::Success))
}

fn try_activate(rmm: &Rmm<'_>, cpu: &mut Cpu, rd: u64) -> Result<(), Status> {
    let rd = rmm.granules.lock::<Rd>(cpu.index, granule(rd)?)?;
    let mut mapping = cpu.slots.rd.map(&rd);
    let realm: &mut RealmDescriptor = mapping.get_mut();
    if realm.state != RealmState::New {
        return Err(ERROR_REALM);
    }
    realm.state = RealmState::Active;
    Ok(())
}

/// RMI_REALM_DESTROY(x1 = RD).
pub(super) fn destroy(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let destroyed = try_destroy(rmm, cpu, call.x1());
    call.answer(destroyed.err().unwrap_or(Status::Success))
}

fn try_destroy(rmm: &Rmm<'_>, cpu: &mut Cpu, rd: u64) -> Result<(), Status> {
    // Its references are its RECs.
    let rd = rmm.granules.lock::<Rd>(cpu.index, granule(rd)?)?;
    let stage2 = stage2_of(&mut cpu.slots.rd, &rd);
    let rd = rd.into_unused().map_err(|_| ERROR_REALM)?;
    let (named, count) = collect(roots(&stage2));
    let named = named.get(..count).ok_or(ERROR_REALM)?;
    // The references of a root table are its live entries.
    let locked = rmm.granules.lock_set::<Unused<Rtt>>(cpu.index, named).map_err(|_| ERROR_REALM)?;
    // What stage 1 of the Realm had in any TLB is not for the next Realm with this VMID.
    invalidate_realm(&stage2);
    for root in locked {
        drop(root.transition::<Delegated>());
    }
    drop(rd.transition::<Delegated>());
    rmm.vmids.give_back(stage2.vmid);
    Ok(())
}

/// RMI_REC_AUX_COUNT(x1 = RD): x1 = auxiliary granules of each REC of the Realm, the same for all
/// Realms.
pub(super) fn rec_aux_count(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let found = granule(call.x1()).and_then(|rd| Ok(rmm.granules.lock::<Rd>(cpu.index, rd)?));
    match found {
        Ok(_locked) => call.answer_with(Status::Success, [rec::AUXILIARY as u64, 0, 0]),
        Err(status) => call.answer(status),
    }
}
