// SPDX-License-Identifier: BSD-3-Clause
//! A host with Realms. Every call goes to the RMM and to the model, and is followed by checks of
//! everything that must hold.

mod checks;
mod realms;

pub use checks::expected_leaf;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use crate::machine::Machine;
use crate::machine::attach;
use crate::system::{Storage, System};
use rmm::address::PhysAddr;
use rmm::granule::State;
use rmm::host::{observe, preset_register};
use rmm::percpu::Cpu;
use rmm::rmi::{Dialect, function};
use rmm::xlat::DescriptorFormat;

use super::model::{self, GRANULE, Measured, Model, SUCCESS};
use super::sharing::{Order, Part, Sharing, lock};
use super::tlb::Tlb;

/// The memory of a machine's first host: base and size. The next host's memory follows it.
pub const LOW: (u64, u64) = (0x4000_0000, 0x80_0000);
/// Memory that needs descriptors with LPA2: a granule for each host.
pub const HIGH: (u64, u64) = (1 << 48, 0x8000);
/// The number of hosts that a machine has memory for, and all of that memory.
pub const HOSTS: u64 = HIGH.1 / GRANULE;
const MEMORY: [(u64, u64); 2] = [(LOW.0, LOW.1 * HOSTS), HIGH];

/// After this many calls all entries of a Realm's tables are compared, not only the usual IPAs.
const TABLES_EVERY: u64 = 16;

/// RMI_INCOMPLETE without a request for memory.
const INCOMPLETE: u64 = 13;

/// ISR_EL1: an FIQ is pending.
pub const FIQ: u64 = 1 << 6;

/// The shape of a Realm: s2sz, start level, LPA2.
pub type Shape = (u32, i64, bool);

/// For each start level, shapes with one root table and with concatenated ones, and the smallest
/// and largest sizes.
pub const SHAPES: [Shape; 14] = [
    (40, 1, false),
    (32, 2, false),
    (34, 2, false),
    (32, 1, false),
    (39, 1, false),
    (43, 1, false),
    (40, 0, false),
    (48, 0, false),
    (40, 1, true),
    (48, 0, true),
    (49, 0, true),
    (52, 0, true),
    (49, -1, true),
    (52, -1, true),
];

/// The number of root tables of a Realm of this shape.
pub fn root_count((s2sz, start, _): Shape) -> u64 {
    let single = 12 + 9 * (4 - start);
    1 << (i64::from(s2sz) - single).max(0)
}

/// A machine with its RMM, for up to [`HOSTS`] hosts. No granule is delegated.
pub fn boot() -> Arc<System<'static>> {
    boot_in(Dialect::V1_0)
}

/// As [`boot`], with an RMM of this dialect.
pub fn boot_in(dialect: Dialect) -> Arc<System<'static>> {
    identify();
    let banks = MEMORY.map(|(base, size)| (PhysAddr::new(base), size));
    let storage: &'static mut Storage = Box::leak(Box::default());
    let machine = Machine::with_dram(&MEMORY);
    Arc::new(System::boot(storage, machine, dialect, &banks, &[]).expect("the layout is right"))
}

/// Sets this CPU's identification registers: PARange 52 bits, TGran4_2 52 bits, 16-bit VMIDs, some
/// breakpoints and watchpoints.
fn identify() {
    preset_register("ID_AA64MMFR0_EL1", 3 << 40 | 6);
    preset_register("ID_AA64MMFR1_EL1", 2 << 4);
    preset_register("ID_AA64DFR0_EL1", 3 << 20 | 5 << 12);
    preset_register("ISR_EL1", 0);
}

/// A host: a thread, a CPU, and memory of its own.
pub struct Host {
    pub system: Arc<System<'static>>,
    pub model: Model,
    /// The base of its memory. The upper half is for blocks.
    pub base: u64,
    /// Its own granule of [`HIGH`].
    pub high: u64,
    /// The host's part of each Realm that it shares, by RD.
    pub parts: BTreeMap<u64, Part>,
    /// What was measured each time that a command of this host held the RD of the Realm it shares.
    pub measured: VecDeque<Vec<Measured>>,
    sharing: Arc<Mutex<Sharing>>,
    cpu: Cpu,
    tlb: Arc<Mutex<Tlb>>,
    calls: u64,
}

impl Host {
    /// The only host of a machine.
    pub fn boot() -> Self {
        Self::on(boot(), 0)
    }

    /// The only host of a machine, with an active RMM of RMI 2.0.
    pub fn boot_2_0() -> Self {
        let mut host = Self::on(boot_in(Dialect::V2_0), 0);
        assert_eq!(host.raw_call(function::RMM_ACTIVATE, &[])[0], SUCCESS);
        host
    }

    /// Host `index` of a machine, on CPU `index`, which this thread becomes. No other host touches
    /// its Delegated granules.
    pub fn on(system: Arc<System<'static>>, index: u64) -> Self {
        let (base, high) = (LOW.0 + LOW.1 * index, HIGH.0 + GRANULE * index);
        let is_2_0 = system.rmm.dialect() == Dialect::V2_0;
        let mut model = Model { is_2_0, ..Model::default() };
        for address in (base..base + LOW.1).step_by(0x1000).chain([high]) {
            model.granules.insert(address, State::Ns);
            model.contents.insert(address, 0);
        }
        let memory =
            core::ptr::from_ref(system.machine.memory.word(base).expect("it is there")).addr();
        let size = usize::try_from(LOW.1).expect("small");
        let host = Self {
            system,
            model,
            base,
            high,
            parts: BTreeMap::new(),
            measured: VecDeque::new(),
            sharing: Arc::default(),
            cpu: System::cpu_of(usize::try_from(index).expect("small"), DescriptorFormat::Lpa2),
            tlb: Arc::new(Mutex::new(Tlb::new(memory..memory + size))),
            calls: 0,
        };
        host.take_thread();
        host
    }

    /// The number of this host on its machine.
    pub fn index(&self) -> u64 {
        (self.base - LOW.0) / LOW.1
    }

    /// Makes this thread the CPU of this host.
    pub fn take_thread(&self) {
        identify();
        attach(&self.system.machine);
        let (tlb, sharing, index) =
            (Arc::clone(&self.tlb), Arc::clone(&self.sharing), self.index());
        observe(Some(Box::new(move |event| {
            lock(&tlb).observe(event);
            let mut sharing = lock(&sharing);
            let Sharing { order: Some(order), in_command: Some(times) } = &mut *sharing else {
                return;
            };
            *times += usize::from(order.observe(event, index));
        })));
    }

    /// The page for parameters. It has no other use.
    pub fn parameters(&self) -> u64 {
        self.base
    }

    /// Where the memory for blocks begins.
    pub fn blocks(&self) -> u64 {
        self.base + LOW.1 / 2
    }

    /// Joins a Realm that another host has created.
    pub fn join(&mut self, rd: u64, realm: model::Realm, part: Part, order: Arc<Order>) {
        lock(&self.sharing).order = Some(order);
        self.model.granules.insert(rd, State::Rd);
        let tables = realm.roots.iter().chain(realm.table_granules.values());
        self.model.granules.extend(tables.map(|table| (*table, State::Rtt)));
        self.model.realms.insert(rd, realm);
        self.parts.insert(rd, part);
    }

    /// Takes over a REC from the host that has created it.
    pub fn adopt(&mut self, rec: u64, adopted: model::Rec) {
        self.model.granules.insert(rec, State::Rec);
        self.model.granules.extend(adopted.aux.iter().map(|aux| (*aux, State::RecAux)));
        self.model.recs.insert(rec, adopted);
    }

    /// Whether other hosts share this Realm.
    pub fn is_shared(&self, rd: u64) -> bool {
        self.parts.contains_key(&rd)
    }

    /// Leaves a Realm that it has joined.
    pub fn leave(&mut self, rd: u64) {
        let realm = self.model.realms.remove(&rd).expect("it takes part");
        for address in realm.roots.iter().chain(realm.table_granules.values()).chain([&rd]) {
            self.model.granules.remove(address);
        }
        self.parts.remove(&rd);
    }

    /// The host's part of a Realm: all of it, unless the host has joined.
    pub fn part(&self, rd: u64) -> Part {
        let whole = || {
            let space = 1 << self.model.realms[&rd].s2sz;
            Part { protected: 0..space / 2, unprotected: space / 2..space }
        };
        self.parts.get(&rd).cloned().unwrap_or_else(whole)
    }

    /// A call without the model. Gives x0 to x4.
    pub fn raw_call(&mut self, function: u32, arguments: &[u64]) -> [u64; 5] {
        let mut registers =
            [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7].map(|mark| mark << 56 | mark);
        registers[0] = u64::from(function);
        registers[1..=arguments.len()].copy_from_slice(arguments);
        lock(&self.sharing).in_command = Some(0);
        let after = self.system.call(&mut self.cpu, registers);
        let times = lock(&self.sharing).in_command.take().expect("it has come to its end");
        self.measured.extend(std::iter::repeat_n(vec![], times));
        assert_eq!(after[5..], registers[5..], "x5 to x7 come back");
        if function != function::RTT_READ_ENTRY || after[0] != SUCCESS {
            assert_eq!(after[4], registers[4], "x4 comes back");
        }
        [after[0], after[1], after[2], after[3], after[4]]
    }

    /// A call, checked against the model. Gives x0.
    ///
    /// A REC that would run is not entered: `tests/host/realm/run.rs` covers that.
    pub fn call(&mut self, function: u32, arguments: [u64; 5]) -> u64 {
        if function == function::REC_ENTER && self.model.would_run(arguments[0]) {
            return model::ERROR_REC;
        }
        self.calls += 1;
        self.hold_translations(arguments[0]);
        let mut answer = self.raw_call(function, &arguments);
        if answer[0] == INCOMPLETE {
            // A block is unfinished. The interrupt is no longer pending.
            preset_register("ISR_EL1", 0);
            answer = self.raw_call(function::OP_CONTINUE, &[answer[1], 0]);
            assert_ne!(answer[0], INCOMPLETE, "it comes to its end");
        }
        let expected = self.model.call(function, arguments);
        if self.is_shared(arguments[0]) && !self.model.measured.is_empty() {
            // A command on a shared Realm that measures locks the RD once.
            *self.measured.back_mut().expect("it had the RD") = self.model.measured.clone();
        }
        if function != function::RTT_READ_ENTRY || answer[0] != SUCCESS {
            answer[4] = 0;
        }
        assert_eq!(answer, expected, "the answer of {function:#x} to {arguments:x?}");
        assert!(self.cpu.slots.is_empty(), "a slot is left open");
        for address in arguments.into_iter().chain(answer).map(|address| address & !0xfff) {
            // This host's model does not know the granules of other hosts.
            let is_anothers =
                MEMORY.iter().any(|(base, size)| (*base..base + size).contains(&address))
                    && !self.model.granules.contains_key(&address);
            if !is_anothers {
                self.check_granule(address);
            }
        }
        let undelegates = [function::GRANULE_UNDELEGATE, function::GRANULE_RANGE_UNDELEGATE];
        if undelegates.contains(&function) && answer[0] == SUCCESS {
            assert!(
                self.system.machine.memory.granule_is(arguments[0], 0),
                "the host gets it back wiped"
            );
        }
        self.check_realm_here(arguments[0]);
        if self.calls.is_multiple_of(1024) {
            self.check_everything();
        } else if self.calls.is_multiple_of(TABLES_EVERY)
            && self.model.realms.contains_key(&arguments[0])
        {
            self.check_tables(arguments[0], &mut BTreeSet::new());
        }
        answer[0]
    }

    /// IPAs near the ends of pages, blocks and halves in the host's part of a Realm, in ascending
    /// order.
    pub fn places(&self, rd: u64) -> Vec<u64> {
        let Part { protected, unprotected } = self.part(rd);
        let mut places = vec![];
        for Range { start, end } in [protected, unprotected] {
            let offsets =
                [0, 0x1000, 0x2000, 0x1f_f000, 0x20_0000, 0x3fff_f000, 0x4000_0000, 1 << 39];
            let in_part = |ipa: &u64| (start..end).contains(ipa);
            places.extend(offsets.map(|offset| start + offset).into_iter().filter(in_part));
            places.extend([end - 0x20_0000, end - 0x1000]);
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        observe(None);
    }
}
