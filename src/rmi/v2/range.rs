// SPDX-License-Identifier: BSD-3-Clause
//! A range of IPAs of a Realm, done block by block until it ends, a block cannot be done, or an
//! interrupt is pending.
//!
//! If at least one was done the command succeeds, and the host goes on at `out_top`. Only a block
//! of 2 MiB or 1 GiB, which takes long, is parked in its midst as a stateful operation.

use crate::address::Ipa;
use crate::granule::state::Rd;
use crate::granule::{GranuleAddress, Reference};
use crate::operation::{Operation, Step};
use crate::percpu::Cpu;
use crate::realm::rd::{RealmDescriptor, RealmState};
use crate::realm::stage2::{BlockMemory, Entry, Stage2, Walk};
use crate::rmi::call::{Failure, Outcome, Status};
use crate::rmi::operations::{BlockOperation, Operation as Parked, Reserved, Way};
use crate::rmi::state::Rmm;
use crate::xlat::Level;

/// Which half of the IPA space of a Realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Protected,
    Unprotected,
}

/// A Realm that is not destroyed meanwhile, so that its tables stay, too.
pub(super) struct Realm<'g> {
    rd: Reference<'g, Rd>,
    pub(super) stage2: Stage2,
    state: RealmState,
}

impl<'g> Realm<'g> {
    /// Has `then` work on the Realm with this RD.
    ///
    /// It is built where `then` uses it: a result with so much in it would be moved byte by byte.
    pub(super) fn with<R>(
        rmm: &Rmm<'g>,
        cpu: &mut Cpu,
        rd: GranuleAddress,
        then: impl FnOnce(Self, &mut Cpu) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let rd = rmm.granules.lock::<Rd>(cpu.index, rd)?;
        let mapping = cpu.slots.rd.map(&rd);
        let realm: &RealmDescriptor = mapping.get();
        let (stage2, state) = (realm.stage2, realm.state());
        drop(mapping);
        let reference = rd.reference().map_err(|_| Status::Busy)?;
        drop(rd);
        then(Self { rd: reference, stage2, state }, cpu)
    }

    /// Memory may be mapped only before the end of a Realm.
    pub(super) fn expect_alive(&self) -> Result<(), Status> {
        match self.state {
            RealmState::New | RealmState::Active => Ok(()),
            RealmState::SystemOff | RealmState::Zombie => Err(Status::Realm(0)),
        }
    }

    pub(super) fn walk<'r>(&self, rmm: &'r Rmm<'g>, cpu: &Cpu, ipa: Ipa) -> Walk<'r, 'g> {
        Walk::new(&rmm.granules, cpu.index, &self.stage2, ipa)
    }

    /// Leaves a block that is unfinished, and the reference to the RD, to RMI_OP_CONTINUE.
    pub(super) fn park(self, reserved: Reserved<'_>, mut block: BlockOperation) -> Failure {
        block.rd = Some(self.rd.keep());
        reserved.begin(Parked::Block(block))
    }
}

/// A range that is being done, one block or hole a step.
struct Range<F> {
    next: Ipa,
    top: Ipa,
    /// Does what begins at an IPA. Gives where it ends, or nothing if it ends the range.
    each: F,
    error: Option<Status>,
}

impl<F: FnMut(Ipa) -> Result<Option<Ipa>, Status>> Operation for Range<F> {
    fn step(&mut self) -> Step {
        match (self.each)(self.next) {
            Ok(Some(next)) => self.next = next,
            Ok(None) => return Step::Done,
            Err(error) => {
                self.error = Some(error);
                return Step::Done;
            }
        }
        if self.next < self.top { Step::Continue } else { Step::Done }
    }
}

/// Does a range. Gives the first IPA that was not done.
///
/// # Errors
///
/// What stopped it, if nothing was done.
pub(super) fn run_range(
    base: Ipa,
    top: Ipa,
    each: impl FnMut(Ipa) -> Result<Option<Ipa>, Status>,
) -> Result<Ipa, Failure> {
    let mut range = Range { next: base, top, each, error: None };
    range.run();
    match range.error {
        Some(status) if range.next == base => Err(Failure { status, outputs: [base.get(), 0, 0] }),
        _ => Ok(range.next),
    }
}

/// Looks why an entry could not be mapped. It is no error that it is mapped as it should be.
///
/// # Errors
///
/// `error` if the entry is UNASSIGNED, or [`Status::Rtt`].
pub(super) fn unless_mapped(
    walk: Walk<'_, '_>,
    cpu: &mut Cpu,
    level: Level,
    is_same: impl Fn(Entry) -> bool,
    error: Status,
) -> Result<(), Status> {
    match walk.read(&mut cpu.slots.rtt, level) {
        (reached, entry) if reached == level && is_same(entry) => Ok(()),
        (reached, Entry::Unassigned(_)) if reached == level => Err(error),
        (reached, _) => Err(Status::Rtt(reached)),
    }
}

impl BlockOperation {
    /// Goes on until it ends or an interrupt is pending, by one granule at least. Gives the end.
    pub(super) fn run(&mut self, rmm: &Rmm<'_>, cpu: &mut Cpu) -> Option<Outcome<3>> {
        if let Way::In { base, ipa, next } = self.way {
            let done = Ok([next.get(), 0, 0]);
            let error = match self.memory.take(&rmm.granules, cpu) {
                Ok(Step::Continue) => return None,
                Ok(Step::Done) => match self.assign(rmm, cpu, ipa) {
                    Ok(()) => return Some(done),
                    Err(error) => error,
                },
                Err(error) => error.into(),
            };
            // If it is mapped there already, what was taken is none of it.
            let (level, memory) = (self.memory.level(), self.memory.base());
            let walk = Walk::new(&rmm.granules, cpu.index, &self.stage2, ipa);
            let is_same = |entry| matches!(entry, Entry::Assigned(_, same) if same == memory);
            self.way = Way::Out(match unless_mapped(walk, cpu, level, is_same, error) {
                Ok(()) => done,
                // What was mapped before counts.
                Err(_) if ipa > base => Ok([ipa.get(), 0, 0]),
                Err(status) => Err(Failure { status, outputs: [base.get(), 0, 0] }),
            });
        }
        match (self.memory.give_back(&rmm.granules, cpu), &self.way) {
            (Step::Done, Way::Out(outcome)) => Some(*outcome),
            _ => None,
        }
    }

    /// Ends a parked one.
    pub(super) fn end(&mut self, rmm: &Rmm<'_>) {
        if let Some(rd) = self.rd.take() {
            drop(rmm.granules.adopt_reference::<Rd>(rd));
        }
    }

    /// Has an entry lead to the memory, which is whole.
    fn assign(&mut self, rmm: &Rmm<'_>, cpu: &mut Cpu, ipa: Ipa) -> Result<(), Status> {
        let (base, level) = (self.memory.base(), self.memory.level());
        let memory = core::mem::replace(&mut self.memory, BlockMemory::new(base, level));
        let walk = Walk::new(&rmm.granules, cpu.index, &self.stage2, ipa);
        walk.assign_block(&mut cpu.slots.rtt, memory).map_err(|(memory, error)| {
            self.memory = memory;
            error.into()
        })
    }
}
