// SPDX-License-Identifier: BSD-3-Clause
//! The slot buffer: granules mapped with the proof of their guards, and accesses to the host's
//! memory, which may be taken away.

mod auxiliary;
mod mapping;
mod ns;
mod references;

use kit::rmi::fixture;
use kit::system::System;
use rmm::address::PhysAddr;
use rmm::granule::state::{Data, Delegated, Lockable, Transition, Wiped};
use rmm::granule::{LockedGranule, NsGranule};
use rmm::host::Event;
use rmm::mem::{Slot, SlotBuffer};
use rmm::percpu::Cpu;
use rmm::rmi::function;

/// Selects a slot for Realm memory.
type Choose = fn(&mut SlotBuffer) -> &mut Slot;

/// Every single slot for Realm memory, with the number of its page from the first slot.
const SLOTS: [(Choose, u64); 7] = [
    (|slots| &mut slots.delegated, 1),
    (|slots| &mut slots.rd, 2),
    (|slots| &mut slots.rec, 3),
    (|slots| &mut slots.second_rec, 4),
    (|slots| &mut slots.rtt, 21),
    (|slots| &mut slots.second_rtt, 22),
    (|slots| &mut slots.realm_data, 23),
];

/// The virtual address of the first slot, as bits 55:12: the operand of its TLB invalidation.
const FIRST_PAGE: u64 = 0xfff_ffff_ffe0;

/// The host's granule at `address`.
fn host_granule(system: &System<'_>, address: u64) -> NsGranule {
    system.rmm.granules().ns_granule(PhysAddr::new(address)).expect("it is the host's")
}

/// Delegates the granule at `address` and takes it into use, locked.
fn take<'a, S: Lockable>(system: &System<'a>, cpu: &mut Cpu, address: u64) -> LockedGranule<'a, S>
where
    Wiped: Transition<S>,
{
    let status = fixture::call(system, function::GRANULE_DELEGATE, &[address]).0;
    assert_eq!(status, fixture::SUCCESS, "the granule is the host's");
    let at = fixture::granule(address);
    let locked = system.rmm.granules().lock::<Delegated>(cpu.index, at).expect("it is Delegated");
    locked.wipe(&mut cpu.slots.delegated).expect("memory answers").transition()
}

/// As [`take`], for a Data granule.
fn data<'a>(system: &System<'a>, cpu: &mut Cpu, address: u64) -> LockedGranule<'a, Data> {
    take(system, cpu, address)
}

/// What was done to the machine, in order: descriptors stored with their values, and instructions
/// with their operands.
fn steps(events: &[Event]) -> Vec<(&'static str, Option<u64>)> {
    events
        .iter()
        .map(|event| match event {
            Event::Instruction(text, operand) => (*text, *operand),
            Event::Descriptor(_, value) => ("store", Some(*value)),
            other => panic!("{other:?} is no business of a slot"),
        })
        .collect()
}
