// SPDX-License-Identifier: BSD-3-Clause
//! TLBs as bad as the architecture allows: they hold whatever they could have walked, at every
//! level and with both stages combined, until an instruction says that they must not; and a watch
//! on break-before-make.
//!
//! They do what a TLBI says as late as they may: when the CPU that executed it waits by a DSB.
//! Until a DSB follows the store of a descriptor they may walk the former one, so that a TLBI
//! between the two is in vain; and while they hold stage 2 they may combine stage 1 with it again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use rmm::host::{Event, read_register};

use super::walker::{Leaf, Step};

#[derive(Clone, Copy, Debug)]
struct Cached {
    vmid: u16,
    leaf: Leaf,
    /// Held as a translation of stage 2 alone, and as one of both stages.
    stage2: bool,
    combined: bool,
    /// The CPU that has executed a TLBI for the translation of both stages.
    leaving: Option<usize>,
}

/// How far a CPU is with an entry that was valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    /// It has stored an invalid one.
    Stored(usize),
    /// No walk sees the former one any more.
    Seen,
    /// A CPU has executed a TLBI.
    Invalidated(usize),
}

/// A TLBI that is not complete.
#[derive(Clone, Copy, Debug)]
enum Tlbi {
    /// Of stage 2, by IPA.
    Stage2(u64),
    /// Of stage 1.
    Stage1,
    /// Of both.
    All,
}

#[derive(Clone, Debug, Default)]
pub struct Tlb {
    leaves: Vec<Cached>,
    steps: Vec<(u16, Step)>,
    /// The VMIDs of which they hold translations of stage 1.
    stage1: BTreeSet<u16>,
    /// Where on this host tables are in memory, and the entries there that were valid and are to be
    /// invalidated before they are valid again.
    tables: Range<usize>,
    broken: BTreeMap<usize, Break>,
    /// By CPU and VMID.
    pending: Vec<(usize, u16, Tlbi)>,
}

fn covers(base: u64, size: u64, ipa: u64) -> bool {
    base <= ipa && ipa - base < size
}

fn step_size(level: i64) -> u64 {
    1 << (12 + 9 * (3 - level))
}

impl Tlb {
    /// TLBs of a machine whose memory is at `tables` on this host.
    pub fn new(tables: Range<usize>) -> Self {
        Self { tables, ..Self::default() }
    }

    /// Holds what a walk with `vmid` has just seen.
    pub fn hold(&mut self, vmid: u16, steps: Vec<Step>, leaf: Option<Leaf>) {
        self.stage1.insert(vmid);
        self.steps.extend(steps.into_iter().map(|step| (vmid, step)));
        self.leaves.extend(leaf.map(|leaf| Cached {
            vmid,
            leaf,
            stage2: true,
            combined: true,
            leaving: None,
        }));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        (self.leaves, self.steps) = (Vec::new(), Vec::new());
        self.stage1.clear();
        self.pending.clear();
    }

    /// The table descriptors that are still held.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        self.steps_by_vmid().map(|(_, step)| step)
    }

    /// The leaves that are still held, by one kind of entry or the other.
    pub fn leaves(&self) -> impl Iterator<Item = Leaf> {
        self.leaves_by_vmid().map(|(_, leaf)| leaf)
    }

    /// The table descriptors that are still held, each with its VMID.
    pub fn steps_by_vmid(&self) -> impl Iterator<Item = (u16, Step)> {
        self.steps.iter().copied()
    }

    /// The leaves that are still held, each with its VMID.
    pub fn leaves_by_vmid(&self) -> impl Iterator<Item = (u16, Leaf)> {
        let held = self.leaves.iter().filter(|cached| cached.stage2 || cached.combined);
        held.map(|cached| (cached.vmid, cached.leaf))
    }

    /// The VMIDs of which translations of stage 1 are still held.
    pub fn stage1(&self) -> &BTreeSet<u16> {
        &self.stage1
    }

    /// Nothing that was valid is left to be invalidated.
    pub fn is_settled(&self) -> bool {
        self.broken.is_empty()
    }

    /// Something happens on the one CPU; a descriptor is not stored yet.
    pub fn observe(&mut self, event: &Event) {
        self.observe_on(0, event);
    }

    /// Something happens on a CPU; a descriptor is not stored yet.
    pub fn observe_on(&mut self, cpu: usize, event: &Event) {
        match *event {
            Event::Instruction(text, _) if text.starts_with("dsb ") => {
                self.wait(cpu, text.ends_with("st"));
            }
            Event::Instruction("tlbi ipas2e1is", Some(operand)) => {
                self.invalidate(cpu, Tlbi::Stage2((operand & ((1 << 40) - 1)) << 12));
            }
            Event::Instruction("tlbi vmalle1is", None) => self.invalidate(cpu, Tlbi::Stage1),
            Event::Instruction("tlbi vmalls12e1is", None) => self.invalidate(cpu, Tlbi::All),
            Event::Descriptor(entry, value) if self.tables.contains(&entry) => {
                // SAFETY: an entry of a table in the memory of the machine, which outlives the
                // test.
                let before =
                    unsafe { AtomicU64::from_ptr(entry as *mut u64) }.load(Ordering::Relaxed);
                let (was, is) = (before & 1 != 0, value & 1 != 0);
                assert!(
                    !(was && is) || before == value,
                    "{before:#x} becomes {value:#x} without a break"
                );
                assert!(
                    !is || !self.broken.contains_key(&entry),
                    "made before what was broken is invalidated"
                );
                if was && !is {
                    self.broken.insert(entry, Break::Stored(cpu));
                }
            }
            _ => {}
        }
    }

    /// A CPU executes a TLBI, with the VMID in its VTTBR_EL2.
    fn invalidate(&mut self, cpu: usize, tlbi: Tlbi) {
        let vmid = (read_register("VTTBR_EL2") >> 48) as u16;
        if let Tlbi::Stage1 = tlbi {
            let split = |cached: &&mut Cached| cached.vmid == vmid && !cached.stage2;
            self.leaves.iter_mut().filter(split).for_each(|cached| cached.leaving = Some(cpu));
        } else {
            if self.broken.values().any(|state| *state == Break::Stored(cpu)) {
                return;
            }
            let seen = self.broken.values_mut().filter(|state| **state == Break::Seen);
            seen.for_each(|state| *state = Break::Invalidated(cpu));
        }
        self.pending.push((cpu, vmid, tlbi));
    }

    /// A CPU executes a DSB: of stores alone, or of everything, which completes TLBIs as well.
    fn wait(&mut self, cpu: usize, stores: bool) {
        for state in self.broken.values_mut().filter(|state| **state == Break::Stored(cpu)) {
            *state = Break::Seen;
        }
        if stores {
            return;
        }
        self.broken.retain(|_, state| *state != Break::Invalidated(cpu));
        let pending = core::mem::take(&mut self.pending);
        let (complete, rest) = pending.into_iter().partition(|(by, ..)| *by == cpu);
        self.pending = rest;
        for (_, vmid, tlbi) in complete {
            self.complete(cpu, vmid, tlbi);
        }
    }

    fn complete(&mut self, cpu: usize, vmid: u16, tlbi: Tlbi) {
        match tlbi {
            Tlbi::Stage2(ipa) => {
                for cached in self.leaves.iter_mut().filter(|cached| cached.vmid == vmid) {
                    cached.stage2 &= !covers(cached.leaf.ipa, cached.leaf.size, ipa);
                }
                self.steps.retain(|(of, (level, base, _))| {
                    *of != vmid || !covers(*base, step_size(*level), ipa)
                });
            }
            Tlbi::Stage1 => {
                self.stage1.remove(&vmid);
                let leaving = |cached: &&mut Cached| cached.leaving == Some(cpu);
                self.leaves.iter_mut().filter(leaving).for_each(|cached| cached.combined = false);
            }
            Tlbi::All => {
                self.stage1.remove(&vmid);
                self.leaves.retain(|cached| cached.vmid != vmid);
                self.steps.retain(|(of, _)| *of != vmid);
            }
        }
    }

    /// Whether they may still reach the granule at an address: as memory, or as a table.
    pub fn reaches(&self, granule: u64) -> bool {
        self.leaves().any(|leaf| covers(leaf.output, leaf.size, granule))
            || self.steps().any(|(.., table)| table == granule)
    }
}
