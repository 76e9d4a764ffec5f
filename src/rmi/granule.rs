// SPDX-License-Identifier: BSD-3-Clause
//! The commands that move granules between the host and the Realm world.

use super::call::{Answered, Call, Status};
use super::state::Rmm;
use crate::address::PhysAddr;
use crate::arch::interrupt;
use crate::el3::services::{self, Refusal};
use crate::error;
use crate::granule::state::{Delegated, Ns};
use crate::granule::{GranuleAddress, KnownGranule};
use crate::percpu::Cpu;

/// Why a granule was not moved. The host is told the same for all of them; the state of the granule
/// is as it was.
struct NotMoved;

/// Moves one granule from the host to the Realm world.
///
/// Nothing is wiped: what the host left there is wiped when the granule is taken into use.
fn delegate_one(rmm: &Rmm<'_>, cpu: &Cpu, granule: KnownGranule<'_>) -> Result<(), NotMoved> {
    let locked = rmm.granules.lock_known::<Ns>(cpu.index, granule).map_err(|_| NotMoved)?;
    // EL3 refuses what is not Non-secure: the host named memory of EL3 or of the Secure world.
    services::delegate(locked).map(drop).map_err(|_| NotMoved)
}

/// Moves one granule back to the host, wiped.
fn undelegate_one(rmm: &Rmm<'_>, cpu: &mut Cpu, granule: KnownGranule<'_>) -> Result<(), NotMoved> {
    let locked = rmm.granules.lock_known::<Delegated>(cpu.index, granule).map_err(|_| NotMoved)?;
    let address = locked.address();
    let wiped = locked.wipe(&mut cpu.slots.delegated);
    services::undelegate(wiped).map(drop).map_err(|refusal| kept(rmm, address, refusal))
}

/// EL3 disagrees about a granule that was just written as Realm memory. It stays Delegated, so that
/// no one loses it and no one gains it.
///
/// The first time is told on the console; later ones are counted only, since a host can ask as
/// often as it likes.
fn kept(rmm: &Rmm<'_>, granule: GranuleAddress, refusal: Refusal) -> NotMoved {
    if rmm.count_refused_undelegate() == 0 {
        error!("EL3 refuses to take back the granule at {}: {refusal:?}", granule.get());
    }
    NotMoved
}

/// RMI_GRANULE_DELEGATE(x1 = address), RMI 1.0.
pub(super) fn delegate(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    match GranuleAddress::new(PhysAddr::new(call.x1()))
        .and_then(|address| rmm.granules.known(address))
    {
        Some(granule) => delegate_known(rmm, cpu, call, granule),
        None => call.answer(Status::ErrorInput),
    }
}

// By itself, so that an address that names no granule is refused before there is a stack frame.
fn delegate_known(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    call: Call<'_>,
    granule: KnownGranule<'_>,
) -> Answered {
    match delegate_one(rmm, cpu, granule) {
        Ok(()) => call.answer(Status::Success),
        Err(NotMoved) => call.answer(Status::ErrorInput),
    }
}

/// RMI_GRANULE_UNDELEGATE(x1 = address), RMI 1.0.
pub(super) fn undelegate(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    match GranuleAddress::new(PhysAddr::new(call.x1()))
        .and_then(|address| rmm.granules.known(address))
    {
        Some(granule) => undelegate_known(rmm, cpu, call, granule),
        None => call.answer(Status::ErrorInput),
    }
}

// By itself, so that an address that names no granule is refused before there is a stack frame.
fn undelegate_known(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    call: Call<'_>,
    granule: KnownGranule<'_>,
) -> Answered {
    match undelegate_one(rmm, cpu, granule) {
        Ok(()) => call.answer(Status::Success),
        Err(NotMoved) => call.answer(Status::ErrorInput),
    }
}

/// RMI_GRANULE_RANGE_DELEGATE(x1 = base, x2 = top), RMI 2.0: x1 = the first address not done.
pub(super) fn range_delegate(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    for_range(call, |address| {
        let granule = rmm.granules.known(address).ok_or(NotMoved)?;
        delegate_one(rmm, cpu, granule)
    })
}

/// RMI_GRANULE_RANGE_UNDELEGATE(x1 = base, x2 = top), RMI 2.0: x1 = the first address not done.
pub(super) fn range_undelegate(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    for_range(call, |address| {
        let granule = rmm.granules.known(address).ok_or(NotMoved)?;
        undelegate_one(rmm, cpu, granule)
    })
}

/// Moves granules from the base up, until the top, a granule that cannot be moved, or an interrupt
/// for the host.
///
/// Success means at least one, and the host calls again from where it stopped. That a granule
/// cannot be moved is reported when it is the first. Interrupts are masked in the RMM, so that one
/// pending is looked for after each granule: the host waits for one granule's work, no more.
fn for_range(
    call: Call<'_>,
    mut move_one: impl FnMut(GranuleAddress) -> Result<(), NotMoved>,
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
