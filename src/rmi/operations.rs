// SPDX-License-Identifier: BSD-3-Clause
//! Stateful operations of RMI 2.0: what hosts have begun and not finished.
//!
//! What an operation holds is in its context and nowhere else, so that it comes back however the
//! host goes on. `v2` has what is done with it.

use arrayvec::ArrayVec;
use spin::{Mutex, MutexGuard};

use super::answer::{Failure, MemoryRequest, Outcome, Status};
use crate::abi::rmi_v2::DONATE_COUNT_SHIFT;
use crate::address::{Ipa, PhysAddr};
use crate::arch::speculation::bounded;
use crate::granule::GranuleAddress;
use crate::mem::AUXILIARY;
use crate::realm::stage2::{BlockMemory, Stage2};

/// The greatest number of unfinished operations.
const CONTEXTS: usize = 64;
/// Bits of a handle that are the index of a context. The others are not 0: no handle is mistaken
/// for flags.
const INDEX_BITS: u32 = 8;
static_assertions::const_assert!(CONTEXTS <= 1 << INDEX_BITS);

/// The contexts of operations.
#[derive(Debug)]
pub struct OperationPool([Mutex<Context>; CONTEXTS]);

/// A context. A CPU locks it while it works on its operation; no CPU waits for that lock.
#[derive(Debug)]
pub(super) struct Context {
    /// How many operations the context has had.
    generation: u32,
    operation: Option<Operation>,
}

impl Context {
    const NEW: Self = Self { generation: 0, operation: None };
}

/// An operation that the host has not finished.
#[derive(Debug)]
pub(super) enum Operation {
    /// On a REC.
    Rec(RecOperation),
    /// On a block of memory.
    Block(BlockOperation),
}

impl Operation {
    /// The answer to the call that begins it.
    pub(super) fn incomplete(&self, handle: u64) -> Failure {
        match self {
            Self::Rec(operation) => operation.incomplete(handle),
            Self::Block(_) => go_on(handle),
        }
    }

    /// The operation on a REC, if it is one: only these take or give back memory.
    pub(super) fn on_rec(&mut self) -> Result<&mut RecOperation, Status> {
        match self {
            Self::Rec(operation) => Ok(operation),
            Self::Block(_) => Err(Status::Input),
        }
    }
}

/// The answer that has the host continue.
pub(super) fn go_on(handle: u64) -> Failure {
    let status = Status::Incomplete { request: MemoryRequest::None, can_cancel: false };
    Failure { status, outputs: [handle, 0, 0] }
}

/// The creation or destruction of a REC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecOperation {
    /// What is done when it has all it needs.
    pub work: Work,
    /// The PARTIAL granule of a REC that is being created or destroyed.
    pub partial: Option<GranuleAddress>,
    /// Auxiliary granules that it holds.
    pub held: ArrayVec<GranuleAddress, AUXILIARY>,
    /// How far it has come.
    pub stage: Stage,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It only gives back what it holds.
    Nothing,
    /// RMI_REC_CREATE.
    CreateRec {
        /// The RD that the host has named.
        rd: GranuleAddress,
        /// Where the parameters are.
        params: PhysAddr,
    },
}

/// What the host is to do next, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Donate what is missing of the auxiliary granules.
    Donate,
    /// Continue: the work is done.
    Work,
    /// Reclaim what is held, then continue: the operation ends with this.
    Reclaim(Result<(), Status>),
    /// Continue: the operation ends with this.
    End(Result<(), Status>),
}

impl RecOperation {
    /// Has the operation end with `result` when all that it holds is reclaimed.
    pub(super) fn give_back(&mut self, result: Result<(), Status>) {
        self.stage = if self.held.is_empty() { Stage::End(result) } else { Stage::Reclaim(result) };
    }

    /// The answer RMI_INCOMPLETE, with `output` in x1, and what to donate in x2.
    pub(super) fn incomplete(&self, output: u64) -> Failure {
        let missing = u64::try_from(self.held.remaining_capacity()).unwrap_or_default();
        let (request, can_cancel, wanted) = match self.stage {
            Stage::Donate => (MemoryRequest::Donate, true, missing << DONATE_COUNT_SHIFT),
            Stage::Work => (MemoryRequest::None, true, 0),
            Stage::Reclaim(_) => (MemoryRequest::Reclaim, false, 0),
            Stage::End(_) => (MemoryRequest::None, false, 0),
        };
        Failure { status: Status::Incomplete { request, can_cancel }, outputs: [output, wanted, 0] }
    }
}

/// A context that this CPU works on, and its handle.
pub(super) struct Reserved<'p> {
    context: MutexGuard<'p, Context>,
    index: usize,
}

impl Reserved<'_> {
    /// The place of its operation.
    pub(super) fn operation(&mut self) -> &mut Option<Operation> {
        &mut self.context.operation
    }

    /// Never 0 or 1, and not that of the context's former operations.
    pub(super) fn handle(&self) -> u64 {
        let index = u64::try_from(self.index).unwrap_or_default();
        (u64::from(self.context.generation) + 1) << INDEX_BITS | index
    }

    /// Begins an operation. Gives the host's first answer.
    pub(super) fn begin(mut self, operation: Operation) -> Failure {
        self.context.generation = self.context.generation.wrapping_add(1);
        let handle = self.handle();
        self.context.operation.insert(operation).incomplete(handle)
    }
}

impl OperationPool {
    /// A pool without operations.
    pub const fn new() -> Self {
        Self([const { Mutex::new(Context::NEW) }; CONTEXTS])
    }

    /// A context for a new operation.
    ///
    /// # Errors
    ///
    /// [`Status::Blocked`] when each has an operation, [`Status::Busy`] when another CPU is about
    /// to end or begin one.
    pub(super) fn reserve(&self) -> Result<Reserved<'_>, Status> {
        let mut error = Status::Blocked;
        for (index, context) in self.0.iter().enumerate() {
            match context.try_lock() {
                Some(context) if context.operation.is_none() => {
                    return Ok(Reserved { context, index });
                }
                Some(_) => {}
                None => error = Status::Busy,
            }
        }
        Err(error)
    }

    /// The operation with this handle, unless another CPU works on it.
    pub(super) fn find(&self, handle: u64) -> Option<Reserved<'_>> {
        let index = usize::try_from(handle & ((1 << INDEX_BITS) - 1)).ok()?;
        let context = self.0.get(bounded(index, CONTEXTS))?.try_lock()?;
        let found = Reserved { context, index };
        (found.context.operation.is_some() && found.handle() == handle).then_some(found)
    }
}

/// A pool on a host can be put back into a former state.
#[cfg(not(target_os = "none"))]
impl OperationPool {
    /// The operations on RECs that no CPU works on, each with its handle.
    ///
    /// # Panics
    ///
    /// There is one on a block, or a CPU works on one.
    pub fn operations(&self) -> Vec<(u64, RecOperation)> {
        let operation = |(index, context): (usize, &Mutex<Context>)| {
            let context = context.try_lock().expect("no CPU works on it");
            let reserved = Reserved { context, index };
            match &reserved.context.operation {
                Some(Operation::Rec(operation)) => Some((reserved.handle(), operation.clone())),
                Some(Operation::Block(_)) => panic!("blocks cannot be put back"),
                None => None,
            }
        };
        self.0.iter().enumerate().filter_map(operation).collect()
    }

    /// Gives the contexts these operations, with their handles. Those without one are as new.
    ///
    /// # Panics
    ///
    /// A handle is of no context, or a CPU works on one.
    pub fn restore(&self, operations: &[(u64, RecOperation)]) {
        for context in &self.0 {
            *context.try_lock().expect("no CPU works on it") = Context::NEW;
        }
        for (handle, operation) in operations {
            let index = (handle & ((1 << INDEX_BITS) - 1)) as usize;
            let generation = u32::try_from((handle >> INDEX_BITS) - 1).expect("a handle");
            let operation = Some(Operation::Rec(operation.clone()));
            *self.0[index].lock() = Context { generation, operation };
        }
    }
}

impl Default for OperationPool {
    fn default() -> Self {
        Self::new()
    }
}

/// A page or block of protected memory on its way into a Realm, or out of one.
///
/// If an interrupt of the host is pending meanwhile it is parked as a stateful operation.
#[derive(Debug)]
pub(super) struct BlockOperation {
    /// The RD to which it has a reference while it is parked.
    pub(super) rd: Option<GranuleAddress>,
    pub(super) stage2: Stage2,
    pub(super) memory: BlockMemory,
    pub(super) way: Way,
}

/// Which way a block goes.
#[derive(Debug)]
pub(super) enum Way {
    /// To this IPA. `base` is where the command began.
    In { base: Ipa, ipa: Ipa, next: Ipa },
    /// To the host, which is then told this.
    Out(Outcome<3>),
}
