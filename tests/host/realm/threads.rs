// SPDX-License-Identifier: BSD-3-Clause
//! Several CPUs at once. Of those that race for an object one gets it, and the others leave nothing
//! behind.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use kit::system::System;
use rmm::granule::State;
use rmm::realm::vmid::{Vmid, VmidChoice, VmidTable};
use rmm::rmi::function;

use kit::realm_fixture::*;
use kit::rmi::fixture::{FIRST, SUCCESS};
use kit::seed;

const THREADS: usize = 4;

#[test]
fn of_those_who_race_for_a_vmid_one_gets_it() {
    let vmids = VmidTable::new();
    let start = Barrier::new(THREADS);
    let won = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for number in 0..=u16::MAX {
                    if number.is_multiple_of(1024) {
                        start.wait();
                    }
                    if vmids.take(VmidChoice::Named(Vmid::new(number))).is_some() {
                        won.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(won.into_inner(), 1 << 16);
    assert_eq!(vmids.take(VmidChoice::Any(16)), None);
    vmids.give_back(Vmid::new(77));
    let named = |number| vmids.take(VmidChoice::Named(Vmid::new(number)));
    assert!(named(76).is_none() && named(78).is_none(), "one is given back, and no other");
    assert_eq!(named(77), Some(Vmid::new(77)));
    // One number that needs more than 8 bits of VMID, and one that does not.
    for number in [300, 77] {
        vmids.give_back(Vmid::new(number));
    }
    assert_eq!(vmids.take(VmidChoice::Any(8)), Some(Vmid::new(77)));
    assert_eq!(vmids.take(VmidChoice::Any(8)), None);
    assert_eq!(vmids.take(VmidChoice::Any(16)), Some(Vmid::new(300)));
}

/// Runs `body` on several CPUs at once, with each CPU's number and a way to call.
fn on_all_cpus(
    fixture: &RealmFixture,
    body: impl Fn(usize, &mut dyn FnMut(u32, &[u64]) -> u64) + Sync,
) {
    let system = &fixture.system;
    std::thread::scope(|scope| {
        for index in 0..THREADS {
            let body = &body;
            scope.spawn(move || {
                kit::machine::attach(&system.machine);
                let mut cpu = System::cpu(index);
                body(index, &mut |function, arguments| {
                    let mut registers = [0; 8];
                    registers[0] = u64::from(function);
                    registers[1..=arguments.len()].copy_from_slice(arguments);
                    let [x0, ..] = system.call(&mut cpu, registers);
                    assert!(cpu.slots.is_empty());
                    x0
                });
            });
        }
    });
}

#[test]
fn of_those_who_create_the_same_realm_one_does() {
    for round in 0..50 {
        let fixture = RealmFixture::new();
        fixture.delegate(&[RD, ROOT, ROOT + 0x1000]);
        // Half of them with another VMID, so that they race for the granules.
        for index in 0..THREADS {
            let vmid = if index % 2 == 0 { 1 } else { 2 };
            let page = FIRST.0 + 0x3_8000 + 0x1000 * index as u64;
            fixture.write_realm(page, &RealmParams { vmid, ..RealmParams::default() });
        }
        let won = AtomicUsize::new(0);
        on_all_cpus(&fixture, |index, call| {
            let page = FIRST.0 + 0x3_8000 + 0x1000 * index as u64;
            match call(function::REALM_CREATE, &[RD, page]) {
                SUCCESS => drop(won.fetch_add(1, Ordering::Relaxed)),
                other => assert_eq!(other, 1),
            }
        });
        assert_eq!(won.into_inner(), 1, "round {round}");
        assert_eq!(fixture.call(function::REALM_DESTROY, &[RD]), SUCCESS);
        // Both VMIDs are free.
        for vmid in [1, 2] {
            assert_eq!(
                fixture.realm_create(RD, &RealmParams { vmid, ..RealmParams::default() }),
                SUCCESS
            );
            assert_eq!(fixture.call(function::REALM_DESTROY, &[RD]), SUCCESS);
        }
    }
}

#[test]
fn cpus_that_build_and_destroy_the_same_realm_at_random_lose_nothing() {
    const CALLS: usize = 5000;
    let fixture = RealmFixture::new();
    let granules = [&[RD, ROOT, ROOT + 0x1000, REC][..], &auxiliary(AUX)].concat();
    fixture.delegate(&granules);
    let pages = [FIRST.0 + 0x3_8000, FIRST.0 + 0x3_9000];
    fixture.write_realm(pages[0], &RealmParams::default());
    fixture.write_rec(pages[1], &RecParams::default());
    let seed = seed::generator("threads").u64(..);
    on_all_cpus(&fixture, |index, call| {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(index as u64));
        for _ in 0..seed::cases(CALLS) {
            let status = match random.u8(0..7) {
                0 => call(function::REALM_CREATE, &[RD, pages[0]]),
                1 => call(function::REALM_ACTIVATE, &[RD]),
                2 => call(function::REALM_DESTROY, &[RD]),
                3 => call(function::REC_CREATE, &[RD, REC, pages[1]]),
                4 => call(function::REC_DESTROY, &[REC]),
                5 => call(function::REC_ENTER, &[REC, pages[0]]),
                _ => call(function::PSCI_COMPLETE, &[REC, RD, 0]),
            };
            assert!(matches!(status, SUCCESS | 1 | ERROR_REALM | ERROR_REC));
        }
    });
    if fixture.state(REC) == Some(State::Rec) {
        assert_eq!(fixture.call(function::REC_DESTROY, &[REC]), SUCCESS);
    }
    if fixture.state(RD) == Some(State::Rd) {
        assert_eq!(fixture.call(function::REALM_DESTROY, &[RD]), SUCCESS);
    }
    fixture.undelegate(&granules);
    assert!(fixture.see().iter().all(|seen| seen.references == 0));
}
