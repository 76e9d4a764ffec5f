// SPDX-License-Identifier: BSD-3-Clause
//! The commands on RECs. The host donates and reclaims auxiliary granules through stateful
//! operations.

use arrayvec::ArrayVec;

use crate::abi::psci::SUCCESS;
use crate::address::PhysAddr;
use crate::granule::GranuleAddress;
use crate::percpu::Cpu;
use crate::psci;
use crate::realm::rec::gic::GicOwner;
use crate::realm::rec::lifecycle::{self, Retired};
use crate::realm::rec::parameters::HostRecParameters;
use crate::rmi::call::{Outcome, Status};
use crate::rmi::operations::{Operation, RecOperation, Stage, Work};
use crate::rmi::state::Rmm;
use crate::run::{self, EnterError};

/// RMI_REC_CREATE. `params` is a Non-secure page with an RmiRecParams. RMI_OP_CONTINUE reads it.
pub(super) fn create(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    rec: GranuleAddress,
    params: PhysAddr,
) -> Outcome<2> {
    lifecycle::reserve(&rmm.granules, cpu, rec)?;
    let reserved = rmm.operations.reserve().inspect_err(|_| {
        lifecycle::release(&rmm.granules, cpu, rec);
    })?;
    Err(reserved.begin(Operation::Rec(RecOperation {
        work: Work::CreateRec { rd, params },
        partial: Some(rec),
        held: ArrayVec::new(),
        stage: Stage::Donate,
    })))
}

/// RMI_REC_DESTROY.
pub(super) fn destroy(rmm: &Rmm<'_>, cpu: &mut Cpu, rec: GranuleAddress) -> Outcome<2> {
    let reserved = rmm.operations.reserve()?;
    let Retired { partial, auxiliary } = lifecycle::retire(&rmm.granules, cpu, rec)?;
    let stage = Stage::Work;
    let mut operation = RecOperation { work: Work::Nothing, partial, held: auxiliary, stage };
    operation.give_back(Ok(()));
    Err(reserved.begin(Operation::Rec(operation)))
}

/// Creates a REC from the PARTIAL granule `rec` and donated auxiliary granules.
///
/// # Errors
///
/// [`Status`]. `rec` is Delegated then, and the auxiliary granules are as they were.
pub(super) fn complete(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rd: GranuleAddress,
    rec: GranuleAddress,
    params: PhysAddr,
    auxiliary: &[GranuleAddress],
) -> Result<(), Status> {
    let parameters = read_parameters(rmm, cpu, params);
    match (parameters, auxiliary.try_into()) {
        (Ok(parameters), Ok(auxiliary)) => {
            Ok(lifecycle::complete(&rmm.granules, cpu, rd, rec, auxiliary, &parameters)?)
        }
        _ => {
            lifecycle::release(&rmm.granules, cpu, rec);
            Err(Status::INPUT)
        }
    }
}

fn read_parameters(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    params: PhysAddr,
) -> Result<HostRecParameters, Status> {
    let page = rmm.granules.ns_granule(params).ok_or(Status::INPUT)?;
    let page = cpu.slots.ns.map(page);
    Ok(HostRecParameters::read(|offset, words| page.read(offset as u64, words))?)
}

/// RMI_REC_ENTER. `run_page` is a Non-secure page with an RmiRecRun.
pub(super) fn enter(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    rec: GranuleAddress,
    run_page: PhysAddr,
    no_live_sve: bool,
) -> Outcome {
    let entered = run::enter(
        &rmm.granules,
        rmm.attestation(),
        cpu,
        rec,
        run_page,
        no_live_sve,
        GicOwner::Host,
    );
    entered.map_err(|error| match error {
        // In RMI 2.0 the index does not distinguish states.
        EnterError::RealmNew | EnterError::RealmOff => Status::realm(0),
        error => error.into(),
    })?;
    Ok([])
}

/// RMI_PSCI_COMPLETE. In some betas the host names the target REC before its answer, in others the
/// RMM finds the target. No answer but SUCCESS is the address of a granule.
pub(super) fn psci_complete(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    calling: GranuleAddress,
    target_or_status: u64,
    status: u64,
) -> Outcome {
    match GranuleAddress::new(PhysAddr::new(target_or_status)) {
        Some(target) if target_or_status != SUCCESS => {
            psci::complete_call(&rmm.granules, cpu, calling, target, status)?;
        }
        _ => psci::complete_named_call(&rmm.granules, cpu, calling, target_or_status)?,
    }
    Ok([])
}
