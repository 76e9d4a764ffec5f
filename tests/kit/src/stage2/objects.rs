// SPDX-License-Identifier: BSD-3-Clause
//! What the commands on granules, Realms and RECs must answer and do, written a second time, from
//! the ABI alone.

use rmm::granule::State;
use rmm::realm::measurement::{
    HashAlgorithm, InitialMeasurement, MeasuredRealmParameters, MeasuredRecParameters,
};

use super::model::{
    ERROR_INPUT, ERROR_REALM, ERROR_REC, GRANULE, Measured, Model, Realm, Rec, SUCCESS,
};

/// What feature register 0 of the model machine says: breakpoints and watchpoints, each less one,
/// and the address bits.
const BREAKPOINTS: u32 = 1;
const WATCHPOINTS: u32 = 1;
const ADDRESS_BITS: u32 = 52;
const ADDRESS_BITS_WITHOUT_LPA2: u32 = 48;

/// Number of auxiliary granules of a REC.
pub const AUXILIARY: u64 = 11;
/// Largest number of RECs of a Realm.
const MOST_RECS: u64 = 511;
/// The bits of RmiRecMpidr that are not reserved: Aff0 to Aff3.
const MPIDR: u64 = 0xffff_ff0f;

fn half(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}

/// The number of root tables for a size and a start level, if that combination is legal.
fn root_count(s2sz: u32, start: i64, lpa2: bool) -> Option<u64> {
    // Bits of address that the levels below the root and the page resolve.
    let below = 12 + 9 * u32::try_from(3 - start).ok()?;
    let (least, most) = match start {
        -1 if lpa2 => (below + 1, below + 4),
        0 => (below + 1, below + if lpa2 { 13 } else { 9 }),
        1..=3 => (below + 1, below + 13),
        _ => return None,
    };
    let bits = if lpa2 { ADDRESS_BITS } else { ADDRESS_BITS_WITHOUT_LPA2 };
    let legal = (32..=bits).contains(&s2sz) && (least..=most).contains(&s2sz);
    legal.then(|| 1 << s2sz.saturating_sub(below + 9))
}

impl Model {
    /// A word of a granule of the host.
    fn word(&self, address: u64) -> u64 {
        self.words.get(&address).copied().unwrap_or_else(|| self.contents[&(address & !0xfff)])
    }

    fn all_delegated(&self, addresses: &[u64]) -> bool {
        let different: std::collections::BTreeSet<_> = addresses.iter().collect();
        different.len() == addresses.len()
            && addresses.iter().all(|address| self.state(*address) == Some(State::Delegated))
    }

    pub fn delegate(&mut self, address: u64) -> u64 {
        if self.state(address) != Some(State::Ns) {
            return ERROR_INPUT;
        }
        self.granules.insert(address, State::Delegated);
        SUCCESS
    }

    pub fn undelegate(&mut self, address: u64) -> u64 {
        if self.state(address) != Some(State::Delegated) {
            return ERROR_INPUT;
        }
        self.granules.insert(address, State::Ns);
        self.contents.insert(address, 0);
        SUCCESS
    }

    pub fn realm_create(&mut self, rd: u64, page: u64) -> u64 {
        match self.realm_of_parameters(rd, page) {
            Some(realm) => {
                self.granules.insert(rd, State::Rd);
                self.granules.extend(realm.roots.iter().map(|root| (*root, State::Rtt)));
                self.realms.insert(rd, realm);
                SUCCESS
            }
            None => ERROR_INPUT,
        }
    }

    /// The Realm that the parameters describe, if they are legal and its granules are Delegated.
    fn realm_of_parameters(&self, rd: u64, page: u64) -> Option<Realm> {
        if self.state(page) != Some(State::Ns) {
            return None;
        }
        let word = |offset| self.word(page + offset);
        let (flags, s2sz, start) = (word(0x0), half(word(0x8)), word(0x810).cast_signed());
        let (num_bps, num_wps) = (half(word(0x18)), half(word(0x20)));
        let lpa2 = flags == 1;
        let count = root_count(s2sz, start, lpa2)?;
        let algorithm = match word(0x30) & 0xff {
            0 => HashAlgorithm::Sha256,
            1 => HashAlgorithm::Sha512,
            _ => return None,
        };
        let (root, vmid) = (word(0x808), (word(0x800) & 0xffff) as u16);
        let bits = if lpa2 { ADDRESS_BITS } else { ADDRESS_BITS_WITHOUT_LPA2 };
        let legal = flags <= 1
            && (1..=BREAKPOINTS).contains(&num_bps)
            && (1..=WATCHPOINTS).contains(&num_wps)
            && u64::from(half(word(0x818))) == count
            && root.is_multiple_of(count * GRANULE)
            && root >> bits == 0;
        if !legal || self.realms.values().any(|realm| realm.vmid == vmid) {
            return None;
        }
        let roots: Vec<u64> = (0..count).map(|index| root + index * GRANULE).collect();
        if !self.all_delegated(&[&[rd], &roots[..]].concat()) {
            return None;
        }
        let measured = MeasuredRealmParameters {
            flags,
            s2sz,
            sve_vl: half(word(0x10)),
            num_bps,
            num_wps,
            pmu_num_ctrs: half(word(0x28)),
            algorithm,
        };
        Some(Realm {
            s2sz,
            start,
            lpa2,
            roots,
            vmid,
            new: true,
            next_rec: 0,
            measurement: InitialMeasurement::new(&measured),
            tables: Realm::root(s2sz, start),
            table_granules: Default::default(),
        })
    }

    pub fn realm_activate(&mut self, rd: u64) -> u64 {
        match self.realms.get_mut(&rd) {
            None => ERROR_INPUT,
            Some(realm) if !realm.new => ERROR_REALM,
            Some(realm) => {
                realm.new = false;
                SUCCESS
            }
        }
    }

    pub fn realm_destroy(&mut self, rd: u64) -> u64 {
        let Some(realm) = self.realms.get(&rd) else { return ERROR_INPUT };
        let has_recs = self.recs.values().any(|rec| rec.realm == rd);
        if has_recs || realm.live((realm.start, 0)) != 0 {
            return ERROR_REALM;
        }
        self.granules
            .extend(realm.roots.iter().chain([&rd]).map(|granule| (*granule, State::Delegated)));
        self.realms.remove(&rd);
        SUCCESS
    }

    /// The answer of RMI_REC_AUX_COUNT: x0 and x1.
    pub fn rec_aux_count(&self, rd: u64) -> (u64, u64) {
        if self.realms.contains_key(&rd) { (SUCCESS, AUXILIARY) } else { (ERROR_INPUT, 0) }
    }

    pub fn rec_create(&mut self, rd: u64, rec: u64, page: u64) -> u64 {
        if self.state(page) != Some(State::Ns) {
            return ERROR_INPUT;
        }
        let word = |offset| self.word(page + offset);
        let count = word(0x800);
        if count > 16 {
            return ERROR_INPUT;
        }
        let aux: Vec<u64> = (0..count).map(|index| word(0x808 + 8 * index)).collect();
        if !self.all_delegated(&[&[rec], &aux[..]].concat()) {
            return ERROR_INPUT;
        }
        let Some(realm) = self.realms.get(&rd) else { return ERROR_INPUT };
        if realm.next_rec >= MOST_RECS || !realm.new {
            return ERROR_REALM;
        }
        let mpidr = word(0x100);
        let index = mpidr & 0xf | mpidr >> 8 << 4;
        if mpidr & !MPIDR != 0 || index != realm.next_rec || count != AUXILIARY {
            return ERROR_INPUT;
        }
        let gprs = [0, 1, 2, 3, 4, 5, 6, 7].map(|index| word(0x300 + 8 * index));
        let measured = MeasuredRecParameters { flags: word(0x0), pc: word(0x200), gprs };
        let runnable = measured.flags & 1 != 0;
        if runnable {
            self.measured.push(Measured::Rec(measured));
        }
        self.realms.get_mut(&rd).expect("it is").next_rec += 1;
        self.granules.insert(rec, State::Rec);
        self.granules.extend(aux.iter().map(|aux| (*aux, State::RecAux)));
        self.recs.insert(rec, Rec { realm: rd, runnable, running: false, pending: None, aux });
        SUCCESS
    }

    pub fn rec_destroy(&mut self, rec: u64) -> u64 {
        let Some(gone) = self.recs.remove(&rec) else { return ERROR_INPUT };
        self.granules
            .extend(gone.aux.iter().chain([&rec]).map(|granule| (*granule, State::Delegated)));
        SUCCESS
    }

    /// Whether RMI_REC_ENTER would run this REC if the run page is right. The run itself is not
    /// modelled.
    pub fn would_run(&self, rec: u64) -> bool {
        self.recs.get(&rec).is_some_and(|rec| rec.runnable && !self.realms[&rec.realm].new)
    }

    /// The answer of RMI_REC_ENTER for a REC that would not run.
    pub fn rec_enter(&self, rec: u64, run: u64) -> u64 {
        match self.recs.get(&rec).filter(|_| self.state(run) == Some(State::Ns)) {
            None => ERROR_INPUT,
            Some(rec) if self.realms[&rec.realm].new => ERROR_REALM,
            Some(_) => ERROR_REC,
        }
    }
}
