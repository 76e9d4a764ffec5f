// SPDX-License-Identifier: BSD-3-Clause
//! Random commands on granules, Realms and RECs, which are created and destroyed while tables are
//! built.

use rmm::granule::State;
use rmm::rmi::function;

use crate::random_session::Session;
use kit::stage2::host::{SHAPES, root_count};
use kit::stage2::model::SUCCESS;
use kit::stage2::objects::AUXILIARY;

impl Session {
    /// One of these commands, with arguments that are mostly right.
    pub fn step_of_lives(&mut self) {
        let noise = self.random.u64(..);
        match self.random.u8(..16) {
            0..3 => self.create_realm(),
            3..6 => self.create_rec(),
            6 | 7 => {
                let rec = self.any_rec();
                // The session's own RECs are kept: their RIPAS changes are tested to the end.
                if !self.recs.contains(&rec) {
                    self.call(function::REC_DESTROY, [rec, noise, noise, noise, noise]);
                }
            }
            8 => {
                let rd = self.an_rd();
                // The models of the other hosts would not know of changes to a shared Realm.
                if !self.host.is_shared(rd) && self.random.u8(..8) == 0 {
                    self.call(function::REALM_ACTIVATE, [rd, noise, noise, noise, noise]);
                }
            }
            9 => {
                let rd = self.an_rd();
                self.call(function::REALM_DESTROY, [rd, noise, noise, noise, noise]);
            }
            10 => self.retire_realm(),
            11 => {
                let rd = self.an_rd();
                self.call(function::REC_AUX_COUNT, [rd, noise, noise, noise, noise]);
            }
            12 => {
                let (rec, run) = (self.any_rec(), self.hosts_page());
                self.call(function::REC_ENTER, [rec, run, noise, noise, noise]);
            }
            13 => {
                // No REC has a pending PSCI request.
                let (calling, target) = (self.any_rec(), self.any_rec());
                self.call(function::PSCI_COMPLETE, [calling, target, noise & 3, noise, noise]);
            }
            _ => {
                let address = self.any_granule();
                let function =
                    self.one_of(&[function::GRANULE_DELEGATE, function::GRANULE_UNDELEGATE]);
                // The model machine cannot wipe memory beyond 48 bits.
                if address == self.host.high {
                    return;
                }
                let answer = self.call(function, [address, noise, noise, noise, noise]);
                // Some pages of the pool stay the host's, to copy from.
                if answer == SUCCESS && self.pool[..8].contains(&address) {
                    self.host.undelegate(address);
                    self.host.write(address, noise);
                }
            }
        }
    }

    /// Destroys a Realm that is not one of the session's own.
    fn retire_realm(&mut self) {
        let rd = self.any_realm();
        if self.realms.contains(&rd) {
            return;
        }
        let recs = self.host.model.recs.iter().filter(|(_, rec)| rec.realm == rd);
        for rec in recs.map(|(rec, _)| *rec).collect::<Vec<_>>() {
            self.host.destroy_rec(rec);
        }
        self.clear(rd);
        assert_eq!(self.call(function::REALM_DESTROY, [rd, 0, 0, 0, 0]), SUCCESS);
    }

    /// An RD, or sometimes another granule.
    fn an_rd(&mut self) -> u64 {
        if self.random.u8(..4) == 0 { self.any_granule() } else { self.any_realm() }
    }

    /// Any Realm.
    fn any_realm(&mut self) -> u64 {
        let realms: Vec<u64> = self.host.model.realms.keys().copied().collect();
        self.one_of(&realms)
    }

    fn any_rec(&mut self) -> u64 {
        if self.random.u8(..8) == 0 {
            return self.any_granule();
        }
        let recs: Vec<u64> = self.host.model.recs.keys().copied().collect();
        self.one_of(&recs)
    }

    /// A page of the host, or sometimes another granule.
    fn hosts_page(&mut self) -> u64 {
        match self.random.u8(..8) {
            0 => self.any_granule(),
            1 => self.host.parameters() + 8,
            _ => self.host.parameters(),
        }
    }

    /// Mostly a Delegated granule. Not one beyond 48 bits, which the slots of the model machine
    /// cannot map.
    fn for_content(&mut self) -> u64 {
        let address = self.delegated();
        if address == self.host.high { self.pool[0] } else { address }
    }

    /// Granules for a REC at `rec`, mostly enough of them and all different.
    fn auxiliary(&mut self, rec: u64) -> Vec<u64> {
        let pool = self.pool.iter().copied();
        let is_free = |address: &u64| {
            *address != rec && self.host.model.state(*address) == Some(State::Delegated)
        };
        let mut free: Vec<u64> = pool.filter(is_free).collect();
        self.random.shuffle(&mut free);
        free.truncate(usize::try_from(AUXILIARY).expect("small"));
        if self.random.u8(..8) == 0 {
            free.push(self.for_content());
        }
        if let Some(last) = free.last_mut().filter(|_| self.random.u8(..8) == 0) {
            *last = self.host.parameters();
        }
        free
    }

    /// Sometimes changes one parameter.
    fn spoil(&mut self, offsets: &[u64]) {
        if self.random.u8(..4) == 0 {
            let offset = self.one_of(offsets);
            let (any, granule) = (self.random.u64(..), self.any_granule());
            let word = self.one_of(&[0, 1, 2, 3, 16, 17, 31, 48, 49, 0xff, u64::MAX, any, granule]);
            // The model machine cannot map root tables beyond 48 bits.
            if word != self.host.high {
                self.host.write_parameter(offset, word);
            }
        }
    }

    fn create_realm(&mut self) {
        let shape = self.random.choice(SHAPES).expect("there are shapes");
        // A VMID of this host, perhaps in use.
        let vmid = self.own_vmids + u16::from(self.random.u8(..8));
        let root = self.spare_root;
        for index in 0..root_count(shape) {
            self.host.delegate_if_hosts(root + index * 0x1000);
        }
        self.host.write_realm_parameters(root, shape, vmid);
        self.host.write_parameter(0x30, self.random.u64(..) & 1);
        self.spoil(&[0x0, 0x8, 0x10, 0x18, 0x20, 0x28, 0x30, 0x808, 0x810, 0x818]);
        let (rd, page, noise) = (self.for_content(), self.hosts_page(), self.random.u64(..));
        self.call(function::REALM_CREATE, [rd, page, noise, noise, noise]);
    }

    fn create_rec(&mut self) {
        let rd = if self.random.u8(..8) == 0 { self.any_granule() } else { self.any_realm() };
        if self.host.is_shared(rd) {
            // Other hosts may have created RECs, so the next index is not known.
            return;
        }
        let rec = self.for_content();
        let aux = self.auxiliary(rec);
        let next = self.host.model.realms.get(&rd).map_or(0, |realm| realm.next_rec);
        self.host.write_rec_parameters(next & 0xf | next >> 4 << 8, &aux);
        self.host.write_parameter(0x0, self.random.u64(..) & 3);
        self.host.write_parameter(0x300, self.random.u64(..));
        self.spoil(&[0x0, 0x100, 0x200, 0x338, 0x800, 0x808, 0x810]);
        let (page, noise) = (self.hosts_page(), self.random.u64(..));
        let answer = self.call(function::REC_CREATE, [rd, rec, page, noise, noise]);
        // Rarely, or the whole pool would become RECs.
        if answer == SUCCESS && self.random.u8(..4) != 0 {
            self.call(function::REC_DESTROY, [rec, noise, noise, noise, noise]);
            assert_eq!(self.host.model.state(rec), Some(State::Delegated));
        }
    }
}
