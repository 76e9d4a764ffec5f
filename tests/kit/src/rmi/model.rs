// SPDX-License-Identifier: BSD-3-Clause
//! What the RMM must answer and do, written a second time, from the ABI alone: each granule has one
//! state and one PAS, and nothing is concurrent.

use std::collections::BTreeMap;

use crate::el3::Pas;
use rmm::granule::State;
use rmm::rmi::{Dialect, function};

const SUCCESS: u64 = 0;
const ERROR_INPUT: u64 = 1;
const ERROR_GLOBAL: u64 = 11;
const ERROR_GPT: u64 = 15;
const UNKNOWN: u64 = u64::MAX;
const GRANULE: u64 = 0x1000;
const GIB: u64 = 1 << 30;

/// A granule of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granule {
    /// Its state in the RMM; `None` if the RMM does not track it.
    pub state: Option<State>,
    /// Its Physical Address Space in the Granule Protection Table.
    pub pas: Pas,
    /// The value that all its words hold.
    pub content: u64,
    /// Whether its memory answers, and whether it answered when it was delegated.
    pub answers: bool,
    pub proven: bool,
}

/// The expected state of the whole machine.
#[derive(Clone, Debug)]
pub struct Model {
    pub dialect: Dialect,
    pub granules: BTreeMap<u64, Granule>,
    pub active: bool,
    /// Whether EL3 refuses every change of PAS, and whether an interrupt is pending.
    pub el3_refuses: bool,
    pub interrupt: bool,
    pub refused_undelegates: u64,
    pub lost: usize,
    /// The first unimplemented address.
    pub physical_end: u64,
}

impl Model {
    /// What x0-x3 must be after a call with x0-x2 as given.
    pub fn call(&mut self, x0: u64, x1: u64, x2: u64) -> [u64; 4] {
        let number = x0 & 0xffff_ffff & !(1 << 16);
        let Ok(number) = u32::try_from(number) else { unreachable!("32 bits") };
        const IN_INIT: [u32; 6] = [
            function::VERSION,
            function::FEATURES,
            function::RMM_CONFIG_SET,
            function::RMM_CONFIG_GET,
            function::RMM_ACTIVATE,
            function::GRANULE_TRACKING_GET,
        ];
        const ACTIVE: [u32; 5] = [
            function::GRANULE_RANGE_DELEGATE,
            function::GRANULE_RANGE_UNDELEGATE,
            function::RMM_DEACTIVATE,
            function::GPT_L1_CREATE,
            function::GPT_INFO,
        ];
        if !self.active && !IN_INIT.contains(&number) {
            return [if ACTIVE.contains(&number) { ERROR_GLOBAL } else { UNKNOWN }, 0, 0, 0];
        }
        match (self.dialect, number) {
            (_, function::VERSION) => {
                let version = self.dialect.version();
                [if x1 == version { SUCCESS } else { ERROR_INPUT }, version, version, 0]
            }
            // 40 bits of address, SHA-256 and SHA-512, 2^9 - 1 RECs; the other fields are not
            // modelled.
            (Dialect::V1_0, function::FEATURES) => {
                [SUCCESS, if x1 == 0 { 40 | 3 << 32 | 9 << 38 } else { 0 }, 0, 0]
            }
            (Dialect::V2_0, function::FEATURES) => {
                let values = [40, 1 | 1 << 3 | 1 << 5 | 9 << 6 | 2 << 14, 0];
                [SUCCESS, values[usize::try_from(x1.min(2)).unwrap_or(2)], 0, 0]
            }
            (Dialect::V1_0, function::GRANULE_DELEGATE) => [status(self.delegate(x1)), 0, 0, 0],
            (Dialect::V1_0, function::GRANULE_UNDELEGATE) => [status(self.undelegate(x1)), 0, 0, 0],
            (Dialect::V2_0, function::GRANULE_RANGE_DELEGATE) => self.range(x1, x2, Self::delegate),
            (Dialect::V2_0, function::GRANULE_RANGE_UNDELEGATE) => {
                self.range(x1, x2, Self::undelegate)
            }
            (Dialect::V2_0, function::RMM_ACTIVATE) => [
                if std::mem::replace(&mut self.active, true) { ERROR_GLOBAL } else { SUCCESS },
                0,
                0,
                0,
            ],
            (Dialect::V2_0, function::RMM_DEACTIVATE) => {
                self.active = false;
                [SUCCESS, 0, 0, 0]
            }
            (Dialect::V2_0, function::GPT_L1_CREATE) => {
                let is_right = x1.is_multiple_of(GIB) && x1 < self.physical_end;
                [if is_right { ERROR_GPT } else { ERROR_INPUT }, 0, 0, 0]
            }
            (Dialect::V2_0, function::GPT_INFO) => self.tables(x1, x2),
            (Dialect::V2_0, function::RMM_CONFIG_SET) if self.active => [ERROR_GLOBAL, 0, 0, 0],
            (Dialect::V2_0, function::RMM_CONFIG_SET) => {
                [status(self.hosts(x1).is_some_and(|granule| granule.content == 0)), 0, 0, 0]
            }
            (Dialect::V2_0, function::RMM_CONFIG_GET) => {
                [status(self.hosts(x1).map(|granule| granule.content = 0).is_some()), 0, 0, 0]
            }
            (Dialect::V2_0, function::GRANULE_TRACKING_GET) => self.tracking(x1, x2),
            _ => [UNKNOWN, 0, 0, 0],
        }
    }

    /// Whether a call is a command on a Realm. This model does not cover those.
    pub fn is_realm_command(&self, x0: u64) -> bool {
        let number = x0 & 0xffff_ffff & !(1 << 16);
        const OTHERS: [u32; 3] =
            [function::GRANULE_DELEGATE, function::GRANULE_UNDELEGATE, function::FEATURES];
        const SECOND: [u32; 9] = [
            function::RTT_DATA_MAP,
            function::RTT_DATA_UNMAP,
            function::RTT_UNPROT_MAP,
            function::RTT_UNPROT_UNMAP,
            function::REALM_TERMINATE,
            function::OP_CONTINUE,
            function::OP_MEM_DONATE,
            function::OP_MEM_RECLAIM,
            function::OP_CANCEL,
        ];
        let Ok(number) = u32::try_from(number) else { return false };
        let common = (0xC400_0151..0xC400_016A).contains(&number) && !OTHERS.contains(&number);
        common || self.dialect == Dialect::V2_0 && SECOND.contains(&number)
    }

    fn delegate(&mut self, address: u64) -> bool {
        let refuses = self.el3_refuses;
        match self.granules.get_mut(&address) {
            Some(granule) if granule.state == Some(State::Ns) && granule.pas == Pas::NonSecure => {
                // The RMM reads a granule only the first time that it is delegated.
                granule.proven |= granule.answers;
                if refuses || !granule.proven {
                    return false;
                }
                granule.state = Some(State::Delegated);
                granule.pas = Pas::Realm;
                true
            }
            _ => false,
        }
    }

    fn undelegate(&mut self, address: u64) -> bool {
        let refuses = self.el3_refuses;
        match self.granules.get_mut(&address) {
            Some(granule) if granule.state == Some(State::Delegated) => {
                if !granule.answers {
                    granule.state = Some(State::Lost);
                    self.lost += 1;
                    return false;
                }
                granule.content = 0;
                if refuses {
                    self.refused_undelegates += 1;
                    return false;
                }
                granule.state = Some(State::Ns);
                granule.pas = Pas::NonSecure;
                true
            }
            _ => false,
        }
    }

    fn range(&mut self, base: u64, top: u64, one: fn(&mut Self, u64) -> bool) -> [u64; 4] {
        if !base.is_multiple_of(GRANULE)
            || !top.is_multiple_of(GRANULE)
            || top <= base
            || !one(self, base)
        {
            return [ERROR_INPUT, base, 0, 0];
        }
        let mut next = base + GRANULE;
        while next < top && !self.interrupt && one(self, next) {
            next += GRANULE;
        }
        [SUCCESS, next, 0, 0]
    }

    /// RMI_GPT_INFO. Each bank lies within one GiB, and no two are in adjacent ones.
    fn tables(&self, base: u64, top: u64) -> [u64; 4] {
        let aligned = base.is_multiple_of(GRANULE) && top.is_multiple_of(GRANULE);
        if !aligned || base >= top || top > self.physical_end {
            return [ERROR_INPUT, 0, 0, 0];
        }
        let tracked = self.granules.iter().filter(|(_, granule)| granule.state.is_some());
        let mut gibs: Vec<u64> = tracked.map(|(address, _)| address / GIB).collect();
        gibs.dedup();
        let (gib, state) = (base / GIB, if gibs.contains(&(base / GIB)) { 1 } else { 2 });
        let next = gibs.into_iter().find(|other| *other > gib).map(|gib| gib * GIB);
        let end = if state == 1 { Some((gib + 1) * GIB) } else { next };
        [SUCCESS, end.map_or(top, |end| end.min(top)), state, 0]
    }

    fn tracking(&self, base: u64, top: u64) -> [u64; 4] {
        let aligned = base.is_multiple_of(GRANULE) && top.is_multiple_of(GRANULE);
        if !aligned || base >= top || top > self.physical_end {
            return [ERROR_INPUT, 0, 0, 0];
        }
        let tracked =
            |address| self.granules.get(&address).is_some_and(|granule| granule.state.is_some());
        let kind = tracked(base);
        // The kind of memory changes only at a granule of the model or right after one.
        let candidates = self.granules.keys().flat_map(|address| [*address, address + GRANULE]);
        let end =
            candidates.filter(|end| *end > base && tracked(*end) != kind).min().unwrap_or(top);
        [SUCCESS, 0, if kind { 2 } else { 1 }, end.min(top)]
    }

    /// The granule at `address`, if its state is Ns and the Non-secure world may access it.
    fn hosts(&mut self, address: u64) -> Option<&mut Granule> {
        self.granules
            .get_mut(&address)
            .filter(|granule| granule.state == Some(State::Ns) && granule.pas == Pas::NonSecure)
            .filter(|granule| granule.answers)
    }
}

fn status(success: bool) -> u64 {
    if success { SUCCESS } else { ERROR_INPUT }
}
