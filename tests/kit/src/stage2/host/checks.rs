// SPDX-License-Identifier: BSD-3-Clause
//! Compares the RMM with the model: granules, tables as the hardware walks them, TLBs, contents.

use std::collections::BTreeSet;

use rmm::granule::{State, state};
use rmm::realm::measurement::InitialMeasurement;
use rmm::realm::rd::RealmDescriptor;

use super::Host;
use crate::rmi::fixture::granule;
use crate::stage2::model::{self, Entry, RAM};
use crate::stage2::sharing::lock;
use crate::stage2::walker::{Leaf, Walker};

impl Host {
    pub(super) fn check_granule(&self, address: u64) {
        let state = self.system.rmm.granules().state(granule(address));
        assert_eq!(state, self.model.state(address), "the state of {address:#x}");
    }

    /// Gives `read` the content of an RD.
    fn with_rd<R>(&mut self, rd: u64, read: impl FnOnce(&RealmDescriptor) -> R) -> R {
        let granules = self.system.rmm.granules();
        let rd = granules.lock::<state::Rd>(self.cpu.index, granule(rd)).expect("it is an RD");
        read(self.cpu.slots.rd.map(&rd).get())
    }

    /// The walker for a Realm's stage 2, with the register values from the RD itself.
    fn walker(&mut self, rd: u64) -> Walker {
        self.with_rd(rd, |rd| Walker::new(rd.stage2.vtcr(), rd.stage2.vttbr()))
    }

    /// Fills the TLBs with everything that the CPU may cache for the Realm.
    pub(super) fn hold_translations(&mut self, rd: u64) {
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

    /// Compares the walks of [`Host::places`] with the model, and checks that TLBs hold nothing
    /// stale.
    pub(super) fn check_realm_here(&mut self, rd: u64) {
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

    /// Compares everything with the model.
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

    /// Compares the tables of the host's part of a Realm with the model. No granule is `used`
    /// twice.
    pub(super) fn check_tables(&mut self, rd: u64, used: &mut BTreeSet<u64>) {
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

    /// Checks the content of the data granules in the host's part of a Realm.
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

    /// Checks what concerns a whole Realm: the references of its root tables, and its measurement.
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
        self.with_rd(rd, |rd| rd.initial_measurement)
    }

    fn check_references(&self, table: u64, live: usize) {
        let locked = self.system.rmm.granules().lock::<state::Rtt>(self.cpu.index, granule(table));
        let references = locked.expect("it is an RTT").references();
        assert_eq!(usize::from(references), live, "the references of the table at {table:#x}");
    }
}

/// The leaf that the hardware must find for an entry.
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

/// The leaf that the hardware must find for an IPA of a Realm.
pub fn expected_leaf(realm: &model::Realm, ipa: u64) -> Option<Leaf> {
    let (level, entry) = realm.leaf(ipa);
    leaf_of(entry, level, ipa)
}
