// SPDX-License-Identifier: BSD-3-Clause
//! RMI 2.0: RECs are created and destroyed by stateful operations, which take memory of the host
//! and give it back. What can be called, and what the ABI says of it.

use std::collections::BTreeMap;

use kit::stage2::model::{ERROR_INPUT, ERROR_REALM, GRANULE, Measured, Rec, SUCCESS};
use rmm::granule::State;
use rmm::realm::measurement::MeasuredRecParameters;
use rmm::realm::rec::PendingRequest;
use rmm::rmi::function;
use rmm::rmi::operations::{RecOperation, Stage, Work};

use crate::configuration::Configuration;
use crate::letters::{AUX, Act, HostPage, Letter};
use crate::machine::{Machine, address};
use crate::spec::{Expected, MARKS, PARAMETERS, RecState, Spec};

/// Where lists of granules are in the host's page, and how far apart.
const LISTS: u64 = 0x500;
const LIST: u64 = 0x20;
/// Where the host wants a list written.
pub const RECLAIMED: u64 = 0x780;
/// RMI_INCOMPLETE, with what is to be done next.
const INCOMPLETE: u64 = 13;
const DONATE: u64 = INCOMPLETE | (1 | CAN_CANCEL) << 8;
const CONTINUE: u64 = INCOMPLETE;
const RECLAIM: u64 = INCOMPLETE | 2 << 8;
const CAN_CANCEL: u64 = 4;

/// The handle of the operation in a context, if that has had no other since its state was restored.
fn handle(context: u64) -> u64 {
    2 << 8 | context
}

/// An operation as the host may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The RD and the address of the parameters, if a REC will be created.
    creates: Option<(u64, u64)>,
    /// The granule of the REC.
    pub partial: Option<u64>,
    /// What the host has donated, or is to have back.
    pub held: Vec<u64>,
    /// What the host is to do next.
    next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Donate,
    Work,
    /// Then it ends with this.
    Reclaim(u64),
    End(u64),
}

impl Operation {
    fn read(operation: &RecOperation) -> Self {
        let mut held: Vec<u64> = operation.held.iter().map(|one| one.get().get()).collect();
        let next = match operation.stage {
            Stage::Donate => Next::Donate,
            Stage::Work => Next::Work,
            Stage::Reclaim(result) => {
                Next::Reclaim(result.map_or_else(|error| error.word(), |()| SUCCESS))
            }
            Stage::End(result) => Next::End(result.map_or_else(|error| error.word(), |()| SUCCESS)),
        };
        if matches!(next, Next::Reclaim(_)) {
            // The order in which they were donated has no consequences any more.
            held.sort_unstable();
        }
        let creates = match operation.work {
            Work::Nothing => None,
            Work::CreateRec { rd, params } => Some((rd.get().get(), params.get())),
        };
        Self { creates, partial: operation.partial.map(|one| one.get().get()), held, next }
    }

    /// Has it end with `result` when the host has all back.
    fn give_back(&mut self, result: u64) {
        // As `read` has it.
        self.held.sort_unstable();
        self.next = if self.held.is_empty() { Next::End(result) } else { Next::Reclaim(result) };
    }

    /// The answer with `x1` to a call after which the operation goes on.
    fn incomplete(&self, x1: u64) -> [u64; 5] {
        match self.next {
            Next::Donate => [DONATE, x1, (AUX - self.held.len() as u64) << 2, 0, 0],
            Next::Work => [CONTINUE | CAN_CANCEL << 8, x1, 0, 0, 0],
            Next::Reclaim(_) => [RECLAIM, x1, 0, 0, 0],
            Next::End(_) => [CONTINUE, x1, 0, 0, 0],
        }
    }
}

/// The operations of a machine.
pub fn read(machine: &Machine) -> BTreeMap<u64, Operation> {
    let operations = machine.operations();
    operations.iter().map(|(handle, one)| (*handle, Operation::read(one))).collect()
}

/// A list of granules that the host has in its page.
#[derive(Clone, Debug)]
pub struct List {
    at: u64,
    entries: Vec<u64>,
    /// The granules that it names.
    pub granules: Vec<u64>,
}

impl List {
    /// Lists with these entries.
    pub fn all(entries: Vec<Vec<u64>>) -> Vec<Self> {
        let list = |(at, entries): (u64, Vec<u64>)| {
            let granules =
                entries.iter().map(|entry| entry & !0xfff).filter(|one| one & !(1 << 63) != 0);
            Self { at, granules: granules.collect(), entries }
        };
        (LISTS..).step_by(LIST as usize).zip(entries).map(list).collect()
    }

    /// Where it is.
    pub fn address(&self) -> u64 {
        address(PARAMETERS) + self.at
    }

    /// The words of the host's page that are the list, by offset.
    pub fn words(&self) -> impl Iterator<Item = (u64, u64)> {
        (self.at..).step_by(8).zip(self.entries.iter().copied())
    }
}

/// Granules side by side as an entry of a list.
fn entry(first: u64, count: u64) -> u64 {
    first | count << 2
}

/// The lists that the host has in its page: each of the auxiliary granules once, in parts and as a
/// whole; one too many; the granules that serve for anything; what is no granule to be donated.
pub fn lists(configuration: &Configuration) -> Vec<List> {
    let aux = address(1 + configuration.free);
    let secure = address(configuration.granules() - 1);
    let mut entries = vec![
        vec![entry(aux, AUX)],
        vec![entry(aux, 5)],
        // Two entries, not in order, with one of nothing between them.
        vec![entry(aux + 8 * GRANULE, AUX - 8), 0, entry(aux + 5 * GRANULE, 3)],
        vec![entry(aux, AUX + 1)],
        vec![entry(aux, 5), entry(secure, 1)],
        // Not delegated; a block.
        vec![entry(aux, 1) | 1 << 63],
        vec![entry(aux, 1) | 1],
        vec![0],
    ];
    entries.extend((1..=configuration.free).map(|index| vec![entry(address(index), 1)]));
    List::all(entries)
}

/// What can be done with granules and Realms. `free` granules serve for anything, `any` are
/// addresses of all kinds.
pub fn realms(configuration: &Configuration, free: &[u64], any: &[u64]) -> Vec<Letter> {
    let mut letters = Vec::new();
    let page = address(PARAMETERS);
    let aux = configuration.first_aux();
    for granule in any.iter().filter(|granule| **granule != page && Some(**granule) != aux) {
        for function in [function::GRANULE_RANGE_DELEGATE, function::GRANULE_RANGE_UNDELEGATE] {
            let letter = Letter::call(function, &[*granule, granule + GRANULE]);
            letters.extend([letter, Letter { refused: true, ..letter }]);
            letters.push(Letter::call(function, &[*granule, *granule]));
        }
    }
    for rd in any {
        let create = Letter::call(function::REALM_CREATE, &[*rd, page]);
        // There are so many Realms as the granules that serve for anything make.
        let roots = any.iter().filter(|root| ![Some(**root), Some(*rd)].contains(&aux));
        letters.extend(roots.map(|root| Letter { page: HostPage::Realm(*root, 7, 1), ..create }));
        letters.push(Letter { page: HostPage::Realm(free[0], 7, 2), ..create });
        let functions =
            [function::REALM_ACTIVATE, function::REALM_TERMINATE, function::REALM_DESTROY];
        letters.extend(functions.map(|function| Letter::call(function, &[*rd])));
    }
    letters
}

/// What can be done with RECs.
pub fn recs(configuration: &Configuration, free: &[u64], any: &[u64]) -> Vec<Letter> {
    let mut letters = Vec::new();
    let page = address(PARAMETERS);
    let secure = address(configuration.granules() - 1);
    let aux = configuration.first_aux();
    for rec in any {
        letters.push(Letter::call(function::REC_DESTROY, &[*rec]));
        let enter = Letter::call(function::REC_ENTER, &[*rec, page]);
        for act in [Act::Interrupted, Act::SystemOff] {
            letters.push(Letter { page: HostPage::Run(0), act, ..enter });
        }
    }
    let create = Letter::call(function::REC_CREATE, &[0, 0, page]);
    let create = Letter { page: HostPage::Unread, ..create };
    for rec in any.iter().filter(|rec| Some(**rec) != aux) {
        // What is no granule that serves for anything never becomes an RD.
        for rd in free.iter().chain([&page, &(page + 0x800)]) {
            letters.push(Letter { arguments: [*rd, *rec, page, 0, 0], ..create });
        }
        letters.push(Letter { arguments: [free[0], *rec, secure, 0, 0], ..create });
    }
    letters.extend(operations(configuration));
    letters
}

/// The calls that an operation goes on with.
fn operations(configuration: &Configuration) -> Vec<Letter> {
    let mut letters = Vec::new();
    let page = address(PARAMETERS);
    let first = address(1 + configuration.free);
    // One that an operation before had; two that there may be.
    let stale = 1 << 8;
    let handles = [stale, handle(0), handle(1)];
    for handle in handles {
        let go_on = Letter::call(function::OP_CONTINUE, &[handle, 0]);
        for parameters in [
            HostPage::Marks,
            HostPage::Rec(0, 0, first, 0),
            HostPage::Rec(0, 1, first, 0),
            HostPage::Rec(1, 1, first, 0),
            HostPage::Rec(1 << 7, 1, first, 0),
        ] {
            letters.push(Letter { page: parameters, ..go_on });
        }
        // Some hosts have the handle behind the flags.
        let behind = Letter { arguments: [1, handle, 0, 0, 0], ..go_on };
        letters.push(Letter { page: HostPage::Rec(0, 1, first, 0), ..behind });
        letters.push(Letter::call(function::OP_CANCEL, &[handle, 0]));
        letters.push(Letter::call(function::OP_CANCEL, &[0, handle]));
        for list in &configuration.lists {
            let count = list.entries.len() as u64;
            let arguments = [handle, page + list.at, count];
            letters.push(Letter::call(function::OP_MEM_DONATE, &arguments));
        }
        letters.push(Letter::call(function::OP_MEM_DONATE, &[handle, page + LISTS, 0]));
        letters.push(Letter::call(function::OP_MEM_DONATE, &[handle, page + LISTS + 4, 1]));
        letters.push(Letter::call(function::OP_MEM_DONATE, &[handle, first, 1]));
        for capacity in [0, 1, 16] {
            let arguments = [handle, page + RECLAIMED, capacity];
            letters.push(Letter::call(function::OP_MEM_RECLAIM, &arguments));
        }
        letters.push(Letter::call(function::OP_MEM_RECLAIM, &[handle, page + 4, 16]));
        letters.push(Letter::call(function::OP_MEM_RECLAIM, &[handle, first, 16]));
    }
    letters.push(Letter::call(function::OP_CONTINUE, &[0, 0]));
    letters
}

/// Whether a call begins an operation if it succeeds.
pub fn begins(letter: &Letter) -> bool {
    matches!(letter.function, function::REC_CREATE | function::REC_DESTROY)
}

/// The handle of the operation that a call goes on with, if there is one.
pub fn handle_of(letter: &Letter, operations: &BTreeMap<u64, Operation>) -> Option<u64> {
    let [first, second, ..] = letter.arguments;
    let named = match letter.function {
        function::OP_CONTINUE | function::OP_CANCEL => [first, second],
        function::OP_MEM_DONATE | function::OP_MEM_RECLAIM => [first; 2],
        _ => return None,
    };
    named.into_iter().find(|name| operations.contains_key(name))
}

/// The words that the RMM has written to the host's page, from an offset on.
pub fn reclaimed(words: &[u64]) -> impl Iterator<Item = (usize, u64)> {
    (RECLAIMED as usize / 8..).zip(words.iter().copied())
}

impl Spec {
    /// What must come of a letter of RMI 2.0.
    pub fn call_2_0(&mut self, letter: &Letter, lists: &[List]) -> Expected {
        let [a, b, c, ..] = letter.arguments;
        let status = |x0| [x0, 0, 0, 0, 0];
        self.reclaimed.clear();
        let answer = match letter.function {
            function::GRANULE_RANGE_DELEGATE | function::GRANULE_RANGE_UNDELEGATE => {
                self.move_range(letter)
            }
            function::REALM_CREATE => {
                let taken: Vec<u16> = self.model.realms.values().map(|realm| realm.vmid).collect();
                let vmid = (0..).find(|vmid| !taken.contains(vmid)).unwrap_or(u16::MAX);
                self.model.words.insert(address(PARAMETERS) + 0x800, vmid.into());
                status(self.model.realm_create(a, b))
            }
            function::REALM_ACTIVATE => status(self.model.realm_activate(a)),
            function::REALM_TERMINATE => match self.model.realms.get_mut(&a) {
                Some(realm) => {
                    realm.new = false;
                    self.off.remove(&a);
                    self.zombies.insert(a);
                    status(SUCCESS)
                }
                None => status(ERROR_INPUT),
            },
            function::REALM_DESTROY => {
                let may_go = self.zombies.contains(&a) || !self.model.realms.contains_key(&a);
                let x0 = if may_go { self.model.realm_destroy(a) } else { ERROR_REALM };
                if x0 == SUCCESS {
                    self.zombies.remove(&a);
                }
                status(x0)
            }
            function::REC_CREATE => self.begin_create(a, b, c),
            function::REC_DESTROY => self.begin_destroy(a),
            function::REC_ENTER => return self.enter(a, b, letter),
            function::OP_CONTINUE => self.with_named(a, b, |spec, handle, operation| {
                spec.go_on(handle, operation, letter.page)
            }),
            function::OP_CANCEL => self.with_named(a, b, |spec, _, operation| {
                if !matches!(operation.next, Next::Donate | Next::Work) {
                    return (status(ERROR_INPUT), true);
                }
                spec.release(operation);
                operation.give_back(ERROR_INPUT);
                (operation.incomplete(0), true)
            }),
            function::OP_MEM_DONATE => self
                .with_named(a, 0, |spec, _, operation| (spec.donate(operation, b, c, lists), true)),
            function::OP_MEM_RECLAIM => {
                self.with_named(a, 0, |spec, _, operation| (spec.reclaim(operation, b, c), true))
            }
            _ => self.call_on_memory(letter, lists),
        };
        Expected { answer, exit: None }
    }

    fn move_range(&mut self, letter: &Letter) -> [u64; 5] {
        let [base, top, ..] = letter.arguments;
        let failure = [ERROR_INPUT, base, 0, 0, 0];
        if !base.is_multiple_of(GRANULE) || base >= top || letter.refused {
            return failure;
        }
        let x0 = match letter.function {
            function::GRANULE_RANGE_DELEGATE => self.model.delegate(base),
            _ => self.model.undelegate(base),
        };
        if x0 == SUCCESS { [SUCCESS, top, 0, 0, 0] } else { failure }
    }

    /// Calls `body` with the operation that one of the numbers names. It gives the answer, and
    /// whether the operation goes on.
    fn with_named(
        &mut self,
        first: u64,
        second: u64,
        body: impl FnOnce(&mut Self, u64, &mut Operation) -> ([u64; 5], bool),
    ) -> [u64; 5] {
        let named = [first, second].into_iter().find(|name| self.operations.contains_key(name));
        let Some(handle) = named else { return [ERROR_INPUT, 0, 0, 0, 0] };
        let mut operation = self.operations.remove(&handle).expect("there is one");
        let (answer, lives) = body(self, handle, &mut operation);
        if lives {
            self.operations.insert(handle, operation);
        }
        answer
    }

    fn begin(&mut self, operation: Operation) -> [u64; 5] {
        let handle = (0..).map(handle).find(|handle| !self.operations.contains_key(handle));
        let handle = handle.expect("there are more contexts than granules");
        let answer = operation.incomplete(handle);
        self.operations.insert(handle, operation);
        answer
    }

    fn begin_create(&mut self, rd: u64, rec: u64, params: u64) -> [u64; 5] {
        if !rd.is_multiple_of(GRANULE) || self.model.state(rec) != Some(State::Delegated) {
            return [ERROR_INPUT, 0, 0, 0, 0];
        }
        self.model.granules.insert(rec, State::Partial);
        let creates = Some((rd, params));
        self.begin(Operation { creates, partial: Some(rec), held: vec![], next: Next::Donate })
    }

    fn begin_destroy(&mut self, rec: u64) -> [u64; 5] {
        let Some(gone) = self.model.recs.remove(&rec) else { return [ERROR_INPUT, 0, 0, 0, 0] };
        self.recs.remove(&rec);
        self.model.granules.insert(rec, State::Partial);
        let mut held = gone.aux;
        held.sort_unstable();
        let next = Next::Reclaim(SUCCESS);
        self.begin(Operation { creates: None, partial: Some(rec), held, next })
    }

    fn release(&mut self, operation: &mut Operation) {
        if let Some(rec) = operation.partial.take() {
            self.model.granules.insert(rec, State::Delegated);
        }
    }

    fn go_on(
        &mut self,
        handle: u64,
        operation: &mut Operation,
        page: HostPage,
    ) -> ([u64; 5], bool) {
        let status = |x0| [x0, 0, 0, 0, 0];
        match operation.next {
            Next::Donate | Next::Reclaim(_) => (status(ERROR_INPUT), true),
            Next::End(result) => {
                self.release(operation);
                (status(result), false)
            }
            Next::Work => match self.create_rec(operation, page) {
                SUCCESS => (status(SUCCESS), false),
                error => {
                    self.release(operation);
                    operation.give_back(error);
                    (operation.incomplete(handle), true)
                }
            },
        }
    }

    /// The REC of an operation that has all it needs.
    fn create_rec(&mut self, operation: &Operation, page: HostPage) -> u64 {
        let (Some((rd, params)), Some(at)) = (operation.creates, operation.partial) else {
            return ERROR_INPUT;
        };
        if self.model.state(params) != Some(State::Ns) {
            return ERROR_INPUT;
        }
        let Some(realm) = self.model.realms.get_mut(&rd) else { return ERROR_INPUT };
        if !realm.new {
            return ERROR_REALM;
        }
        let HostPage::Rec(mpidr, flags, ..) = page else { return ERROR_INPUT };
        if mpidr != realm.next_rec {
            return ERROR_INPUT;
        }
        let runnable = flags & 1 != 0;
        if runnable {
            let measured = MeasuredRecParameters { flags, pc: 0x8000, gprs: [MARKS; 8] };
            Measured::Rec(measured).extend(&mut realm.measurement);
        }
        realm.next_rec += 1;
        let aux = operation.held.clone();
        self.model.granules.insert(at, State::Rec);
        let rec = Rec { realm: rd, runnable, running: false, pending: None, aux };
        self.model.recs.insert(at, rec);
        let rec = RecState {
            index: mpidr,
            pending: PendingRequest::None,
            call_page: 0,
            may_complete: [false; 2],
            serror: false,
        };
        self.recs.insert(at, rec);
        SUCCESS
    }

    fn donate(
        &mut self,
        operation: &mut Operation,
        at: u64,
        count: u64,
        lists: &[List],
    ) -> [u64; 5] {
        let refused = [ERROR_INPUT, 0, 0, 0, 0];
        if operation.next != Next::Donate || !at.is_multiple_of(8) {
            return refused;
        }
        let offset = at.wrapping_sub(address(PARAMETERS));
        let Some(list) = lists.iter().find(|list| list.at == offset) else { return refused };
        let mut granules = Vec::new();
        for entry in list.entries.iter().take(count as usize) {
            let (count, rest) = (entry >> 2 & 0x3ff, entry & (3 << 62 | 3));
            if count != 0 && rest != 0 {
                return refused;
            }
            granules.extend((0..count).map(|index| (entry & !0xfff) + index * GRANULE));
        }
        if granules.len() + operation.held.len() > AUX as usize {
            return refused;
        }
        let mut consumed = 0;
        for granule in granules {
            if self.model.state(granule) != Some(State::Delegated) {
                if consumed == 0 {
                    self.release(operation);
                    operation.give_back(ERROR_INPUT);
                }
                break;
            }
            self.model.granules.insert(granule, State::RecAux);
            operation.held.push(granule);
            consumed += 1;
        }
        if operation.held.len() as u64 == AUX {
            operation.next = Next::Work;
        }
        operation.incomplete(consumed)
    }

    fn reclaim(&mut self, operation: &mut Operation, at: u64, capacity: u64) -> [u64; 5] {
        let Next::Reclaim(result) = operation.next else { return [ERROR_INPUT, 0, 0, 0, 0] };
        let page = self.model.state(at & !0xfff);
        if page != Some(State::Ns) || !at.is_multiple_of(8) {
            return [ERROR_INPUT, 0, 0, 0, 0];
        }
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        let mut rest = operation.held.clone().into_iter().peekable();
        while let Some(granule) = rest.peek().copied() {
            let is_full = ranges.len() as u64 == capacity;
            match ranges.last_mut() {
                Some((first, count)) if *first + *count * GRANULE == granule => *count += 1,
                _ if is_full => break,
                _ => ranges.push((granule, 1)),
            }
            self.model.granules.insert(granule, State::Delegated);
            rest.next();
        }
        operation.held = rest.collect();
        self.reclaimed = ranges.iter().map(|(first, count)| entry(*first, *count)).collect();
        operation.give_back(result);
        operation.incomplete(ranges.len() as u64)
    }
}

/// The calls by which a host ends an operation and has its memory back. Without an `operation` its
/// memory is to be reclaimed.
pub fn ending(handle: u64, operation: Option<&Operation>) -> Vec<Letter> {
    let mut letters = Vec::new();
    let next = operation.map(|operation| (operation.next, operation.held.is_empty()));
    if let Some((Next::Donate | Next::Work, _)) = next {
        letters.push(Letter::call(function::OP_CANCEL, &[handle, 0]));
    }
    if !matches!(next, Some((Next::End(_), _)) | Some((_, true))) {
        let arguments = [handle, address(PARAMETERS) + RECLAIMED, AUX];
        letters.push(Letter::call(function::OP_MEM_RECLAIM, &arguments));
    }
    letters.push(Letter::call(function::OP_CONTINUE, &[handle, 0]));
    letters
}
