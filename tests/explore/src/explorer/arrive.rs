// SPDX-License-Identifier: BSD-3-Clause
//! What a call has changed, and whether the state that it has led to is right and new.

use super::*;

impl Explorer {
    /// The granules that a call has changed in a way that anybody could notice, a bit each; bit 63
    /// for VMIDs, bit 62 for operations.
    pub(super) fn changes(&mut self, node: u32) -> u64 {
        let touched = self.machine.world.touched.get();
        let mut changed = 0;
        for index in 0..self.machine.granules() {
            let granule = self.nodes[node as usize].snapshot.granules[index];
            let (word, pas) = (self.machine.word(index), self.machine.world.pas(index));
            if (granule.word, granule.pas) != (word, pas) {
                changed |= 1 << index;
            } else if touched >> index & 1 != 0 && index != PARAMETERS {
                let (_, page) = &self.loaded[index];
                if self.machine.world.page(index) != page {
                    if state_of(word) == State::Delegated {
                        // Nobody's: it may have been wiped.
                        self.machine.world.write_page(index, page);
                    } else {
                        changed |= 1 << index;
                    }
                }
            }
        }
        let vmids = self.nodes[node as usize].snapshot.vmids;
        for (bit, vmid) in self.configuration.vmids.iter().enumerate() {
            if (vmids >> bit & 1 != 0) != self.machine.has_vmid(*vmid) {
                changed |= 1 << 63;
            }
        }
        let operations = &self.nodes[node as usize].snapshot.operations;
        changed | u64::from(state::operations(&self.machine) != *operations) << 62
    }

    /// A call has led somewhere: checks the place, and keeps it if it is new.
    pub(super) fn arrive(
        &mut self,
        current: &Current,
        letter: usize,
        changed: u64,
    ) -> Result<(), String> {
        let real = Spec::read_after(&self.machine, Some((&current.before, changed)))?;
        let is_entry = self.configuration.letters[letter].function == function::REC_ENTER;
        real.same_as(&current.spec, !is_entry)?;
        self.check_contents(current, changed, is_entry)?;
        check::tlb(&self.tlb.borrow(), &self.machine)?;
        let recs = (0..self.machine.granules())
            .filter(|index| state_of(self.machine.word(*index)) == State::Rec)
            .map(|index| 1_u64 << index)
            .sum::<u64>();
        let before = &self.nodes[current.index as usize];
        let depth = before.depth + 1;
        let snapshot = Snapshot::take(
            &self.machine,
            &mut self.contents,
            &before.snapshot,
            changed | recs,
            &self.configuration.vmids,
        );
        if !self.checked.insert(snapshot.plain_key()) {
            return Ok(());
        }
        let Configuration { places, vmids, .. } = &self.configuration;
        check::state(&self.machine, &real, places, vmids)?;
        let key = self.key(&snapshot);
        let next = self.nodes.len() as u32;
        if *self.seen.entry(key).or_insert(next) != next {
            return Ok(());
        }
        let node = Node { snapshot, parent: current.index, letter: letter as u32, depth };
        self.nodes.push(node);
        self.take_down(&real).map_err(|what| format!("cannot be taken down: {what}"))
    }

    /// What a granule holds when it comes into use, or goes back to the host.
    fn check_contents(
        &self,
        current: &Current,
        changed: u64,
        is_entry: bool,
    ) -> Result<(), String> {
        let before = &self.nodes[current.index as usize].snapshot;
        for index in (0..self.machine.granules()).filter(|index| changed >> index & 1 != 0) {
            let (from, to) = (before.state(index), state_of(self.machine.word(index)));
            let page = self.machine.world.page(index);
            let is = |value: u64| page.0.iter().all(|word| *word == value);
            let held_secrets = matches!(from, State::Rec | State::RecAux);
            let right = match (from, to) {
                (State::Delegated, State::Ns) => is(0),
                (State::Delegated, State::Data) => is(0) || is(MARKS) || is(HOST),
                (State::Delegated, State::RecAux) => is(0),
                (State::Delegated | State::Partial, State::Rd | State::Rec | State::Rtt) => {
                    !page.0.contains(&SECRET)
                }
                (State::Rec, State::Partial) => is(0),
                (_, State::Delegated) if held_secrets => is(0),
                // What the host has chosen itself may stay.
                (State::Rd, State::Delegated) => {
                    let old = rd(page);
                    let is_forgotten = old.personalization == [0; 8]
                        && *old.initial_measurement.value() == [0; 8]
                        && old.extensible_measurements.iter().all(|value| *value == [0; 8]);
                    is_forgotten && !page.0.contains(&SECRET)
                }
                (State::Ns, State::Ns) => index == PARAMETERS && is_entry,
                (State::Data, State::Data) => is_entry,
                _ => true,
            };
            if !right {
                return Err(format!("granule {index}, {from:?}, becomes {to:?} with old content"));
            }
            if to == State::Rd && from == State::Delegated {
                let size = size_of::<RealmDescriptor>().div_ceil(8);
                if page.0[size..].iter().any(|word| *word != 0) || rd(page).next_rec != 0 {
                    return Err(format!("granule {index} was not wiped"));
                }
            }
            if to == State::Rec && from != State::Rec && rec(page).state.serror {
                return Err(format!("granule {index} was not wiped"));
            }
        }
        Ok(())
    }
}
