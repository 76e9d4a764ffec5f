// SPDX-License-Identifier: BSD-3-Clause
//! Several CPUs at once on the tables of one Realm and of another one. None waits forever.
//! Afterwards every granule can be taken back, which a wrong count would prevent.

use kit::machine::attach;
use kit::system::System;
use rmm::granule::State;
use rmm::host::preset_register;
use rmm::percpu::Cpu;
use rmm::rmi::function;

use crate::granule;
use kit::seed;
use kit::stage2::host::{Host, LOW};
use kit::stage2::model::{GRANULE, SUCCESS, size};

const THREADS: usize = 4;
const CALLS: usize = 20_000;
/// Granules for which the CPUs compete.
const POOL: u64 = 40;
const REALMS: [u64; 2] = [LOW.0 + 0x10_0000, LOW.0 + 0x20_0000];
const IPA_BITS: u32 = 40;
const START: i64 = 1;

/// IPAs that the CPUs use: in two tables of level 3 in each half, and a block.
fn places() -> Vec<u64> {
    let half = 1 << (IPA_BITS - 1);
    [0, half]
        .into_iter()
        .flat_map(|base| {
            [0, 0x1000, 0x2000, 0x20_0000, 0x20_1000, 0x4000_0000].map(|ipa| base + ipa)
        })
        .collect()
}

fn pool(index: u64) -> u64 {
    LOW.0 + 0x4_0000 + index * GRANULE
}

fn call(system: &System<'_>, cpu: &mut Cpu, function: u32, arguments: &[u64]) -> [u64; 5] {
    let mut registers = [0; 8];
    registers[0] = u64::from(function);
    registers[1..=arguments.len()].copy_from_slice(arguments);
    let after = system.call(cpu, registers);
    [after[0], after[1], after[2], after[3], after[4]]
}

/// What one CPU does. Gives how many of its commands succeeded.
fn run(system: &System<'_>, index: usize, mut random: fastrand::Rng) -> usize {
    attach(&system.machine);
    preset_register("ID_AA64MMFR0_EL1", 3 << 40 | 6);
    preset_register("ID_AA64MMFR1_EL1", 2 << 4);
    let mut cpu = System::cpu(index);
    let (places, mut done) = (places(), 0);
    for _ in 0..seed::cases(CALLS) {
        let rd = REALMS[usize::from(random.u8(..4) == 0)];
        let (ipa, page) = (places[random.usize(..places.len())], pool(random.u64(..POOL)));
        let level = random.i64(START + 1..4);
        let below = ipa & !(size(level - 1) - 1);
        let (function, arguments) = match random.u8(..16) {
            0..4 => (function::RTT_CREATE, [rd, page, below, level.cast_unsigned(), 0]),
            4 => (function::RTT_DESTROY, [rd, below, level.cast_unsigned(), 0, 0]),
            5 => (function::RTT_FOLD, [rd, below, level.cast_unsigned(), 0, 0]),
            6 => (function::RTT_READ_ENTRY, [rd, ipa, 3, 0, 0]),
            7..9 => (function::DATA_CREATE_UNKNOWN, [rd, page, ipa, 0, 0]),
            9 => (function::DATA_CREATE, [rd, page, ipa, LOW.0 + 0x8000, 0]),
            10 => (function::DATA_DESTROY, [rd, ipa, 0, 0, 0]),
            11 => (function::RTT_MAP_UNPROTECTED, [rd, ipa, 3, 0x4000_00d8, 0]),
            12 => (function::RTT_UNMAP_UNPROTECTED, [rd, ipa, 3, 0, 0]),
            13 => (function::RTT_INIT_RIPAS, [rd, ipa, ipa + 0x2000, 0, 0]),
            14 => (function::GRANULE_DELEGATE, [page, 0, 0, 0, 0]),
            _ => (function::REALM_DESTROY, [rd, 0, 0, 0, 0]),
        };
        let [status, ..] = call(system, &mut cpu, function, &arguments);
        done += usize::from(status == SUCCESS && function != function::RTT_READ_ENTRY);
        // Sometimes a table is passed as an RD, and the reverse.
        if random.u8(..8) == 0 {
            call(system, &mut cpu, function::RTT_CREATE, &[page, rd, below, level.cast_unsigned()]);
            call(system, &mut cpu, function::GRANULE_UNDELEGATE, &[page]);
        }
    }
    done
}

/// Unmaps and destroys everything at these IPAs of a Realm without knowledge of its tables.
fn take_down(system: &System<'_>, cpu: &mut Cpu, rd: u64) {
    for ipa in places() {
        loop {
            let [status, level, state, ..] =
                call(system, cpu, function::RTT_READ_ENTRY, &[rd, ipa, 3]);
            assert_eq!(status, SUCCESS);
            if state == 0 {
                break;
            }
            let gone = if ipa >> (IPA_BITS - 1) == 0 {
                call(system, cpu, function::DATA_DESTROY, &[rd, ipa])
            } else {
                call(system, cpu, function::RTT_UNMAP_UNPROTECTED, &[rd, ipa, level])
            };
            assert_eq!(gone[0], SUCCESS, "what is at {ipa:#x} goes");
        }
    }
    for level in (START + 1..=3).rev() {
        for ipa in places() {
            let base = ipa & !(size(level - 1) - 1);
            let [_, reached, state, ..] = call(
                system,
                cpu,
                function::RTT_READ_ENTRY,
                &[rd, base, (level - 1).cast_unsigned()],
            );
            if (reached, state) == ((level - 1).cast_unsigned(), 2) {
                let gone =
                    call(system, cpu, function::RTT_DESTROY, &[rd, base, level.cast_unsigned()]);
                assert_eq!(gone[0], SUCCESS, "the table of level {level} at {base:#x} goes");
            }
        }
    }
}

#[test]
fn cpus_that_work_on_the_same_realm_lose_no_granule_and_no_count() {
    let mut host = Host::boot();
    for (vmid, rd) in (1..).zip(REALMS) {
        for address in (rd..rd + 0x20_000).step_by(0x1000) {
            host.delegate(address);
        }
        host.create_realm(rd, rd + 0x1_0000, (IPA_BITS, START, false), vmid);
        // A REC keeps the Realm from being destroyed while its tables are empty.
        host.create_rec(rd, rd + 0x1000);
    }
    let mut random = seed::generator("threads on tables");
    let system = &host.system;
    let done: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|index| {
                let random = random.fork();
                scope.spawn(move || run(system, index, random))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("the CPU comes to its end")).sum()
    });
    assert!(done > seed::cases(CALLS) / 10, "only {done} commands succeeded");
    let mut cpu = System::cpu(0);
    for rd in REALMS {
        take_down(system, &mut cpu, rd);
    }
    for index in 0..POOL {
        let state = system.rmm.granules().state(granule(pool(index)));
        assert!(
            matches!(state, Some(State::Ns | State::Delegated)),
            "{:#x} is {state:?}",
            pool(index)
        );
    }
    for rd in REALMS {
        host.destroy_rec(rd + 0x1000);
        assert!(host.destroy_realm(rd), "the Realm goes");
    }
}
