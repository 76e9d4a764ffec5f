// SPDX-License-Identifier: BSD-3-Clause
//! The commands on entries of RTTs that RMI 1.0 has: they map one unprotected entry a call, and
//! measure the initial RIPAS.

use crate::address::Ipa;
use crate::granule::GranuleAddress;
use crate::granule::state::Rd;
use crate::percpu::Cpu;
use crate::realm::rd::{RealmDescriptor, RealmState};
use crate::realm::stage2::{UnmapError, UnprotectedMapping, Walk};
use crate::rmi::call::{Failure, Outcome, Status};
use crate::rmi::rtt::walk;
use crate::rmi::state::Rmm;
use crate::xlat::Level;

/// RMI_RTT_MAP_UNPROTECTED.
pub(super) fn map_unprotected(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    ipa: u64,
    level: Level,
    descriptor: u64,
) -> Outcome {
    let (walk, mapping) = walk(rmm, cpu, rd, |stage2| {
        let ipa = stage2.unprotected_entry(ipa, level)?;
        let mapping = UnprotectedMapping::new(descriptor, level, stage2.format());
        Ok((ipa, mapping.ok_or(Status::INPUT)?))
    })?;
    walk.map_unprotected(&mut cpu.slots.rtt, level, mapping)?;
    Ok([])
}

/// RMI_RTT_UNMAP_UNPROTECTED. `top` is the next IPA for the host to look at.
pub(super) fn unmap_unprotected(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    ipa: u64,
    level: Level,
) -> Outcome<1> {
    let (walk, ()) = walk(rmm, cpu, rd, |stage2| Ok((stage2.unprotected_entry(ipa, level)?, ())))?;
    let top = walk.unmap_unprotected(&mut cpu.slots.rtt, level).map_err(
        |UnmapError { error, walk_top }| Failure {
            status: error.into(),
            outputs: [walk_top.get(), 0, 0],
        },
    )?;
    Ok([top.get()])
}

/// RMI_RTT_INIT_RIPAS. `out_top` is the first IPA not reached.
pub(super) fn init_ripas(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    base: u64,
    top: u64,
) -> Outcome<1> {
    let slots = &mut cpu.slots;
    let rd = rmm.granules.lock::<Rd>(cpu.index, rd)?;
    // The RD stays locked, because its measurement changes together with the entries.
    let mut mapping = slots.rd.map(&rd);
    let realm: &mut RealmDescriptor = mapping.get_mut();
    let (base, top) = realm.stage2.protected_range(base, top)?;
    if realm.state() != RealmState::New {
        return Err(Status::realm(0).into());
    }
    let walk = Walk::new(&rmm.granules, cpu.index, &realm.stage2, base);
    let measurement = &mut realm.initial_measurement;
    let measure = |base: Ipa, top: Ipa| measurement.extend_with_ripas(base.get(), top.get());
    let reached = walk.init_ripas(&mut slots.rtt, top, measure)?;
    Ok([reached.get()])
}
