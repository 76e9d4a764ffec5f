// SPDX-License-Identifier: BSD-3-Clause
//! A host with Realms: every call goes to the RMM and to the model, and everything that must hold
//! after it is checked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use crate::machine::Machine;
use crate::machine::attach;
use crate::system::{Storage, System};
use rmm::address::PhysAddr;
use rmm::granule::State;
use rmm::granule::state;
use rmm::host::{observe, preset_register};
use rmm::percpu::Cpu;
use rmm::realm::measurement::InitialMeasurement;
use rmm::realm::rd::RealmDescriptor;
use rmm::realm::rec;
use rmm::rmi::{Dialect, function};
use rmm::xlat::DescriptorFormat;

use super::model::{self, Entry, GRANULE, Measured, Model, Pending, RAM, SUCCESS};
use super::objects::AUXILIARY;
use super::ranges;
use super::sharing::{Order, Part, Sharing, lock};
use super::tlb::Tlb;
use super::walker::{Leaf, Walker};
use crate::rmi::fixture::granule;

/// Memory of the first host on a machine; that of the next one follows it.
pub const LOW: (u64, u64) = (0x4000_0000, 0x80_0000);
/// Memory that descriptors without LPA2 cannot lead to: a granule for each host.
pub const HIGH: (u64, u64) = (1 << 48, 0x8000);
/// How many hosts a machine has memory for, and all of it.
pub const HOSTS: u64 = HIGH.1 / GRANULE;
const MEMORY: [(u64, u64); 2] = [(LOW.0, LOW.1 * HOSTS), HIGH];

/// Calls after which every entry of a Realm's tables is looked at, not only those where the call
/// may have changed something.
const TABLES_EVERY: u64 = 16;

/// RMI_INCOMPLETE, which asks for nothing.
const INCOMPLETE: u64 = 13;

/// ISR_EL1: an FIQ is pending.
pub const FIQ: u64 = 1 << 6;

/// The shape of a Realm: s2sz, start level, LPA2.
pub type Shape = (u32, i64, bool);

/// A shape for each start level, with one root table and with concatenated ones, and the extremes
/// of each.
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

/// How many root tables a Realm of this shape has.
pub fn root_count((s2sz, start, _): Shape) -> u64 {
    let single = 12 + 9 * (4 - start);
    1 << (i64::from(s2sz) - single).max(0)
}

/// A machine with its RMM, for up to [`HOSTS`] hosts. No granule is delegated yet.
pub fn boot() -> Arc<System<'static>> {
    boot_in(Dialect::V1_0)
}

/// As [`boot`], with an RMM that speaks this dialect, and is active.
pub fn boot_in(dialect: Dialect) -> Arc<System<'static>> {
    identify();
    let banks = MEMORY.map(|(base, size)| (PhysAddr::new(base), size));
    let storage: &'static mut Storage = Box::leak(Box::default());
    let machine = Machine::with_dram(&MEMORY);
    Arc::new(System::boot(storage, machine, dialect, &banks, &[]).expect("the layout is right"))
}

/// Gives this CPU its identification registers: PARange 52 bits, TGran4_2 52 bits, VMIDs of 16
/// bits, some breakpoints and watchpoints.
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
    /// Where its memory begins. The upper half of it is for blocks.
    pub base: u64,
    /// A granule that is its own, of those beyond 48 bits.
    pub high: u64,
    /// What is its own of Realms that are not.
    pub parts: BTreeMap<u64, Part>,
    /// For each time that a command of it had the RD of the Realm that it shares, what it had
    /// measured.
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

    /// The only host of a machine, which speaks RMI 2.0.
    pub fn boot_2_0() -> Self {
        let mut host = Self::on(boot_in(Dialect::V2_0), 0);
        assert_eq!(host.raw_call(function::RMM_ACTIVATE, &[])[0], SUCCESS);
        host
    }

    /// Host `index` of a machine, on CPU `index`, which this thread becomes. The Delegated granules
    /// of its memory are its business alone.
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

    /// Which host of the machine it is.
    pub fn index(&self) -> u64 {
        (self.base - LOW.0) / LOW.1
    }

    /// Makes this thread the CPU of this host, if it was not.
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

    /// Where the host writes parameters: not for anything else.
    pub fn parameters(&self) -> u64 {
        self.base
    }

    /// Where the memory for blocks begins.
    pub fn blocks(&self) -> u64 {
        self.base + LOW.1 / 2
    }

    /// Takes part in a Realm that another host has created.
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

    /// Whether others take part in a Realm.
    pub fn is_shared(&self, rd: u64) -> bool {
        self.parts.contains_key(&rd)
    }

    /// Takes part no longer in a Realm.
    pub fn leave(&mut self, rd: u64) {
        let realm = self.model.realms.remove(&rd).expect("it takes part");
        for address in realm.roots.iter().chain(realm.table_granules.values()).chain([&rd]) {
            self.model.granules.remove(address);
        }
        self.parts.remove(&rd);
    }

    /// What is the host's own of a Realm: all of it, unless it joined.
    pub fn part(&self, rd: u64) -> Part {
        let whole = || {
            let space = 1 << self.model.realms[&rd].s2sz;
            Part { protected: 0..space / 2, unprotected: space / 2..space }
        };
        self.parts.get(&rd).cloned().unwrap_or_else(whole)
    }

    /// A call as the host makes it, without the model: x0 to x4.
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

    /// A call, checked against the model; x0.
    ///
    /// A REC that would run is not entered: `tests/host/realm/run.rs` does that.
    pub fn call(&mut self, function: u32, arguments: [u64; 5]) -> u64 {
        if function == function::REC_ENTER && self.model.would_run(arguments[0]) {
            return model::ERROR_REC;
        }
        self.calls += 1;
        self.hold_translations(arguments[0]);
        let mut answer = self.raw_call(function, &arguments);
        if answer[0] == INCOMPLETE {
            // A block is parked. Nothing is pending any more.
            preset_register("ISR_EL1", 0);
            answer = self.raw_call(function::OP_CONTINUE, &[answer[1], 0]);
            assert_ne!(answer[0], INCOMPLETE, "it comes to its end");
        }
        let expected = self.model.call(function, arguments);
        if self.is_shared(arguments[0]) && !self.model.measured.is_empty() {
            // With the RD locked, which is the only thing that it was locked for.
            *self.measured.back_mut().expect("it had the RD") = self.model.measured.clone();
        }
        if function != function::RTT_READ_ENTRY || answer[0] != SUCCESS {
            answer[4] = 0;
        }
        assert_eq!(answer, expected, "the answer of {function:#x} to {arguments:x?}");
        assert!(self.cpu.slots.is_empty(), "a slot is left open");
        for address in arguments.into_iter().chain(answer).map(|address| address & !0xfff) {
            // What is another host's is not for this one's model.
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

    fn check_granule(&self, address: u64) {
        let state = self.system.rmm.granules().state(granule(address));
        assert_eq!(state, self.model.state(address), "the state of {address:#x}");
    }

    /// The hardware's view of a Realm, from the RD itself.
    fn walker(&mut self, rd: u64) -> Walker {
        let rd = self
            .system
            .rmm
            .granules()
            .lock::<state::Rd>(self.cpu.index, granule(rd))
            .expect("it is an RD");
        let mapping = self.cpu.slots.rd.map(&rd);
        let stage2 = &mapping.get::<RealmDescriptor>().stage2;
        Walker::new(stage2.vtcr(), stage2.vttbr())
    }

    /// IPAs at which much goes on in the host's part of a Realm, in ascending order.
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

    /// TLBs hold all that they can.
    fn hold_translations(&mut self, rd: u64) {
        lock(&self.tlb).clear();
        if !self.model.realms.contains_key(&rd) {
            return;
        }
        let (walker, vmid) = (self.walker(rd), self.model.realms[&rd].vmid);
        let mut tlb = lock(&self.tlb);
        for ipa in self.places(rd) {
            let (steps, leaf) = walker.walk(&self.system.machine.memory, ipa);
            tlb.hold(vmid, steps, leaf);
        }
    }

    /// What the hardware makes of the tables at the places where much goes on, and what TLBs still
    /// hold of them.
    fn check_realm_here(&mut self, rd: u64) {
        if !self.model.realms.contains_key(&rd) {
            return;
        }
        let walker = self.walker(rd);
        let memory = &self.system.machine.memory;
        for ipa in self.places(rd) {
            let (_, leaf) = walker.walk(memory, ipa);
            assert_eq!(
                leaf,
                expected_leaf(&self.model.realms[&rd], ipa),
                "{ipa:#x} of the Realm at {rd:#x}"
            );
        }
        let tlb = lock(&self.tlb);
        assert!(tlb.is_settled(), "what was unmapped was not invalidated");
        for step in tlb.steps() {
            let (now, _) = walker.walk(memory, step.1);
            assert!(now.contains(&step), "TLBs hold the way to a table that is gone: {step:x?}");
        }
        for leaf in tlb.leaves() {
            let (_, now) = walker.walk(memory, leaf.ipa);
            assert_eq!(now, Some(leaf), "TLBs hold a mapping that is gone");
        }
    }

    /// Everything, everywhere.
    pub fn check_everything(&mut self) {
        for address in self.model.granules.keys() {
            self.check_granule(*address);
        }
        let realms: Vec<u64> = self.model.realms.keys().copied().collect();
        let mut used = BTreeSet::new();
        for rd in realms {
            self.check_tables(rd, &mut used);
            self.check_contents(rd);
            if !self.is_shared(rd) {
                self.check_whole(rd);
            }
        }
    }

    /// The host's part of the tables of a Realm: every mapping, and that nothing is `used` twice.
    fn check_tables(&mut self, rd: u64, used: &mut BTreeSet<u64>) {
        let (walker, part) = (self.walker(rd), self.part(rd));
        let memory = &self.system.machine.memory;
        let (leaves, mut tables) = walker.enumerate(memory, &part);
        let realm = &self.model.realms[&rd];
        let mut expected: Vec<Leaf> = Vec::new();
        for ((level, base), entries) in &realm.tables {
            let ipas = (*base..).step_by(usize::try_from(model::size(*level)).expect("64 bits"));
            for (ipa, entry) in ipas.zip(entries.iter()).filter(|(ipa, _)| part.contains(*ipa)) {
                expected.extend(leaf_of(*entry, *level, ipa));
            }
        }
        expected.sort_unstable_by_key(|leaf| leaf.ipa);
        assert_eq!(leaves, expected, "the mappings of the Realm at {rd:#x}");
        for leaf in leaves.iter().filter(|leaf| !leaf.non_secure) {
            for address in (leaf.output..leaf.output + leaf.size).step_by(0x1000) {
                let state = self.system.rmm.granules().state(granule(address));
                assert_eq!(state, Some(State::Data), "a protected mapping leads to Data");
                assert!(used.insert(address), "{address:#x} is mapped twice");
            }
        }
        tables.sort_unstable();
        let own = |((_, base), _): &(&(i64, u64), &u64)| part.contains(*base);
        let mut expected: Vec<u64> =
            realm.table_granules.iter().filter(own).map(|(_, table)| *table).collect();
        expected.sort_unstable();
        assert_eq!(tables, expected, "the tables of the Realm at {rd:#x}");
        for table in &tables {
            assert!(used.insert(*table), "{table:#x} is a table twice");
        }
        for (key, table) in realm.table_granules.iter().filter(own) {
            self.check_references(*table, realm.live(*key));
        }
    }

    /// The memory of the host's part of a Realm holds what was put into it.
    fn check_contents(&self, rd: u64) {
        let (realm, part) = (&self.model.realms[&rd], self.part(rd));
        for ((level, base), entries) in realm.tables.iter() {
            let ipas = (*base..).step_by(usize::try_from(model::size(*level)).expect("64 bits"));
            for (_, entry) in ipas.zip(entries.iter()).filter(|(ipa, _)| part.contains(*ipa)) {
                let Entry::Assigned(_, memory) = *entry else { continue };
                for address in (memory..memory + model::size(*level)).step_by(0x1000) {
                    let content = self.model.contents[&address];
                    assert!(
                        self.system.machine.memory.granule_is(address, content),
                        "content of {address:#x}"
                    );
                }
            }
        }
    }

    /// What all of a Realm counts for: the references of its root tables, and its measurement.
    fn check_whole(&mut self, rd: u64) {
        let realm = &self.model.realms[&rd];
        let root = &realm.tables[&(realm.start, 0)];
        for (table, entries) in realm.roots.iter().zip(root.chunks(512)) {
            self.check_references(*table, entries.iter().filter(|entry| entry.is_live()).count());
        }
        let measurement = realm.measurement;
        assert_eq!(self.measurement(rd), measurement, "the RIM");
    }

    /// The RIM of a Realm, from the RD itself.
    pub fn measurement(&mut self, rd: u64) -> InitialMeasurement {
        let rd = self
            .system
            .rmm
            .granules()
            .lock::<state::Rd>(self.cpu.index, granule(rd))
            .expect("it is an RD");
        self.cpu.slots.rd.map(&rd).get::<RealmDescriptor>().initial_measurement
    }

    fn check_references(&self, table: u64, live: usize) {
        let locked = self.system.rmm.granules().lock::<state::Rtt>(self.cpu.index, granule(table));
        let references = locked.expect("it is an RTT").references();
        assert_eq!(usize::from(references), live, "the references of the table at {table:#x}");
    }

    /// Has an interrupt pending, or none, from now on.
    pub fn interrupt(&mut self, pending: bool) {
        preset_register("ISR_EL1", if pending { FIQ } else { 0 });
        self.model.interrupt = pending;
    }

    /// Delegates a granule that is the host's.
    pub fn delegate(&mut self, address: u64) {
        let function = if self.model.is_2_0 {
            function::GRANULE_RANGE_DELEGATE
        } else {
            function::GRANULE_DELEGATE
        };
        let arguments = [address, address + GRANULE, 0, 0, 0];
        assert_eq!(self.call(function, arguments), SUCCESS, "{address:#x}");
    }

    /// Delegates a granule if it is the host's.
    pub fn delegate_if_hosts(&mut self, address: u64) {
        if self.model.state(address) == Some(State::Ns) {
            self.delegate(address);
        }
    }

    /// Undelegates a granule, if it is Delegated.
    pub fn undelegate(&mut self, address: u64) {
        let function = if self.model.is_2_0 {
            function::GRANULE_RANGE_UNDELEGATE
        } else {
            function::GRANULE_UNDELEGATE
        };
        self.call(function, [address, address + GRANULE, 0, 0, 0]);
    }

    /// Fills a granule of the host's.
    pub fn write(&mut self, address: u64, word: u64) {
        assert_eq!(self.model.state(address), Some(State::Ns), "it is the host's");
        self.system.machine.memory.fill_granule(address, word);
        self.model.contents.insert(address, word);
    }

    /// Writes a word of the page of parameters.
    pub fn write_parameter(&mut self, offset: u64, word: u64) {
        let address = self.parameters() + offset;
        self.system
            .machine
            .memory
            .word(address)
            .expect("it is there")
            .store(word, Ordering::Relaxed);
        self.model.words.insert(address, word);
    }

    fn write_parameters(&mut self, words: &[(u64, u64)]) {
        self.write(self.parameters(), 0);
        self.model.words.clear();
        for (offset, word) in words {
            self.write_parameter(*offset, *word);
        }
    }

    /// Writes the parameters of a Realm.
    pub fn write_realm_parameters(&mut self, root: u64, shape: Shape, vmid: u16) {
        let (s2sz, start, lpa2) = shape;
        self.write_parameters(&[
            (0x0, u64::from(lpa2)),
            (0x8, s2sz.into()),
            (0x18, 1),
            (0x20, 1),
            (0x800, vmid.into()),
            (0x808, root),
            (0x810, start.cast_unsigned()),
            (0x818, root_count(shape)),
        ]);
    }

    /// Writes the parameters of a REC that is not runnable, so that it is not measured.
    pub fn write_rec_parameters(&mut self, mpidr: u64, aux: &[u64]) {
        let count = u64::try_from(aux.len()).expect("small");
        self.write_parameters(&[(0x100, mpidr), (0x800, count)]);
        for (offset, address) in (0x808..).step_by(8).zip(aux) {
            self.write_parameter(offset, *address);
        }
    }

    /// Creates a Realm with its RD at `rd` and its root tables from `root` on, all delegated. In RMI
    /// 2.0 the RMM takes the first VMID that is free.
    pub fn create_realm(&mut self, rd: u64, root: u64, shape: Shape, vmid: u16) {
        let is_free = |vmid: &u16| self.model.realms.values().all(|realm| realm.vmid != *vmid);
        let first_free = (0..).find(is_free).expect("there is one");
        let vmid = if self.model.is_2_0 { first_free } else { vmid };
        self.write_realm_parameters(root, shape, vmid);
        let x0 = self.call(function::REALM_CREATE, [rd, self.parameters(), 0, 0, 0]);
        assert_eq!(x0, SUCCESS, "a Realm of shape {shape:?}");
    }

    /// Activates a Realm.
    pub fn activate(&mut self, rd: u64) {
        assert_eq!(self.call(function::REALM_ACTIVATE, [rd, 0, 0, 0, 0]), SUCCESS);
    }

    /// Tries to destroy a Realm, which works when nothing of it is left but its root tables;
    /// whether it did.
    pub fn destroy_realm(&mut self, rd: u64) -> bool {
        if self.model.is_2_0 {
            assert_eq!(self.raw_call(function::REALM_TERMINATE, &[rd])[0], SUCCESS);
        }
        self.call(function::REALM_DESTROY, [rd, 0, 0, 0, 0]) == SUCCESS
    }

    /// Creates the next REC of a Realm, one of the first. Its auxiliary granules are those behind
    /// it.
    pub fn create_rec(&mut self, rd: u64, rec: u64) {
        let auxiliary: Vec<u64> = (1..=AUXILIARY).map(|index| rec + index * GRANULE).collect();
        self.write_rec_parameters(self.model.realms[&rd].next_rec, &auxiliary);
        if self.model.is_2_0 {
            return self.create_rec_2_0(rd, rec);
        }
        assert_eq!(
            self.call(function::REC_CREATE, [rd, rec, self.parameters(), 0, 0]),
            SUCCESS,
            "a REC"
        );
    }

    /// As [`create_rec`](Self::create_rec), by a stateful operation.
    fn create_rec_2_0(&mut self, rd: u64, rec: u64) {
        let page = self.parameters();
        let [x0, handle, ..] = self.raw_call(function::REC_CREATE, &[rd, rec, page]);
        assert_eq!(x0 & 0xff, INCOMPLETE, "it asks for memory");
        self.write_parameter(0xe00, ranges::descriptor(3, rec + GRANULE, AUXILIARY));
        let donated = self.raw_call(function::OP_MEM_DONATE, &[handle, page + 0xe00, 1]);
        assert_eq!((donated[0] & 0xff, donated[1]), (INCOMPLETE, AUXILIARY));
        assert_eq!(self.raw_call(function::OP_CONTINUE, &[handle, 0])[0], SUCCESS);
        assert_eq!(self.model.rec_create(rd, rec, page), SUCCESS);
    }

    /// Destroys a REC by a stateful operation.
    fn destroy_rec_2_0(&mut self, rec: u64) {
        let list = self.parameters() + 0xe00;
        let [x0, handle, ..] = self.raw_call(function::REC_DESTROY, &[rec]);
        assert_eq!(x0 & 0xff, INCOMPLETE, "it gives memory back");
        let [x0, written, ..] = self.raw_call(function::OP_MEM_RECLAIM, &[handle, list, 512]);
        assert_eq!((x0, written), (INCOMPLETE, 1), "all of it lies side by side");
        assert_eq!(self.raw_call(function::OP_CONTINUE, &[handle, 0])[0], SUCCESS);
        assert_eq!(self.model.rec_destroy(rec), SUCCESS);
    }

    /// Destroys a REC.
    pub fn destroy_rec(&mut self, rec: u64) {
        if self.model.is_2_0 {
            return self.destroy_rec_2_0(rec);
        }
        assert_eq!(self.call(function::REC_DESTROY, [rec, 0, 0, 0, 0]), SUCCESS, "the REC goes");
    }

    /// Has a REC ask for a change of RIPAS, as it will when it runs.
    pub fn request(&mut self, rec: u64, pending: Option<Pending>) {
        let locked = self
            .system
            .rmm
            .granules()
            .lock::<state::Rec>(self.cpu.index, granule(rec))
            .expect("it is a REC");
        let mut mapping = self.cpu.slots.rec.map(&locked);
        mapping.get_mut::<rec::Rec>().state.pending = match pending {
            None => rec::PendingRequest::None,
            Some(Pending { base, top, ripas, change_destroyed }) => rec::PendingRequest::Ripas {
                base,
                top,
                ripas: if ripas == RAM {
                    rec::RequestedRipas::Ram
                } else {
                    rec::RequestedRipas::Empty
                },
                change_destroyed,
            },
        };
        self.model.recs.get_mut(&rec).expect("there is the REC").pending = pending;
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        observe(None);
    }
}

/// What the hardware must make of an entry.
fn leaf_of(entry: Entry, level: i64, ipa: u64) -> Option<Leaf> {
    let size = model::size(level);
    let ipa = ipa & !(size - 1);
    match entry {
        Entry::Assigned(RAM, output) => Some(Leaf {
            ipa,
            size,
            output,
            non_secure: false,
            memory_attributes: 6,
            permissions: 3,
            execute_never: 0,
        }),
        Entry::AssignedNs(descriptor) => Some(Leaf {
            ipa,
            size,
            output: model::output(descriptor),
            non_secure: true,
            memory_attributes: descriptor >> 2 & 0xf,
            permissions: descriptor >> 6 & 3,
            execute_never: 2,
        }),
        _ => None,
    }
}

/// What the hardware must make of an IPA of a Realm.
pub fn expected_leaf(realm: &model::Realm, ipa: u64) -> Option<Leaf> {
    let (level, entry) = realm.leaf(ipa);
    leaf_of(entry, level, ipa)
}
