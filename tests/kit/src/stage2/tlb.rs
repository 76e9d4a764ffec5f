// SPDX-License-Identifier: BSD-3-Clause
//! TLBs as bad as the architecture allows: they hold whatever they could have walked, at every
//! level and with both stages combined, until an instruction says that they must not; and a watch
//! on break-before-make.

use std::collections::BTreeSet;
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
    broken: BTreeSet<usize>,
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
        self.leaves.extend(leaf.map(|leaf| Cached { vmid, leaf, stage2: true, combined: true }));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        (self.leaves, self.steps) = (Vec::new(), Vec::new());
        self.stage1.clear();
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

    /// Something happens on the CPU; a descriptor is not stored yet.
    pub fn observe(&mut self, event: &Event) {
        let vmid = || (read_register("VTTBR_EL2") >> 48) as u16;
        match *event {
            Event::Instruction("tlbi ipas2e1is", Some(operand)) => {
                let vmid = vmid();
                let ipa = (operand & ((1 << 40) - 1)) << 12;
                for cached in self.leaves.iter_mut().filter(|cached| cached.vmid == vmid) {
                    cached.stage2 &= !covers(cached.leaf.ipa, cached.leaf.size, ipa);
                }
                self.steps.retain(|(of, (level, base, _))| {
                    *of != vmid || !covers(*base, step_size(*level), ipa)
                });
                self.broken.clear();
            }
            Event::Instruction("tlbi vmalle1is", None) => {
                let vmid = vmid();
                self.stage1.remove(&vmid);
                self.leaves
                    .iter_mut()
                    .filter(|cached| cached.vmid == vmid)
                    .for_each(|cached| cached.combined = false);
            }
            Event::Instruction("tlbi vmalls12e1is", None) => {
                let vmid = vmid();
                self.stage1.remove(&vmid);
                self.leaves.retain(|cached| cached.vmid != vmid);
                self.steps.retain(|(of, _)| *of != vmid);
                self.broken.clear();
            }
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
                    !is || !self.broken.contains(&entry),
                    "made before what was broken is invalidated"
                );
                if was && !is {
                    self.broken.insert(entry);
                }
            }
            _ => {}
        }
    }
}
