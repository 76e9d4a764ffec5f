// SPDX-License-Identifier: BSD-3-Clause
//! PSCI calls of a REC on another REC of its Realm, which wait until the host has said which granule the other one is (RMI_PSCI_COMPLETE).

use super::rec::{PendingRequest, Rec};

/// PSCI return codes (Arm DEN0022, 5.2.2), and the states that AFFINITY_INFO returns.
mod status {
    pub(super) const SUCCESS: u64 = 0;
    pub(super) const DENIED: u64 = 3_u64.wrapping_neg();
    pub(super) const ALREADY_ON: u64 = 4_u64.wrapping_neg();
    pub(super) const ON: u64 = 0;
    pub(super) const OFF: u64 = 1;
}

/// Why a call is not completed. Both RECs are as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PsciError {
    /// The calling REC waits for no PSCI call.
    NotPending,
    /// The RECs are of different Realms.
    OtherRealm,
    /// The target is not the one that the call names.
    OtherTarget,
    /// The host may not answer the call with this status.
    Status,
}

/// Completes the call that `calling`, which does not run, waits for, on `target`, with the `status` that the host gives it.
///
/// # Errors
///
/// [`PsciError`].
pub fn complete(
    calling: &mut Rec,
    target: &mut Rec,
    target_is_running: bool,
    status: u64,
) -> Result<(), PsciError> {
    let named = match calling.pending {
        PendingRequest::CpuOn { target, .. } | PendingRequest::AffinityInfo { target } => target,
        PendingRequest::None | PendingRequest::Ripas { .. } => return Err(PsciError::NotPending),
    };
    if calling.realm != target.realm {
        return Err(PsciError::OtherRealm);
    }
    if named != target.mpidr {
        return Err(PsciError::OtherTarget);
    }
    let is_on = target_is_running || target.runnable;
    let result = match (calling.pending, status) {
        (PendingRequest::CpuOn { .. }, status::SUCCESS) if is_on => status::ALREADY_ON,
        (PendingRequest::CpuOn { entry, context, .. }, status::SUCCESS) => {
            target.switch_on(entry, context, &calling.registers);
            status::SUCCESS
        }
        // A REC that is on already cannot be denied to be switched on.
        (PendingRequest::CpuOn { .. }, status::DENIED) if !is_on => status::DENIED,
        (PendingRequest::AffinityInfo { .. }, status::SUCCESS) if is_on => status::ON,
        (PendingRequest::AffinityInfo { .. }, status::SUCCESS) => status::OFF,
        _ => return Err(PsciError::Status),
    };
    // SMCCC: results are X0 to X3.
    let [x0, x1, x2, x3, ..] = &mut calling.registers.gprs;
    (*x0, *x1, *x2, *x3) = (result, 0, 0, 0);
    calling.pending = PendingRequest::None;
    Ok(())
}
