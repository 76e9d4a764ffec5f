// SPDX-License-Identifier: BSD-3-Clause
//! The commands on a Realm as a whole. The RMM chooses the VMID, and a Realm must be terminated
//! before it is destroyed.

use core::mem::offset_of;

use crate::abi::rmi_v2::{RealmFlags0, RmiRealmParams};
use crate::address::PhysAddr;
use crate::granule::GranuleAddress;
use crate::percpu::Cpu;
use crate::realm::parameters::{HostRealmParameters, ParameterRules};
use crate::realm::rd::RealmState;
use crate::realm::{RealmError, lifecycle};
use crate::rmi::call::{Outcome, Status};
use crate::rmi::state::Rmm;

/// What is legal in the fields of RmiRealmParams that RMI 1.0 has, too. Some hosts leave the
/// numbers of breakpoints and watchpoints 0. The flag for live activation has no effect: no Realm
/// survives a change of firmware.
const RULES: ParameterRules = ParameterRules {
    inert_flags: RealmFlags0::LIVE_ACTIVATION.bits(),
    zero_debug_registers: true,
    host_chooses_vmid: false,
};

/// Fields of RmiRealmParams that are 0 in a Realm without auxiliary planes and devices.
const ZERO: [usize; 3] = [
    offset_of!(RmiRealmParams, num_aux_planes),
    offset_of!(RmiRealmParams, ats_plane),
    offset_of!(RmiRealmParams, flags1),
];

/// RMI_REALM_CREATE. `params` is a Non-secure page with an RmiRealmParams.
pub(super) fn create(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    params: PhysAddr,
) -> Outcome {
    let page = rmm.granules.ns_granule(params).ok_or(Status::INPUT)?;
    let page = cpu.slots.ns.map(page);
    let parameters = HostRealmParameters::read(|offset, words| page.read(offset as u64, words))?;
    for offset in ZERO {
        let mut field = [0];
        page.read(offset as u64, &mut field)?;
        if field != [0] {
            return Err(Status::INPUT.into());
        }
    }
    drop(page);
    let parameters =
        parameters.validate(rmm.features.realm_limits(), &RULES).map_err(|_| Status::INPUT)?;
    lifecycle::create(&rmm.granules, rmm.vmids, cpu, rd, parameters).map_err(
        |error| match error {
            // No VMID is free, or the RMM was deactivated meanwhile.
            RealmError::VmidInUse => Status::GLOBAL,
            error => error.into(),
        },
    )?;
    Ok([])
}

/// RMI_REALM_TERMINATE.
pub(super) fn terminate(rmm: &Rmm<'_>, cpu: &mut Cpu, rd: GranuleAddress) -> Outcome {
    lifecycle::terminate(&rmm.granules, cpu, rd)?;
    Ok([])
}

/// RMI_REALM_DESTROY, of a Realm that was terminated.
pub(super) fn destroy(rmm: &Rmm<'_>, cpu: &mut Cpu, rd: GranuleAddress) -> Outcome {
    let may_go = |state| state == RealmState::Zombie;
    lifecycle::destroy(&rmm.granules, rmm.vmids, cpu, rd, may_go)?;
    Ok([])
}
