// SPDX-License-Identifier: BSD-3-Clause
//! Commands on a range of IPAs. They process it block by block until it ends, a block fails, or an
//! interrupt is pending.
//!
//! A command that processed at least one block succeeds, and the host continues at `out_top`. Only
//! a block of 2 MiB or 1 GiB, which takes long, can be parked as a stateful operation.

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

/// A Realm with a reference to its RD, which keeps it and its tables from being destroyed.
pub(super) struct Realm<'g> {
    rd: Reference<'g, Rd>,
    pub(super) stage2: Stage2,
    state: RealmState,
}

impl<'g> Realm<'g> {
    /// Runs `then` with the Realm that has this RD.
    ///
    /// `then` is a closure because returning a `Realm` would copy it byte by byte.
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
        let reference = rd.reference().map_err(|_| Status::BUSY)?;
        drop(rd);
        then(Self { rd: reference, stage2, state }, cpu)
    }

    /// Checks that memory may be mapped: the Realm is NEW or ACTIVE.
    pub(super) fn expect_alive(&self) -> Result<(), Status> {
        match self.state {
            RealmState::New | RealmState::Active => Ok(()),
            RealmState::SystemOff | RealmState::Zombie => Err(Status::realm(0)),
        }
    }

    pub(super) fn walk<'r>(&self, rmm: &'r Rmm<'g>, cpu: &Cpu, ipa: Ipa) -> Walk<'r, 'g> {
        Walk::new(&rmm.granules, cpu.index, &self.stage2, ipa)
    }

    /// Leaves an unfinished block, with the reference to the RD, to RMI_OP_CONTINUE.
    pub(super) fn park(self, reserved: Reserved<'_>, mut block: BlockOperation) -> Failure {
        block.rd = Some(self.rd.keep());
        reserved.begin(Parked::Block(block))
    }
}

/// A range that is being processed, one block or hole a step.
struct Range<F> {
    next: Ipa,
    top: Ipa,
    /// Processes the block or hole at an IPA. Returns where it ends; `None` stops.
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

/// Processes a range. Returns the first IPA that was not processed.
///
/// # Errors
///
/// What stopped it, if nothing was processed.
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

/// Finds out why an entry could not be mapped. It is no error if it is mapped already, as
/// `is_same` says.
///
/// # Errors
///
/// `error` if the entry is UNASSIGNED, otherwise [`Status::rtt`].
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
        (reached, _) => Err(Status::rtt(reached)),
    }
}

impl BlockOperation {
    /// Moves granules, at least one, until it ends or an interrupt is pending. Returns the result
    /// with which it ends.
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
            // If the entry maps this memory already, no granule of it was taken here.
            let (level, memory) = (self.memory.level(), self.memory.base());
            let walk = Walk::new(&rmm.granules, cpu.index, &self.stage2, ipa);
            let is_same = |entry| matches!(entry, Entry::Assigned(_, same) if same == memory);
            self.way = Way::Out(match unless_mapped(walk, cpu, level, is_same, error) {
                Ok(()) => done,
                // The command succeeds for what it mapped before.
                Err(_) if ipa > base => Ok([ipa.get(), 0, 0]),
                Err(status) => Err(Failure { status, outputs: [base.get(), 0, 0] }),
            });
        }
        match (self.memory.give_back(&rmm.granules, cpu), &self.way) {
            (Step::Done, Way::Out(outcome)) => Some(*outcome),
            _ => None,
        }
    }

    /// Ends a parked operation: gives up its reference.
    pub(super) fn end(&mut self, rmm: &Rmm<'_>) {
        if let Some(rd) = self.rd.take() {
            drop(rmm.granules.adopt_reference::<Rd>(rd));
        }
    }

    /// Assigns the memory, which has all its granules, to the entry for `ipa`.
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
