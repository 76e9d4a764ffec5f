// SPDX-License-Identifier: BSD-3-Clause
//! What the ABI says: the state of the machine as a host may know it, and what each call must
//! answer and do.
//!
//! Commands on granules, tables and memory are those of the kit's model. RECs that run, and PSCI,
//! are here.

mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kit::memory::GRANULE_WORDS;
use kit::stage2::model::{
    self, ERROR_INPUT, ERROR_REALM, ERROR_REC, Entry, Model, Pending, RAM, SUCCESS,
};
use rmm::granule::State;
use rmm::realm::rec::{PendingRequest, RequestedRipas};
use rmm::rmi::{Dialect, function};
use rmm_abi::{psci as psci_abi, rsi as rsi_abi};

use crate::letters::{Act, HostPage, Letter};
use crate::machine::address;
use crate::state::{HOST, SECRET};
use crate::stateful::{self, List, Operation};

/// The page that only the host has, where it writes parameters.
pub const PARAMETERS: usize = 0;
/// What all words of it hold when nothing else is written there.
pub const MARKS: u64 = 0x3a3a_3a3a_3a3a_3a3a;
/// RMI_ERROR_REALM of a Realm that is switched off.
const ERROR_REALM_OFF: u64 = 0x102;
/// GICv3 state of an entry.
const GIC: std::ops::Range<u64> = 0x300..0x388;

/// RmiRecExitReason.
pub mod exit {
    pub const SYNC: u64 = 0;
    pub const IRQ: u64 = 1;
    pub const FIQ: u64 = 2;
    pub const PSCI: u64 = 3;
    pub const RIPAS_CHANGE: u64 = 4;
    pub const HOST_CALL: u64 = 5;
    pub const SERROR: u64 = 6;
}

/// What is known of a REC beside the kit's model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecState {
    /// Its index.
    pub index: u64,
    /// What it waits for.
    pub pending: PendingRequest,
    /// The IPA of the structure of a host call that is pending.
    pub call_page: u64,
    /// Whether the host may emulate what it left for, and whether it may inject an abort.
    pub may_complete: [bool; 2],
    /// Whether an SError is pending.
    pub serror: bool,
}

/// The state of the machine as the ABI has it.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The kit's model.
    pub model: Model,
    /// Realms that are switched off.
    pub off: BTreeSet<u64>,
    /// RECs.
    pub recs: BTreeMap<u64, RecState>,
    /// Realms that the host has terminated (RMI 2.0).
    pub zombies: BTreeSet<u64>,
    /// Operations that the host has not finished, by handle (RMI 2.0).
    pub operations: BTreeMap<u64, Operation>,
    /// What the last call has written to a list of the host's (RMI 2.0).
    pub reclaimed: Vec<u64>,
    dialect: Dialect,
}

/// What must come of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// x0 to x4. Only RTT_READ_ENTRY defines x4.
    pub answer: [u64; 5],
    /// Why the REC left.
    pub exit: Option<u64>,
}

impl Spec {
    /// Whether two are the same, as far as a host may know.
    ///
    /// # Errors
    ///
    /// What differs. What Realms and hosts have in their memory counts if `contents`.
    pub fn same_as(&self, other: &Self, contents: bool) -> Result<(), String> {
        let (a, b) = (&self.model, &other.model);
        if a.granules != b.granules {
            let differ = |(address, state): &(&u64, &State)| b.granules.get(address) != Some(state);
            let first = a.granules.iter().find(differ);
            return Err(format!(
                "granule {first:x?} should be {:?}",
                first.map(|(g, _)| b.state(*g))
            ));
        }
        for (address, content) in a.contents.iter().filter(|_| contents) {
            let counts = matches!(a.state(*address), Some(State::Data | State::Ns));
            if counts && *address != crate::machine::address(PARAMETERS) {
                let should = b.contents[address];
                if *content != should {
                    return Err(format!("{address:#x} holds {content:#x}, not {should:#x}"));
                }
            }
        }
        if a.realms.keys().ne(b.realms.keys())
            || self.off != other.off
            || self.zombies != other.zombies
        {
            return Err("other Realms".into());
        }
        if self.operations != other.operations {
            let (is, should) = (&self.operations, &other.operations);
            return Err(format!("the operations are {is:x?}, not {should:x?}"));
        }
        for (at, realm) in &a.realms {
            let should = &b.realms[at];
            if (realm.new, realm.next_rec, realm.vmid) != (should.new, should.next_rec, should.vmid)
            {
                return Err(format!("the Realm at {at:#x} is in another state"));
            }
            if realm.tables != should.tables || realm.table_granules != should.table_granules {
                return Err(format!("the tables of the Realm at {at:#x} are others"));
            }
            if realm.measurement != should.measurement {
                return Err(format!("the RIM of the Realm at {at:#x} is another"));
            }
        }
        if a.recs.keys().ne(b.recs.keys()) {
            return Err("other RECs".into());
        }
        for (at, rec) in &a.recs {
            let should = &b.recs[at];
            let same = (rec.realm, rec.runnable, rec.running, &rec.aux)
                == (should.realm, should.runnable, should.running, &should.aux);
            if !same || self.recs[at] != other.recs[at] {
                return Err(format!(
                    "the REC at {at:#x} is {:x?} {:x?}, not {:x?} {:x?}",
                    rec, self.recs[at], should, other.recs[at]
                ));
            }
        }
        Ok(())
    }

    /// Writes what the host has in its page into the model.
    pub fn write_page(&mut self, words: &[(u64, u64)]) {
        let base = address(PARAMETERS);
        self.model.words = words.iter().map(|(offset, word)| (base + offset, *word)).collect();
        self.model.contents.insert(base, MARKS);
    }

    /// The RMI.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What must come of a letter.
    pub fn call(&mut self, letter: &Letter, lists: &[List]) -> Expected {
        self.model.interrupt = letter.interrupt;
        if self.dialect == Dialect::V2_0 {
            return self.call_2_0(letter, lists);
        }
        let [a, b, c, ..] = letter.arguments;
        let status = |x0| Expected { answer: [x0, 0, 0, 0, 0], exit: None };
        match letter.function {
            function::GRANULE_DELEGATE | function::GRANULE_UNDELEGATE if letter.refused => {
                status(ERROR_INPUT)
            }
            function::REC_ENTER => self.enter(a, b, letter),
            function::PSCI_COMPLETE => status(self.psci_complete(a, b, c)),
            function::REC_CREATE => {
                let x0 = self.model.call(letter.function, letter.arguments)[0];
                if x0 == SUCCESS {
                    let index = self.model.realms[&a].next_rec - 1;
                    let new = RecState {
                        index,
                        pending: PendingRequest::None,
                        call_page: 0,
                        may_complete: [false; 2],
                        serror: false,
                    };
                    self.recs.insert(b, new);
                }
                status(x0)
            }
            _ => {
                let answer = self.model.call(letter.function, letter.arguments);
                self.follow(letter, answer[0]);
                Expected { answer, exit: None }
            }
        }
    }

    /// What the kit's model has done to what is kept here.
    fn follow(&mut self, letter: &Letter, x0: u64) {
        let [a, b, ..] = letter.arguments;
        match letter.function {
            function::REC_DESTROY if x0 == SUCCESS => {
                self.recs.remove(&a);
            }
            function::REALM_DESTROY if x0 == SUCCESS => {
                self.off.remove(&a);
            }
            function::RTT_SET_RIPAS if x0 == SUCCESS => {
                let reached = self.model.recs[&b].pending.map(|pending| pending.base);
                if let (Some(rec), Some(reached)) = (self.recs.get_mut(&b), reached)
                    && let PendingRequest::Ripas { base, .. } = &mut rec.pending
                {
                    *base = reached;
                }
            }
            _ => {}
        }
    }

    fn psci_complete(&mut self, calling: u64, target: u64, status: u64) -> u64 {
        let (Some(from), Some(to)) = (self.recs.get(&calling), self.recs.get(&target)) else {
            return ERROR_INPUT;
        };
        if calling == target {
            return ERROR_INPUT;
        }
        let named = match from.pending {
            PendingRequest::CpuOn { target, .. } | PendingRequest::AffinityInfo { target } => {
                u64::from(target.index())
            }
            _ => return ERROR_INPUT,
        };
        if self.model.recs[&calling].realm != self.model.recs[&target].realm || named != to.index {
            return ERROR_INPUT;
        }
        let is_on = self.model.recs[&target].runnable;
        let switches_on = matches!(from.pending, PendingRequest::CpuOn { .. });
        let answer = match (switches_on, status) {
            (_, psci_abi::SUCCESS) => SUCCESS,
            (true, psci_abi::DENIED) if is_on => ERROR_INPUT,
            (true, psci_abi::DENIED) => SUCCESS,
            _ => return ERROR_INPUT,
        };
        if switches_on && status == psci_abi::SUCCESS {
            self.model.recs.get_mut(&target).expect("it is").runnable = true;
        }
        self.recs.get_mut(&calling).expect("it is").pending = PendingRequest::None;
        answer
    }

    pub(crate) fn enter(&mut self, at: u64, run: u64, letter: &Letter) -> Expected {
        let refused = |x0| Expected { answer: [x0, 0, 0, 0, 0], exit: None };
        if self.model.state(run) != Some(State::Ns) {
            return refused(ERROR_INPUT);
        }
        let Some(rec) = self.recs.get(&at).cloned() else { return refused(ERROR_INPUT) };
        let known = self.model.recs[&at].clone();
        if self.model.realms[&known.realm].new {
            return refused(ERROR_REALM);
        }
        if self.off.contains(&known.realm) || self.zombies.contains(&known.realm) {
            // RMI 2.0 does not tell states apart.
            let is_1_0 = self.dialect == Dialect::V1_0;
            return refused(if is_1_0 { ERROR_REALM_OFF } else { ERROR_REALM });
        }
        let flags = match letter.page {
            HostPage::Run(flags) if run == address(PARAMETERS) => flags,
            // Marks are no GIC state that the host may ask for.
            _ => return refused(ERROR_REC),
        };
        let [may_emulate, may_inject] = rec.may_complete;
        let waits = matches!(
            rec.pending,
            PendingRequest::CpuOn { .. } | PendingRequest::AffinityInfo { .. }
        );
        if !known.runnable
            || waits
            || flags & 2 != 0 && !may_inject
            || flags & 3 == 1 && !may_emulate
        {
            return refused(ERROR_REC);
        }
        let reason = self.run(at, letter.act);
        Expected { answer: [SUCCESS, 0, 0, 0, 0], exit: Some(reason) }
    }

    /// A REC runs; why it leaves.
    fn run(&mut self, at: u64, act: Act) -> u64 {
        let realm = self.model.recs[&at].realm;
        let rec = self.recs.get_mut(&at).expect("it is");
        rec.may_complete = [false; 2];
        match rec.pending {
            PendingRequest::HostCall => {
                let page = rec.call_page & !0xfff;
                match memory(&self.model.realms[&realm], page) {
                    // It leaves before it has run, and the call stays open.
                    Memory::Missing => return exit::SYNC,
                    Memory::There | Memory::Empty => rec.pending = PendingRequest::None,
                }
                rec.call_page = 0;
            }
            PendingRequest::Ripas { .. } => {
                rec.pending = PendingRequest::None;
                self.model.recs.get_mut(&at).expect("it is").pending = None;
            }
            _ => {}
        }
        self.act(at, realm, act)
    }

    fn act(&mut self, at: u64, realm_at: u64, act: Act) -> u64 {
        let realm = &self.model.realms[&realm_at];
        let rec = self.recs.get_mut(&at).expect("it is");
        let (space, half) = (1_u64 << realm.s2sz, 1_u64 << (realm.s2sz - 1));
        let is_range = |base: u64, top: u64| {
            base < top && top <= half && base.is_multiple_of(0x1000) && top.is_multiple_of(0x1000)
        };
        match act {
            Act::Interrupted | Act::Hvc | Act::Extend | Act::NoFunction => exit::IRQ,
            Act::GetRipas(..) => exit::IRQ,
            Act::Fiq => exit::FIQ,
            Act::SError => {
                rec.serror = true;
                exit::SERROR
            }
            Act::Wfi | Act::InterruptController => exit::SYNC,
            Act::Access(ipa, _) if ipa >= space => exit::IRQ,
            Act::Access(ipa, emulatable) if ipa >= half => {
                rec.may_complete = [emulatable, true];
                exit::SYNC
            }
            Act::Fetch(ipa) if ipa >= half => exit::IRQ,
            Act::Access(ipa, _) | Act::Fetch(ipa) => {
                // The Realm hears of it if its memory is not to be there.
                match realm.leaf(ipa).1 {
                    Entry::Unassigned(model::EMPTY) | Entry::Assigned(model::EMPTY, _) => exit::IRQ,
                    _ => exit::SYNC,
                }
            }
            Act::HostCall(ipa) | Act::Config(ipa) if ipa >= half => exit::IRQ,
            Act::HostCall(ipa) => match memory(realm, ipa & !0xfff) {
                Memory::There => {
                    rec.pending = PendingRequest::HostCall;
                    rec.call_page = ipa;
                    exit::HOST_CALL
                }
                Memory::Empty => exit::IRQ,
                Memory::Missing => exit::SYNC,
            },
            Act::Config(ipa) => match memory(realm, ipa) {
                Memory::There | Memory::Empty => exit::IRQ,
                Memory::Missing => exit::SYNC,
            },
            Act::SetRipas([base, top, ripas, flags]) => {
                if ripas > 1 || !is_range(base, top) {
                    return exit::IRQ;
                }
                let requested =
                    if ripas == RAM { RequestedRipas::Ram } else { RequestedRipas::Empty };
                let change_destroyed = flags & rsi_abi::CHANGE_DESTROYED != 0;
                rec.pending =
                    PendingRequest::Ripas { base, top, ripas: requested, change_destroyed };
                self.model.recs.get_mut(&at).expect("it is").pending = asked_ripas(rec.pending);
                exit::RIPAS_CHANGE
            }
            Act::CpuOn(target, _) | Act::Affinity(target)
                if target >= realm.next_rec || target == rec.index =>
            {
                exit::IRQ
            }
            Act::CpuOn(_, entry) if entry >= half => exit::IRQ,
            Act::CpuOn(target, entry) => {
                let target = mpidr(target);
                rec.pending = PendingRequest::CpuOn { target, entry, context: 5 };
                exit::PSCI
            }
            Act::Affinity(target) => {
                rec.pending = PendingRequest::AffinityInfo { target: mpidr(target) };
                exit::PSCI
            }
            Act::CpuOff => {
                self.model.recs.get_mut(&at).expect("it is").runnable = false;
                exit::PSCI
            }
            Act::Suspend => exit::PSCI,
            Act::SystemOff => {
                self.off.insert(realm_at);
                exit::PSCI
            }
        }
    }
}

fn mpidr(index: u64) -> rmm::realm::rec::Mpidr {
    rmm::realm::rec::Mpidr::new(index).expect("one of the first RECs")
}

/// What a Realm finds at a page.
enum Memory {
    There,
    Empty,
    Missing,
}

fn memory(realm: &model::Realm, ipa: u64) -> Memory {
    match realm.leaf(ipa).1 {
        Entry::Assigned(RAM, _) => Memory::There,
        Entry::Assigned(model::EMPTY, _) | Entry::Unassigned(model::EMPTY) => Memory::Empty,
        _ => Memory::Missing,
    }
}

fn asked_ripas(pending: PendingRequest) -> Option<Pending> {
    match pending {
        PendingRequest::Ripas { base, top, ripas, change_destroyed } => Some(Pending {
            base,
            top,
            ripas: if ripas == RequestedRipas::Ram { RAM } else { model::EMPTY },
            change_destroyed,
        }),
        _ => None,
    }
}

/// The words of the host's page that are not marks, by offset.
pub fn host_words(page: HostPage) -> Vec<(u64, u64)> {
    match page {
        HostPage::Marks | HostPage::Data | HostPage::Unread => vec![],
        HostPage::Realm(root, vmid, level) => vec![
            (0x0, 0),
            (0x8, 32),
            (0x10, 0),
            (0x18, 1),
            (0x20, 1),
            (0x28, 0),
            (0x30, 0),
            // What RMI 2.0 has beyond RMI 1.0.
            (0x38, 0),
            (0x440, 0),
            (0x820, 0),
            (0x800, vmid.into()),
            (0x808, root),
            (0x810, level.cast_unsigned()),
            (0x818, 1),
        ],
        HostPage::Rec(mpidr, flags, first, count) => {
            let aux = (0..count.min(16)).map(|index| (0x808 + 8 * index, first + 0x1000 * index));
            let head = [(0x0, flags), (0x100, mpidr), (0x200, 0x8000), (0x800, count)];
            head.into_iter().chain(aux).collect()
        }
        HostPage::Run(flags) => {
            [(0x0, flags)].into_iter().chain(GIC.step_by(8).map(|offset| (offset, 0))).collect()
        }
    }
}

/// What a granule holds that a host, or nobody, has.
pub fn idle_content(state: State) -> u64 {
    if state == State::Ns { HOST } else { SECRET }
}
