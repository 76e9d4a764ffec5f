// SPDX-License-Identifier: BSD-3-Clause
//! Two CPUs that call at the same time, in every order of their steps, from each state that was
//! found.

use std::rc::Rc;

use kit::stage2::model::{ERROR_INPUT, ERROR_REALM};
use rmm::rmi::Dialect;

use super::*;
use crate::machine::GRANULE;
use crate::ranges;

/// What came of two CPUs that called at the same time, in every pair of calls and from every state.
#[derive(Clone, Debug, Default)]
pub struct Interleaved {
    /// From how many states.
    pub states: usize,
    /// Pairs of calls.
    pub pairs: u64,
    /// Orders of their steps.
    pub schedules: u64,
    /// The first thing that does not hold.
    pub finding: Option<Finding>,
}

impl Interleaved {
    /// The row of the table in `docs/security/exploration.md`.
    pub fn row(&self, name: &str) -> String {
        let Self { states, pairs, schedules, .. } = self;
        format!("| {name} | {states} | {pairs} | {schedules} |")
    }
}

/// What two calls come to.
type Outcome = ([[u64; 5]; 2], Snapshot);

impl Explorer {
    /// Explores pairs of calls at the same time, from each state that was found. The first call
    /// succeeds in that state, the second in it or after the first; if `midst`, in any state. The
    /// CPUs switch up to `switches` times.
    pub fn interleave(&mut self, switches: usize, midst: bool) -> Interleaved {
        self.may_succeed = self.succeed_somewhere(midst);
        let mut result = Interleaved::default();
        let tlb = Rc::clone(&self.tlb);
        let fault = self.machine.world.fault.get();
        let mut pair = Pair::new(&self.machine, || {
            identify();
            self.machine.attach();
            observe_tlb(tlb, 1, fault);
        });
        for node in 0..self.nodes.len() as u32 {
            if self.progress && node % 100 == 0 {
                eprintln!("{}: pairs in {node} states", self.configuration.name);
            }
            if let Err(found) = self.interleave_state(node, switches, &mut pair, &mut result) {
                result.finding = Some(found);
                break;
            }
            result.states += 1;
        }
        result
    }

    fn interleave_state(
        &mut self,
        node: u32,
        switches: usize,
        pair: &mut Pair,
        result: &mut Interleaved,
    ) -> Result<(), Finding> {
        let current = self.load(node).map_err(|what| self.found(node, None, what))?;
        let labels = self.labels(&self.nodes[node as usize].snapshot);
        let ranks = self.ranks(node, &labels);
        let count = self.configuration.letters.len();
        let may_begin = self.may_begin(node);
        let mut succeeds = Vec::with_capacity(count);
        for letter in 0..count {
            let plain = self.configuration.letters[letter];
            let is_of_use = may_meet(&plain, &plain)
                && (may_begin || !stateful::begins(&plain))
                && self
                    .try_one(&current, pair, letter)
                    .map_err(|what| self.found(node, Some(self.describe(&plain)), what))?;
            succeeds.push(is_of_use);
        }
        for a in (0..count).filter(|a| succeeds[*a]) {
            for (b, second_succeeds) in succeeds.iter().enumerate() {
                let [first, second] = [a, b].map(|index| self.configuration.letters[index]);
                let mut named = self.names[a].clone();
                named.extend(self.names[b].iter().filter(|index| !self.names[a].contains(index)));
                if !may_meet(&first, &second) || is_like_others(&named, &ranks) {
                    continue;
                }
                let tried = self.meet(&current, pair, [a, b], *second_succeeds, switches, result);
                tried.map_err(|what| {
                    let both = [first, second].map(|letter| self.describe(&letter));
                    self.found(node, Some(both.join("  AND  ")), what)
                })?;
            }
        }
        Ok(())
    }

    /// For each letter whether it, or one that differs only in which granules it names, has
    /// succeeded in any state. None has if not `midst`.
    fn succeed_somewhere(&self, midst: bool) -> Vec<bool> {
        let letters = 0..self.configuration.letters.len();
        let done: HashSet<Letter> = letters
            .clone()
            .filter(|letter| midst && self.succeeded[*letter])
            .map(|letter| self.pattern(letter))
            .collect();
        letters.map(|letter| done.contains(&self.pattern(letter))).collect()
    }

    /// A letter as if it named the granules that serve for anything in order.
    fn pattern(&self, letter: usize) -> Letter {
        let Configuration { free, .. } = self.configuration;
        let mut named: Vec<usize> = Vec::new();
        self.configuration.letters[letter].renamed(|value| {
            match index_of(value, self.machine.granules()) {
                Some(index) if (1..=free).contains(&index) => {
                    let at = named.iter().position(|one| *one == index).unwrap_or(named.len());
                    if at == named.len() {
                        named.push(index);
                    }
                    address(at + 1) + value % GRANULE
                }
                _ => value,
            }
        })
    }

    /// Whether a letter succeeds and changes something.
    fn try_one(
        &mut self,
        current: &Current,
        pair: &mut Pair,
        letter: usize,
    ) -> Result<bool, String> {
        self.prepare_pair(current, pair, [letter; 2]);
        let registers = registers_of(&self.configuration.letters[letter]);
        let answer = self.machine.call(0, registers)?;
        let changed = self.changes(current.index);
        let is_entry = self.configuration.letters[letter].function == function::REC_ENTER;
        self.put_back(current.index);
        Ok(has_succeeded(answer[0]) && (changed != 0 || is_entry))
    }

    fn prepare_pair(&mut self, current: &Current, pair: &mut Pair, letters: [usize; 2]) {
        let [a, b] = letters.map(|letter| self.configuration.letters[letter]);
        let page = if a.uses_page() { a.page } else { b.page };
        self.write_page(page);
        preset_register("ISR_EL1", 0);
        self.machine.world.refuses.set(false);
        if a.function == function::REC_ENTER {
            perform(a.act);
            self.written = None;
        }
        if b.function == function::REC_ENTER {
            pair.as_second(|| perform(b.act));
            self.written = None;
        }
        self.tlb.borrow_mut().clone_from(&current.tlb);
        self.machine.world.touched.set(0);
    }

    /// Makes two calls in one order of their steps.
    fn schedule(
        &mut self,
        current: &Current,
        pair: &mut Pair,
        letters: [usize; 2],
        first: usize,
        turns: &[u64],
    ) -> Result<(Outcome, [u64; 2]), String> {
        self.prepare_pair(current, pair, letters);
        let calls = letters.map(|letter| registers_of(&self.configuration.letters[letter]));
        let (answers, points) = pair.run(&mut self.machine, calls, first, turns)?;
        let [a, b] = answers;
        let answers = [a?, b?].map(|answer| core::array::from_fn(|x| answer[x]));
        if self.machine.cpus.iter().any(|cpu| !cpu.slots.is_empty()) {
            return Err("a slot is mapped between calls".into());
        }
        check::tlb(&self.tlb.borrow(), &self.machine)?;
        Ok((self.outcome(answers, current), points))
    }

    /// What two calls with these answers have come to. Which operation has which handle is the
    /// RMM's choice: they are numbered by what they are.
    fn outcome(&mut self, mut answers: [[u64; 5]; 2], current: &Current) -> Outcome {
        let mut snapshot = self.snapshot(current);
        snapshot.operations.sort_by_cached_key(|(_, operation)| format!("{operation:?}"));
        for ((handle, _), number) in snapshot.operations.iter_mut().zip(0..) {
            let handles = answers.iter_mut().filter(|answer| has_begun(answer[0]));
            for answer in handles.filter(|answer| answer[1] == *handle) {
                answer[1] = number;
            }
            *handle = number;
        }
        (answers, snapshot)
    }

    /// The present state.
    fn snapshot(&mut self, current: &Current) -> Snapshot {
        let changed = self.changes(current.index);
        let recs = (0..self.machine.granules())
            .filter(|index| state_of(self.machine.word(*index)) == State::Rec)
            .map(|index| 1_u64 << index)
            .sum::<u64>();
        let before = &self.nodes[current.index as usize].snapshot;
        let vmids = &self.configuration.vmids;
        Snapshot::take(&self.machine, &mut self.contents, before, changed | recs, vmids)
    }

    /// Makes two calls in every order of their steps, if the second may succeed.
    fn meet(
        &mut self,
        current: &Current,
        pair: &mut Pair,
        letters: [usize; 2],
        second_succeeds: bool,
        switches: usize,
        result: &mut Interleaved,
    ) -> Result<(), String> {
        let node = current.index;
        let may_succeed = second_succeeds || self.may_succeed[letters[1]];
        if !may_succeed && !self.succeeds_after(current, pair, letters)? {
            return Ok(());
        }
        let (one, [points, _]) = self.schedule(current, pair, letters, 0, &[])?;
        self.put_back(node);
        let alone = self.each_alone(current, pair, letters)?;
        let (other, [_, others]) = self.schedule(current, pair, letters, 1, &[])?;
        self.put_back(node);
        result.pairs += 1;
        let both = letters.map(|letter| self.configuration.letters[letter]);
        let has_steps = both
            .iter()
            .any(|letter| letter.function == function::REC_ENTER || ranges::has_steps(letter));
        let mut functions = both.map(|letter| letter.function);
        functions.sort_unstable();
        let chooses_vmid = self.configuration.dialect == Dialect::V2_0
            && functions == [function::REALM_CREATE, function::REALM_DESTROY];
        let mut turns: Vec<Vec<u64>> = (1..points).map(|stop| vec![stop]).collect();
        if switches > 1 {
            let both = |stop| (1..others).map(move |second| vec![stop, second]);
            turns.extend((1..points).flat_map(both));
        }
        for turns in turns {
            result.schedules += 1;
            let stopped = |what| format!("{what}, when stopped after {turns:?}");
            let (outcome, _) = self.schedule(current, pair, letters, 0, &turns).map_err(stopped)?;
            if outcome != one
                && outcome != other
                && !self.is_refused(&outcome, current, letters, &alone)
            {
                let spec = Spec::read(&self.machine).map_err(stopped)?;
                let Configuration { places, vmids, .. } = &self.configuration;
                check::state(&self.machine, &spec, places, vmids).map_err(stopped)?;
                // In RMI 2.0 the RMM chooses VMIDs: that of a Realm that is going is not free yet.
                let is_but_for_vmid = |whole: &Outcome| {
                    whole.0 == outcome.0 && whole.1.is_same_but_for_rds(&outcome.1)
                };
                let has_other_vmid =
                    chooses_vmid && (is_but_for_vmid(&one) || is_but_for_vmid(&other));
                if !(has_steps || has_other_vmid) {
                    let what = format!("neither order comes to {:x?}", outcome.0);
                    return Err(stopped(what));
                }
            }
            self.put_back(node);
        }
        Ok(())
    }
}

impl Explorer {
    /// Whether the second of two letters succeeds after the first.
    fn succeeds_after(
        &mut self,
        current: &Current,
        pair: &mut Pair,
        letters: [usize; 2],
    ) -> Result<bool, String> {
        self.prepare_pair(current, pair, letters);
        let [first, second] = letters.map(|letter| self.configuration.letters[letter]);
        self.machine.call(0, registers_of(&first))?;
        if second.function == function::REC_ENTER {
            perform(second.act);
        }
        let answer = self.machine.call(0, registers_of(&second))?;
        self.put_back(current.index);
        Ok(has_succeeded(answer[0]))
    }

    /// What each of two letters comes to without the other, if the other may be refused because of
    /// it.
    fn each_alone(
        &mut self,
        current: &Current,
        pair: &mut Pair,
        letters: [usize; 2],
    ) -> Result<[Option<Outcome>; 2], String> {
        let mut alone = [None, None];
        for (index, outcome) in alone.iter_mut().enumerate() {
            if self.refusal(current, [1 - index, index].map(|at| letters[at])).is_some() {
                *outcome = Some(self.alone(current, pair, letters, index)?);
            }
        }
        Ok(alone)
    }

    fn alone(
        &mut self,
        current: &Current,
        pair: &mut Pair,
        letters: [usize; 2],
        index: usize,
    ) -> Result<Outcome, String> {
        self.prepare_pair(current, pair, letters);
        let registers = registers_of(&self.configuration.letters[letters[index]]);
        let answer = self.machine.call(0, registers)?;
        let mut answers = [[0; 5]; 2];
        answers[index] = core::array::from_fn(|x| answer[x]);
        let outcome = self.outcome(answers, current);
        self.put_back(current.index);
        Ok(outcome)
    }

    /// What the first of two letters may be refused with while the other CPU is busy: with the same
    /// operation, with a range of the Realm, or with the memory. An error that the ABI has for a
    /// handle in use, a Realm that is referred to, a granule that is not Delegated.
    fn refusal(&self, current: &Current, letters: [usize; 2]) -> Option<u64> {
        let [letter, other] = letters.map(|letter| &self.configuration.letters[letter]);
        let handle = |letter| stateful::handle_of(letter, &current.before.operations);
        match letter.function {
            function::REALM_DESTROY if ranges::works_on(other, letter.arguments[0]) => {
                Some(ERROR_REALM)
            }
            function::RTT_DATA_MAP if other.function == function::RTT_DATA_UNMAP => {
                Some(ERROR_INPUT)
            }
            _ if handle(letter).is_some() && handle(letter) == handle(other) => Some(ERROR_INPUT),
            _ => None,
        }
    }

    /// Whether one of the calls was refused because of the other, and all is as if it had not come.
    fn is_refused(
        &self,
        (answers, snapshot): &Outcome,
        current: &Current,
        letters: [usize; 2],
        alone: &[Option<Outcome>; 2],
    ) -> bool {
        (0..2).any(|refused| {
            let served = 1 - refused;
            let refusal = self.refusal(current, [refused, served].map(|at| letters[at]));
            let is_refused = refusal.is_some_and(|x0| answers[refused][..4] == [x0, 0, 0, 0]);
            is_refused
                && alone[served].as_ref().is_some_and(|(answer, after)| {
                    answer[served] == answers[served]
                        && after == snapshot
                        && self.is_busy_memory(current, letters[refused], after)
                })
        })
    }

    /// Whether memory that a letter would map is Data until the other call has ended. True of
    /// letters that map none.
    fn is_busy_memory(&self, current: &Current, letter: usize, after: &Snapshot) -> bool {
        let letter = &self.configuration.letters[letter];
        if letter.function != function::RTT_DATA_MAP {
            return true;
        }
        let before = &self.nodes[current.index as usize].snapshot;
        let memory = index_of(ranges::memory(letter), before.granules.len());
        memory.is_some_and(|index| {
            before.state(index) == State::Data && after.state(index) == State::Delegated
        })
    }
}

/// Whether an answer is RMI_INCOMPLETE, after which x1 may be a handle.
fn has_begun(x0: u64) -> bool {
    x0 != 0 && has_succeeded(x0)
}

/// Whether two letters may come at the same time: EL3 and interrupts are at rest, the host's page
/// serves both, and what a REC does is something that another CPU can notice.
fn may_meet(a: &Letter, b: &Letter) -> bool {
    let is_plain = |letter: &Letter| {
        let is_noticed = matches!(
            letter.act,
            Act::Interrupted
                | Act::CpuOn(..)
                | Act::Affinity(_)
                | Act::CpuOff
                | Act::SystemOff
                | Act::HostCall(_)
                | Act::SetRipas(_)
        );
        !letter.refused && !letter.interrupt && is_noticed && ranges::is_plain(letter)
    };
    let serves = a.page == b.page || !a.uses_page() || !b.uses_page();
    is_plain(a) && is_plain(b) && serves
}
