// SPDX-License-Identifier: BSD-3-Clause
//! Moving a granule between the host and the Realm world. RMI 2.0 uses this for ranges.

use super::call::{Outcome, Status};
use super::state::Rmm;
use crate::el3::services::{self, Refusal};
use crate::granule::state::Delegated;
use crate::granule::{GranuleAddress, LockedGranule};
use crate::percpu::Cpu;

/// RMI_GRANULE_DELEGATE: moves a granule from the host to the Realm world.
///
/// It is not wiped: that happens when it is taken into use. The first time that a granule is
/// delegated its memory must answer.
#[inline(always)]
pub(super) fn delegate(rmm: &Rmm<'_>, cpu: &mut Cpu, granule: GranuleAddress) -> Outcome {
    let Some(locked) = rmm.granules.lock_proven(cpu.index, granule)? else {
        return if delegate_slowly(rmm, cpu, granule) { Ok([]) } else { Err(Status::INPUT.into()) };
    };
    // EL3 refuses what is not Non-secure: the host named memory of EL3 or of the Secure world.
    services::delegate(locked).map(LockedGranule::unlock).map_err(|_| Status::INPUT)?;
    Ok([])
}

/// Delegates a granule that another CPU may hold, or whose memory is not known to answer. Returns
/// whether it succeeded, as a `bool`, so that the caller needs no stack.
#[cold]
#[inline(never)]
fn delegate_slowly(rmm: &Rmm<'_>, cpu: &mut Cpu, granule: GranuleAddress) -> bool {
    let Ok(locked) = rmm.granules.lock_ns(cpu.index, granule) else { return false };
    // Read before EL3 is asked, so that nothing has to be undone. Reading the host's memory does
    // no harm, whatever the host does meanwhile.
    locked.prove(&mut cpu.slots.ns).is_ok_and(|proven| services::delegate(proven).is_ok())
}

/// RMI_GRANULE_UNDELEGATE: moves a granule back to the host, wiped. On an error it stays Delegated,
/// or is lost if its memory does not answer.
#[inline(always)]
pub(super) fn undelegate(rmm: &Rmm<'_>, cpu: &mut Cpu, granule: GranuleAddress) -> Outcome {
    let locked = rmm.granules.lock::<Delegated>(cpu.index, granule)?;
    let wiped = locked.wipe(&mut cpu.slots.delegated)?;
    services::undelegate(wiped).map(LockedGranule::unlock).map_err(|refusal| {
        report_refused(rmm, granule, refusal);
        Status::INPUT
    })?;
    Ok([])
}

/// Reports that EL3 disagrees about a granule that was just written as Realm memory.
#[cold]
fn report_refused(rmm: &Rmm<'_>, granule: GranuleAddress, refusal: Refusal) {
    if rmm.refused_undelegates.is_first() {
        log::error!("EL3 refuses to take back the granule at {}: {refusal}", granule.get());
    }
}
