// SPDX-License-Identifier: BSD-3-Clause
//! The auxiliary granules of a running REC: each part is mapped on first use, and all are unmapped
//! when the run ends.

use std::ops::Range;
use std::sync::atomic::Ordering;

use kit::system::System;
use rmm::address::PhysAddr;
use rmm::granule::state::{Rec, RecAux};
use rmm::granule::{GranuleAddress, LockedGranule, NsGranule};
use rmm::host::record;
use rmm::mem::{
    AUXILIARY, AuxiliaryContent, AuxiliaryOf, AuxiliaryPart, Content, RunMapping, RunningContent,
    RunningRec, SlotBuffer, slot_layout, with_run_mapping,
};
use rmm::percpu::Cpu;
use rmm::rmi::Dialect;

use crate::mapping::{EMPTY, REALM_PAGE};
use crate::{FIRST_PAGE, steps, take};
use kit::rmi::fixture::*;

/// The address of the REC. Its auxiliary granules follow it, in descending order.
const REC: u64 = SECOND.0;

/// A REC for these tests, with only the list of its auxiliary granules.
struct TestRec {
    auxiliary: [GranuleAddress; AUXILIARY],
}

// SAFETY: an address of 0 is valid, and nothing else writes to granules in this state.
unsafe impl Content for TestRec {
    type State = Rec;
}

// SAFETY: the identity is at the start, and the state has no size.
unsafe impl RunningContent for TestRec {
    type Identity = Self;
    type Running = ();
    const RUNNING_OFFSET: usize = 0;

    fn auxiliary(identity: &Self) -> &[GranuleAddress; AUXILIARY] {
        &identity.auxiliary
    }
}

/// The content of an auxiliary granule.
struct Page<const GRANULE: usize>([u64; 512]);

// SAFETY: any bits are valid words, and these tests use no other type.
unsafe impl<const GRANULE: usize> AuxiliaryContent for Page<GRANULE> {
    const GRANULE: usize = GRANULE;
}

fn auxiliary(index: usize) -> u64 {
    REC + 0x1000 * (AUXILIARY - index) as u64
}

/// A page of the host.
fn run_page(system: &System<'_>) -> NsGranule {
    let page = PhysAddr::new(FIRST.0);
    system.rmm.granules().ns_granule(page).expect("memory of the host")
}

/// A REC with its auxiliary granules.
fn rec<'a>(system: &System<'a>, cpu: &mut Cpu) -> LockedGranule<'a, Rec> {
    for index in 0..AUXILIARY {
        drop(take::<RecAux>(system, cpu, auxiliary(index)));
    }
    let rec = take::<Rec>(system, cpu, REC);
    let granules = std::array::from_fn(|index| granule(auxiliary(index)));
    cpu.slots.rec.map(&rec).get_mut::<TestRec>().auxiliary = granules;
    rec
}

#[test]
fn a_part_is_mapped_when_it_is_first_needed_and_unmapped_when_the_run_ends() {
    let system = boot(Dialect::V1_0);
    let mut cpu = System::cpu(0);
    let rec = rec(&system, &mut cpu);
    let mut running = RunningRec::new(&rec).expect("it does not run");
    let SlotBuffer { ns, rec, rec_aux: slots, .. } = &mut cpu.slots;
    let parts = [
        (AuxiliaryPart::Features, 0, 0..3),
        (AuxiliaryPart::Stack, 4, 3..9),
        (AuxiliaryPart::Token, 11, 9..11),
    ];
    let mut check = |(part, slot, granules): (_, u64, Range<usize>),
                     auxiliary_of: AuxiliaryOf<'_>| {
        let (mut run, events) = record(|| slots.running(auxiliary_of));
        assert_eq!(steps(&events), []);
        let (addresses, events) = record(|| run.map(part));
        let first = slot_layout::SlotIndex::RecAux.address().get() + slot * 0x1000;
        let count = granules.len() as u64;
        assert_eq!((addresses.start.get(), addresses.end.get()), (first, first + count * 0x1000));
        let stores = granules.clone().map(|index| ("store", Some(REALM_PAGE | auxiliary(index))));
        let mut expected: Vec<_> = stores.collect();
        expected.extend([("dsb nshst", None), ("isb", None)]);
        assert_eq!(steps(&events), expected);

        let (again, events) = record(|| run.map(part));
        assert_eq!((again, steps(&events)), (addresses, vec![]));

        let ((), events) = record(|| drop(run));
        let mut expected = vec![("store", Some(EMPTY)); granules.len()];
        expected.push(("dsb nshst", None));
        let page = FIRST_PAGE + 5 + slot;
        expected.extend((0..count).map(|index| ("tlbi vale2", Some(page + index))));
        expected.extend([("dsb nsh", None), ("isb", None)]);
        assert_eq!(steps(&events), expected);
    };
    for part in parts {
        let then = |mapping: RunMapping<'_, TestRec>| check(part, mapping.auxiliary);
        with_run_mapping(rec, &mut running, ns, run_page(&system), then);
    }
    assert!(cpu.slots.is_empty());
}

#[test]
fn each_content_is_in_its_own_granule() {
    let system = boot(Dialect::V1_0);
    let mut cpu = System::cpu(0);
    let rec = rec(&system, &mut cpu);
    let mut running = RunningRec::new(&rec).expect("it does not run");
    let SlotBuffer { ns, rec, rec_aux, .. } = &mut cpu.slots;
    macro_rules! mark {
        ($run:ident: $($number:literal)*) => {
            $($run.get::<Page<$number>>().0[511] = 0x100 + $number;)*
            $(assert_eq!($run.get::<Page<$number>>().0[511], 0x100 + $number);)*
        };
    }
    let then = |mapping: RunMapping<'_, TestRec>| {
        let mut run = rec_aux.running(mapping.auxiliary);
        mark!(run: 0 1 2 3 4 5 6 7 8 9 10);
    };
    with_run_mapping(rec, &mut running, ns, run_page(&system), then);
    assert!(cpu.slots.is_empty());
    for index in 0..AUXILIARY {
        let last = system.machine.memory.word(auxiliary(index) + 0xff8).expect("there is memory");
        assert_eq!(last.load(Ordering::Relaxed), 0x100 + index as u64);
    }
}
