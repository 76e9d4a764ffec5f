// SPDX-License-Identifier: BSD-3-Clause
//! Stateful operations of RMI 2.0. Several CPUs take handles, granules and RECs from each other,
//! and every granule comes back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use kit::realm_fixture::*;
use kit::rmi::fixture::{FIRST, SUCCESS};
use kit::seed;
use kit::system::System;
use rmm::granule::State;
use rmm::percpu::Cpu;
use rmm::rmi::{Dialect, function};

const THREADS: usize = 4;
/// Calls of each CPU.
const CALLS: usize = 50_000;
/// Granules that all CPUs donate and create RECs from.
const POOL: u64 = 0x20;

const ERROR_INPUT: u64 = 1;
const BUSY: u64 = 10;
const BLOCKED: u64 = 14;
const DONATE: u64 = INCOMPLETE | 1 << 8 | 1 << 10;
const RECLAIM: u64 = INCOMPLETE | 2 << 8;

fn pool(index: u64) -> u64 {
    FIRST.0 + 0x4_0000 + 0x1000 * (index % POOL)
}

/// An operation.
#[derive(Clone, Copy, Debug)]
struct Operation {
    handle: u64,
    /// Whether it creates a REC.
    creates: bool,
    /// The last answer that was not an error.
    answered: u64,
}

/// What all CPUs share.
struct World {
    fixture: RealmFixture,
    /// Operations that, as far as a CPU knows, have begun and not ended.
    live: Mutex<Vec<Operation>>,
    /// All handles given out so far.
    handles: Mutex<Vec<u64>>,
    /// The index of the next REC, as far as a CPU knows.
    recs: AtomicU64,
}

/// A CPU with its own pages for lists and parameters.
struct Host<'w> {
    world: &'w World,
    cpu: Cpu,
    random: fastrand::Rng,
    list: u64,
    parameters: u64,
}

impl Host<'_> {
    fn call(&mut self, function: u32, arguments: &[u64]) -> [u64; 4] {
        let mut registers = [0; 8].map(|_: u64| self.random.u64(..));
        registers[0] = u64::from(function);
        registers[1..=arguments.len()].copy_from_slice(arguments);
        let after = self.world.fixture.system.call(&mut self.cpu, registers);
        assert!(self.cpu.slots.is_empty());
        [after[0], after[1], after[2], after[3]]
    }

    /// A granule of the pool, most often one that was in this state when looked at.
    fn granule(&mut self, state: State) -> u64 {
        let any = self.random.u64(..POOL);
        let is_wanted = |granule: &u64| self.world.fixture.state(*granule) == Some(state);
        let found = (any..any + POOL).map(pool).find(is_wanted);
        if self.random.u8(..32) == 0 { pool(any) } else { found.unwrap_or(pool(any)) }
    }

    /// Any live operation.
    fn operation(&mut self) -> Operation {
        let live = self.world.live.lock().expect("no thread panics");
        let index = self.random.usize(..live.len().max(1));
        live.get(index).copied().unwrap_or(Operation { handle: 2, creates: false, answered: 0 })
    }

    fn begun(&self, answered: u64, handle: u64, creates: bool) {
        if answered & 0xff != INCOMPLETE {
            let refused = [ERROR_INPUT, ERROR_REC, BUSY, BLOCKED].contains(&answered);
            return assert!(refused, "{answered:#x}");
        }
        self.world.handles.lock().expect("no thread panics").push(handle);
        let operation = Operation { handle, creates, answered };
        self.world.live.lock().expect("no thread panics").push(operation);
    }

    /// Records the answer to a call of an operation.
    fn went_on(&self, operation: Operation, x0: u64) {
        assert!(x0 <= ERROR_REC || x0 & 0xff == INCOMPLETE, "{x0:#x}");
        let mut live = self.world.live.lock().expect("no thread panics");
        let Some(index) = live.iter().position(|one| one.handle == operation.handle) else {
            return;
        };
        if x0 & 0xff == INCOMPLETE {
            live[index].answered = x0;
        } else if x0 != ERROR_INPUT || operation.answered == INCOMPLETE {
            live.swap_remove(index);
        }
    }

    fn undelegate(&mut self) {
        let granule = self.granule(State::Delegated);
        let range = [granule, granule + 0x1000];
        let [x0, ..] = self.call(function::GRANULE_RANGE_UNDELEGATE, &range);
        assert!(x0 <= ERROR_INPUT);
    }

    fn step(&mut self) {
        match self.random.u8(..16) {
            0..4 => {
                let granule = self.granule(State::Ns);
                let range = [granule, granule + 0x1000];
                let [x0, ..] = self.call(function::GRANULE_RANGE_DELEGATE, &range);
                assert!(x0 <= ERROR_INPUT);
            }
            // Rarely, or all memory would be theirs.
            5 if self.random.u8(..4) == 0 => {
                let rec = self.granule(State::Delegated);
                let [x0, handle, ..] = self.call(function::REC_CREATE, &[RD, rec, self.parameters]);
                self.begun(x0, handle, true);
            }
            4 | 5 => self.undelegate(),
            6 => {
                let rec = self.granule(State::Rec);
                let [x0, handle, ..] = self.call(function::REC_DESTROY, &[rec]);
                self.begun(x0, handle, false);
            }
            7..11 => {
                let operation = self.operation();
                let handle = operation.handle;
                let count = self.random.u64(..4);
                for place in 0..count {
                    let entry = self.granule(State::Delegated) | 1 << 2;
                    self.world.fixture.write(self.list, 8 * place, entry);
                }
                let [x0, consumed, ..] =
                    self.call(function::OP_MEM_DONATE, &[handle, self.list, count]);
                assert!(consumed <= count);
                if x0 != ERROR_INPUT {
                    self.went_on(operation, x0);
                }
            }
            11..13 => {
                let operation = self.operation();
                let (handle, capacity) = (operation.handle, self.random.u64(..4));
                let [x0, written, ..] =
                    self.call(function::OP_MEM_RECLAIM, &[handle, self.list, capacity]);
                assert!(written <= capacity);
                if x0 != ERROR_INPUT {
                    self.went_on(operation, x0);
                }
            }
            13..15 => {
                let operation = self.operation();
                let Operation { handle, creates, .. } = operation;
                let index = self.world.recs.load(Ordering::Relaxed);
                let mpidr = index & 0xf | index >> 4 << 8;
                self.world.fixture.write(self.parameters, 0x100, mpidr);
                let [x0, ..] = self.call(function::OP_CONTINUE, &[handle, 0]);
                self.went_on(operation, x0);
                if x0 == SUCCESS && creates {
                    self.world.recs.fetch_max(index + 1, Ordering::Relaxed);
                }
            }
            _ if self.random.u8(..4) == 0 => {
                let operation = self.operation();
                let [x0, ..] = self.call(function::OP_CANCEL, &[0, operation.handle]);
                if x0 != ERROR_INPUT {
                    self.went_on(operation, x0);
                }
            }
            _ => {}
        }
    }

    /// Ends the operation with this handle, if there is one.
    fn end(&mut self, handle: u64) {
        self.call(function::OP_CANCEL, &[handle, 0]);
        self.call(function::OP_MEM_RECLAIM, &[handle, self.list, 512]);
        let [x0, ..] = self.call(function::OP_CONTINUE, &[handle, 0]);
        assert!(x0 <= ERROR_REC, "{x0:#x}");
    }
}

#[test]
fn operations_from_all_cpus_at_once_lose_no_granule() {
    let fixture = RealmFixture::in_dialect(Dialect::V2_0);
    fixture.realm(RD, ROOT, 1);
    let world = World {
        fixture,
        live: Mutex::new(Vec::new()),
        handles: Mutex::new(Vec::new()),
        recs: AtomicU64::new(0),
    };
    let seed = seed::generator("operations_threads").u64(..);
    let host = |index: usize| {
        let page = 0x1000 * index as u64;
        Host {
            world: &world,
            cpu: System::cpu(index),
            random: fastrand::Rng::with_seed(seed.wrapping_add(index as u64)),
            list: FIRST.0 + 0x3_2000 + page,
            parameters: FIRST.0 + 0x3_8000 + page,
        }
    };
    let created = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|index| {
                let (host, world) = (&host, &world);
                scope.spawn(move || {
                    kit::machine::attach(&world.fixture.system.machine);
                    let mut host = host(index);
                    // Only the MPIDR changes later.
                    world.fixture.write_rec(host.parameters, &RecParams::default());
                    for _ in 0..seed::cases(CALLS) {
                        host.step();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
        world.fixture.with_realm(RD, |realm| realm.next_rec)
    });
    println!("{created} RECs");
    assert!(created > 0, "no REC was ever created");
    let mut host = host(0);
    let handles = world.handles.lock().expect("no thread panics").clone();
    handles.into_iter().for_each(|handle| host.end(handle));
    for rec in (0..POOL).map(pool) {
        if world.fixture.state(rec) == Some(State::Rec) {
            let [x0, handle, ..] = host.call(function::REC_DESTROY, &[rec]);
            assert_eq!(x0, RECLAIM);
            host.end(handle);
        }
    }
    for granule in (0..POOL).map(pool) {
        match world.fixture.state(granule) {
            Some(State::Delegated) => world.fixture.undelegate(&[granule]),
            state => assert_eq!(state, Some(State::Ns), "{granule:#x}"),
        }
    }
    // No operation is left, so the whole pool can be taken.
    let rec = pool(0);
    world.fixture.delegate(&[rec]);
    let [x0, handle, ..] = host.call(function::REC_CREATE, &[RD, rec, host.parameters]);
    assert_eq!(x0, DONATE);
    host.end(handle);
    world.fixture.undelegate(&[rec]);
    assert_eq!(world.fixture.call(function::REALM_TERMINATE, &[RD]), SUCCESS);
    assert_eq!(world.fixture.call(function::REALM_DESTROY, &[RD]), SUCCESS);
    world.fixture.undelegate(&[RD, ROOT, ROOT + 0x1000]);
    assert!(world.fixture.see().iter().all(|seen| seen.references == 0));
}
