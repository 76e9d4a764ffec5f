// SPDX-License-Identifier: BSD-3-Clause
//! What a host does to have memory, Realms and RECs.

use std::sync::atomic::Ordering;

use rmm::granule::{State, state};
use rmm::host::preset_register;
use rmm::realm::rec;
use rmm::rmi::function;

use super::{FIQ, Host, INCOMPLETE, Shape, root_count};
use crate::rmi::fixture::granule;
use crate::stage2::model::{GRANULE, Pending, RAM, SUCCESS};
use crate::stage2::objects::AUXILIARY;
use crate::stage2::ranges;

impl Host {
    /// A host with a NEW Realm of 40 bits, which has tables of levels 2 and 3 for `ipa`. The 32
    /// granules from `rd` on are delegated, the root tables are at granule 16.
    pub fn with_tables(rd: u64, vmid: u16, ipa: u64) -> Self {
        let mut host = Self::boot();
        for address in (rd..rd + 0x2_0000).step_by(0x1000) {
            host.delegate(address);
        }
        host.create_realm(rd, rd + 0x1_0000, (40, 1, false), vmid);
        for level in [2, 3] {
            let arguments = [rd, rd + 0x1000 * level, ipa, level, 0];
            assert_eq!(host.call(function::RTT_CREATE, arguments), SUCCESS);
        }
        host
    }

    /// Makes an interrupt pending, or none, from now on.
    pub fn interrupt(&mut self, pending: bool) {
        preset_register("ISR_EL1", if pending { FIQ } else { 0 });
        self.model.interrupt = pending;
    }

    /// Delegates a granule of the host.
    pub fn delegate(&mut self, address: u64) {
        let function = if self.model.is_2_0 {
            function::GRANULE_RANGE_DELEGATE
        } else {
            function::GRANULE_DELEGATE
        };
        let arguments = [address, address + GRANULE, 0, 0, 0];
        assert_eq!(self.call(function, arguments), SUCCESS, "{address:#x}");
    }

    /// Delegates a granule if it belongs to the host.
    pub fn delegate_if_hosts(&mut self, address: u64) {
        if self.model.state(address) == Some(State::Ns) {
            self.delegate(address);
        }
    }

    /// Undelegates a granule if it is Delegated.
    pub fn undelegate(&mut self, address: u64) {
        let function = if self.model.is_2_0 {
            function::GRANULE_RANGE_UNDELEGATE
        } else {
            function::GRANULE_UNDELEGATE
        };
        self.call(function, [address, address + GRANULE, 0, 0, 0]);
    }

    /// Fills a granule of the host.
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

    /// Writes the parameters of a REC that is not runnable and so is not measured.
    pub fn write_rec_parameters(&mut self, mpidr: u64, aux: &[u64]) {
        let count = u64::try_from(aux.len()).expect("small");
        self.write_parameters(&[(0x100, mpidr), (0x800, count)]);
        for (offset, address) in (0x808..).step_by(8).zip(aux) {
            self.write_parameter(offset, *address);
        }
    }

    /// Creates a Realm from delegated granules, with its root tables from `root` on. In RMI 2.0 the
    /// RMM takes the first free VMID.
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

    /// Destroys a Realm if it has no RECs and only its root tables. Gives whether it did.
    pub fn destroy_realm(&mut self, rd: u64) -> bool {
        if self.model.is_2_0 {
            assert_eq!(self.raw_call(function::REALM_TERMINATE, &[rd])[0], SUCCESS);
        }
        self.call(function::REALM_DESTROY, [rd, 0, 0, 0, 0]) == SUCCESS
    }

    /// Creates the next REC of a Realm. Its auxiliary granules follow it in memory.
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

    /// As [`create_rec`](Self::create_rec), by the stateful operation of RMI 2.0.
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

    /// As [`destroy_rec`](Self::destroy_rec), by the stateful operation of RMI 2.0.
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

    /// Puts a REC into the state of a pending change of RIPAS, as a run of it would.
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
