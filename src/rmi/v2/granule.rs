// SPDX-License-Identifier: BSD-3-Clause
//! Moving ranges of granules between the host and the Realm world.

use crate::address::PhysAddr;
use crate::granule::GranuleAddress;
use crate::operation::{Operation, Step};
use crate::percpu::Cpu;
use crate::rmi::call::{Failure, Outcome, Status};
use crate::rmi::granule::{delegate, undelegate};
use crate::rmi::state::Rmm;

/// RMI_GRANULE_RANGE_DELEGATE. `out_top` is the first address not moved.
pub(super) fn range_delegate(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    base: PhysAddr,
    top: PhysAddr,
) -> Outcome<1> {
    move_range(base, top, |granule| delegate(rmm, cpu, granule))
}

/// RMI_GRANULE_RANGE_UNDELEGATE. `out_top` is the first address not moved.
pub(super) fn range_undelegate(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    base: PhysAddr,
    top: PhysAddr,
) -> Outcome<1> {
    move_range(base, top, |granule| undelegate(rmm, cpu, granule))
}

/// Moves granules from `base` up, until `top`, a granule that cannot be moved, or a pending
/// interrupt.
///
/// Succeeds if at least one was moved; the host calls again for the rest.
fn move_range(
    base: PhysAddr,
    top: PhysAddr,
    move_one: impl FnMut(GranuleAddress) -> Outcome,
) -> Outcome<1> {
    let failure = Failure { status: Status::INPUT, outputs: [base.get(), 0, 0] };
    let (first, end) = GranuleAddress::new(base).zip(GranuleAddress::new(top)).ok_or(failure)?;
    let mut range = RangeMove { next: first, end, move_one };
    range.run();
    if range.next > first { Ok([range.next.get().get()]) } else { Err(failure) }
}

/// A range of granules that is being moved, one granule a step.
struct RangeMove<F> {
    next: GranuleAddress,
    end: GranuleAddress,
    move_one: F,
}

impl<F: FnMut(GranuleAddress) -> Outcome> Operation for RangeMove<F> {
    fn step(&mut self) -> Step {
        // There is a next one below `end`.
        let Some(following) = self.next.next().filter(|_| self.next < self.end) else {
            return Step::Done;
        };
        if (self.move_one)(self.next).is_err() {
            return Step::Done;
        }
        self.next = following;
        if following < self.end { Step::Continue } else { Step::Done }
    }
}
