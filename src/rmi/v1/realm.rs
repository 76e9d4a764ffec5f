// SPDX-License-Identifier: BSD-3-Clause
//! The commands on a Realm as a whole.

use crate::address::PhysAddr;
use crate::granule::GranuleAddress;
use crate::granule::state::Rd;
use crate::mem::AUXILIARY;
use crate::percpu::Cpu;
use crate::realm::lifecycle;
use crate::realm::parameters::{HostRealmParameters, ParameterRules};
use crate::rmi::call::{Outcome, Status};
use crate::rmi::state::Rmm;

/// What is legal in RmiRealmParams of RMI 1.0.
const RULES: ParameterRules =
    ParameterRules { inert_flags: 0, zero_debug_registers: false, host_chooses_vmid: true };

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
    drop(page);
    let parameters =
        parameters.validate(rmm.features.realm_limits(), &RULES).map_err(|_| Status::INPUT)?;
    lifecycle::create(&rmm.granules, rmm.vmids, cpu, rd, parameters)?;
    Ok([])
}

/// RMI_REALM_DESTROY.
pub(super) fn destroy(rmm: &Rmm<'_>, cpu: &mut Cpu, rd: GranuleAddress) -> Outcome {
    lifecycle::destroy(&rmm.granules, rmm.vmids, cpu, rd, |_| true)?;
    Ok([])
}

/// RMI_REC_AUX_COUNT: the same number for all Realms.
pub(super) fn rec_aux_count(rmm: &Rmm<'_>, cpu: &mut Cpu, rd: GranuleAddress) -> Outcome<1> {
    drop(rmm.granules.lock::<Rd>(cpu.index, rd)?);
    Ok([AUXILIARY as u64])
}
