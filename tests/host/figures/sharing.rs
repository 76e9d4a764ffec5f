// SPDX-License-Identifier: BSD-3-Clause
//! CPUs that work on granules of their own share no cache line.
//!
//! Seen to fail: a lock that counts in one place how often any granule is locked.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use kit::system::System;
use rmm::host::atomic::{self, Access};
use rmm::rmi::Dialect;

use crate::{BANK, boot, figure, granule};

const DELEGATE: u64 = 0xC400_0151;
const UNDELEGATE: u64 = 0xC400_0152;
const RANGE_DELEGATE: u64 = 0xC400_01F1;
const RANGE_UNDELEGATE: u64 = 0xC400_01F2;

/// Granules of each CPU: 16 MiB.
const OWN: u64 = 4096;
/// Distance between the granules of two CPUs. Records of adjacent granules may share a line.
const STRIDE: u64 = 2 * OWN;
/// Bytes of a cache line.
const LINE: usize = 64;

/// The atomic accesses of one call, which must succeed.
fn call(system: &System<'_>, cpu: usize, registers: [u64; 4]) -> Vec<Access> {
    let [x0, x1, x2, x3] = registers;
    let mut cpu = System::cpu(cpu);
    let (answer, accesses) = atomic::record(|| system.call(&mut cpu, [x0, x1, x2, x3, 0, 0, 0, 0]));
    assert_eq!(answer[0], 0, "call {registers:x?}");
    accesses
}

#[test]
fn a_granule_moves_with_two_atomic_accesses() {
    let at = granule(5).get().get();
    let system = boot(Dialect::V1_0);
    // The first delegation also locks the granule to read its memory.
    for (name, command, expected) in [
        ("RMI_GRANULE_DELEGATE, the first time", DELEGATE, 4),
        ("RMI_GRANULE_UNDELEGATE, the first time", UNDELEGATE, 2),
        ("RMI_GRANULE_DELEGATE", DELEGATE, 2),
        ("RMI_GRANULE_UNDELEGATE", UNDELEGATE, 2),
    ] {
        let accesses = call(&system, 0, [command, at, 0, 0]);
        assert_eq!(accesses.len(), expected, "{name}: {accesses:x?}");
        figure("Sharing", &format!("atomic accesses, {name}"), accesses.len());
    }
}

#[test]
fn cpus_that_move_granules_of_their_own_share_no_cache_line() {
    assert_eq!(BANK.1, 8 * STRIDE * 0x1000, "each of 8 CPUs has granules of its own");
    let system = &boot(Dialect::V2_0);
    for cpus in [1, 2, 4, 8] {
        let work = |cpu: usize| {
            kit::machine::attach(&system.machine);
            let first = u64::try_from(cpu).expect("small") * STRIDE;
            let (base, top) =
                (granule(first).get().get(), granule(first).get().get() + OWN * 0x1000);
            let moved = || {
                [RANGE_DELEGATE, RANGE_UNDELEGATE]
                    .map(|command| call(system, cpu, [command, base, top, 0]))
            };
            // The first delegation of each granule also reads its memory.
            moved();
            moved().concat()
        };
        let touched: Vec<Vec<Access>> = thread::scope(|threads| {
            let all: Vec<_> = (0..cpus).map(|cpu| threads.spawn(move || work(cpu))).collect();
            all.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });

        let mut owners = BTreeMap::<usize, BTreeSet<usize>>::new();
        let mut written = BTreeSet::new();
        for (cpu, accesses) in touched.iter().enumerate() {
            // Each command reads the RMM's state once.
            assert_eq!(accesses.len(), 4 * 4096 + 2, "two for each granule, there and back");
            for access in accesses {
                owners.entry(access.address / LINE).or_default().insert(cpu);
                if access.write {
                    written.insert(access.address / LINE);
                }
            }
        }
        let shared = owners
            .iter()
            .filter(|(line, owners)| written.contains(line) && owners.len() > 1)
            .count();
        assert_eq!(shared, 0, "of {} lines", owners.len());
        figure(
            "Sharing",
            &format!("cache lines that {cpus} CPUs share, 16 MiB each, there and back"),
            shared,
        );
    }
}
