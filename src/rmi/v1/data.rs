// SPDX-License-Identifier: BSD-3-Clause
//! The commands that give one granule of memory to a Realm, or take one away.

use crate::granule::GranuleAddress;
use crate::granule::state::{Delegated, Rd};
use crate::percpu::Cpu;
use crate::realm::rd::RealmDescriptor;
use crate::realm::stage2::Walk;
use crate::rmi::call::Outcome;
use crate::rmi::data::assign_wiped;
use crate::rmi::rtt::{not_destroyed, walk};
use crate::rmi::state::Rmm;

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
    let stage2 = RealmDescriptor::stage2_of(&mut slots.rd, &rd);
    let ipa = stage2.protected_granule(ipa)?;
    stage2.check_reach(data.address())?;
    let walk = Walk::new(&rmm.granules, cpu.index, &stage2, ipa);
    drop(rd);
    assign_wiped(walk, slots, data)?;
    Ok([])
}

/// RMI_DATA_DESTROY. `top` is the next IPA for the host to look at.
pub(super) fn destroy(rmm: &Rmm<'_>, cpu: &mut Cpu, rd: GranuleAddress, ipa: u64) -> Outcome<2> {
    let (walk, ()) = walk(rmm, cpu, rd, |stage2| Ok((stage2.protected_granule(ipa)?, ())))?;
    let (data, top) = walk.unassign(&mut cpu.slots.rtt).map_err(not_destroyed)?;
    Ok([data.get().get(), top.get()])
}
