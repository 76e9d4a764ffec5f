// SPDX-License-Identifier: BSD-3-Clause
//! A machine that follows a context through the events of the host seam: memory as each CPU's
//! walker may see it, and TLBs that keep everything for as long as they may.
//!
//! - Until a DSB of the right domain, a walker may or may not see a store: both values count.
//! - A TLB holds every leaf and every table pointer that its walker could have found at any time.
//!   It continues walks from table pointers it holds.
//! - Only a TLBI drops them, and only after a DSB that waits for it and an ISB.
//! - Of two translations of an address the TLB may use either. So those of different sizes must
//!   agree.
//!
//! What a TLB holds is checked whenever it grows: it must be mapped before or after the running
//! operation. After the operation it must be what is mapped then ([`TlbMachine::settle`]).

use std::collections::{BTreeSet, HashMap};

use rmm::host::Event;
use rmm::xlat::MaintenanceFeatures;

use super::tlbi::{self, Invalidation};
use super::walker::{Decoded, Output, Reached, WalkConfig, Walked, index_shift};

/// Applies the stores in `events` to `memory`, the tables of a pool at `host_base` on the host.
pub fn apply(memory: &mut [[u64; 512]], events: &[Event], host_base: usize) {
    for event in events {
        match *event {
            Event::Cleared(address) => memory[(address - host_base) / 4096] = [0; 512],
            Event::Descriptor(address, value) => {
                let entry = (address - host_base) / 8;
                memory[entry / 512][entry % 512] = value;
            }
            _ => {}
        }
    }
}

/// Whether `events` are only stores, which is all that tables need that no CPU walks.
pub fn only_stores(events: &[Event]) -> bool {
    events.iter().all(|event| matches!(event, Event::Cleared(_) | Event::Descriptor(..)))
}

/// The expected mapping, in runs: first and last offset, and the output for the first byte.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Mapped(pub Vec<(u64, u64, Output)>);

impl Mapped {
    /// Whether all of `leaf` is mapped, with the same outputs.
    fn agrees(&self, leaf: &Cached) -> bool {
        let mut next = leaf.first;
        let end = leaf.first + leaf.size;
        let start = self.0.partition_point(|&(_, last, _)| last < leaf.first);
        for &(first, last, output) in &self.0[start..] {
            let expected = Output { pa: leaf.output.pa + (next - leaf.first), ..leaf.output };
            if first > next || (Output { pa: output.pa + (next - first), ..output }) != expected {
                return false;
            }
            next = last + 1;
            if next >= end {
                return true;
            }
        }
        false
    }
}

/// Sizes of pages and blocks of each level, and of sixteen of them with the Contiguous hint.
const SIZES: [u64; 7] = [1 << 12, 1 << 16, 1 << 21, 1 << 25, 1 << 30, 1 << 34, 1 << 39];

/// A translation that a TLB may hold. With the Contiguous hint, the whole group is held too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cached {
    pub first: u64,
    pub size: u64,
    pub level: i8,
    pub output: Output,
}

/// A table that a walker may read: its index in the pool, its level, and the first offset it maps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
struct Within {
    table: usize,
    level: i8,
    first: u64,
}

impl Within {
    fn overlaps(&self, first: u64, last: u64) -> bool {
        let shift = index_shift(self.level) + 9;
        (first >> shift..=last >> shift).contains(&(self.first >> shift))
    }
}

#[derive(Debug)]
struct CpuTlb {
    /// By first offset and size.
    leaves: HashMap<(u64, u64), Vec<Cached>>,
    tables: BTreeSet<Within>,
    /// Older values of entries that the walker may still see.
    unseen: HashMap<(usize, usize), Vec<u64>>,
    /// Invalidated, but no DSB has waited for it yet.
    dropping: Vec<Cached>,
    dropping_tables: Vec<Within>,
    /// Invalidated, and a DSB has waited: gone after the next ISB.
    fetched: Vec<Cached>,
    needs_isb: bool,
}

/// The machine.
#[derive(Debug)]
pub struct TlbMachine {
    config: WalkConfig,
    asid: u64,
    /// Address of the first table on the host, and its physical address.
    host_base: usize,
    physical_base: u64,
    memory: Vec<[u64; 512]>,
    /// CPU 0 runs the code; the others only walk. Without CPUs, only memory is followed.
    cpus: Vec<CpuTlb>,
    old: Mapped,
    new: Mapped,
    /// Whether the tables run under several ASIDs.
    pub any_asid: bool,
    /// Features of the CPUs that concern maintenance.
    pub features: MaintenanceFeatures,
    /// Whether the CPUs have the erratum of CVE-2025-10263: the last TLBI and its DSB must be
    /// repeated.
    pub completes_early: bool,
    last_tlbi: Option<Event>,
    unrepeated: Option<Event>,
    /// The first error.
    pub fault: Option<String>,
}

impl TlbMachine {
    /// A machine of `cpus` that begin to use tables with the content `memory`.
    pub fn new(
        config: WalkConfig,
        asid: u16,
        bases: (usize, u64),
        memory: Vec<[u64; 512]>,
        cpus: usize,
        mapped: Mapped,
    ) -> Self {
        let empty = || CpuTlb {
            leaves: HashMap::new(),
            tables: BTreeSet::new(),
            unseen: HashMap::new(),
            dropping: Vec::new(),
            dropping_tables: Vec::new(),
            fetched: Vec::new(),
            needs_isb: false,
        };
        let mut machine = Self {
            config,
            asid: asid.into(),
            host_base: bases.0,
            physical_base: bases.1,
            memory,
            cpus: (0..cpus).map(|_| empty()).collect(),
            old: mapped.clone(),
            new: mapped,
            any_asid: false,
            features: MaintenanceFeatures::default(),
            completes_early: false,
            last_tlbi: None,
            unrepeated: None,
            fault: None,
        };
        let root = machine.table_at(config.root());
        for cpu in 0..cpus {
            machine.enter(cpu, Within { table: root, level: config.start_level(), first: 0 });
        }
        machine
    }

    fn wrong(&mut self, what: String) {
        self.fault.get_or_insert(what);
    }

    fn table_at(&self, pa: u64) -> usize {
        let table = usize::try_from((pa - self.physical_base) / 4096).expect("a small index");
        assert!(table < self.memory.len(), "a pointer out of the pool: {pa:#x}");
        table
    }

    /// The next operation is to make the mapping `new`.
    pub fn expect(&mut self, new: Mapped) {
        self.new = new;
    }

    /// The descriptor last stored at a physical address.
    pub fn read(&self, pa: u64) -> u64 {
        let table = self.table_at(pa);
        self.memory[table][usize::try_from(pa % 4096 / 8).expect("below 512")]
    }

    /// Follows an event of CPU 0.
    pub fn event(&mut self, event: &Event) {
        match *event {
            Event::Descriptor(address, value) => {
                let entry = (address - self.host_base) / 8;
                self.store(entry / 512, entry % 512, value);
            }
            Event::Cleared(address) => {
                let table = (address - self.host_base) / 4096;
                if self.cpus.iter().any(|cpu| cpu.tables.iter().any(|within| within.table == table))
                {
                    self.wrong(format!("table {table} was cleared while a walker could be in it"));
                }
                self.memory[table] = [0; 512];
            }
            Event::Instruction(text, operand) => {
                if text.starts_with("tlbi") {
                    self.last_tlbi = Some(event.clone());
                }
                self.execute(text, operand);
            }
            ref other => self.wrong(format!("{other:?} is no business of a context")),
        }
    }

    fn store(&mut self, table: usize, index: usize, value: u64) {
        let old = core::mem::replace(&mut self.memory[table][index], value);
        if (old | value) & 1 == 0 {
            // It is invalid before and after, so it does not matter which value a walker sees.
            return;
        }
        let walked = self.cpus.iter().flat_map(|cpu| &cpu.tables).find(|w| w.table == table);
        if let Some(&Within { level, .. }) = walked
            && !self.may_replace(old, value, level)
        {
            self.wrong(format!("{old:#x} becomes {value:#x} without a break"));
        }
        for cpu in 0..self.cpus.len() {
            self.cpus[cpu].unseen.entry((table, index)).or_default().push(old);
            let inside: Vec<_> = self.cpus[cpu]
                .tables
                .iter()
                .copied()
                .filter(|within| within.table == table)
                .collect();
            for within in inside {
                self.look(cpu, within, index);
            }
        }
        if let Some(cpu) = self.cpus.first_mut() {
            cpu.needs_isb = true;
        }
    }

    /// Whether `new` may replace `old` without a break: if one is invalid, if only permissions
    /// differ, or if only the size differs and the CPUs support that.
    fn may_replace(&self, old: u64, new: u64, level: i8) -> bool {
        let resize = self.features.resize_in_place;
        match (self.config.decode(old, level), self.config.decode(new, level)) {
            (Decoded::Invalid, _) | (_, Decoded::Invalid) => true,
            (Decoded::Leaf(old, old_hint), Decoded::Leaf(new, new_hint)) => {
                let fixed = |o: Output| (o.pa, o.memory, o.pas, o.shareability, o.non_global);
                (resize && old == new) || (fixed(old) == fixed(new) && old_hint == new_hint)
            }
            (Decoded::Leaf(old, _), Decoded::Table(pa)) => resize && self.maps(pa, level + 1, old),
            _ => old == new,
        }
    }

    /// Whether the whole table at `pa` maps consecutive memory from `output` on.
    fn maps(&self, pa: u64, level: i8, output: Output) -> bool {
        let size = 1u64 << index_shift(level);
        self.memory[self.table_at(pa)].iter().zip(0u64..).all(|(&value, index)| {
            let output = Output { pa: output.pa + index * size, ..output };
            match self.config.decode(value, level) {
                Decoded::Invalid => false,
                Decoded::Leaf(found, _) => found == output,
                Decoded::Table(pa) => self.maps(pa, level + 1, output),
            }
        })
    }

    /// A walker of `cpu` may read this table. It caches everything that it finds there.
    fn enter(&mut self, cpu: usize, within: Within) {
        if !self.cpus[cpu].tables.insert(within) {
            return;
        }
        let bits = self.config.input_bits().saturating_sub(index_shift(within.level));
        for index in 0..(1usize << bits.min(9)) {
            self.look(cpu, within, index);
        }
    }

    /// A walker of `cpu` caches what it finds in one entry.
    fn look(&mut self, cpu: usize, within: Within, index: usize) {
        let mut values = vec![self.memory[within.table][index]];
        values.extend(self.cpus[cpu].unseen.get(&(within.table, index)).into_iter().flatten());
        let size = 1u64 << index_shift(within.level);
        let first = within.first + index as u64 * size;
        for value in values {
            match self.config.decode(value, within.level) {
                Decoded::Invalid => {}
                Decoded::Table(pa) => {
                    let table = self.table_at(pa);
                    self.enter(cpu, Within { table, level: within.level + 1, first });
                }
                Decoded::Leaf(output, joined) => {
                    let leaf = Cached { first, size, level: within.level, output };
                    self.cache(cpu, leaf, joined);
                    if joined {
                        let into = first % (16 * size);
                        let output = Output { pa: output.pa - into, ..output };
                        self.cache(
                            cpu,
                            Cached {
                                first: first - into,
                                size: 16 * size,
                                level: within.level,
                                output,
                            },
                            joined,
                        );
                    }
                }
            }
        }
    }

    fn cache(&mut self, cpu: usize, leaf: Cached, joined: bool) {
        let leaves = self.cpus[cpu].leaves.entry((leaf.first, leaf.size)).or_default();
        if leaves.contains(&leaf) {
            return;
        }
        leaves.push(leaf);
        if !self.old.agrees(&leaf) && !self.new.agrees(&leaf) {
            self.wrong(format!("CPU {cpu} can find {leaf:x?}, which was never mapped"));
        }
        if let Some(other) = self.conflict(cpu, &leaf, joined) {
            self.wrong(format!("CPU {cpu} can find {other:x?} or {leaf:x?}"));
        }
    }

    /// A larger translation in the TLB of `cpu` that differs from `leaf`. Entries of a group with
    /// the Contiguous hint may differ while the group changes.
    fn conflict(&self, cpu: usize, leaf: &Cached, joined: bool) -> Option<Cached> {
        let state = &self.cpus[cpu];
        let larger = SIZES.into_iter().filter(|&size| size > leaf.size);
        let around = larger.filter_map(|size| state.leaves.get(&(leaf.first & !(size - 1), size)));
        around
            .flatten()
            .chain(&state.dropping)
            .filter(|other| other.first <= leaf.first && other.size > leaf.size)
            .filter(|other| leaf.first - other.first < other.size)
            .filter(|other| !joined || other.level != leaf.level)
            .find(|other| {
                let pa = other.output.pa + (leaf.first - other.first);
                Output { pa, ..other.output } != leaf.output
            })
            .copied()
    }

    fn execute(&mut self, text: &str, operand: Option<u64>) {
        if self.cpus.is_empty() {
            return self.wrong(format!("{text}, though nobody walks the tables"));
        }
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["isb"] => {
                let cpu = &mut self.cpus[0];
                cpu.fetched.clear();
                if cpu.unseen.is_empty() {
                    cpu.needs_isb = false;
                }
            }
            ["dsb", kind] => {
                let everywhere = kind.starts_with("ish") || kind == "sy";
                let stores_only = kind.ends_with("st");
                if !stores_only && let Some(last) = self.last_tlbi.take() {
                    let repeated = self.unrepeated.as_ref() == Some(&last);
                    self.unrepeated = (!repeated).then_some(last);
                }
                let completes = !(stores_only || self.completes_early && self.unrepeated.is_some());
                let reached = if everywhere { self.cpus.len() } else { 1 };
                for cpu in &mut self.cpus[..reached] {
                    cpu.unseen.clear();
                    if completes {
                        cpu.fetched.append(&mut cpu.dropping);
                        cpu.dropping_tables.clear();
                    }
                }
                if !stores_only {
                    // Only the CPU that executes the DSB needs an ISB. The others synchronize their
                    // own instructions when they observe that the DSB has completed.
                    for cpu in &mut self.cpus[1..] {
                        cpu.fetched.clear();
                    }
                }
            }
            ["tlbi", kind] => {
                let (name, everywhere) =
                    kind.strip_suffix("is").map_or((kind, false), |name| (name, true));
                let Some(name) = name.strip_suffix(tlbi::suffix(self.config.regime)) else {
                    return self.wrong(format!("{text} is for another regime"));
                };
                let decoded =
                    Invalidation::decode(&self.config, self.features, self.any_asid, name, operand);
                let Some(invalidation) = decoded else {
                    return self.wrong(format!("{text} {operand:x?} is no invalidation here"));
                };
                let reached = if everywhere { self.cpus.len() } else { 1 };
                for cpu in 0..reached {
                    self.invalidate(cpu, invalidation);
                }
            }
            _ => self.wrong(format!("{text} is no business of a context")),
        }
    }

    fn invalidate(&mut self, cpu: usize, invalidation: Invalidation) {
        let Invalidation { leaves_only, level, any_asid, asid, first, last } = invalidation;
        // Tables that run under several ASIDs use this machine's ASID in their operands.
        let own_asid = asid == self.asid || any_asid && !self.any_asid;
        let start = self.config.start_level();
        let state = &mut self.cpus[cpu];
        let matches = |leaf: &mut Cached| {
            (own_asid || !leaf.output.non_global) && level.is_none_or(|level| level == leaf.level)
        };
        if first >> 12 == last >> 12 {
            for size in SIZES {
                if let Some(leaves) = state.leaves.get_mut(&(first & !(size - 1), size)) {
                    state.dropping.extend(leaves.extract_if(.., matches));
                }
            }
        } else {
            for (&(at, size), leaves) in &mut state.leaves {
                if at <= last && first <= at + (size - 1) {
                    state.dropping.extend(leaves.extract_if(.., matches));
                }
            }
        }
        if !leaves_only {
            let drop: Vec<_> = state
                .tables
                .iter()
                .copied()
                .filter(|within| within.level != start && within.overlaps(first, last))
                .collect();
            for within in &drop {
                state.tables.remove(within);
            }
            state.dropping_tables.extend(drop);
        }
        // The walker runs on: it caches again what it may still see.
        let mut looked = BTreeSet::new();
        while let Some(within) = self.cpus[cpu]
            .tables
            .iter()
            .copied()
            .find(|within| within.overlaps(first, last) && !looked.contains(within))
        {
            looked.insert(within);
            let shift = index_shift(within.level);
            let bits = self.config.input_bits().saturating_sub(shift).min(9);
            let (entries, base) = (1u64 << bits, within.first >> shift);
            let from = (first >> shift).max(base) - base;
            let to = (last >> shift).min(base + (entries - 1)) - base;
            // Any entry of a group may bring back the whole group.
            for index in (from & !15)..((to | 15) + 1).min(entries) {
                self.look(cpu, within, usize::try_from(index).expect("below 512"));
            }
        }
    }

    /// Ends the operation. Each TLB now holds only what is mapped, and each walker finds all of it.
    pub fn settle(&mut self) {
        self.old = self.new.clone();
        for cpu in 0..self.cpus.len() {
            let state = &self.cpus[cpu];
            let stale = state
                .leaves
                .values()
                .flatten()
                .chain(&state.dropping)
                .chain(&state.fetched)
                .find(|leaf| !self.new.agrees(leaf))
                .copied();
            let unseen = !state.unseen.is_empty();
            let unwaited = !state.dropping.is_empty() || !state.dropping_tables.is_empty();
            let needs_isb = state.needs_isb;
            if let Some(leaf) = stale {
                self.wrong(format!("CPU {cpu} may still use {leaf:x?}"));
            }
            if unseen {
                self.wrong(format!("CPU {cpu} may not see every store"));
            }
            if unwaited {
                self.wrong(format!("CPU {cpu} may not have finished an invalidation"));
            }
            if needs_isb {
                self.wrong(format!("CPU {cpu} may be running instructions from before the change"));
            }
        }
        if let Some(last) = self.unrepeated.take().filter(|_| self.completes_early) {
            self.wrong(format!("{last:x?} may have completed early, and was not repeated"));
        }
        let tables: BTreeSet<_> = self.reachable().into_iter().collect();
        for cpu in 0..self.cpus.len() {
            let stray = self.cpus[cpu]
                .tables
                .iter()
                .find(|within| !tables.contains(&within.table))
                .copied();
            if let Some(within) = stray {
                self.wrong(format!(
                    "CPU {cpu} may still walk {within:x?}, which is in use no more"
                ));
            }
        }
    }

    /// The index in the pool of every table in use.
    pub fn reachable(&self) -> Vec<usize> {
        self.tables().into_iter().map(|reached| self.table_at(reached.pa)).collect()
    }

    /// Every table in use.
    pub fn tables(&self) -> Vec<Reached> {
        self.config.tables(|pa| self.read(pa))
    }

    /// The leaf for `offset`, or where the walk ends without one.
    pub fn walk(&self, offset: u64) -> Walked {
        self.config.walk(offset, |pa| self.read(pa))
    }

    /// Every leaf.
    pub fn leaves(&self) -> Vec<Walked> {
        self.config.leaves(|pa| self.read(pa))
    }

    /// Whether every table in use, except the initial one, has an entry.
    pub fn no_table_is_empty(&self) -> bool {
        self.reachable()
            .into_iter()
            .skip(1)
            .all(|table| self.memory[table].iter().any(|&entry| entry != 0))
    }
}
