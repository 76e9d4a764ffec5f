// SPDX-License-Identifier: BSD-3-Clause
//! Stateful operations: commands that the host finishes with further calls, from any CPU.
//!
//! A command that needs memory, or gives memory back, takes a context of a fixed pool and answers
//! RMI_INCOMPLETE with a handle. The host goes on with the call that the answer asks for. What an
//! operation holds is in its context and nowhere else, so that it comes back however the host goes
//! on.

use arrayvec::ArrayVec;
use spin::{Mutex, MutexGuard};

use super::list::{AddressList, RangeDescriptor};
use super::memory::BlockOperation;
use super::rec;
use crate::abi::rmi_v2::DONATE_COUNT_SHIFT;
use crate::address::PhysAddr;
use crate::granule::GranuleAddress;
use crate::mem::AUXILIARY;
use crate::percpu::Cpu;
use crate::realm::rec::lifecycle;
use crate::rmi::call::{Failure, MemoryRequest, Outcome, Status};
use crate::rmi::state::Rmm;

/// Operations that hosts may have begun at a time.
const CONTEXTS: usize = 64;
/// Bits of a handle that are the index of a context. The others are not 0: no handle is mistaken
/// for flags.
const INDEX_BITS: u32 = 8;
static_assertions::const_assert!(CONTEXTS <= 1 << INDEX_BITS);

/// The contexts of operations.
#[derive(Debug)]
pub struct OperationPool([Mutex<Context>; CONTEXTS]);

/// A context. While a CPU works on its operation, that CPU has it locked; nobody waits.
#[derive(Debug)]
pub(super) struct Context {
    /// How many operations the context has had.
    generation: u32,
    operation: Option<Operation>,
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
    /// What the host is told first.
    fn incomplete(&self, handle: u64) -> Failure {
        match self {
            Self::Rec(operation) => operation.incomplete(handle),
            Self::Block(_) => go_on(handle),
        }
    }

    /// The operation on a REC, if it is one: only these take or give back memory.
    fn on_rec(&mut self) -> Result<&mut RecOperation, Status> {
        match self {
            Self::Rec(operation) => Ok(operation),
            Self::Block(_) => Err(Status::Input),
        }
    }
}

/// The answer that has the host continue.
fn go_on(handle: u64) -> Failure {
    let status = Status::Incomplete { request: MemoryRequest::None, can_cancel: false };
    Failure { status, outputs: [handle, 0, 0] }
}

/// The creation or destruction of a REC.
#[derive(Debug)]
pub(super) struct RecOperation {
    /// What is done when it has all it needs.
    pub(super) work: Work,
    /// The PARTIAL granule of a REC that is being created or destroyed.
    pub(super) partial: Option<GranuleAddress>,
    /// Auxiliary granules that it holds.
    pub(super) held: ArrayVec<GranuleAddress, AUXILIARY>,
    pub(super) stage: Stage,
}

/// What an operation does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// It only gives back what it holds.
    Nothing,
    /// RMI_REC_CREATE, with the parameters at this address.
    CreateRec { rd: GranuleAddress, params: PhysAddr },
}

/// What the host is to do next, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
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

    /// Does the work. If it fails, only what it holds is left.
    fn work(&mut self, rmm: &Rmm<'_>, cpu: &mut Cpu) -> Result<(), Status> {
        match (self.work, self.partial.take()) {
            (Work::CreateRec { rd, params }, Some(rec)) => {
                rec::complete(rmm, cpu, rd, rec, params, &self.held)
            }
            _ => Err(Status::Input),
        }
    }

    /// Continues. Gives the end.
    ///
    /// # Errors
    ///
    /// The answer of an operation that has not ended.
    fn go_on(
        &mut self,
        rmm: &Rmm<'_>,
        cpu: &mut Cpu,
        handle: u64,
    ) -> Result<Result<(), Status>, Failure> {
        match self.stage {
            Stage::Donate | Stage::Reclaim(_) => Err(Status::Input.into()),
            Stage::Work => match self.work(rmm, cpu) {
                Ok(()) => Ok(Ok(())),
                Err(error) => {
                    self.give_back(Err(error));
                    match self.stage {
                        Stage::End(result) => Ok(result),
                        _ => Err(self.incomplete(handle)),
                    }
                }
            },
            Stage::End(result) => {
                self.release(rmm, cpu);
                Ok(result)
            }
        }
    }

    /// Gives up the granule of the REC.
    fn release(&mut self, rmm: &Rmm<'_>, cpu: &mut Cpu) {
        if let Some(rec) = self.partial.take() {
            lifecycle::release(&rmm.granules, cpu, rec);
        }
    }

    /// What the host is told: RMI_INCOMPLETE, with `output` in x1, and what to donate in x2.
    fn incomplete(&self, output: u64) -> Failure {
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
    /// Never 0 or 1, and not that of the context's former operations.
    fn handle(&self) -> u64 {
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
        Self([const { Mutex::new(Context { generation: 0, operation: None }) }; CONTEXTS])
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
    fn find(&self, handle: u64) -> Option<Reserved<'_>> {
        let index = usize::try_from(handle & ((1 << INDEX_BITS) - 1)).ok()?;
        let context = self.0.get(index)?.try_lock()?;
        let found = Reserved { context, index };
        (found.context.operation.is_some() && found.handle() == handle).then_some(found)
    }
}

impl Default for OperationPool {
    fn default() -> Self {
        Self::new()
    }
}

/// The operation that the host names: by the first argument, or by the second, where betas of the
/// ABI have flags in the first.
fn named<'a>(rmm: &Rmm<'a>, first: u64, second: u64) -> Result<Reserved<'a>, Status> {
    let pool = rmm.operations;
    pool.find(first).or_else(|| pool.find(second)).ok_or(Status::Input)
}

/// RMI_OP_CONTINUE. One of the arguments is the handle, the other flags: whether to stop early,
/// which no operation does.
pub(super) fn op_continue(rmm: &Rmm<'_>, cpu: &mut Cpu, handle: u64, flags: u64) -> Outcome<3> {
    let mut reserved = named(rmm, handle, flags)?;
    let handle = reserved.handle();
    let slot = &mut reserved.context.operation;
    let outcome = match slot.as_mut().ok_or(Status::Input)? {
        Operation::Rec(operation) => {
            operation.go_on(rmm, cpu, handle)?.map(|()| [0; 3]).map_err(Failure::from)
        }
        Operation::Block(operation) => {
            let outcome = operation.run(rmm, cpu).ok_or(go_on(handle))?;
            operation.end(rmm);
            outcome
        }
    };
    *slot = None;
    outcome
}

/// RMI_OP_CANCEL, of an operation that has not done its work. The host reclaims what it has donated.
pub(super) fn op_cancel(rmm: &Rmm<'_>, cpu: &mut Cpu, handle: u64, flags: u64) -> Outcome {
    let mut reserved = named(rmm, handle, flags)?;
    let operation = reserved.context.operation.as_mut().ok_or(Status::Input)?.on_rec()?;
    if !matches!(operation.stage, Stage::Donate | Stage::Work) {
        return Err(Status::Input.into());
    }
    operation.release(rmm, cpu);
    operation.give_back(Err(Status::Input));
    Err(operation.incomplete(0))
}

/// RMI_OP_MEM_DONATE. `list` is an address list of the host, `count` its length. `consumed` is the
/// number of granules that the operation has taken, from the first on.
pub(super) fn op_mem_donate(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    handle: u64,
    list: PhysAddr,
    count: u64,
) -> Outcome<2> {
    let mut reserved = rmm.operations.find(handle).ok_or(Status::Input)?;
    let operation = reserved.context.operation.as_mut().ok_or(Status::Input)?.on_rec()?;
    if operation.stage != Stage::Donate {
        return Err(Status::Input.into());
    }
    let list = AddressList::new(&rmm.granules, list, count)?;
    let page = cpu.slots.ns.map(list.page());
    let mut donated: ArrayVec<GranuleAddress, AUXILIARY> = ArrayVec::new();
    for index in 0..list.len() {
        let range = RangeDescriptor::decode(list.read(&page, index)?);
        if range.count == 0 {
            continue;
        }
        let range = range.granules().filter(|_| range.is_delegated()).ok_or(Status::Input)?;
        for granule in range {
            let is_wanted = donated.len() < operation.held.remaining_capacity();
            donated.try_push(granule).ok().filter(|()| is_wanted).ok_or(Status::Input)?;
        }
    }
    drop(page);
    let mut consumed = 0;
    for granule in donated {
        if lifecycle::donate(&rmm.granules, cpu, granule).is_err() {
            if consumed == 0 {
                operation.release(rmm, cpu);
                operation.give_back(Err(Status::Input));
                return Err(operation.incomplete(0));
            }
            break;
        }
        operation.held.push(granule);
        consumed += 1;
    }
    if operation.held.is_full() {
        operation.stage = Stage::Work;
    }
    Err(operation.incomplete(consumed))
}

/// RMI_OP_MEM_RECLAIM. `list` is where the host wants an address list, with room for `capacity`
/// entries. `written` is how many there are.
pub(super) fn op_mem_reclaim(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    handle: u64,
    list: PhysAddr,
    capacity: u64,
) -> Outcome<1> {
    let mut reserved = rmm.operations.find(handle).ok_or(Status::Input)?;
    let operation = reserved.context.operation.as_mut().ok_or(Status::Input)?.on_rec()?;
    let Stage::Reclaim(result) = operation.stage else { return Err(Status::Input.into()) };
    let list = AddressList::new(&rmm.granules, list, capacity)?;
    let page = cpu.slots.ns.map(list.page());
    operation.held.sort_unstable();
    let mut ranges: ArrayVec<RangeDescriptor, AUXILIARY> = ArrayVec::new();
    let mut reclaimed = 0;
    for granule in &operation.held {
        let extended = ranges.last_mut().is_some_and(|last| last.append(*granule));
        if !extended && ranges.len() == list.len() {
            break;
        }
        if !extended {
            ranges.push(RangeDescriptor::page(*granule));
        }
        reclaimed += 1;
    }
    for (index, range) in ranges.iter().enumerate() {
        list.write(&page, index, range.encode())?;
    }
    drop(page);
    for granule in operation.held.drain(..reclaimed) {
        lifecycle::give_back(&rmm.granules, cpu, granule);
    }
    operation.give_back(result);
    Err(operation.incomplete(u64::try_from(ranges.len()).unwrap_or_default()))
}
