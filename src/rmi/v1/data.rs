// SPDX-License-Identifier: BSD-3-Clause
//! The commands that give memory to a Realm and take it away.

use super::rtt::{not_destroyed, stage2_of, walk};
use crate::abi::rmi_v1::DataFlags;
use crate::address::PhysAddr;
use crate::granule::state::{Data, Delegated, Rd};
use crate::granule::{GranuleAddress, LockedGranule};
use crate::percpu::Cpu;
use crate::realm::rd::{RealmDescriptor, RealmState};
use crate::realm::stage2::{Ripas, Walk};
use crate::rmi::call::{Failure, Outcome, Status};
use crate::rmi::state::Rmm;

/// RMI_DATA_CREATE. `source` is a Non-secure granule with the content.
pub(super) fn create(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    data: GranuleAddress,
    ipa: u64,
    source: PhysAddr,
    flags: DataFlags,
) -> Outcome {
    let source = rmm.granules.ns_granule(source).ok_or(Status::Input)?;
    let (rd, data) = rmm.granules.lock_pair::<Rd, Delegated>(cpu.index, rd, data)?;
    let slots = &mut cpu.slots;
    // The RD stays locked, because its measurement changes with the entry.
    let mut mapping = slots.rd.map(&rd);
    let realm: &mut RealmDescriptor = mapping.get_mut();
    if realm.state != RealmState::New {
        return Err(Status::Realm(0).into());
    }
    let ipa = realm.stage2.protected_granule(ipa)?;
    realm.stage2.check_reach(data.address())?;
    let walk = Walk::new(&rmm.granules, cpu.index, &realm.stage2, ipa);
    let measurement = &mut realm.initial_measurement;
    walk.assign(&mut slots.rtt, Some(Ripas::Ram), || {
        let data: LockedGranule<'_, Data> = data.wipe(&mut slots.delegated)?.transition();
        let mut content = slots.realm_data.map(&data);
        if let Err(error) = slots.ns.copy_granule(source, &mut content) {
            // What was copied until then stays in it. Nobody can read it, and it is wiped before
            // it is used.
            drop(content);
            drop(data.transition::<Delegated>());
            return Err(Failure::from(error));
        }
        let is_measured = flags.contains(DataFlags::MEASURE_CONTENT);
        let measured = is_measured.then(|| content.plain_words());
        measurement.extend_with_data(ipa.get(), flags.bits(), measured);
        drop(content);
        Ok(data)
    })?;
    Ok([])
}

/// RMI_DATA_CREATE_UNKNOWN.
pub(super) fn create_unknown(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    data: GranuleAddress,
    ipa: u64,
) -> Outcome {
    let (rd, data) = rmm.granules.lock_pair::<Rd, Delegated>(cpu.index, rd, data)?;
    let slots = &mut cpu.slots;
    let stage2 = stage2_of(&mut slots.rd, &rd);
    let ipa = stage2.protected_granule(ipa)?;
    stage2.check_reach(data.address())?;
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, ipa);
    drop(rd);
    walk.assign(&mut slots.rtt, None, || {
        Ok::<_, Failure>(data.wipe(&mut slots.delegated)?.transition())
    })?;
    Ok([])
}

/// RMI_DATA_DESTROY. `top` is the next IPA to look at.
pub(super) fn destroy(rmm: &Rmm<'_>, cpu: &mut Cpu, rd: GranuleAddress, ipa: u64) -> Outcome<2> {
    let (walk, ()) = walk(rmm, cpu, rd, |stage2| Ok((stage2.protected_granule(ipa)?, ())))?;
    let (data, top) = walk.unassign(&mut cpu.slots.rtt).map_err(not_destroyed)?;
    Ok([data.get().get(), top.get()])
}
