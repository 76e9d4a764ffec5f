// SPDX-License-Identifier: BSD-3-Clause
//! Two CPUs that call at the same time, in every order of their steps, from each state that was
//! found.

use std::rc::Rc;

use super::*;

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
    /// Has two CPUs call at the same time, from each state that was found: calls of which one
    /// succeeds there or after the other, one stopped so often that there are `switches`.
    pub fn interleave(&mut self, switches: usize) -> Interleaved {
        let mut result = Interleaved::default();
        let tlb = Rc::clone(&self.tlb);
        let mut pair = Pair::new(&self.machine, || {
            identify();
            self.machine.attach();
            observe_tlb(tlb, SeamFault::None);
        });
        for node in 0..self.nodes.len() as u32 {
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
        let mut succeeds = Vec::with_capacity(count);
        for letter in 0..count {
            let plain = self.configuration.letters[letter];
            let is_of_use = may_meet(&plain, &plain)
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
        Ok(answer[0] == 0 && (changed != 0 || is_entry))
    }

    fn prepare_pair(&mut self, current: &Current, pair: &mut Pair, letters: [usize; 2]) {
        let [a, b] = letters.map(|letter| self.configuration.letters[letter]);
        let uses_page = |letter: &Letter| letter.addresses().contains(&address(PARAMETERS));
        let page = if uses_page(&a) { a.page } else { b.page };
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
        let changed = self.changes(current.index);
        let recs = (0..self.machine.granules())
            .filter(|index| state_of(self.machine.word(*index)) == State::Rec)
            .map(|index| 1_u64 << index)
            .sum::<u64>();
        let before = &self.nodes[current.index as usize].snapshot;
        let vmids = &self.configuration.vmids;
        let snapshot =
            Snapshot::take(&self.machine, &mut self.contents, before, changed | recs, vmids);
        Ok(((answers, snapshot), points))
    }

    /// Has two letters meet in every order of their steps.
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
        let (one, [points, _]) = self.schedule(current, pair, letters, 0, &[])?;
        self.put_back(node);
        let [_, [x0, ..]] = one.0;
        if x0 != 0 && !second_succeeds {
            return Ok(());
        }
        let (other, [_, others]) = self.schedule(current, pair, letters, 1, &[])?;
        self.put_back(node);
        result.pairs += 1;
        let runs = letters
            .iter()
            .any(|letter| self.configuration.letters[*letter].function == function::REC_ENTER);
        let mut turns: Vec<Vec<u64>> = (1..points).map(|stop| vec![stop]).collect();
        if switches > 1 {
            let both = |stop| (1..others).map(move |second| vec![stop, second]);
            turns.extend((1..points).flat_map(both));
        }
        for turns in turns {
            result.schedules += 1;
            let stopped = |what| format!("{what}, when stopped after {turns:?}");
            let (outcome, _) = self.schedule(current, pair, letters, 0, &turns).map_err(stopped)?;
            if outcome != one && outcome != other {
                let spec = Spec::read(&self.machine).map_err(stopped)?;
                let Configuration { places, vmids, .. } = &self.configuration;
                check::state(&self.machine, &spec, places, vmids).map_err(stopped)?;
                if !runs {
                    let what = format!("neither order comes to {:x?}", outcome.0);
                    return Err(stopped(what));
                }
            }
            self.put_back(node);
        }
        Ok(())
    }
}

/// Whether two letters may come at the same time: EL3 and interrupts are at rest, and the host's
/// page serves both.
fn may_meet(a: &Letter, b: &Letter) -> bool {
    let is_plain = |letter: &Letter| !letter.refused && !letter.interrupt;
    let names_page = |letter: &Letter| letter.addresses().contains(&address(PARAMETERS));
    let serves = a.page == b.page || !names_page(a) || !names_page(b);
    is_plain(a) && is_plain(b) && serves
}
