// SPDX-License-Identifier: BSD-3-Clause
//! What the commands on tables and data must answer and do, written a second time, from the ABI
//! alone: plain numbers, nothing concurrent. `objects.rs` and `ranges.rs` have the other commands.

use std::collections::BTreeMap;
use std::sync::Arc;

use rmm::granule::State;
use rmm::realm::measurement::{InitialMeasurement, MeasuredRecParameters};
use rmm::rmi::function;

pub const SUCCESS: u64 = 0;
pub const ERROR_INPUT: u64 = 1;
pub const ERROR_REALM: u64 = 2;
pub const ERROR_REC: u64 = 3;
pub const GRANULE: u64 = 0x1000;

pub const EMPTY: u64 = 0;
pub const RAM: u64 = 1;
pub const DESTROYED: u64 = 2;

/// RMI_ERROR_RTT with a level.
pub fn error_rtt(level: i64) -> u64 {
    4 | (level.cast_unsigned() & 0xff) << 8
}

/// The size of what an entry at `level` maps.
pub fn size(level: i64) -> u64 {
    1 << (12 + 9 * (3 - level))
}

/// The state of an entry, as the host may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Unassigned(u64),
    Assigned(u64, u64),
    UnassignedNs,
    AssignedNs(u64),
    Table(u64),
}

impl Entry {
    pub fn is_live(self) -> bool {
        matches!(self, Self::Assigned(..) | Self::AssignedNs(_) | Self::Table(_))
    }

    /// The entry `index` of a table at `level` that is created in place of this entry.
    fn part(self, index: u64, level: i64) -> Self {
        let offset = index * size(level);
        match self {
            Self::Assigned(ripas, memory) => Self::Assigned(ripas, memory + offset),
            Self::AssignedNs(descriptor) => Self::AssignedNs(advance(descriptor, offset)),
            other => other,
        }
    }
}

/// The output address of a descriptor that a host passes; its bits 9:8 are address bits 51:50.
pub fn output(descriptor: u64) -> u64 {
    descriptor & 0x0003_ffff_ffff_f000 | (descriptor >> 8 & 3) << 50
}

fn advance(descriptor: u64, offset: u64) -> u64 {
    let address = output(descriptor) + offset;
    descriptor & 0xdc | address & 0x0003_ffff_ffff_f000 | (address >> 50) << 8
}

/// A Realm.
#[derive(Clone, Debug)]
pub struct Realm {
    pub s2sz: u32,
    pub start: i64,
    pub lpa2: bool,
    pub roots: Vec<u64>,
    pub vmid: u16,
    pub new: bool,
    /// The number of RECs created so far.
    pub next_rec: u64,
    pub measurement: InitialMeasurement,
    /// Tables by level and first IPA. All root tables together are one.
    pub tables: BTreeMap<(i64, u64), Arc<Vec<Entry>>>,
    /// The granule of each table except the root tables.
    pub table_granules: BTreeMap<(i64, u64), u64>,
}

/// A change of RIPAS that a REC has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    pub base: u64,
    pub top: u64,
    pub ripas: u64,
    pub change_destroyed: bool,
}

/// A REC.
#[derive(Clone, Debug)]
pub struct Rec {
    pub realm: u64,
    pub runnable: bool,
    pub running: bool,
    pub pending: Option<Pending>,
    pub aux: Vec<u64>,
}

/// An extension of the RIM.
#[derive(Clone, Copy, Debug)]
pub enum Measured {
    /// A page: its IPA, the flags, and the word that fills it if the content was measured.
    Data(u64, u64, Option<u64>),
    /// RAM: its first IPA and its end.
    Ripas(u64, u64),
    /// A REC that is runnable.
    Rec(MeasuredRecParameters),
}

impl Measured {
    /// Extends the RIM.
    pub fn extend(self, measurement: &mut InitialMeasurement) {
        match self {
            Self::Data(ipa, flags, word) => {
                measurement.extend_with_data(ipa, flags, word.map(|word| [word; 512]).as_ref());
            }
            Self::Ripas(base, top) => measurement.extend_with_ripas(base, top),
            Self::Rec(parameters) => measurement.extend_with_rec(&parameters),
        }
    }
}

/// The expected state of all granules, Realms and RECs.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The state of every granule that is tracked.
    pub granules: BTreeMap<u64, State>,
    /// The word that fills each Non-secure or Data granule.
    pub contents: BTreeMap<u64, u64>,
    /// Single words of the host's granules that differ from this.
    pub words: BTreeMap<u64, u64>,
    pub realms: BTreeMap<u64, Realm>,
    pub recs: BTreeMap<u64, Rec>,
    /// Whether an interrupt is pending when a command begins.
    pub interrupt: bool,
    /// What the last command has measured.
    pub measured: Vec<Measured>,
    /// Whether the host speaks RMI 2.0.
    pub is_2_0: bool,
}

/// Where a walk ends: the table, the index in it, and the level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) level: i64,
    base: u64,
    index: usize,
}

impl Realm {
    pub(super) fn space(&self) -> u64 {
        1 << self.s2sz
    }

    fn protected(&self, ipa: u64) -> bool {
        ipa < self.space() / 2
    }

    /// The tables of a new Realm.
    pub fn root(s2sz: u32, start: i64) -> BTreeMap<(i64, u64), Arc<Vec<Entry>>> {
        let reached = (1_u64 << s2sz).div_ceil(size(start));
        // A table has 512 entries, except at level -1, where 52 bits of address reach only 16.
        let entries = if start == -1 { 16 } else { reached.next_multiple_of(512) };
        let entry = |index: u64| {
            if index * size(start) < 1 << (s2sz - 1) {
                Entry::Unassigned(EMPTY)
            } else {
                Entry::UnassignedNs
            }
        };
        BTreeMap::from([((start, 0), Arc::new((0..entries).map(entry).collect()))])
    }

    pub(super) fn walk(&self, ipa: u64, to: i64) -> Place {
        let (mut level, mut base) = (self.start, 0);
        loop {
            let index = usize::try_from((ipa - base) / size(level)).expect("small");
            match self.tables[&(level, base)][index] {
                Entry::Table(_) if level < to => {
                    base = ipa & !(size(level) - 1);
                    level += 1;
                }
                _ => return Place { level, base, index },
            }
        }
    }

    pub(super) fn at(&self, place: Place) -> Entry {
        self.tables[&(place.level, place.base)][place.index]
    }

    pub(super) fn set(&mut self, place: Place, entry: Entry) {
        let table = self.tables.get_mut(&(place.level, place.base)).expect("there is the table");
        Arc::make_mut(table)[place.index] = entry;
    }

    /// The entry at which a walk for `ipa` to level 3 ends, and its level.
    pub fn leaf(&self, ipa: u64) -> (i64, Entry) {
        let place = self.walk(ipa, 3);
        (place.level, self.at(place))
    }

    pub(super) fn next_live(&self, place: Place, ipa: u64) -> u64 {
        if self.at(place).is_live() {
            return ipa;
        }
        let entries = &self.tables[&(place.level, place.base)];
        // A walk of entries ends with a table, also with a concatenated one.
        let end = (place.index / 512 * 512 + 512).min(entries.len());
        let next = (place.index..end).find(|index| entries[*index].is_live()).unwrap_or(end);
        (ipa & !(size(place.level) - 1))
            + u64::try_from(next - place.index).expect("small") * size(place.level)
    }

    /// The number of live entries in the table at a level and IPA.
    pub fn live(&self, key: (i64, u64)) -> usize {
        self.tables[&key].iter().filter(|entry| entry.is_live()).count()
    }

    fn gone(&self, ipa: u64) -> Entry {
        if self.protected(ipa) { Entry::Unassigned(DESTROYED) } else { Entry::UnassignedNs }
    }

    /// The entry into which a table can be folded.
    fn fold(&self, key: (i64, u64)) -> Option<Entry> {
        let (level, entries) = (key.0, &self.tables[&key]);
        let aligned = |address: u64| address.is_multiple_of(size(level - 1));
        match entries[0] {
            Entry::Table(_) => return None,
            Entry::Assigned(_, memory) if !aligned(memory) => return None,
            Entry::AssignedNs(descriptor) if !aligned(output(descriptor)) => return None,
            _ => {}
        }
        let alike =
            (0..).zip(entries.iter()).all(|(index, entry)| *entry == entries[0].part(index, level));
        alike.then_some(entries[0])
    }

    fn granule_ipa(&self, ipa: u64) -> bool {
        ipa.is_multiple_of(GRANULE) && ipa < self.space() && self.protected(ipa)
    }

    fn table_place(&self, ipa: u64, level: i64) -> bool {
        level > self.start
            && level <= 3
            && ipa < self.space()
            && ipa.is_multiple_of(size(level - 1))
    }

    fn unprotected_place(&self, ipa: u64, level: i64) -> bool {
        (1..=3).contains(&level)
            && level >= self.start
            && ipa < self.space()
            && ipa.is_multiple_of(size(level))
            && !self.protected(ipa)
    }

    /// Whether the RMM accepts this descriptor from the host.
    pub(super) fn host_descriptor(&self, descriptor: u64, level: i64) -> bool {
        let address = output(descriptor);
        let others = descriptor & !(0xdc | 0x0003_ffff_ffff_f300);
        let high = if self.lpa2 { 52 } else { 48 };
        others == 0
            && (self.lpa2 || descriptor & 0x300 == 0)
            && address >> high == 0
            && address.is_multiple_of(size(level))
            && descriptor >> 2 & 7 != 4
    }
}

pub(super) type Answer = [u64; 5];

pub(super) fn status(x0: u64) -> Answer {
    [x0, 0, 0, 0, 0]
}

impl Model {
    pub fn state(&self, address: u64) -> Option<State> {
        self.granules.get(&address).copied()
    }

    fn is(&self, address: u64, state: State) -> bool {
        self.state(address) == Some(state)
    }

    /// The answer to a call: x0 to x4. x4 is defined only for an RTT_READ_ENTRY that succeeds.
    pub fn call(&mut self, function: u32, arguments: [u64; 5]) -> Answer {
        let [a, b, c, d, e] = arguments;
        self.measured.clear();
        let answer = match function {
            function::GRANULE_DELEGATE => status(self.delegate(a)),
            function::GRANULE_UNDELEGATE => status(self.undelegate(a)),
            function::REALM_CREATE => status(self.realm_create(a, b)),
            function::REALM_ACTIVATE => status(self.realm_activate(a)),
            function::REALM_DESTROY => status(self.realm_destroy(a)),
            function::REC_AUX_COUNT => {
                let (x0, x1) = self.rec_aux_count(a);
                [x0, x1, 0, 0, 0]
            }
            function::REC_CREATE => status(self.rec_create(a, b, c)),
            function::REC_DESTROY => status(self.rec_destroy(a)),
            function::REC_ENTER => status(self.rec_enter(a, b)),
            // No REC has a pending PSCI request.
            function::PSCI_COMPLETE => status(ERROR_INPUT),
            function::DATA_CREATE => status(self.data_create(a, b, c, d, e)),
            function::DATA_CREATE_UNKNOWN => status(self.data_create_unknown(a, b, c)),
            function::DATA_DESTROY => self.data_destroy(a, b),
            function::RTT_CREATE => status(self.rtt_create(a, b, c, d.cast_signed())),
            function::RTT_DESTROY => self.rtt_destroy(a, b, c.cast_signed()),
            function::RTT_FOLD => self.rtt_fold(a, b, c.cast_signed()),
            function::RTT_READ_ENTRY => self.rtt_read_entry(a, b, c.cast_signed()),
            function::RTT_MAP_UNPROTECTED => status(self.map_unprotected(a, b, c.cast_signed(), d)),
            function::RTT_UNMAP_UNPROTECTED => self.unmap_unprotected(a, b, c.cast_signed()),
            function::RTT_INIT_RIPAS => self.init_ripas(a, b, c),
            function::GRANULE_RANGE_DELEGATE => self.move_granule([a, b], true),
            function::GRANULE_RANGE_UNDELEGATE => self.move_granule([a, b], false),
            function::RTT_DATA_MAP => self.map_range(true, a, [b, c], d, e),
            function::RTT_UNPROT_MAP => self.map_range(false, a, [b, c], d, e),
            function::RTT_DATA_UNMAP => self.unmap_range(true, a, [b, c], d),
            function::RTT_UNPROT_UNMAP => self.unmap_range(false, a, [b, c], d),
            function::RTT_SET_RIPAS => self.set_ripas(a, b, c, d),
            _ => unreachable!("not modelled"),
        };
        if let Some(realm) = self.realms.get_mut(&a) {
            self.measured.iter().for_each(|one| one.extend(&mut realm.measurement));
        }
        answer
    }

    /// Assigns memory to a protected page that is UNASSIGNED.
    fn assign(&mut self, rd: u64, data: u64, ipa: u64, ripas: Option<u64>) -> u64 {
        let realm = self.realms.get_mut(&rd).expect("the RD is one");
        let place = realm.walk(ipa, 3);
        if place.level < 3 {
            return error_rtt(place.level);
        }
        let Entry::Unassigned(before) = realm.at(place) else { return error_rtt(3) };
        realm.set(place, Entry::Assigned(ripas.unwrap_or(before), data));
        self.granules.insert(data, State::Data);
        SUCCESS
    }

    fn data_create(&mut self, rd: u64, data: u64, ipa: u64, source: u64, flags: u64) -> u64 {
        if flags > 1 || !self.is(source, State::Ns) || !self.is(data, State::Delegated) {
            return ERROR_INPUT;
        }
        let Some(realm) = self.realms.get(&rd) else { return ERROR_INPUT };
        if !realm.new {
            return ERROR_REALM;
        }
        if !realm.granule_ipa(ipa) || !realm.lpa2 && data >> 48 != 0 {
            return ERROR_INPUT;
        }
        let result = self.assign(rd, data, ipa, Some(RAM));
        if result == SUCCESS {
            let word = self.contents[&source];
            self.contents.insert(data, word);
            self.measured.push(Measured::Data(ipa, flags, (flags == 1).then_some(word)));
        }
        result
    }

    fn data_create_unknown(&mut self, rd: u64, data: u64, ipa: u64) -> u64 {
        let Some(realm) = self.realms.get(&rd) else { return ERROR_INPUT };
        if !self.is(data, State::Delegated)
            || !realm.granule_ipa(ipa)
            || !realm.lpa2 && data >> 48 != 0
        {
            return ERROR_INPUT;
        }
        let result = self.assign(rd, data, ipa, None);
        if result == SUCCESS {
            self.contents.insert(data, 0);
        }
        result
    }

    fn data_destroy(&mut self, rd: u64, ipa: u64) -> Answer {
        let Some(realm) = self.realms.get_mut(&rd).filter(|realm| realm.granule_ipa(ipa)) else {
            return status(ERROR_INPUT);
        };
        let place = realm.walk(ipa, 3);
        let Entry::Assigned(before, data) = realm.at(place) else {
            return [error_rtt(place.level), 0, realm.next_live(place, ipa), 0, 0];
        };
        if place.level < 3 {
            return [error_rtt(place.level), 0, ipa, 0, 0];
        }
        realm.set(place, Entry::Unassigned(if before == RAM { DESTROYED } else { before }));
        let top = realm.next_live(place, ipa);
        self.granules.insert(data, State::Delegated);
        [SUCCESS, data, top, 0, 0]
    }

    fn rtt_create(&mut self, rd: u64, table: u64, ipa: u64, level: i64) -> u64 {
        let delegated = self.is(table, State::Delegated);
        let Some(realm) = self.realms.get_mut(&rd) else { return ERROR_INPUT };
        if !delegated || !realm.table_place(ipa, level) || !realm.lpa2 && table >> 48 != 0 {
            return ERROR_INPUT;
        }
        let place = realm.walk(ipa, level - 1);
        if place.level < level - 1 {
            return error_rtt(place.level);
        }
        let entry = realm.at(place);
        if matches!(entry, Entry::Table(_)) {
            return error_rtt(level - 1);
        }
        realm.set(place, Entry::Table(table));
        let entries = (0..512).map(|index| entry.part(index, level)).collect();
        realm.tables.insert((level, ipa), Arc::new(entries));
        realm.table_granules.insert((level, ipa), table);
        self.granules.insert(table, State::Rtt);
        SUCCESS
    }

    fn rtt_destroy(&mut self, rd: u64, ipa: u64, level: i64) -> Answer {
        let Some(realm) = self.realms.get_mut(&rd).filter(|realm| realm.table_place(ipa, level))
        else {
            return status(ERROR_INPUT);
        };
        let place = realm.walk(ipa, level - 1);
        let Entry::Table(table) = realm.at(place) else {
            return [error_rtt(place.level), 0, realm.next_live(place, ipa), 0, 0];
        };
        if realm.live((level, ipa)) != 0 {
            return [error_rtt(level), 0, ipa, 0, 0];
        }
        realm.set(place, realm.gone(ipa));
        realm.tables.remove(&(level, ipa));
        realm.table_granules.remove(&(level, ipa));
        let top = realm.next_live(place, ipa);
        self.granules.insert(table, State::Delegated);
        [SUCCESS, table, top, 0, 0]
    }

    fn rtt_fold(&mut self, rd: u64, ipa: u64, level: i64) -> Answer {
        let Some(realm) = self.realms.get_mut(&rd).filter(|realm| realm.table_place(ipa, level))
        else {
            return status(ERROR_INPUT);
        };
        let place = realm.walk(ipa, level - 1);
        let Entry::Table(table) = realm.at(place) else { return status(error_rtt(place.level)) };
        let Some(entry) = realm.fold((level, ipa)) else { return status(error_rtt(level)) };
        if entry.is_live() && level <= 1 {
            return status(error_rtt(level - 1));
        }
        realm.set(place, entry);
        realm.tables.remove(&(level, ipa));
        realm.table_granules.remove(&(level, ipa));
        self.granules.insert(table, State::Delegated);
        [SUCCESS, table, 0, 0, 0]
    }

    fn rtt_read_entry(&self, rd: u64, ipa: u64, level: i64) -> Answer {
        let Some(realm) = self.realms.get(&rd) else { return status(ERROR_INPUT) };
        let level_is_right = level >= realm.start && level <= 3;
        if !level_is_right || ipa >= realm.space() || !ipa.is_multiple_of(size(level)) {
            return status(ERROR_INPUT);
        }
        let place = realm.walk(ipa, level);
        let (state, descriptor, ripas) = match realm.at(place) {
            Entry::Unassigned(ripas) => (0, 0, ripas),
            Entry::Assigned(ripas, memory) => (1, memory, ripas),
            Entry::UnassignedNs => (0, 0, EMPTY),
            Entry::AssignedNs(descriptor) => (1, descriptor, EMPTY),
            Entry::Table(table) => (2, table, EMPTY),
        };
        [SUCCESS, place.level.cast_unsigned(), state, descriptor, ripas]
    }

    fn map_unprotected(&mut self, rd: u64, ipa: u64, level: i64, descriptor: u64) -> u64 {
        let Some(realm) = self.realms.get_mut(&rd) else { return ERROR_INPUT };
        if !realm.unprotected_place(ipa, level) || !realm.host_descriptor(descriptor, level) {
            return ERROR_INPUT;
        }
        let place = realm.walk(ipa, level);
        if place.level < level || realm.at(place) != Entry::UnassignedNs {
            return error_rtt(place.level);
        }
        realm.set(place, Entry::AssignedNs(descriptor));
        SUCCESS
    }

    fn unmap_unprotected(&mut self, rd: u64, ipa: u64, level: i64) -> Answer {
        let Some(realm) =
            self.realms.get_mut(&rd).filter(|realm| realm.unprotected_place(ipa, level))
        else {
            return status(ERROR_INPUT);
        };
        let place = realm.walk(ipa, level);
        if place.level < level || !matches!(realm.at(place), Entry::AssignedNs(_)) {
            return [error_rtt(place.level), realm.next_live(place, ipa), 0, 0, 0];
        }
        realm.set(place, Entry::UnassignedNs);
        [SUCCESS, realm.next_live(place, ipa), 0, 0, 0]
    }

    fn init_ripas(&mut self, rd: u64, base: u64, top: u64) -> Answer {
        let Some(realm) = self.realms.get_mut(&rd) else { return status(ERROR_INPUT) };
        if top <= base
            || !realm.granule_ipa(base)
            || !realm.granule_ipa((top - 1) & !0xfff)
            || !top.is_multiple_of(GRANULE)
        {
            return status(ERROR_INPUT);
        }
        if !realm.new {
            return status(ERROR_REALM);
        }
        if self.is_2_0 {
            return Self::init_ripas_unmeasured(realm, base, top, self.interrupt);
        }
        let measured = &mut self.measured;
        change(realm, base, top, self.interrupt, |from, to, entry| match entry {
            Entry::Unassigned(EMPTY | RAM) => {
                measured.push(Measured::Ripas(from, to));
                Some(Entry::Unassigned(RAM))
            }
            _ => None,
        })
    }

    fn set_ripas(&mut self, rd: u64, rec: u64, base: u64, top: u64) -> Answer {
        if top <= base || !top.is_multiple_of(GRANULE) || !self.realms.contains_key(&rd) {
            return status(ERROR_INPUT);
        }
        let Some(rec) = self.recs.get_mut(&rec) else { return status(ERROR_INPUT) };
        if rec.running || rec.realm != rd {
            return status(ERROR_REC);
        }
        let Some(pending) =
            rec.pending.as_mut().filter(|pending| base == pending.base && top <= pending.top)
        else {
            return status(ERROR_INPUT);
        };
        let realm = self.realms.get_mut(&rd).expect("it is");
        let may_change = |before: u64| before != DESTROYED || pending.change_destroyed;
        let answer = change(realm, base, top, self.interrupt, |_, _, entry| match entry {
            Entry::Unassigned(before) if may_change(before) => {
                Some(Entry::Unassigned(pending.ripas))
            }
            Entry::Assigned(before, memory) if may_change(before) => {
                Some(Entry::Assigned(pending.ripas, memory))
            }
            _ => None,
        });
        if answer[0] == SUCCESS {
            pending.base = answer[1];
        }
        answer
    }
}

/// Replaces entries from `base` to `top`, within one table, as long as `one` gives a new entry.
/// Only one entry if an interrupt is pending.
pub(super) fn change(
    realm: &mut Realm,
    base: u64,
    top: u64,
    interrupt: bool,
    mut one: impl FnMut(u64, u64, Entry) -> Option<Entry>,
) -> Answer {
    let first = realm.walk(base, 3);
    let size = size(first.level);
    if !base.is_multiple_of(size) {
        return status(error_rtt(first.level));
    }
    let end = (first.index / 512 * 512 + 512).min(realm.tables[&(first.level, first.base)].len());
    let mut next = base;
    for index in first.index..end {
        let place = Place { index, ..first };
        if next + size > top {
            break;
        }
        let Some(entry) = one(next, next + size, realm.at(place)) else { break };
        realm.set(place, entry);
        next += size;
        if interrupt {
            break;
        }
    }
    if next == base { status(error_rtt(first.level)) } else { [SUCCESS, next, 0, 0, 0] }
}
