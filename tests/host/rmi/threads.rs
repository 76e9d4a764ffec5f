// SPDX-License-Identifier: BSD-3-Clause
//! Several CPUs at once on the same granules, as threads.

use std::sync::atomic::{AtomicI64, Ordering};

use kit::el3::Pas;
use kit::machine::Machine;
use kit::system::{Storage, System};
use rmm::address::PhysAddr;
use rmm::granule::state::{Data, Delegated, Wiped};
use rmm::granule::{GranuleAddress, LockedGranule, State};
use rmm::percpu::Cpu;
use rmm::rmi::{Dialect, function};

use kit::seed;

const THREADS: usize = 6;
const CALLS: usize = 20_000;
const BASE: u64 = 0x4000_0000;
const GRANULES: usize = 6;
const SECRET: u64 = 0x5ec2_e75e_c2e7;

fn address(index: usize) -> u64 {
    BASE + 0x1000 * u64::try_from(index).expect("small")
}

/// What one CPU does repeatedly. `balance` counts, for each granule, successful delegations minus
/// successful undelegations.
fn run(
    system: &System<'_>,
    cpu: &mut Cpu,
    balance: &[AtomicI64; GRANULES],
    mut random: fastrand::Rng,
) {
    kit::machine::attach(&system.machine);
    for _ in 0..seed::cases(CALLS) {
        let index = random.usize(0..GRANULES);
        let granule = address(index);
        let mut call = |function: u32| {
            let registers = [u64::from(function), granule, 2, 3, 4, 5, 6, 7];
            let after = system.call(cpu, registers);
            assert_eq!(after[1..], [0, 0, 0, 4, 5, 6, 7]);
            assert!(after[0] <= 1, "success or an input error");
            after[0] == 0
        };
        match random.u8(0..8) {
            0..3 => {
                if call(function::GRANULE_DELEGATE) {
                    balance[index].fetch_add(1, Ordering::Relaxed);
                }
            }
            3..5 => {
                if call(function::GRANULE_UNDELEGATE) {
                    balance[index].fetch_sub(1, Ordering::Relaxed);
                }
            }
            // A read by the host may fault, and never shows Realm memory.
            5 => assert_ne!(system.machine.ns_read(granule + 8 * random.u64(0..512)), Ok(SECRET)),
            _ => reuse(system, cpu, granule),
        }
    }
}

/// Takes the granule into use if it is Delegated, and out of it if it is Data.
fn reuse(system: &System<'_>, cpu: &mut Cpu, granule: u64) {
    let at = GranuleAddress::new(PhysAddr::new(granule)).expect("aligned");
    let granules = system.rmm.granules();
    if let Ok(locked) = granules.lock::<Delegated>(cpu.index, at) {
        let wiped: LockedGranule<'_, Wiped> =
            locked.wipe(&mut cpu.slots.delegated).expect("memory answers");
        assert!(
            system.machine.memory.granule_is(granule, 0),
            "the next owner sees what was there before"
        );
        let data: LockedGranule<'_, Data> = wiped.transition();
        system.machine.memory.fill_granule(granule, SECRET);
        drop(data);
    } else if let Ok(locked) = granules.lock::<Data>(cpu.index, at) {
        drop(locked.transition::<Delegated>());
    }
}

#[test]
fn cpus_that_fight_for_the_same_granules_lose_none_and_leak_nothing() {
    let base = PhysAddr::new(BASE);
    let size = 0x1000 * u64::try_from(GRANULES).expect("small");
    let mut storage = Storage::default();
    let machine = Machine::with_dram(&[(BASE, size)]);
    let system = System::boot(&mut storage, machine, Dialect::V1_0, &[(base, size)], &[])
        .expect("the layout is right");
    let balance = [const { AtomicI64::new(0) }; GRANULES];
    let mut random = seed::generator("threads");
    std::thread::scope(|scope| {
        for index in 0..THREADS {
            let (system, balance, random) = (&system, &balance, random.fork());
            scope.spawn(move || run(system, &mut System::cpu(index), balance, random));
        }
    });
    for (index, balance) in balance.iter().enumerate() {
        let at = GranuleAddress::new(PhysAddr::new(address(index))).expect("aligned");
        let state = system.rmm.granules().state(at).expect("it is tracked");
        let pas = system.machine.el3.pas(address(index));
        assert_eq!(
            (state == State::Ns, pas),
            if balance.load(Ordering::Relaxed) == 0 {
                (true, Pas::NonSecure)
            } else {
                (false, Pas::Realm)
            }
        );
        assert!((0..=1).contains(&balance.load(Ordering::Relaxed)));
    }
    assert_eq!(system.rmm.refused_undelegates(), 0);
}
