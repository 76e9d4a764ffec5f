// SPDX-License-Identifier: BSD-3-Clause
//! The functions of PSCI, as a REC calls them.

use super::call::{Answer, Failure, Outcome};
use crate::abi::psci::{
    AFFINITY_OFF, AFFINITY_ON, ALREADY_ON, INVALID_ADDRESS, INVALID_PARAMETERS, NOT_SUPPORTED,
    SUCCESS, VERSION_1_1, function,
};
use crate::abi::smccc::{self, VERSION_1_2};
use crate::address::Ipa;
use crate::realm::rd::RealmState;
use crate::realm::rec::{Mpidr, PendingRequest};
use crate::realm::running::Caller;

/// PSCI_VERSION.
pub(super) fn version(_: &mut Caller<'_, '_, '_>) -> Outcome<1> {
    Ok(Answer::Return([VERSION_1_1]))
}

/// SMCCC_VERSION.
pub(super) fn smccc_version(_: &mut Caller<'_, '_, '_>) -> Outcome<1> {
    Ok(Answer::Return([VERSION_1_2]))
}

/// PSCI_FEATURES: SUCCESS, which also means no feature flags, for each function that is
/// implemented, except PSCI_VERSION, as in TF-RMM.
pub(super) fn features(_: &mut Caller<'_, '_, '_>, function: u32) -> Outcome<1> {
    match function {
        function::CPU_SUSPEND
        | function::CPU_SUSPEND_64
        | function::CPU_OFF
        | function::CPU_ON
        | function::CPU_ON_64
        | function::AFFINITY_INFO
        | function::AFFINITY_INFO_64
        | function::SYSTEM_OFF
        | function::SYSTEM_RESET
        | function::FEATURES
        | smccc::function::VERSION => Ok(Answer::Return([SUCCESS])),
        _ => Err(Failure(NOT_SUPPORTED)),
    }
}

/// CPU_SUSPEND. The host decides when to enter the REC again. The REC keeps its context in any
/// power state.
pub(super) fn cpu_suspend<W>(_: &mut Caller<'_, '_, '_>, _: W, _: W, _: W) -> Outcome {
    Ok(Answer::ReturnLater)
}

/// CPU_OFF of the caller.
pub(super) fn cpu_off(caller: &mut Caller<'_, '_, '_>) -> Outcome {
    *caller.runnable = false;
    Ok(Answer::ReturnLater)
}

/// CPU_ON of another REC.
pub(super) fn cpu_on(
    caller: &mut Caller<'_, '_, '_>,
    target: impl Into<u64>,
    entry: impl Into<u64>,
    context: impl Into<u64>,
) -> Outcome {
    let (target, entry, context) = (target.into(), entry.into(), context.into());
    if !caller.realm.stage2().is_protected(Ipa::new(entry)) {
        return Err(Failure(INVALID_ADDRESS));
    }
    let mpidr = rec_of(caller, target)?;
    if mpidr == caller.realm.identity.mpidr {
        return Err(Failure(ALREADY_ON));
    }
    *caller.pending = PendingRequest::CpuOn { target: mpidr, entry, context };
    Ok(Answer::Pend(target))
}

/// AFFINITY_INFO of a REC. In RMI 1.0 the call pends unless the REC is the caller itself.
pub(super) fn affinity_info(
    caller: &mut Caller<'_, '_, '_>,
    target: impl Into<u64>,
    level: impl Into<u64>,
) -> Outcome<1> {
    let target = target.into();
    if level.into() != 0 {
        return Err(Failure(INVALID_PARAMETERS));
    }
    let mpidr = rec_of(caller, target)?;
    if mpidr == caller.realm.identity.mpidr {
        return Ok(Answer::Return([AFFINITY_ON]));
    }
    if let Some(is_on) = caller.realm.is_on(mpidr) {
        return Ok(Answer::Return([if is_on { AFFINITY_ON } else { AFFINITY_OFF }]));
    }
    *caller.pending = PendingRequest::AffinityInfo { target: mpidr };
    Ok(Answer::Pend(target))
}

/// SYSTEM_OFF, SYSTEM_RESET: no REC of the Realm is entered again.
pub(super) fn system_off(caller: &mut Caller<'_, '_, '_>) -> Outcome {
    let epochs = caller.realm.epochs();
    caller.realm.with_descriptor(|realm| realm.set_state(RealmState::SystemOff, epochs));
    Ok(Answer::ReturnLater)
}

/// The REC with the affinity `target`, if it was ever created.
fn rec_of(caller: &mut Caller<'_, '_, '_>, target: u64) -> Result<Mpidr, Failure> {
    let mpidr = Mpidr::from_affinity(target).ok_or(Failure(INVALID_PARAMETERS))?;
    // No REC can be added to an ACTIVE Realm.
    let recs = caller.realm.with_descriptor(|realm| realm.next_rec);
    if mpidr.index() < u32::from(recs) { Ok(mpidr) } else { Err(Failure(INVALID_PARAMETERS)) }
}
