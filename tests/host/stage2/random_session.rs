// SPDX-License-Identifier: BSD-3-Clause
//! A host that gives random commands, some of them hostile. Each is checked against the model.

use std::collections::BTreeMap;

use rmm::granule::State;
use rmm::rmi::function;

use kit::stage2::host::{HOSTS, Host, LOW, SHAPES, root_count};
use kit::stage2::model::{EMPTY, Entry, GRANULE, Pending, RAM, SUCCESS, size};
use kit::stage2::sharing::{self, Part};

/// Granules for commands: tables, data, and wrong arguments.
const POOL: u64 = 160;
const REALMS: usize = 2;
/// Bytes that a table of level 3 maps, and a block of level 2.
const BLOCK: u64 = 0x20_0000;

pub struct Session {
    pub host: Host,
    pub random: fastrand::Rng,
    /// RDs of the session's own Realms, which stay until the end.
    pub realms: Vec<u64>,
    /// A REC of each of them.
    pub recs: Vec<u64>,
    pub pool: Vec<u64>,
    /// Room for the root tables of one more Realm, and the first VMID for it.
    pub spare_root: u64,
    pub own_vmids: u16,
    pub counts: Counts,
}

/// What has happened in a session.
#[derive(Debug, Default)]
pub struct Counts {
    /// Commands in all.
    pub commands: usize,
    /// How often each command gave each result word.
    pub seen: BTreeMap<(u32, u64), usize>,
    /// Tables folded into live blocks, and live blocks unfolded.
    pub folded: usize,
    pub unfolded: usize,
}

impl Counts {
    /// Adds the counts of another session.
    pub fn add(&mut self, other: Self) {
        self.commands += other.commands;
        self.folded += other.folded;
        self.unfolded += other.unfolded;
        for (answer, count) in other.seen {
            *self.seen.entry(answer).or_default() += count;
        }
    }
}

/// A session that runs on no thread.
pub struct Parked {
    host: sharing::Parked,
    random: fastrand::Rng,
    realms: Vec<u64>,
    recs: Vec<u64>,
    counts: Counts,
}

impl Parked {
    /// Continues the session on this thread.
    pub fn resume(self) -> Session {
        let Self { host, random, realms, recs, counts } = self;
        let session = Session::of(host.resume(), random, realms, recs);
        Session { counts, ..session }
    }
}

impl Session {
    /// Releases the session from its thread.
    pub fn park(self) -> Parked {
        let Self { host, random, realms, recs, counts, .. } = self;
        Parked { host: host.park(), random, realms, recs, counts }
    }

    /// A session that creates its own Realms, of a host whose memory is as after boot. The VMIDs
    /// from `first_vmid` on are free.
    pub fn new(mut host: Host, mut random: fastrand::Rng, first_vmid: u16) -> Self {
        let (mut next, mut realms, mut recs) = (host.base + 0x10_0000, Vec::new(), Vec::new());
        for vmid in (first_vmid..).take(REALMS) {
            let shape = random.choice(SHAPES).expect("there are shapes");
            let (root, rd, rec) = (next, next + 0x10_000, next + 0x11_000);
            next += 0x20_000;
            for index in 0..root_count(shape) {
                host.delegate(root + index * GRANULE);
            }
            for address in (rd..rd + 0x10_000).step_by(0x1000) {
                host.delegate(address);
            }
            // Both bytes differ, so that 8 bits of VMID would not do.
            host.create_realm(rd, root, shape, vmid << 7 | vmid);
            host.create_rec(rd, rec);
            realms.push(rd);
            recs.push(rec);
        }
        Self::with(host, random, realms, recs)
    }

    /// The session of a host that has joined the Realm at `rd` and has its REC `rec`.
    pub fn in_part_of(host: Host, random: fastrand::Rng, rd: u64, rec: u64) -> Self {
        Self::with(host, random, vec![rd], vec![rec])
    }

    fn with(host: Host, random: fastrand::Rng, realms: Vec<u64>, recs: Vec<u64>) -> Self {
        let mut session = Self::of(host, random, realms, recs);
        for address in session.pool.iter().skip(8).chain(&[session.host.high]) {
            session.host.delegate(*address);
        }
        for address in &session.pool[..8] {
            session.host.write(*address, session.random.u64(..));
        }
        session
    }

    fn of(host: Host, random: fastrand::Rng, realms: Vec<u64>, recs: Vec<u64>) -> Self {
        let pool: Vec<u64> =
            (0..POOL).map(|index| host.base + 0x1_0000 + index * GRANULE).collect();
        let spare_root = host.base + 0x20_0000;
        let own_vmids = 0x8000 + 0x100 * u16::try_from(host.index()).expect("small");
        Self { host, random, realms, recs, pool, spare_root, own_vmids, counts: Counts::default() }
    }

    pub fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.random.usize(..values.len())]
    }

    pub fn any_granule(&mut self) -> u64 {
        match self.random.u8(..32) {
            0 => self.random.u64(..),
            1 => self.one_of(&[0, self.host.high, LOW.0 + LOW.1 * HOSTS, LOW.0 - GRANULE, !0xfff]),
            2 => {
                let pool = self.one_of(&self.pool.clone());
                pool + self.random.u64(1..GRANULE)
            }
            3 => self.one_of(&self.realms.clone()),
            4 => self.one_of(&self.recs.clone()),
            5 => {
                // A table of a Realm.
                let rd = self.one_of(&self.realms.clone());
                let realm = &self.host.model.realms[&rd];
                let tables: Vec<u64> =
                    realm.table_granules.values().chain(&realm.roots).copied().collect();
                self.one_of(&tables)
            }
            _ => self.one_of(&self.pool.clone()),
        }
    }

    pub fn delegated(&mut self) -> u64 {
        let delegated: Vec<u64> = self
            .pool
            .iter()
            .copied()
            .filter(|address| self.host.model.state(*address) == Some(State::Delegated))
            .collect();
        if delegated.is_empty() || self.random.u8(..16) == 0 {
            self.any_granule()
        } else {
            self.one_of(&delegated)
        }
    }

    pub fn rd(&mut self) -> u64 {
        match self.random.u8(..64) {
            0 => self.any_granule(),
            1..8 => {
                let realms: Vec<u64> = self.host.model.realms.keys().copied().collect();
                self.one_of(&realms)
            }
            _ => self.one_of(&self.realms.clone()),
        }
    }

    pub fn ipa(&mut self, rd: u64) -> u64 {
        let Some(realm) = self.host.model.realms.get(&rd) else { return self.random.u64(..) };
        let space = 1_u64 << realm.s2sz;
        let ipa = match self.random.u8(..64) {
            0 => self.random.u64(..),
            1 => self.one_of(&[space, space - 1, space + 0x1000, space / 2 - 1, u64::MAX, !0xfff]),
            2 => self.random.u64(..space),
            3 => self.random.u64(..space) & !0xfff,
            _ => {
                let places = self.host.places(rd);
                self.one_of(&places)
            }
        };
        // Another host's part is unknown to this host's model.
        let Part { protected, unprotected } = self.host.part(rd);
        let range = if ipa < space / 2 { protected } else { unprotected };
        if ipa >= space || range.contains(&ipa) {
            ipa
        } else {
            range.start + ipa % (range.end - range.start)
        }
    }

    pub fn level(&mut self) -> i64 {
        match self.random.u8(..32) {
            0 => self.random.i64(..),
            1 => self.random.i64(-3..6),
            _ => self.random.i64(0..4),
        }
    }

    /// An IPA and the level at which its walk ends.
    pub fn end_of_walk(&mut self, rd: u64) -> (u64, i64) {
        let ipa = self.ipa(rd);
        match self.host.model.realms.get(&rd) {
            Some(realm) if ipa >> realm.s2sz == 0 => (ipa, realm.leaf(ipa).0),
            _ => (ipa, self.level()),
        }
    }

    pub fn align(&mut self, ipa: u64, level: i64) -> u64 {
        if (-1..=3).contains(&level) && self.random.u8(..32) != 0 {
            ipa & !(size(level) - 1)
        } else {
            ipa
        }
    }

    fn descriptor(&mut self, level: i64) -> u64 {
        let attributes = self.one_of(&[0xd8, 0xd8, 0x44, 0x8c, 0x00, 0x10]);
        let address = match self.random.u8(..8) {
            0 => self.random.u64(..),
            1 => 1 << self.random.u32(..64),
            2 => self.random.u64(..) & 0x0003_ffff_ffff_f300,
            _ => self.random.u64(..1 << 47) & !(size(level.clamp(0, 3)) - 1),
        };
        address | attributes
    }

    pub fn call(&mut self, function: u32, mut arguments: [u64; 5]) -> u64 {
        self.counts.commands += 1;
        // The model machine cannot map memory beyond 48 bits. Realms without LPA2 refuse it, which
        // is tested.
        let takes = [function::DATA_CREATE, function::DATA_CREATE_UNKNOWN, function::RTT_CREATE];
        let high = takes.contains(&function) && arguments[1] == self.host.high;
        if high && self.host.model.realms.get(&arguments[0]).is_some_and(|realm| realm.lpa2) {
            arguments[1] = self.pool[0];
        }
        let [rd, ipa, table_ipa, ..] = arguments;
        let block = |session: &Self, ipa: u64| {
            let realm = session.host.model.realms.get(&rd).filter(|realm| ipa >> realm.s2sz == 0);
            matches!(
                realm.map(|realm| realm.leaf(ipa)),
                Some((1 | 2, Entry::Assigned(..) | Entry::AssignedNs(_)))
            )
        };
        let pending = self.random.u8(..8) == 0;
        self.host.interrupt(pending);
        let was_block = function == function::RTT_CREATE && block(self, table_ipa);
        let answer = self.host.call(function, arguments);
        let is_block = answer == SUCCESS && function == function::RTT_FOLD && block(self, ipa);
        self.counts.unfolded += usize::from(answer == SUCCESS && was_block);
        self.counts.folded += usize::from(is_block);
        *self.counts.seen.entry((function, answer)).or_default() += 1;
        answer
    }

    /// The next step: one command, or several with one purpose.
    pub fn step(&mut self) {
        let rd = self.rd();
        let noise = self.random.u64(..);
        match self.random.u8(..100) {
            0..18 => {
                let (ipa, end) = self.end_of_walk(rd);
                let level = if self.random.u8(..8) == 0 { self.level() } else { end + 1 };
                let (table, ipa) = (self.delegated(), self.align(ipa, level.saturating_sub(1)));
                self.call(function::RTT_CREATE, [rd, table, ipa, level.cast_unsigned(), noise]);
            }
            18..27 => {
                let (ipa, end) = self.end_of_walk(rd);
                let level = if self.random.bool() { self.level() } else { end };
                let ipa = self.align(ipa, level.saturating_sub(1));
                let function = self.one_of(&[function::RTT_DESTROY, function::RTT_FOLD]);
                self.call(function, [rd, ipa, level.cast_unsigned(), noise, noise]);
            }
            27..37 => {
                let ipa = self.ipa(rd);
                let level = self.level();
                let ipa = self.align(ipa, level);
                self.call(function::RTT_READ_ENTRY, [rd, ipa, level.cast_unsigned(), noise, noise]);
            }
            37..49 => {
                let (data, ipa) = (self.delegated(), self.ipa(rd));
                let source = if self.random.u8(..16) == 0 {
                    self.any_granule()
                } else {
                    self.pool[self.random.usize(..8)]
                };
                let flags = self.one_of(&[0, 0, 0, 1, 2, 1 << 63]);
                self.call(function::DATA_CREATE, [rd, data, ipa, source, flags]);
            }
            49..57 => {
                let (data, ipa) = (self.delegated(), self.ipa(rd));
                self.call(function::DATA_CREATE_UNKNOWN, [rd, data, ipa, noise, noise]);
            }
            57..67 => {
                let ipa = self.ipa(rd);
                self.call(function::DATA_DESTROY, [rd, ipa, noise, noise, noise]);
            }
            67..77 => {
                let (ipa, end) = self.end_of_walk(rd);
                let level = if self.random.u8(..8) == 0 { self.level() } else { end };
                let (ipa, descriptor) = (self.align(ipa, level), self.descriptor(level));
                let function = self.one_of(&[
                    function::RTT_MAP_UNPROTECTED,
                    function::RTT_MAP_UNPROTECTED,
                    function::RTT_UNMAP_UNPROTECTED,
                ]);
                self.call(function, [rd, ipa, level.cast_unsigned(), descriptor, noise]);
            }
            77..84 => {
                let (base, top) = self.range(rd);
                self.call(function::RTT_INIT_RIPAS, [rd, base, top, noise, noise]);
            }
            84..94 => self.set_ripas(rd),
            94 => self.delegate_or_undelegate(),
            95 | 96 => (0..4).for_each(|_| self.step_of_lives()),
            97 => match self.random.u8(..64) {
                0 => self.fill_with_data(rd),
                1 => self.fill_with_unprotected(rd),
                _ => {}
            },
            98 if self.random.u8(..8) != 0 => {}
            _ => {
                // Unmaps memory, so that other memory can be mapped.
                let places = if self.host.model.realms.contains_key(&rd) {
                    self.host.places(rd)
                } else {
                    vec![]
                };
                for ipa in places {
                    self.call(function::DATA_DESTROY, [rd, ipa, noise, noise, noise]);
                }
            }
        }
    }

    pub fn range(&mut self, rd: u64) -> (u64, u64) {
        let base = self.ipa(rd);
        let top = match self.random.u8(..4) {
            0 => self.ipa(rd),
            1 => base.wrapping_add(self.one_of(&[0x1000, 0x3000, 0x800])),
            2 => base.wrapping_add(self.one_of(&[0x20_0000, 0x4000_0000, 0x4020_1000])),
            _ => base.wrapping_add(0x2000),
        };
        // Entries are measured one by one, which takes long for a whole table.
        (
            base,
            if top.wrapping_sub(base) > 0x20_000 && top.wrapping_sub(base) < 0x20_0000 {
                base.wrapping_add(0x20_000)
            } else {
                top
            },
        )
    }

    pub fn set_ripas(&mut self, rd: u64) {
        let rec = if self.random.u8(..16) == 0 {
            self.any_granule()
        } else {
            self.one_of(&self.recs.clone())
        };
        let of_the_rec = self.host.model.recs.get(&rec).map(|rec| rec.realm);
        let (mut base, mut top) = self.range(of_the_rec.unwrap_or(rd));
        if let Some(pending) = self.host.model.recs.get(&rec).map(|rec| rec.pending) {
            // Beyond the host's part is the part of another one.
            let part = self.host.part(self.host.model.recs[&rec].realm);
            match pending.filter(|pending| part.contains(pending.base)) {
                Some(pending) if self.random.u8(..8) != 0 => {
                    base = pending.base;
                    top = if self.random.bool() { pending.top } else { top };
                }
                _ => {
                    let realm = &self.host.model.realms[&self.host.model.recs[&rec].realm];
                    let half = 1_u64 << (realm.s2sz - 1);
                    let within = base.is_multiple_of(GRANULE) && base < half;
                    if within && top > base && top <= half && top.is_multiple_of(GRANULE) {
                        let pending = Pending {
                            base,
                            top,
                            ripas: self.one_of(&[EMPTY, RAM]),
                            change_destroyed: self.random.bool(),
                        };
                        self.host.request(rec, (self.random.u8(..8) != 0).then_some(pending));
                    }
                }
            }
        }
        let noise = self.random.u64(..);
        let rd = of_the_rec.filter(|_| self.random.u8(..8) != 0).unwrap_or(rd);
        self.call(function::RTT_SET_RIPAS, [rd, rec, base, top, noise]);
    }

    pub fn delegate_or_undelegate(&mut self) {
        let address = self.one_of(&self.pool.clone()[8..]);
        if self.random.bool() {
            self.host.delegate_if_hosts(address);
        } else {
            self.host.undelegate(address);
            if self.host.model.state(address) == Some(State::Ns) {
                self.host.write(address, self.random.u64(..));
                self.host.delegate(address);
            }
        }
    }

    /// Creates the tables for an IPA down to `level`. Gives whether they exist.
    pub fn bring_table(&mut self, rd: u64, ipa: u64, level: i64) -> bool {
        loop {
            let reached = self.host.model.realms[&rd].leaf(ipa).0;
            if reached >= level {
                return reached == level;
            }
            let table = self.delegated();
            let base = ipa & !(size(reached) - 1);
            let answer = self
                .call(function::RTT_CREATE, [rd, table, base, (reached + 1).cast_unsigned(), 0]);
            if answer != 0 {
                return false;
            }
        }
    }

    /// Fills a table of level 3 with consecutive memory, so that it can be folded. Sometimes one
    /// page does not fit.
    fn fill_with_data(&mut self, rd: u64) {
        // Only the session's own Realms have a REC here, which asks for RIPAS.
        let Some(index) = self.realms.iter().position(|realm| *realm == rd) else { return };
        let base = self.host.part(rd).protected.start;
        if !self.bring_table(rd, base, 3) {
            return;
        }
        let (block, spoil) =
            (self.host.blocks() + BLOCK * self.random.u64(..2), self.random.usize(..1024));
        let ripas = self.random.bool();
        if ripas {
            self.call(function::RTT_INIT_RIPAS, [rd, base, base + 0x8000, 0, 0]);
        }
        for index in 0..512 {
            let (ipa, data) = (base + index * GRANULE, block + index * GRANULE);
            self.host.delegate_if_hosts(data);
            let realm = &self.host.model.realms[&rd];
            if realm.leaf(ipa) != (3, Entry::Assigned(EMPTY, data)) {
                self.call(function::DATA_DESTROY, [rd, ipa, 0, 0, 0]);
            }
            let data = if usize::try_from(index).expect("small") == spoil {
                self.delegated()
            } else {
                data
            };
            self.call(function::DATA_CREATE_UNKNOWN, [rd, data, ipa, 0, 0]);
        }
        self.call(function::RTT_FOLD, [rd, base, 3, 0, 0]);
        // Perhaps all entries are homogeneous now.
        let rec = self.recs[index];
        let ripas = self.one_of(&[EMPTY, RAM]);
        let pending = Pending { base, top: base + BLOCK, ripas, change_destroyed: true };
        self.host.request(rec, Some(pending));
        self.call(function::RTT_SET_RIPAS, [rd, rec, base, base + BLOCK, 0]);
        self.call(function::RTT_FOLD, [rd, base, 3, 0, 0]);
        self.call(function::RTT_FOLD, [rd, base, 2, 0, 0]);
        if self.random.bool() {
            self.bring_table(rd, base, 3);
        }
    }

    /// Fills a table with unprotected mappings, which are mostly homogeneous, and folds it.
    fn fill_with_unprotected(&mut self, rd: u64) {
        if !self.host.model.realms.contains_key(&rd) {
            return;
        }
        let Part { unprotected, .. } = self.host.part(rd);
        let (half, level) = (unprotected.start, self.random.i64(1..4));
        if !self.bring_table(rd, half, level) {
            return;
        }
        let output = (self.random.u64(1..1 << 16) * size((level - 1).max(0))) & ((1 << 48) - 1);
        let spoil = self.random.u64(..2048);
        for index in (0..512).filter(|index| unprotected.contains(&(half + index * size(level)))) {
            let (ipa, offset) = (half + index * size(level), index * size(level));
            let odd = if index == spoil { 0x40 } else { 0xc0 };
            self.call(function::RTT_UNMAP_UNPROTECTED, [rd, ipa, level.cast_unsigned(), 0, 0]);
            let descriptor = output.wrapping_add(offset) & ((1 << 48) - 1) | odd | 0x18;
            self.call(
                function::RTT_MAP_UNPROTECTED,
                [rd, ipa, level.cast_unsigned(), descriptor, 0],
            );
        }
        self.call(function::RTT_FOLD, [rd, half, level.cast_unsigned(), 0, 0]);
        if self.random.bool() {
            self.bring_table(rd, half, level);
        }
    }

    pub fn free_granule(&mut self) -> u64 {
        let granules = self.pool.iter().copied();
        let free = granules
            .clone()
            .find(|address| self.host.model.state(*address) == Some(State::Delegated));
        free.unwrap_or_else(|| {
            let host =
                granules.clone().find(|address| self.host.model.state(*address) == Some(State::Ns));
            let host = host.expect("not all of the pool is in use");
            self.host.delegate(host);
            host
        })
    }
}
