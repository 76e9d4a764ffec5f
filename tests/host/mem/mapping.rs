// SPDX-License-Identifier: BSD-3-Clause
//! Granules of Realm memory in slots: what mapping costs, what it shows, and what it leaves.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use kit::seed;
use kit::system::System;
use rmm::granule::LockedGranule;
use rmm::granule::state::{Data, Delegated, Rd, Unused};
use rmm::host::{Event, record};
use rmm::mem::{Content, slot_layout};
use rmm::rmi::Dialect;

use crate::{FIRST_PAGE, SLOTS, data, steps, take};
use kit::rmi::fixture::*;

/// A descriptor of a slot for Realm memory without its address: transient, UXN, PXN, nG, AF, Inner
/// Shareable, read-write, page.
pub(crate) const REALM_PAGE: u64 = 0x00e0_0000_0000_0f03;
/// An empty slot: only the software bit for transient pages.
pub(crate) const EMPTY: u64 = 1 << 55;

/// A Realm Descriptor for these tests.
#[repr(C)]
struct Descriptor {
    state: u64,
    name: [u8; 64],
}

// SAFETY: all bits zero is a valid value, and nothing else writes to granules in this state.
unsafe impl Content for Descriptor {
    type State = Rd;
}

#[test]
fn a_map_is_a_store_a_dsb_and_an_isb_and_an_unmap_a_store_two_dsbs_a_tlbi_and_an_isb() {
    let system = boot(Dialect::V1_0);
    let mut cpu = System::cpu(0);
    let granule = data(&system, &mut cpu, SECOND.0);
    for (slot, page) in SLOTS {
        let (mapping, events) = record(|| slot(&mut cpu.slots).map(&granule));
        let store = ("store", Some(REALM_PAGE | SECOND.0));
        assert_eq!(steps(&events), [store, ("dsb nshst", None), ("isb", None)], "slot {page}");
        let ((), events) = record(|| drop(mapping));
        let invalidation = ("tlbi vale2", Some(FIRST_PAGE + page));
        let unmap = [
            ("store", Some(EMPTY)),
            ("dsb nshst", None),
            invalidation,
            ("dsb nsh", None),
            ("isb", None),
        ];
        assert_eq!(steps(&events), unmap, "slot {page}");
        assert!(cpu.slots.is_empty());
    }
}

#[test]
fn each_slot_shows_its_granule_and_nothing_else_changes() {
    let mut random = seed::generator("mapping");
    let system = boot(Dialect::V1_0);
    let mut cpu = System::cpu(0);
    let (first, second) =
        (data(&system, &mut cpu, SECOND.0), data(&system, &mut cpu, SECOND.0 + 0x2000));
    for _ in 0..seed::cases(2000) {
        let (slot, page) = SLOTS[random.usize(0..SLOTS.len())];
        let (word, value) = (random.usize(0..512), random.u64(..));
        slot(&mut cpu.slots).map(&first).words()[word].store(value, Ordering::Relaxed);
        // Another granule in the same slot shows its own content.
        let mapping = slot(&mut cpu.slots).map(&second);
        assert!(
            mapping.words().iter().all(|word| word.load(Ordering::Relaxed) == 0),
            "slot {page}"
        );
        drop(mapping);
        let mapping = slot(&mut cpu.slots).map(&first);
        assert_eq!(mapping.words()[word].swap(0, Ordering::Relaxed), value, "slot {page}");
    }
    let memory = &system.machine.memory;
    assert!(
        (0..16).all(|index| memory.granule_is(SECOND.0 + 0x1000 * index, 0)),
        "nothing is left, or astray"
    );
}

#[test]
fn every_slot_can_be_mapped_at_once_each_at_a_page_of_its_own() {
    let system = boot(Dialect::V1_0);
    let mut cpu = System::cpu(0);
    let granules: Vec<_> =
        (0..6).map(|index| data(&system, &mut cpu, SECOND.0 + 0x1000 * index)).collect();
    let page = crate::host_granule(&system, FIRST.0);
    let slots = &mut cpu.slots;
    let ((), events) = record(|| {
        let mappings = [
            slots.rd.map(&granules[0]),
            slots.rec.map(&granules[1]),
            slots.second_rec.map(&granules[2]),
            slots.rtt.map(&granules[3]),
            slots.second_rtt.map(&granules[4]),
            slots.realm_data.map(&granules[5]),
        ];
        let host = slots.ns.map(page);
        drop((mappings, host));
    });
    let entries: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Descriptor(entry, value) if *value != EMPTY => Some(*entry),
            _ => None,
        })
        .collect();
    assert_eq!(entries.len(), 7);
    assert_eq!(entries.iter().collect::<HashSet<_>>().len(), 7);
    assert!(cpu.slots.is_empty());
}

#[test]
fn content_has_the_type_of_the_granules_state_and_outlasts_its_mapping() {
    let system = boot(Dialect::V1_0);
    let mut cpu = System::cpu(0);
    let granule: LockedGranule<'_, Rd> = take(&system, &mut cpu, SECOND.0);
    let mut mapping = cpu.slots.rd.map(&granule);
    assert_eq!(mapping.get::<Descriptor>().name, [0; 64], "wiped");
    let descriptor: &mut Descriptor = mapping.get_mut();
    (descriptor.state, descriptor.name[63]) = (7, 8);
    drop(mapping);
    drop(granule);
    // Another CPU maps the granule in another slot.
    let mut other = System::cpu(1);
    let at = kit::rmi::fixture::granule(SECOND.0);
    let unused = system.rmm.granules().lock::<Unused<Rd>>(other.index, at).expect("it is");
    let mapping = other.slots.second_rec.map(&unused);
    let descriptor: &Descriptor = mapping.get();
    assert_eq!((descriptor.state, descriptor.name[62], descriptor.name[63]), (7, 0, 8));
}

#[test]
fn two_cpus_with_different_granules_in_the_same_slot_each_see_their_own() {
    let system = boot(Dialect::V1_0);
    for (slot, page) in SLOTS {
        let (mut one, mut two) = (System::cpu(0), System::cpu(1));
        let base = SECOND.0 + 0x2000 * (page % 8);
        let (first, second) =
            (data(&system, &mut one, base), data(&system, &mut two, base + 0x1000));
        let (mappings, events) =
            record(|| (slot(&mut one.slots).map(&first), slot(&mut two.slots).map(&second)));
        mappings.0.words()[0].store(1, Ordering::Relaxed);
        mappings.1.words()[0].store(2, Ordering::Relaxed);
        assert_eq!(mappings.0.words()[0].load(Ordering::Relaxed), 1);
        assert_eq!(mappings.1.words()[0].load(Ordering::Relaxed), 2);
        let entries: HashSet<_> = events
            .iter()
            .filter_map(
                |event| if let Event::Descriptor(entry, _) = event { Some(*entry) } else { None },
            )
            .collect();
        assert_eq!(entries.len(), 2, "each CPU has tables of its own");
        drop(mappings);
        for granule in [first, second] {
            let at = granule.address().get().get();
            drop(granule.transition::<Delegated>());
            assert_eq!(call(&system, rmm::rmi::function::GRANULE_UNDELEGATE, &[at]).0, SUCCESS);
        }
    }
}

#[test]
fn a_mapping_that_is_never_dropped_is_found_between_commands_and_its_slot_not_used_again() {
    let system = boot(Dialect::V1_0);
    for (slot, page) in SLOTS {
        let mut cpu = System::cpu(0);
        let granule = data(&system, &mut cpu, SECOND.0);
        core::mem::forget(slot(&mut cpu.slots).map(&granule));
        assert!(!cpu.slots.is_empty(), "slot {page}");
        let call = std::panic::AssertUnwindSafe(|| system.call(&mut cpu, [0; 8]));
        assert!(std::panic::catch_unwind(call).is_err(), "slot {page} is found mapped");
        let again = std::panic::AssertUnwindSafe(|| drop(slot(&mut cpu.slots).map(&granule)));
        assert!(std::panic::catch_unwind(again).is_err(), "slot {page} shows two granules");
        drop(granule.transition::<Delegated>());
        assert_eq!(
            kit::rmi::fixture::call(&system, rmm::rmi::function::GRANULE_UNDELEGATE, &[SECOND.0]).0,
            SUCCESS
        );
    }
}

#[test]
fn slots_are_consecutive_pages_and_leave_the_last_page_of_the_address_space_alone() {
    assert_eq!(slot_layout::BASE.get() >> 12 & 0xfff_ffff_ffff, FIRST_PAGE);
    assert_eq!(slot_layout::COUNT, 24);
    assert_eq!(slot_layout::SIZE, 24 * 0x1000);
    assert!(slot_layout::BASE.get().checked_add(slot_layout::SIZE + 0x1000).is_some());
}

#[test]
fn a_granule_mapped_as_data_is_data() {
    let system = boot(Dialect::V1_0);
    let mut cpu = System::cpu(0);
    let granule = data(&system, &mut cpu, SECOND.0);
    let mapping = cpu.slots.realm_data.map(&granule);
    mapping.words()[3].store(9, Ordering::Relaxed);
    drop(mapping);
    let back: LockedGranule<'_, Data> = granule;
    // Taken out of use and into another, it is wiped.
    drop(back.transition::<Delegated>());
    let locked =
        system.rmm.granules().lock::<Delegated>(cpu.index, kit::rmi::fixture::granule(SECOND.0));
    let again: LockedGranule<'_, Data> =
        locked.expect("it is").wipe(&mut cpu.slots.delegated).expect("memory answers").transition();
    let mapping = cpu.slots.realm_data.map(&again);
    assert!(mapping.words().iter().all(|word| word.load(Ordering::Relaxed) == 0));
}
