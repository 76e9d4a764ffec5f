// SPDX-License-Identifier: BSD-3-Clause
//! The commands that move granules between the host and the Realm world.

use super::call::{Answered, Call, Status};
use super::rtt::granule;
use super::state::Rmm;
use crate::address::PhysAddr;
use crate::arch::interrupt;
use crate::el3::services::{self, Refusal};
use crate::granule::GranuleAddress;
use crate::granule::state::{Delegated, Ns};
use crate::percpu::Cpu;

/// RMI_GRANULE_DELEGATE(x1 = address), RMI 1.0.
pub(super) fn delegate(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let delegated = granule(call.x1()).and_then(|granule| delegate_granule(rmm, cpu, granule));
    call.answer(delegated.err().unwrap_or(Status::Success))
}

/// RMI_GRANULE_UNDELEGATE(x1 = address), RMI 1.0.
pub(super) fn undelegate(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let undelegated = granule(call.x1()).and_then(|granule| undelegate_granule(rmm, cpu, granule));
    call.answer(undelegated.err().unwrap_or(Status::Success))
}

/// RMI_GRANULE_RANGE_DELEGATE(x1 = base, x2 = top), RMI 2.0: x1 = the first address not done.
pub(super) fn range_delegate(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    for_range(call, |granule| delegate_granule(rmm, cpu, granule))
}

/// RMI_GRANULE_RANGE_UNDELEGATE(x1 = base, x2 = top), RMI 2.0: x1 = the first address not done.
pub(super) fn range_undelegate(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    for_range(call, |granule| undelegate_granule(rmm, cpu, granule))
}

/// Moves a granule from the host to the Realm world. On an error its state has not changed.
///
/// Nothing is wiped: what the host left there is wiped when the granule is taken into use.
fn delegate_granule(rmm: &Rmm<'_>, cpu: &Cpu, granule: GranuleAddress) -> Result<(), Status> {
    let locked = rmm.granules.lock::<Ns>(cpu.index, granule)?;
    // EL3 refuses what is not Non-secure: the host named memory of EL3 or of the Secure world.
    services::delegate(locked).map(drop).map_err(|_| Status::ErrorInput)
}

/// Moves a granule back to the host, wiped. On an error it stays Delegated.
fn undelegate_granule(rmm: &Rmm<'_>, cpu: &mut Cpu, granule: GranuleAddress) -> Result<(), Status> {
    let locked = rmm.granules.lock::<Delegated>(cpu.index, granule)?;
    let wiped = locked.wipe(&mut cpu.slots.delegated);
    services::undelegate(wiped).map(drop).map_err(|refusal| {
        report_refused(rmm, granule, refusal);
        Status::ErrorInput
    })
}

/// Reports that EL3 disagrees about a granule that was just written as Realm memory.
///
/// The first time goes to the console; later ones are only counted, since a host can ask as often
/// as it likes.
fn report_refused(rmm: &Rmm<'_>, granule: GranuleAddress, refusal: Refusal) {
    if rmm.count_refused_undelegate() == 0 {
        log::error!("EL3 refuses to take back the granule at {}: {refusal:?}", granule.get());
    }
}

/// Moves granules from the base up, until the top, a granule that cannot be moved, or an interrupt
/// for the host.
///
/// Success means at least one, and the host calls again from where it stopped. That a granule
/// cannot be moved is reported when it is the first. Interrupts are masked in the RMM, so that one
/// pending is looked for after each granule: the host waits for one granule's work, no more.
fn for_range(
    call: Call<'_>,
    mut move_one: impl FnMut(GranuleAddress) -> Result<(), Status>,
) -> Answered {
    let (base, top) = (PhysAddr::new(call.x1()), PhysAddr::new(call.x2()));
    let (Some(first), Some(end)) = (GranuleAddress::new(base), GranuleAddress::new(top)) else {
        return call.answer_with(Status::ErrorInput, [base.get(), 0, 0]);
    };
    let mut next = first;
    while next < end {
        if move_one(next).is_err() {
            break;
        }
        // There is a next one: `next` is below `end`.
        let Some(following) = next.next() else { break };
        next = following;
        if interrupt::is_pending() {
            break;
        }
    }
    let status = if next > first { Status::Success } else { Status::ErrorInput };
    call.answer_with(status, [next.get().get(), 0, 0])
}
