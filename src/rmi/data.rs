// SPDX-License-Identifier: BSD-3-Clause
//! The commands that give memory to a Realm and take it away (RMM specification 1.0, RMI_DATA_*).

use super::call::{Answered, Call, Status};
use super::rtt::{answer_destroyed, granule, is_reachable, stage2_of};
use super::state::Rmm;
use crate::abi::rmi_v1::DataFlags;
use crate::address::PhysAddr;
use crate::granule::LockedGranule;
use crate::granule::state::{Data, Delegated, Rd};
use crate::percpu::Cpu;
use crate::realm::rd::{RealmDescriptor, RealmState};
use crate::realm::stage2::{Ripas, Walk};

/// RMI_DATA_CREATE(x1 = RD, x2 = granule, x3 = IPA, x4 = Non-secure granule with the content, x5 =
/// flags).
pub(super) fn create(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let created = try_create(rmm, cpu, &call);
    call.answer(created.err().unwrap_or(Status::Success))
}

fn try_create(rmm: &Rmm<'_>, cpu: &mut Cpu, call: &Call<'_>) -> Result<(), Status> {
    let flags = DataFlags::from_bits(call.x5()).ok_or(Status::ErrorInput)?;
    let source = rmm.granules.ns_granule(PhysAddr::new(call.x4())).ok_or(Status::ErrorInput)?;
    let (rd, data) = (granule(call.x1())?, granule(call.x2())?);
    let (rd, data) = rmm.granules.lock_pair::<Rd, Delegated>(cpu.index, rd, data)?;
    let slots = &mut cpu.slots;
    // The RD stays locked, because its measurement changes with the entry.
    let mut mapping = slots.rd.map(&rd);
    let realm: &mut RealmDescriptor = mapping.get_mut();
    if realm.state != RealmState::New {
        return Err(Status::ErrorRealm(0));
    }
    let ipa = realm.stage2.protected_granule(call.x3())?;
    if !is_reachable(&realm.stage2, data.address()) {
        return Err(Status::ErrorInput);
    }
    let walk = Walk::new(&rmm.granules, cpu.index, &realm.stage2, ipa);
    let measurement = &mut realm.initial_measurement;
    walk.assign(&mut slots.rtt, Some(Ripas::Ram), || {
        let data: LockedGranule<'_, Data> = data.wipe(&mut slots.delegated).transition();
        let mut content = slots.realm_data.map(&data);
        if slots.ns.copy_granule(source, &mut content).is_err() {
            // What was copied until then stays in it, which nobody can read: it is wiped before it
            // is used.
            drop(content);
            drop(data.transition::<Delegated>());
            return Err(Status::ErrorInput);
        }
        let measured = flags.contains(DataFlags::MEASURE_CONTENT).then(|| content.plain_words());
        measurement.extend_with_data(ipa.get(), flags.bits(), measured);
        drop(content);
        Ok(data)
    })
}

/// RMI_DATA_CREATE_UNKNOWN(x1 = RD, x2 = granule, x3 = IPA).
pub(super) fn create_unknown(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let created = try_create_unknown(rmm, cpu, &call);
    call.answer(created.err().unwrap_or(Status::Success))
}

fn try_create_unknown(rmm: &Rmm<'_>, cpu: &mut Cpu, call: &Call<'_>) -> Result<(), Status> {
    let (rd, data) = (granule(call.x1())?, granule(call.x2())?);
    let (rd, data) = rmm.granules.lock_pair::<Rd, Delegated>(cpu.index, rd, data)?;
    let slots = &mut cpu.slots;
    let stage2 = stage2_of(&mut slots.rd, &rd);
    let ipa = stage2.protected_granule(call.x3())?;
    if !is_reachable(&stage2, data.address()) {
        return Err(Status::ErrorInput);
    }
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, ipa);
    drop(rd);
    walk.assign(&mut slots.rtt, None, || Ok(data.wipe(&mut slots.delegated).transition()))
}

/// RMI_DATA_DESTROY(x1 = RD, x2 = IPA): x1 = the granule, x2 = the next IPA to look at.
pub(super) fn destroy(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let slots = &mut cpu.slots;
    let placed = granule(call.x1()).and_then(|rd| {
        let rd = rmm.granules.lock::<Rd>(cpu.index, rd)?;
        let stage2 = stage2_of(&mut slots.rd, &rd);
        let ipa = stage2.protected_granule(call.x2())?;
        Ok((rd, stage2, ipa))
    });
    let (rd, stage2, ipa) = match placed {
        Ok(placed) => placed,
        Err(status) => return call.answer(status),
    };
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, ipa);
    drop(rd);
    let destroyed = walk.unassign(&mut slots.rtt);
    answer_destroyed(call, destroyed)
}
