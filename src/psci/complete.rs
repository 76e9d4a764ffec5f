// SPDX-License-Identifier: BSD-3-Clause
//! Completing a call of one REC on another (RMI_PSCI_COMPLETE).

use crate::abi::psci;
use crate::granule::state::{self, Rd, Unused};
use crate::granule::{GranuleAddress, GranuleTable, LockError};
use crate::percpu::Cpu;
use crate::realm::rd::RealmDescriptor;
use crate::realm::rec::{Mpidr, PendingRequest, Rec, RecIdentity};

/// Why RMI_PSCI_COMPLETE fails. Neither REC changes, with one exception: if the host denies CPU_ON
/// of a REC that is on, the calling REC gets ALREADY_ON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PsciError {
    /// A granule is not a REC, both are the same, or the calling REC is running.
    Granule(LockError),
    /// The calling REC has no pending PSCI call.
    NotPending,
    /// The RECs are of different Realms.
    OtherRealm,
    /// The target is not the REC that the call names.
    OtherTarget,
    /// The host may not answer the call with this status.
    Status,
}

impl From<LockError> for PsciError {
    fn from(error: LockError) -> Self {
        Self::Granule(error)
    }
}

/// The REC that a call names.
#[derive(Debug)]
enum Target<'a> {
    /// No CPU runs it.
    Idle(&'a mut Rec),
    /// Another CPU runs it.
    Running(&'a RecIdentity),
}

impl<'a> Target<'a> {
    fn identity(&self) -> &RecIdentity {
        match self {
            Self::Idle(rec) => &rec.identity,
            Self::Running(identity) => identity,
        }
    }

    /// The REC, if it is off: not runnable.
    fn off(self) -> Option<&'a mut Rec> {
        match self {
            Self::Idle(rec) if !rec.state.runnable => Some(rec),
            Self::Idle(_) | Self::Running(_) => None,
        }
    }
}

/// Completes the call of the REC at `calling`, which is not running, on the REC at `target`
/// (RMI_PSCI_COMPLETE). The host's answer is `status`.
///
/// # Errors
///
/// [`PsciError`].
pub fn complete_call(
    granules: &GranuleTable<'_>,
    cpu: &mut Cpu,
    calling: GranuleAddress,
    target: GranuleAddress,
    status: u64,
) -> Result<(), PsciError> {
    let (calling, target) =
        granules.lock_pair::<Unused<state::Rec>, state::Rec>(cpu.index, calling, target)?;
    let mut calling = cpu.slots.rec.map(&calling);
    let slot = &mut cpu.slots.second_rec;
    match target.into_unused() {
        Ok(idle) => complete(calling.get_mut(), Target::Idle(slot.map(&idle).get_mut()), status),
        Err(running) => {
            complete(calling.get_mut(), Target::Running(slot.map(&running).get()), status)
        }
    }
}

/// As [`complete_call`], but finds the target by the MPIDR in the call.
///
/// # Errors
///
/// [`PsciError`].
pub fn complete_named_call(
    granules: &GranuleTable<'_>,
    cpu: &mut Cpu,
    calling: GranuleAddress,
    status: u64,
) -> Result<(), PsciError> {
    let locked = granules.lock::<Unused<state::Rec>>(cpu.index, calling)?;
    let mapping = cpu.slots.rec.map(&locked);
    let rec: &Rec = mapping.get();
    let (realm, target) = (rec.identity.realm, named(rec)?);
    drop(mapping);
    drop(locked);
    let rd = granules.lock::<Rd>(cpu.index, realm)?;
    let target = cpu.slots.rd.map(&rd).get::<RealmDescriptor>().rec(target.index());
    drop(rd);
    // The locks were released meanwhile: `complete_call` checks everything again.
    complete_call(granules, cpu, calling, target.ok_or(PsciError::OtherTarget)?, status)
}

/// The REC that the pending call of `calling` names.
fn named(calling: &Rec) -> Result<Mpidr, PsciError> {
    match calling.state.pending {
        PendingRequest::CpuOn { target, .. } | PendingRequest::AffinityInfo { target } => {
            Ok(target)
        }
        PendingRequest::None | PendingRequest::Ripas { .. } | PendingRequest::HostCall => {
            Err(PsciError::NotPending)
        }
    }
}

/// Completes the pending call of `calling`, which is not running, on `target`, with the host's
/// `status`.
///
/// # Errors
///
/// [`PsciError`].
fn complete(calling: &mut Rec, target: Target<'_>, status: u64) -> Result<(), PsciError> {
    let named = named(calling)?;
    let identity = target.identity();
    if calling.identity.realm != identity.realm {
        return Err(PsciError::OtherRealm);
    }
    if named != identity.mpidr {
        return Err(PsciError::OtherTarget);
    }
    let (result, refusal) = match (calling.state.pending, status, target.off()) {
        (PendingRequest::CpuOn { .. }, psci::SUCCESS, None) => (psci::ALREADY_ON, None),
        (PendingRequest::CpuOn { entry, context, .. }, psci::SUCCESS, Some(off)) => {
            off.state.switch_on(entry, context, &calling.state.registers);
            (psci::SUCCESS, None)
        }
        // The REC is on already, so the host cannot deny it. The host gets an error, the caller
        // ALREADY_ON.
        (PendingRequest::CpuOn { .. }, psci::DENIED, None) => {
            (psci::ALREADY_ON, Some(PsciError::Status))
        }
        (PendingRequest::CpuOn { .. }, psci::DENIED, Some(_)) => (psci::DENIED, None),
        (PendingRequest::AffinityInfo { .. }, psci::SUCCESS, None) => (psci::AFFINITY_ON, None),
        (PendingRequest::AffinityInfo { .. }, psci::SUCCESS, Some(_)) => (psci::AFFINITY_OFF, None),
        _ => return Err(PsciError::Status),
    };
    // SMCCC: results are X0 to X3.
    let [x0, x1, x2, x3, ..] = &mut calling.state.registers.gprs;
    (*x0, *x1, *x2, *x3) = (result, 0, 0, 0);
    calling.state.pending = PendingRequest::None;
    refusal.map_or(Ok(()), Err)
}
