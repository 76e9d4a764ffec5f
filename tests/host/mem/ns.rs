// SPDX-License-Identifier: BSD-3-Clause
//! Access to the host's memory: bounded, aligned, and refused after the host has taken it away.

use std::sync::atomic::Ordering;

use kit::el3::Pas;
use kit::system::System;
use rmm::address::PhysAddr;
use rmm::host::record;
use rmm::mem::NsAccessError;
use rmm::rmi::Dialect;
use zerocopy::{FromBytes, IntoBytes};

use crate::{FIRST_PAGE, data, host_granule, steps};
use kit::rmi::fixture::*;

#[test]
fn words_land_where_they_are_meant_to_and_nowhere_else() {
    let system = boot(Dialect::V1_0);
    let mut slots = System::cpu(0).slots;
    let page = host_granule(&system, SECOND.0);
    let words = [1, 2, 3];
    assert_eq!(slots.ns.write(page, 0xfe8, &words), Ok(()));
    let mut read = [0; 4];
    assert_eq!(slots.ns.read(page, 0xfe0, &mut read), Ok(()));
    assert_eq!(read, [0, 1, 2, 3]);
    assert!(system.machine.memory.granule_is(SECOND.0 + 0x1000, 0));
    assert!(slots.is_empty());
}

#[test]
fn words_that_are_unaligned_or_pass_the_end_of_the_granule_are_refused() {
    let system = boot(Dialect::V1_0);
    let mut slots = System::cpu(0).slots;
    let page = host_granule(&system, SECOND.0);
    for (offset, count) in
        [(1, 1), (4, 1), (0x1000, 1), (0xff8, 2), (0, 513), (8, 512), (!7, 1), (!7, 3), (0x1008, 0)]
    {
        let mut words = vec![0; count];
        assert_eq!(
            slots.ns.read(page, offset, &mut words),
            Err(NsAccessError::Bounds),
            "{offset:#x}"
        );
        assert_eq!(slots.ns.write(page, offset, &words), Err(NsAccessError::Bounds), "{offset:#x}");
    }
    let mut words = vec![0; 512];
    assert_eq!(slots.ns.read(page, 0, &mut words), Ok(()));
}

#[test]
fn memory_of_another_world_is_a_fault_that_is_survived() {
    let system = boot(Dialect::V1_0);
    let mut slots = System::cpu(0).slots;
    let page = host_granule(&system, SECOND.0);
    for pas in [Pas::Secure, Pas::Realm, Pas::Root] {
        system.machine.el3.set_pas(SECOND.0, pas);
        let fault = Err(NsAccessError::Aborted);
        assert_eq!(slots.ns.read(page, 0, &mut [0]), fault);
        assert_eq!(slots.ns.write(page, 0, &[1]), fault);
    }
    assert!(system.machine.memory.granule_is(SECOND.0, 0));
}

/// A structure such as those of the ABI, for these tests.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes)]
struct Parameters {
    flags: u64,
    name: [u8; 16],
    list: [u64; 20],
}

const PARAMETERS: Parameters = Parameters { flags: 1, name: *b"of a test, plain", list: [3; 20] };

#[test]
fn a_structure_is_copied_as_it_is() {
    let system = boot(Dialect::V1_0);
    let mut slots = System::cpu(0).slots;
    let page = host_granule(&system, SECOND.0);
    let last = 0x1000 - size_of::<Parameters>() as u64;
    for offset in [0, 8, 0x80, last] {
        assert_eq!(slots.ns.write_value(page, offset, &PARAMETERS), Ok(()));
        assert_eq!(slots.ns.read_value(page, offset), Ok(PARAMETERS));
    }
    assert_eq!(slots.ns.read_value::<Parameters>(page, last + 8), Err(NsAccessError::Bounds));
    assert_eq!(slots.ns.write_value(page, 4, &PARAMETERS), Err(NsAccessError::Bounds));
}

#[test]
fn a_structure_is_what_the_host_had_there_when_it_was_copied() {
    let system = boot(Dialect::V1_0);
    let mut slots = System::cpu(0).slots;
    let page = host_granule(&system, SECOND.0);
    slots.ns.write_value(page, 0, &PARAMETERS).expect("it is the host's");
    let copy: Parameters = slots.ns.read_value(page, 0).expect("it is the host's");
    system.machine.memory.fill_granule(SECOND.0, u64::MAX);
    assert_eq!(copy, PARAMETERS);
}

#[test]
fn an_access_of_the_hosts_memory_maps_it_as_the_host_does_and_once() {
    let system = boot(Dialect::V1_0);
    let mut slots = System::cpu(0).slots;
    let page = host_granule(&system, SECOND.0);
    // As for Realm memory, but in the Non-secure physical address space.
    let map =
        [("store", Some(0x00e0_0000_0000_0f23 | SECOND.0)), ("dsb nshst", None), ("isb", None)];
    let unmap = [
        ("store", Some(1 << 55)),
        ("dsb nshst", None),
        ("tlbi vale2", Some(FIRST_PAGE)),
        ("dsb nsh", None),
        ("isb", None),
    ];
    let expected: Vec<_> = map.into_iter().chain(unmap).collect();
    let (result, events) = record(|| slots.ns.read(page, 0, &mut [0; 512]));
    assert_eq!((result, steps(&events)), (Ok(()), expected.clone()));
    let (result, events) = record(|| slots.ns.write(page, 0, &[0; 512]));
    assert_eq!((result, steps(&events)), (Ok(()), expected.clone()));
    let (result, events) = record(|| {
        let mapping = slots.ns.map(page);
        (0..64).try_for_each(|line| mapping.write(64 * line, &[7; 8]))
    });
    assert_eq!((result, steps(&events)), (Ok(()), expected));
}

/// Whether every granule except those at `except` is as [`mark`] left it.
fn untouched(system: &System<'_>, except: &[u64]) -> bool {
    [FIRST, SECOND].iter().all(|(base, size)| {
        (*base..base + size)
            .step_by(0x1000)
            .filter(|address| !except.contains(address))
            .all(|address| system.machine.memory.granule_is(address, address))
    })
}

/// Fills every granule with its own address.
fn mark(system: &System<'_>) {
    for (base, size) in [FIRST, SECOND] {
        for address in (base..base + size).step_by(0x1000) {
            system.machine.memory.fill_granule(address, address);
        }
    }
}

#[test]
fn a_fault_at_any_access_of_a_read_is_an_error_and_touches_nothing() {
    for (offset, count) in [(0, 512), (0, 1), (0xff8, 1), (0x18, 13)] {
        for after in 0..count {
            let system = boot(Dialect::V1_0);
            mark(&system);
            let mut slots = System::cpu(0).slots;
            let page = host_granule(&system, SECOND.0);
            system.machine.take_away_after(after);
            let mut words = vec![0; usize::try_from(count).expect("small")];
            let result = slots.ns.read(page, offset, &mut words);
            assert_eq!(result, Err(NsAccessError::Aborted), "after {after} of {count}");
            assert!(
                words.iter().all(|word| [0, SECOND.0].contains(word)),
                "words of somewhere else"
            );
            assert!(untouched(&system, &[]), "a read writes");
            assert!(slots.is_empty(), "after {after} of {count}");
        }
    }
}

#[test]
fn a_fault_at_any_access_of_a_write_is_an_error_and_touches_no_other_granule() {
    for (offset, count) in [(0, 512), (0, 1), (0xff8, 1), (0x18, 13)] {
        for after in 0..count {
            let system = boot(Dialect::V1_0);
            mark(&system);
            let mut slots = System::cpu(0).slots;
            let page = host_granule(&system, SECOND.0);
            system.machine.take_away_after(after);
            let words = vec![0xabcd; usize::try_from(count).expect("small")];
            let result = slots.ns.write(page, offset, &words);
            assert_eq!(result, Err(NsAccessError::Aborted), "after {after} of {count}");
            assert!(untouched(&system, &[SECOND.0]), "after {after} of {count}");
            // Exactly the words before the page was taken away have been written.
            let content = system.machine.memory.granule(SECOND.0).expect("there is memory");
            for (index, word) in (0..).zip(content) {
                let written = (offset / 8..offset / 8 + after).contains(&index);
                let expected = if written { 0xabcd } else { SECOND.0 };
                assert_eq!(
                    word.load(Ordering::Relaxed),
                    expected,
                    "word {index} after {after} of {count}"
                );
            }
            assert!(slots.is_empty(), "after {after} of {count}");
        }
    }
}

#[test]
fn a_fault_at_any_access_of_a_granules_copy_is_an_error_and_touches_the_copy_alone() {
    let (from, to) = (SECOND.0, SECOND.0 + 0x1000);
    for after in 0..=512 {
        let system = boot(Dialect::V1_0);
        let mut cpu = System::cpu(0);
        mark(&system);
        let granule = data(&system, &mut cpu, to);
        let page = host_granule(&system, from);
        if after < 512 {
            system.machine.take_away_after(after);
        }
        let mut mapping = cpu.slots.realm_data.map(&granule);
        let result = cpu.slots.ns.copy_granule(page, &mut mapping);
        let copied =
            mapping.words().iter().filter(|word| word.load(Ordering::Relaxed) == from).count();
        drop(mapping);
        let expected = if after < 512 { Err(NsAccessError::Aborted) } else { Ok(()) };
        assert_eq!((result, copied), (expected, usize::try_from(after).expect("small")));
        assert!(untouched(&system, &[to]), "after {after}");
        assert!(cpu.slots.is_empty(), "after {after}");
    }
}

#[test]
fn two_cpus_in_the_hosts_memory_at_once_do_not_leak_into_one_another() {
    let system = boot(Dialect::V1_0);
    let (mut one, mut two) = (System::cpu(0).slots, System::cpu(1).slots);
    let (first, second) =
        (one.ns.map(host_granule(&system, FIRST.0)), two.ns.map(host_granule(&system, SECOND.0)));
    assert_eq!((first.write(8, &[1]), second.write(8, &[2])), (Ok(()), Ok(())));
    let mut words = [0; 2];
    let (a, b) = words.split_at_mut(1);
    assert_eq!((first.read(8, a), second.read(8, b)), (Ok(()), Ok(())));
    assert_eq!(words, [1, 2]);
}

#[test]
fn only_memory_that_is_not_in_use_is_the_hosts() {
    let system = boot(Dialect::V1_0);
    let mut cpu = System::cpu(0);
    let host = |address| system.rmm.granules().ns_granule(PhysAddr::new(address));
    for address in
        [CARVE_OUT.0, DEVICE, 0, SECOND.0 + SECOND.1, SECOND.0 + 1, SECOND.0 + 8, u64::MAX, !0xfff]
    {
        assert_eq!(host(address), None, "{address:#x}");
    }
    assert_eq!(host(SECOND.0).map(|granule| granule.address()), Some(granule(SECOND.0)));
    let used = data(&system, &mut cpu, SECOND.0);
    assert_eq!(host(SECOND.0), None, "in use");
    drop(used.transition::<rmm::granule::state::Delegated>());
    assert_eq!(host(SECOND.0), None, "delegated");
    assert_eq!(call(&system, rmm::rmi::function::GRANULE_UNDELEGATE, &[SECOND.0]).0, SUCCESS);
    assert!(host(SECOND.0).is_some());
}
