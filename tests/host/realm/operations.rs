// SPDX-License-Identifier: BSD-3-Clause
//! Stateful operations of RMI 2.0 against a model. Whatever a host does with handles, lists and
//! memory, each granule is in the state of the model.

use std::collections::BTreeMap;

use kit::realm_fixture::*;
use kit::rmi::fixture::{ERROR_INPUT, FIRST, SECOND, SUCCESS};
use kit::seed;
use kit::system::System;
use rmm::granule::State;
use rmm::mem::AUXILIARY;
use rmm::percpu::Cpu;
use rmm::rmi::{Dialect, function};

/// Steps of the random run.
const STEPS: usize = 200_000;
/// CPUs that call.
const CPUS: usize = 3;
/// The number of operations that the RMM can keep.
const CONTEXTS: usize = 64;

const ERROR_REALM: u64 = 2;
const BLOCKED: u64 = 14;
const CONTINUE: u64 = INCOMPLETE;
const DONATE: u64 = INCOMPLETE | 1 << 8;
const RECLAIM: u64 = INCOMPLETE | 2 << 8;
const CAN_CANCEL: u64 = 1 << 10;

/// The page that lists are in.
const LIST: u64 = FIRST.0 + 0x3_a000;
/// Granules that the host donates and creates RECs from.
const POOL_SIZE: u64 = 0x30;

/// The granule of the pool with this index. The pool is in two pieces.
fn pool(index: u64) -> u64 {
    match index % POOL_SIZE {
        index @ 0..0x20 => FIRST.0 + 0x4_0000 + 0x1000 * index,
        index => FIRST.0 + 0x1000 * (index - 0x20),
    }
}

/// What the host has to do next with an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Donate,
    Work,
    Reclaim(u64),
    End(u64),
}

/// The expected state of an operation.
#[derive(Clone, Debug)]
struct Operation {
    handle: u64,
    /// The REC's granule while the operation holds it.
    partial: Option<u64>,
    held: Vec<u64>,
    stage: Stage,
}

impl Operation {
    fn give_back(&mut self, result: u64) {
        self.stage = if self.held.is_empty() { Stage::End(result) } else { Stage::Reclaim(result) };
    }

    /// The expected result word, and the memory that it asks for.
    fn answer(&self) -> (u64, u64) {
        let missing = (AUXILIARY - self.held.len()) as u64;
        match self.stage {
            Stage::Donate => (DONATE | CAN_CANCEL, missing << 2),
            Stage::Work => (CONTINUE | CAN_CANCEL, 0),
            Stage::Reclaim(_) => (RECLAIM, 0),
            Stage::End(_) => (CONTINUE, 0),
        }
    }
}

/// The expected RECs: address and auxiliary granules.
type Recs = BTreeMap<u64, Vec<u64>>;

struct World {
    fixture: RealmFixture,
    cpus: Vec<Cpu>,
    random: fastrand::Rng,
    states: BTreeMap<u64, State>,
    operations: Vec<Operation>,
    recs: Recs,
    next_rec: u64,
    /// Handles of operations that have ended.
    stale: Vec<u64>,
}

impl World {
    fn new(name: &str) -> Self {
        let fixture = RealmFixture::in_dialect(Dialect::V2_0);
        fixture.realm(RD, ROOT, 1);
        let states = (0..POOL_SIZE).map(|index| (pool(index), State::Ns)).collect();
        Self {
            fixture,
            cpus: (0..CPUS).map(System::cpu).collect(),
            random: seed::generator(name),
            states,
            operations: Vec::new(),
            recs: Recs::new(),
            next_rec: 0,
            stale: vec![0, 1, 2, 0x100, 0xff, u64::MAX],
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.u64(..bound)
    }

    /// Calls on some CPU, with random values in the other registers.
    fn call(&mut self, function: u32, arguments: &[u64]) -> [u64; 4] {
        let mut registers = [0; 8].map(|_: u64| self.random.u64(..));
        registers[0] = u64::from(function);
        registers[1..=arguments.len()].copy_from_slice(arguments);
        let cpu = self.random.usize(..CPUS);
        let after = self.fixture.system.call(&mut self.cpus[cpu], registers);
        assert_eq!(after[4..], registers[4..], "x4-x7 come back");
        [after[0], after[1], after[2], after[3]]
    }

    /// A granule of the pool, most often in this state.
    fn granule(&mut self, state: State) -> u64 {
        let any = self.random.u64(..POOL_SIZE);
        let mut rotated = (0..POOL_SIZE).map(|index| pool(any + index));
        let found = rotated.find(|granule| self.states[granule] == state);
        if self.below(8) == 0 { pool(any) } else { found.unwrap_or(pool(any)) }
    }

    /// Chooses an operation, most often a live one, and the handle that the host passes.
    fn named(&mut self) -> (Option<usize>, u64) {
        if self.operations.is_empty() || self.below(16) == 0 {
            let index = self.random.usize(..self.stale.len());
            let handle = self.stale[index];
            return (self.operations.iter().position(|one| one.handle == handle), handle);
        }
        let index = self.random.usize(..self.operations.len());
        (Some(index), self.operations[index].handle)
    }

    fn step(&mut self) {
        match self.below(16) {
            0..2 => self.delegate(),
            2 => self.undelegate(),
            3..5 => self.create(),
            5..9 => self.donate(),
            9..11 => self.reclaim(),
            11..14 => self.go_on(),
            14 => self.cancel(),
            _ => self.destroy(),
        }
        for (granule, state) in &self.states {
            assert_eq!(self.fixture.state(*granule), Some(*state), "{granule:#x}");
        }
    }

    fn delegate(&mut self) {
        let granule = self.granule(State::Ns);
        let [x0, ..] = self.call(function::GRANULE_RANGE_DELEGATE, &[granule, granule + 0x1000]);
        let state = self.states.get_mut(&granule).expect("of the pool");
        assert_eq!(x0 == SUCCESS, *state == State::Ns);
        if *state == State::Ns {
            *state = State::Delegated;
        }
    }

    fn undelegate(&mut self) {
        let granule = self.granule(State::Delegated);
        let [x0, ..] = self.call(function::GRANULE_RANGE_UNDELEGATE, &[granule, granule + 0x1000]);
        let state = self.states.get_mut(&granule).expect("of the pool");
        assert_eq!(x0 == SUCCESS, *state == State::Delegated);
        if *state == State::Delegated {
            *state = State::Ns;
            assert!(self.fixture.system.machine.memory.granule_is(granule, 0), "{granule:#x}");
        }
    }

    fn create(&mut self) {
        let rec = self.granule(State::Delegated);
        let [x0, handle, wanted, x3] = self.call(function::REC_CREATE, &[RD, rec, PARAMETERS]);
        let expected = if self.states[&rec] != State::Delegated {
            ERROR_INPUT
        } else if self.operations.len() == CONTEXTS {
            BLOCKED
        } else {
            DONATE | CAN_CANCEL
        };
        assert_eq!((x0, x3), (expected, 0));
        if x0 != DONATE | CAN_CANCEL {
            return assert_eq!((handle, wanted), (0, 0));
        }
        assert_eq!(wanted, (AUXILIARY as u64) << 2);
        self.states.insert(rec, State::Partial);
        self.begin(Operation {
            handle,
            partial: Some(rec),
            held: Vec::new(),
            stage: Stage::Donate,
        });
    }

    fn begin(&mut self, operation: Operation) {
        let handle = operation.handle;
        assert!(handle > 1, "a handle is mistaken for flags");
        assert!(self.operations.iter().all(|other| other.handle != handle), "a handle twice");
        assert!(!self.stale.contains(&handle), "a handle that was another's");
        self.operations.push(operation);
    }

    /// Removes an operation that has ended from the model.
    fn forget(&mut self, index: usize) {
        let Operation { handle, .. } = self.operations.swap_remove(index);
        if self.stale.len() < 64 {
            self.stale.push(handle);
        } else {
            let place = self.random.usize(..64);
            self.stale[place] = handle;
        }
    }

    /// Donates memory that is too little, unsuitable, repeated or in use.
    fn donate(&mut self) {
        let (index, handle) = self.named();
        let (count, offset) = (self.below(15), 8 * self.below(512));
        let room = (0x1000 - offset) / 8;
        let mut entries = Vec::new();
        for place in 0..count.min(room) {
            let granule = self.granule(State::Delegated);
            let entry = match self.below(40) {
                0 => self.random.u64(..),
                1 => granule | 1 << 2 | 1,
                2 => granule | 1 << 2 | 1 << (62 + self.below(2)),
                3 => granule,
                4..8 => granule | self.below(4) << 2,
                _ => granule | 1 << 2,
            };
            self.fixture.write(LIST, offset + 8 * place, entry);
            entries.push(entry);
        }
        let (list, is_list) = match self.below(32) {
            0 => (LIST + offset + 1 + self.below(7), false),
            1 => (RD + offset, false),
            _ => (LIST + offset, true),
        };
        let [x0, consumed, wanted, x3] = self.call(function::OP_MEM_DONATE, &[handle, list, count]);
        assert_eq!(x3, 0);
        let Some(index) =
            index.filter(|index| is_list && self.operations[*index].stage == Stage::Donate)
        else {
            return assert_eq!((x0, consumed, wanted), (ERROR_INPUT, 0, 0));
        };
        let operation = &mut self.operations[index];
        let mut donated = Vec::new();
        let mut valid = true;
        for entry in entries {
            let (size, number, state) = (entry & 3, entry >> 2 & 0x3ff, entry >> 62);
            if number == 0 {
                continue;
            }
            let base = entry & 0xf_ffff_ffff_f000;
            valid &= size == 0 && state == 0;
            donated.extend((0..number).map(|page| base.saturating_add(0x1000 * page)));
        }
        if !valid || donated.len() > AUXILIARY - operation.held.len() {
            return assert_eq!((x0, consumed, wanted), (ERROR_INPUT, 0, 0));
        }
        let mut taken = 0;
        for granule in donated {
            if self.states.get(&granule) != Some(&State::Delegated) {
                if taken == 0 {
                    if let Some(rec) = operation.partial.take() {
                        self.states.insert(rec, State::Delegated);
                    }
                    operation.give_back(ERROR_INPUT);
                }
                break;
            }
            self.states.insert(granule, State::RecAux);
            operation.held.push(granule);
            taken += 1;
        }
        if operation.held.len() == AUXILIARY {
            operation.stage = Stage::Work;
        }
        assert_eq!((x0, wanted), operation.answer());
        assert_eq!(consumed, taken);
    }

    fn reclaim(&mut self) {
        let (index, handle) = self.named();
        let (capacity, offset) = (self.below(6), 8 * self.below(512));
        let aligned = self.below(16) != 0;
        let list = if aligned { LIST + offset } else { LIST + offset + 4 };
        let [x0, written, x2, x3] = self.call(function::OP_MEM_RECLAIM, &[handle, list, capacity]);
        assert_eq!((x2, x3), (0, 0));
        let operation = index.map(|index| &mut self.operations[index]).filter(|_| aligned);
        let Some((operation, result)) = operation.and_then(|operation| match operation.stage {
            Stage::Reclaim(result) => Some((operation, result)),
            _ => None,
        }) else {
            return assert_eq!((x0, written), (ERROR_INPUT, 0));
        };
        assert!(written <= capacity.min((0x1000 - offset) / 8));
        for place in 0..written {
            let word = self.fixture.system.machine.ns_read(LIST + offset + 8 * place);
            let word = word.expect("the host's own memory");
            assert_eq!(word & 3 | word >> 62, 0, "pages that are delegated");
            for page in 0..word >> 2 & 0x3ff {
                let granule = (word & 0xf_ffff_ffff_f000) + 0x1000 * page;
                let place = operation.held.iter().position(|held| *held == granule);
                operation.held.swap_remove(place.expect("what it holds, and once"));
                self.states.insert(granule, State::Delegated);
            }
        }
        assert!(written != 0 || capacity == 0, "it is not empty");
        operation.give_back(result);
        assert_eq!((x0, 0), operation.answer());
    }

    fn go_on(&mut self) {
        let (index, handle) = self.named();
        // Some hosts pass the handle after the flags.
        let flags = self.below(2);
        let arguments = if self.below(2) == 0 { [handle, flags] } else { [flags, handle] };
        let good = self.below(8) != 0;
        self.fixture.with_realm(RD, |realm| {
            if realm.next_rec == 500 {
                realm.next_rec = 0;
            }
        });
        self.next_rec = self.fixture.with_realm(RD, |realm| u64::from(realm.next_rec));
        let mpidr = self.next_rec + u64::from(!good);
        let mpidr = mpidr & 0xf | mpidr >> 4 << 8;
        self.fixture.write_rec(PARAMETERS, &RecParams { mpidr, ..RecParams::default() });
        let [x0, x1, x2, x3] = self.call(function::OP_CONTINUE, &arguments);
        assert_eq!((x2, x3), (0, 0));
        let Some(index) = index else { return assert_eq!((x0, x1), (ERROR_INPUT, 0)) };
        let operation = &mut self.operations[index];
        match operation.stage {
            Stage::Donate | Stage::Reclaim(_) => assert_eq!((x0, x1), (ERROR_INPUT, 0)),
            Stage::Work => {
                let rec = operation.partial.take().expect("it is kept until the work is done");
                if good {
                    assert_eq!((x0, x1), (SUCCESS, 0));
                    self.states.insert(rec, State::Rec);
                    self.recs.insert(rec, operation.held.clone());
                    self.forget(index);
                } else {
                    self.states.insert(rec, State::Delegated);
                    operation.give_back(ERROR_INPUT);
                    assert_eq!((x0, x1), (RECLAIM, handle));
                }
            }
            Stage::End(result) => {
                if let Some(rec) = operation.partial.take() {
                    self.states.insert(rec, State::Delegated);
                }
                assert_eq!((x0, x1), (result, 0));
                self.forget(index);
            }
        }
    }

    fn cancel(&mut self) {
        let (index, handle) = self.named();
        let arguments = if self.below(2) == 0 { [handle, 0] } else { [0, handle] };
        let [x0, outputs @ ..] = self.call(function::OP_CANCEL, &arguments);
        assert_eq!(outputs, [0; 3]);
        let live = index.map(|index| &mut self.operations[index]);
        let can = |one: &&mut Operation| matches!(one.stage, Stage::Donate | Stage::Work);
        let Some(operation) = live.filter(can) else { return assert_eq!(x0, ERROR_INPUT) };
        if let Some(rec) = operation.partial.take() {
            self.states.insert(rec, State::Delegated);
        }
        operation.give_back(ERROR_INPUT);
        assert_eq!((x0, 0), operation.answer());
    }

    fn destroy(&mut self) {
        let rec = self.granule(State::Rec);
        let [x0, handle, x2, x3] = self.call(function::REC_DESTROY, &[rec]);
        assert_eq!((x2, x3), (0, 0));
        if self.operations.len() == CONTEXTS {
            return assert_eq!((x0, handle), (BLOCKED, 0));
        }
        let Some(held) = self.recs.remove(&rec) else {
            return assert_eq!((x0, handle), (ERROR_INPUT, 0));
        };
        self.states.insert(rec, State::Partial);
        let stage = Stage::Reclaim(SUCCESS);
        let operation = Operation { handle, partial: Some(rec), held, stage };
        assert_eq!((x0, 0), operation.answer());
        self.begin(operation);
    }

    /// Ends every operation, destroys the Realm, and undelegates every granule.
    fn finish(mut self) {
        loop {
            for rec in self.recs.keys().copied().collect::<Vec<_>>() {
                let [x0, handle, ..] = self.call(function::REC_DESTROY, &[rec]);
                if x0 == BLOCKED {
                    break;
                }
                let held = self.recs.remove(&rec).expect("it is there");
                let stage = Stage::Reclaim(SUCCESS);
                self.operations.push(Operation { handle, partial: Some(rec), held, stage });
            }
            let Some(Operation { handle, stage, .. }) = self.operations.pop() else { break };
            if matches!(stage, Stage::Donate | Stage::Work) {
                self.call(function::OP_CANCEL, &[handle, 0]);
            }
            self.call(function::OP_MEM_RECLAIM, &[handle, LIST, 512]);
            let [x0, ..] = self.call(function::OP_CONTINUE, &[handle, 0]);
            assert!(x0 == SUCCESS || x0 == ERROR_INPUT, "{x0:#x}");
        }
        for (granule, state) in &self.states {
            if *state != State::Ns {
                self.fixture.undelegate(&[*granule]);
            }
        }
        assert_eq!(self.fixture.call(function::REALM_DESTROY, &[RD]), ERROR_REALM);
        assert_eq!(self.fixture.call(function::REALM_TERMINATE, &[RD]), SUCCESS);
        assert_eq!(self.fixture.call(function::REALM_DESTROY, &[RD]), SUCCESS);
        self.fixture.undelegate(&[RD, ROOT, ROOT + 0x1000]);
        let left = self.fixture.see();
        assert!(left.iter().all(|seen| matches!(seen.state, Some(State::Ns) | None)));
    }
}

#[test]
fn random_operations_do_what_the_model_does_and_every_granule_comes_back() {
    let mut world = World::new("operations");
    for _ in 0..seed::cases(STEPS) {
        world.step();
    }
    world.finish();
}

#[test]
fn an_operation_is_cancelled_at_every_step() {
    for donated in 0..=AUXILIARY {
        let mut world = World::new("cancel");
        let rec = pool(0);
        for index in 0..=AUXILIARY as u64 {
            world.fixture.delegate(&[pool(index)]);
            world.states.insert(pool(index), State::Delegated);
        }
        let [_, handle, ..] = world.call(function::REC_CREATE, &[RD, rec, PARAMETERS]);
        for index in 0..donated as u64 {
            world.fixture.write(LIST, 0, pool(1 + index) | 1 << 2);
            let [x0, consumed, ..] = world.call(function::OP_MEM_DONATE, &[handle, LIST, 1]);
            assert_eq!((x0 & 0xff, consumed), (INCOMPLETE, 1));
        }
        let [x0, ..] = world.call(function::OP_CANCEL, &[handle]);
        assert_eq!(x0, if donated == 0 { CONTINUE } else { RECLAIM });
        assert_eq!(world.call(function::OP_CANCEL, &[handle])[0], ERROR_INPUT, "once");
        if donated != 0 {
            let [x0, entries, ..] = world.call(function::OP_MEM_RECLAIM, &[handle, LIST, 512]);
            assert_eq!((x0, entries), (CONTINUE, 1), "neighbours are one range");
        }
        assert_eq!(world.call(function::OP_CONTINUE, &[handle, 0])[0], ERROR_INPUT);
        assert_eq!(world.call(function::OP_CONTINUE, &[handle, 0])[0], ERROR_INPUT, "it is gone");
        world.finish();
    }
}

#[test]
fn a_full_pool_blocks_until_an_operation_ends() {
    let fixture = RealmFixture::in_dialect(Dialect::V2_0);
    fixture.realm(RD, ROOT, 1);
    let all = (0..POOL_SIZE).map(pool).chain((SECOND.0..).step_by(0x1000));
    let mut handles = Vec::new();
    let mut world = World { fixture, ..World::new("full") };
    for rec in all.take(CONTEXTS) {
        world.fixture.delegate(&[rec]);
        let [x0, handle, ..] = world.call(function::REC_CREATE, &[RD, rec, PARAMETERS]);
        assert_eq!(x0, DONATE | CAN_CANCEL);
        handles.push(handle);
    }
    const SPARE: u64 = FIRST.0 + 0x2_9000;
    world.fixture.delegate(&[SPARE]);
    let blocked = [BLOCKED, 0, 0, 0];
    assert_eq!(world.call(function::REC_CREATE, &[RD, SPARE, PARAMETERS]), blocked);
    assert_eq!(world.fixture.state(SPARE), Some(State::Delegated));
    let handle = handles.swap_remove(17);
    assert_eq!(world.call(function::OP_CANCEL, &[handle])[0], CONTINUE);
    assert_eq!(world.call(function::REC_CREATE, &[RD, SPARE, PARAMETERS]), blocked);
    assert_eq!(world.call(function::OP_CONTINUE, &[handle])[0], ERROR_INPUT);
    let [x0, new, ..] = world.call(function::REC_CREATE, &[RD, SPARE, PARAMETERS]);
    assert_eq!(x0, DONATE | CAN_CANCEL);
    assert_ne!(new, handle, "a handle is not used again");
}
