// SPDX-License-Identifier: BSD-3-Clause
//! The commands on RECs.

use crate::address::PhysAddr;
use crate::granule::GranuleAddress;
use crate::percpu::Cpu;
use crate::psci;
use crate::realm::rec::gic::GicOwner;
use crate::realm::rec::lifecycle;
use crate::realm::rec::parameters::HostRecParameters;
use crate::rmi::call::{Outcome, Status};
use crate::rmi::state::Rmm;
use crate::run;

/// RMI_REC_CREATE. `params` is a Non-secure page with an RmiRecParams.
pub(super) fn create(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    rec: GranuleAddress,
    params: PhysAddr,
) -> Outcome {
    let page = rmm.granules.ns_granule(params).ok_or(Status::INPUT)?;
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

/// RMI_REC_ENTER. `run_page` is a Non-secure page with an RmiRecRun.
pub(super) fn enter(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rec: GranuleAddress,
    run_page: PhysAddr,
    no_live_sve: bool,
) -> Outcome {
    run::enter(&rmm.granules, rmm.attestation(), cpu, rec, run_page, no_live_sve, GicOwner::Rmm)?;
    Ok([])
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
