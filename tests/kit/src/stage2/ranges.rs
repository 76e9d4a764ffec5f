// SPDX-License-Identifier: BSD-3-Clause
//! What RMI 2.0's commands on ranges must answer and do, with single descriptors.

use rmm::granule::State;

use super::model::{
    Answer, DESTROYED, EMPTY, ERROR_INPUT, Entry, GRANULE, Model, RAM, Realm, SUCCESS, change,
    error_rtt, size, status,
};

/// How a command passes descriptors of ranges: not at all, or one in a register.
pub const NONE: u64 = 0;
pub const SINGLE: u64 = 1;

/// The descriptor of `count` blocks at a level, from `address` on.
pub fn descriptor(level: i64, address: u64, count: u64) -> u64 {
    (3 - level).cast_unsigned() | count << 2 | address
}

/// The attributes of an entry that an UNPROT_MAP with these flags makes.
fn attributes(flags: u64) -> u64 {
    (flags >> 16 & 7) << 2 | (flags >> 19 & 3) << 6
}

impl Model {
    /// RMI_RTT_DATA_MAP, RMI_RTT_UNPROT_MAP.
    pub fn map_range(
        &mut self,
        is_protected: bool,
        rd: u64,
        [base, top]: [u64; 2],
        flags: u64,
        range: u64,
    ) -> Answer {
        let Some(realm) = self.realms.get(&rd) else { return status(ERROR_INPUT) };
        let (level, count) = (3 - (range & 3).cast_signed(), range >> 2 & 0x3ff);
        let memory = range & 0xf_ffff_ffff_f000;
        if top <= base
            || flags & 3 != SINGLE
            || count == 0
            || level < realm.start.max(1)
            || !top.is_multiple_of(GRANULE)
            || top > realm.space()
            || !base.is_multiple_of(size(level))
        {
            return status(ERROR_INPUT);
        }
        let half = realm.space() / 2;
        let is_right = if is_protected { range >> 62 == 0 && top <= half } else { base >= half };
        if !is_right {
            return status(ERROR_INPUT);
        }
        if top - base < size(level) {
            return status(error_rtt(level));
        }
        let mut next = base;
        for block in 0..count {
            if next + size(level) > top {
                break;
            }
            let block = memory + block * size(level);
            let error = if is_protected {
                self.map_block(rd, next, level, block)
            } else {
                self.share_block(rd, next, level, block, flags)
            };
            match error {
                SUCCESS => next += size(level),
                error if next == base => return [error, base, 0, 0, 0],
                _ => break,
            }
            if self.interrupt {
                break;
            }
        }
        [SUCCESS, next, 0, 0, 0]
    }

    fn map_block(&mut self, rd: u64, ipa: u64, level: i64, memory: u64) -> u64 {
        let all = (memory..memory + size(level)).step_by(0x1000);
        let is_free = all.clone().all(|page| self.state(page) == Some(State::Delegated));
        let realm = self.realms.get_mut(&rd).expect("the RD is one");
        if !memory.is_multiple_of(size(level)) || !realm.lpa2 && memory >> 48 != 0 {
            return ERROR_INPUT;
        }
        let place = realm.walk(ipa, level);
        match realm.at(place) {
            _ if place.level < level => return error_rtt(place.level),
            Entry::Assigned(_, same) if same == memory => return SUCCESS,
            Entry::Unassigned(_) if !is_free => return ERROR_INPUT,
            Entry::Unassigned(ripas) => realm.set(place, Entry::Assigned(ripas, memory)),
            _ => return error_rtt(level),
        }
        for page in all {
            self.granules.insert(page, State::Data);
            self.contents.insert(page, 0);
        }
        SUCCESS
    }

    fn share_block(&mut self, rd: u64, ipa: u64, level: i64, memory: u64, flags: u64) -> u64 {
        let realm = self.realms.get_mut(&rd).expect("the RD is one");
        let address = memory & 0x0003_ffff_ffff_f000 | memory >> 50 << 8;
        let entry = address | attributes(flags);
        if !realm.host_descriptor(entry, level) || flags >> 19 & 0xf > 3 {
            return ERROR_INPUT;
        }
        let place = realm.walk(ipa, level);
        match realm.at(place) {
            _ if place.level < level => return error_rtt(place.level),
            Entry::AssignedNs(same) if same == entry => {}
            Entry::UnassignedNs => realm.set(place, Entry::AssignedNs(entry)),
            _ => return error_rtt(level),
        }
        SUCCESS
    }

    /// RMI_RTT_DATA_UNMAP, RMI_RTT_UNPROT_UNMAP.
    pub fn unmap_range(
        &mut self,
        is_protected: bool,
        rd: u64,
        [base, top]: [u64; 2],
        flags: u64,
    ) -> Answer {
        let Some(realm) = self.realms.get_mut(&rd) else { return status(ERROR_INPUT) };
        let half = realm.space() / 2;
        if top <= base
            || !base.is_multiple_of(GRANULE)
            || !top.is_multiple_of(GRANULE)
            || top > if is_protected { half } else { 2 * half }
            || !is_protected && base < half
            || ![NONE, SINGLE].contains(&(flags & 3))
        {
            return status(ERROR_INPUT);
        }
        let (mut next, mut told) = (base, None::<(i64, u64, u64)>);
        while next < top {
            let place = realm.walk(next, 3);
            let (level, entry) = (place.level, realm.at(place));
            let (memory, after) = match entry {
                Entry::Assigned(RAM, memory) => (memory, Entry::Unassigned(DESTROYED)),
                Entry::Assigned(ripas, memory) => (memory, Entry::Unassigned(ripas)),
                Entry::AssignedNs(entry) => (super::model::output(entry), Entry::UnassignedNs),
                _ => {
                    next = realm.next_live(place, next).min(top);
                    if self.interrupt {
                        break;
                    }
                    continue;
                }
            };
            if !next.is_multiple_of(size(level)) || next + size(level) > top {
                if next == base {
                    return [error_rtt(level), base, 0, 0, 0];
                }
                break;
            }
            if flags & 3 == SINGLE {
                told = match told {
                    None => Some((level, memory, 1)),
                    Some((same, first, count))
                        if same == level
                            && count < 0x3ff
                            && first + count * size(level) == memory =>
                    {
                        Some((level, first, count + 1))
                    }
                    // A second descriptor cannot be passed back.
                    Some(_) => break,
                };
            }
            realm.set(place, after);
            if is_protected {
                let all = (memory..memory + size(level)).step_by(0x1000);
                self.granules.extend(all.map(|page| (page, State::Delegated)));
            }
            next += size(level);
            if self.interrupt {
                break;
            }
        }
        let told = told.map_or(0, |(level, first, count)| descriptor(level, first, count));
        [SUCCESS, next, told, 0, 0]
    }

    /// RMI_RTT_INIT_RIPAS of RMI 2.0, which measures nothing.
    pub fn init_ripas_unmeasured(
        realm: &mut Realm,
        base: u64,
        top: u64,
        interrupt: bool,
    ) -> Answer {
        change(realm, base, top, interrupt, |_, _, entry| match entry {
            Entry::Unassigned(EMPTY | RAM) => Some(Entry::Unassigned(RAM)),
            Entry::Assigned(EMPTY | RAM, memory) => Some(Entry::Assigned(RAM, memory)),
            _ => None,
        })
    }

    /// RMI_GRANULE_RANGE_DELEGATE of one granule, or RMI_GRANULE_RANGE_UNDELEGATE.
    pub fn move_granule(&mut self, [base, top]: [u64; 2], delegate: bool) -> Answer {
        assert_eq!(top.wrapping_sub(base), GRANULE, "one alone is modelled");
        let result = if delegate { self.delegate(base) } else { self.undelegate(base) };
        [result, if result == SUCCESS { top } else { base }, 0, 0, 0]
    }
}
