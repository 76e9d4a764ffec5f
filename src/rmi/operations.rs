// SPDX-License-Identifier: BSD-3-Clause
//! Stateful operations of RMI 2.0, which the host has begun and not finished.
//!
//! The context of an operation holds all granules that the operation has, so that they come back
//! whatever the host calls next. `v2` has the commands that continue an operation.

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
/// Bits of a handle that are the index of a context. The other bits are not 0, so that no handle
/// can be mistaken for flags.
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
    /// The answer RMI_INCOMPLETE to the call that begins it.
    pub(super) fn incomplete(&self, handle: u64) -> Failure {
        match self {
            Self::Rec(operation) => operation.incomplete(handle),
            Self::Block(_) => go_on(handle),
        }
    }

    /// The operation, if it is on a REC. Only these take or give back memory of the host.
    pub(super) fn on_rec(&mut self) -> Result<&mut RecOperation, Status> {
        match self {
            Self::Rec(operation) => Ok(operation),
            Self::Block(_) => Err(Status::INPUT),
        }
    }
}

/// The answer RMI_INCOMPLETE that asks the host for RMI_OP_CONTINUE.
pub(super) fn go_on(handle: u64) -> Failure {
    let status = Status::incomplete(MemoryRequest::None, false);
    Failure { status, outputs: [handle, 0, 0] }
}

/// The creation or destruction of a REC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecOperation {
    /// The work to do once it has all that it needs.
    pub work: Work,
    /// The PARTIAL granule of a REC that is being created or destroyed.
    pub partial: Option<GranuleAddress>,
    /// Auxiliary granules that it holds.
    pub held: ArrayVec<GranuleAddress, AUXILIARY>,
    /// What the host must do next.
    pub stage: Stage,
}

/// The work of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// None: it only gives back what it holds.
    Nothing,
    /// RMI_REC_CREATE.
    CreateRec {
        /// The RD that the host has named.
        rd: GranuleAddress,
        /// Where the parameters are.
        params: PhysAddr,
    },
}

/// What the host must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Donate the missing auxiliary granules.
    Donate,
    /// Continue, which does the work.
    Work,
    /// Reclaim what is held, then continue, which ends the operation with this result.
    Reclaim(Result<(), Status>),
    /// Continue, which ends the operation with this result.
    End(Result<(), Status>),
}

impl RecOperation {
    /// The operation ends with `result` once the host has reclaimed all that it holds.
    pub(super) fn give_back(&mut self, result: Result<(), Status>) {
        self.stage = if self.held.is_empty() { Stage::End(result) } else { Stage::Reclaim(result) };
    }

    /// The answer RMI_INCOMPLETE, with `output` in x1, and the request for donations in x2.
    pub(super) fn incomplete(&self, output: u64) -> Failure {
        let missing = u64::try_from(self.held.remaining_capacity()).unwrap_or_default();
        let (request, can_cancel, wanted) = match self.stage {
            Stage::Donate => (MemoryRequest::Donate, true, missing << DONATE_COUNT_SHIFT),
            Stage::Work => (MemoryRequest::None, true, 0),
            Stage::Reclaim(_) => (MemoryRequest::Reclaim, false, 0),
            Stage::End(_) => (MemoryRequest::None, false, 0),
        };
        Failure { status: Status::incomplete(request, can_cancel), outputs: [output, wanted, 0] }
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

    /// The handle: never 0 or 1, and not that of a former operation of the context.
    pub(super) fn handle(&self) -> u64 {
        let index = u64::try_from(self.index).unwrap_or_default();
        (u64::from(self.context.generation) + 1) << INDEX_BITS | index
    }

    /// Begins an operation. Returns the first answer to the host.
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
    /// [`Status::BLOCKED`] if each has an operation; [`Status::BUSY`] if another CPU is working on
    /// one.
    pub(super) fn reserve(&self) -> Result<Reserved<'_>, Status> {
        let mut error = Status::BLOCKED;
        for (index, context) in self.0.iter().enumerate() {
            match context.try_lock() {
                Some(context) if context.operation.is_none() => {
                    return Ok(Reserved { context, index });
                }
                Some(_) => {}
                None => error = Status::BUSY,
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

    /// Puts these operations, with their handles, into the contexts. The others are as new.
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

/// A page or block of protected memory on its way into a Realm or out of one. It is parked as a
/// stateful operation if an interrupt is pending.
#[derive(Debug)]
pub(super) struct BlockOperation {
    /// The RD, if it holds a reference to it while it is parked.
    pub(super) rd: Option<GranuleAddress>,
    pub(super) stage2: Stage2,
    pub(super) memory: BlockMemory,
    pub(super) way: Way,
}

/// Which way a block goes.
#[derive(Debug)]
pub(super) enum Way {
    /// Into the Realm, at `ipa` to `next`. `base` is where the range of the command begins.
    In { base: Ipa, ipa: Ipa, next: Ipa },
    /// Back to the host. The operation ends with this result.
    Out(Outcome<3>),
}
