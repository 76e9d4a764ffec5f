// SPDX-License-Identifier: BSD-3-Clause
//! The commands by which a host continues a stateful operation, from any CPU.
//!
//! A command that needs memory of the host, or gives some back, takes a context of a fixed pool and
//! answers RMI_INCOMPLETE with a handle. The host continues with the call that the answer asks for.

use arrayvec::ArrayVec;

use super::list::{AddressList, RangeDescriptor};
use super::rec;
use crate::address::PhysAddr;
use crate::granule::{GranuleAddress, sort_few};
use crate::mem::AUXILIARY;
use crate::percpu::Cpu;
use crate::realm::rec::lifecycle;
use crate::rmi::call::{Failure, Outcome, Status};
use crate::rmi::operations::{Operation, RecOperation, Reserved, Stage, Work, go_on};
use crate::rmi::state::Rmm;

impl RecOperation {
    /// Does the work. If it fails, the operation still holds what the host donated.
    fn work(&mut self, rmm: &Rmm<'_>, cpu: &mut Cpu) -> Result<(), Status> {
        match (self.work, self.partial.take()) {
            (Work::CreateRec { rd, params }, Some(rec)) => {
                rec::complete(rmm, cpu, rd, rec, params, &self.held)
            }
            _ => Err(Status::INPUT),
        }
    }

    /// Continues. Returns the result with which the operation ends.
    ///
    /// # Errors
    ///
    /// The answer, if the operation has not ended.
    fn go_on(
        &mut self,
        rmm: &Rmm<'_>,
        cpu: &mut Cpu,
        handle: u64,
    ) -> Result<Result<(), Status>, Failure> {
        match self.stage {
            Stage::Donate | Stage::Reclaim(_) => Err(Status::INPUT.into()),
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
}

/// The operation that the host names: by the first argument, or by the second in betas that have
/// flags in the first.
fn named<'a>(rmm: &Rmm<'a>, first: u64, second: u64) -> Result<Reserved<'a>, Status> {
    let pool = rmm.operations;
    pool.find(first).or_else(|| pool.find(second)).ok_or(Status::INPUT)
}

/// RMI_OP_CONTINUE. One of the arguments is the handle, the other has flags: they may ask to stop
/// early, which no operation does.
pub(super) fn op_continue(rmm: &Rmm<'_>, cpu: &mut Cpu, handle: u64, flags: u64) -> Outcome<3> {
    let mut reserved = named(rmm, handle, flags)?;
    let handle = reserved.handle();
    let slot = reserved.operation();
    let outcome = match slot.as_mut().ok_or(Status::INPUT)? {
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

/// RMI_OP_CANCEL, of an operation that has not done its work. The host reclaims what it has
/// donated.
pub(super) fn op_cancel(rmm: &Rmm<'_>, cpu: &mut Cpu, handle: u64, flags: u64) -> Outcome {
    let mut reserved = named(rmm, handle, flags)?;
    let operation = reserved.operation().as_mut().ok_or(Status::INPUT)?.on_rec()?;
    if !matches!(operation.stage, Stage::Donate | Stage::Work) {
        return Err(Status::INPUT.into());
    }
    operation.release(rmm, cpu);
    operation.give_back(Err(Status::INPUT));
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
    let mut reserved = rmm.operations.find(handle).ok_or(Status::INPUT)?;
    let operation = reserved.operation().as_mut().ok_or(Status::INPUT)?.on_rec()?;
    if operation.stage != Stage::Donate {
        return Err(Status::INPUT.into());
    }
    let list = AddressList::new(&rmm.granules, list, count)?;
    let page = cpu.slots.ns.map(list.page());
    let mut donated: ArrayVec<GranuleAddress, AUXILIARY> = ArrayVec::new();
    let mut next = 0;
    while let Some(word) = list.next(&page, &mut next)? {
        let range = RangeDescriptor::decode(word);
        let range = range.granules().filter(|_| range.is_delegated()).ok_or(Status::INPUT)?;
        for granule in range {
            let is_wanted = donated.len() < operation.held.remaining_capacity();
            donated.try_push(granule).ok().filter(|()| is_wanted).ok_or(Status::INPUT)?;
        }
    }
    drop(page);
    let mut consumed = 0;
    for granule in donated {
        if lifecycle::donate(&rmm.granules, cpu, granule).is_err() {
            if consumed == 0 {
                operation.release(rmm, cpu);
                operation.give_back(Err(Status::INPUT));
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

/// RMI_OP_MEM_RECLAIM. The address list is written to `list`, which has room for `capacity`
/// entries. `written` is the number of entries.
pub(super) fn op_mem_reclaim(
    rmm: &Rmm<'_>,
    cpu: &mut Cpu,
    handle: u64,
    list: PhysAddr,
    capacity: u64,
) -> Outcome<1> {
    let mut reserved = rmm.operations.find(handle).ok_or(Status::INPUT)?;
    let operation = reserved.operation().as_mut().ok_or(Status::INPUT)?.on_rec()?;
    let Stage::Reclaim(result) = operation.stage else { return Err(Status::INPUT.into()) };
    let list = AddressList::new(&rmm.granules, list, capacity)?;
    let page = cpu.slots.ns.map(list.page());
    sort_few(&mut operation.held);
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
