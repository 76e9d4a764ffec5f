// SPDX-License-Identifier: BSD-3-Clause
//! TLBs as adverse as the architecture allows, and checks of break-before-make. They hold
//! everything that they could have walked, at every level and with both stages combined, until they
//! must drop it.
//!
//! A TLBI takes effect as late as it may: when a DSB of the CPU that executed it waits for it.
//! Until a DSB follows the store of a descriptor, walks may still use the former one, so a TLBI
//! between the two achieves nothing. As long as the TLBs hold a stage-2 translation, they may
//! combine stage 1 with it again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use rmm::host::{Event, read_register};

use super::walker::{Leaf, Step};

#[derive(Clone, Copy, Debug)]
struct Cached {
    vmid: u16,
    leaf: Leaf,
    /// Whether it is held as a translation of stage 2 alone, and as one of both stages combined.
    stage2: bool,
    combined: bool,
    /// The CPU that has executed a TLBI for the combined translation, not complete yet.
    leaving: Option<usize>,
}

/// The progress of break-before-make for an entry that was valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    /// This CPU has stored an invalid descriptor.
    Stored(usize),
    /// No walk uses the former descriptor any more.
    Seen,
    /// This CPU has executed a TLBI.
    Invalidated(usize),
}

/// A TLBI that has not completed.
#[derive(Clone, Copy, Debug)]
enum Tlbi {
    /// Stage 2, by IPA.
    Stage2(u64),
    /// Stage 1.
    Stage1,
    /// Both stages.
    All,
}

#[derive(Clone, Debug, Default)]
pub struct Tlb {
    leaves: Vec<Cached>,
    steps: Vec<(u16, Step)>,
    /// The VMIDs that have stage-1 translations in the TLBs.
    stage1: BTreeSet<u16>,
    /// The address range of the tables on this host. Then the entries there that were valid and
    /// need a TLBI before they become valid again.
    tables: Range<usize>,
    broken: BTreeMap<usize, Break>,
    /// By CPU and VMID, TLBIs that have not completed.
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

    /// Holds the result of a walk with `vmid`.
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

    /// The table descriptors that the TLBs hold.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        self.steps_by_vmid().map(|(_, step)| step)
    }

    /// The leaves that the TLBs hold, as stage 2 or combined.
    pub fn leaves(&self) -> impl Iterator<Item = Leaf> {
        self.leaves_by_vmid().map(|(_, leaf)| leaf)
    }

    /// The table descriptors that the TLBs hold, each with its VMID.
    pub fn steps_by_vmid(&self) -> impl Iterator<Item = (u16, Step)> {
        self.steps.iter().copied()
    }

    /// The leaves that the TLBs hold, each with its VMID.
    pub fn leaves_by_vmid(&self) -> impl Iterator<Item = (u16, Leaf)> {
        let held = self.leaves.iter().filter(|cached| cached.stage2 || cached.combined);
        held.map(|cached| (cached.vmid, cached.leaf))
    }

    /// The VMIDs that have stage-1 translations in the TLBs.
    pub fn stage1(&self) -> &BTreeSet<u16> {
        &self.stage1
    }

    /// Whether every break-before-make has been completed.
    pub fn is_settled(&self) -> bool {
        self.broken.is_empty()
    }

    /// Watches an event of the only CPU. A descriptor is not stored yet.
    pub fn observe(&mut self, event: &Event) {
        self.observe_on(0, event);
    }

    /// Watches an event of a CPU. A descriptor is not stored yet.
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

    /// A CPU executes a DSB for `stores` only, or for everything, which also completes TLBIs.
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

    /// Whether a walk may still reach the granule at an address, as memory or as a table.
    pub fn reaches(&self, granule: u64) -> bool {
        self.leaves().any(|leaf| covers(leaf.output, leaf.size, granule))
            || self.steps().any(|(.., table)| table == granule)
    }
}
