// SPDX-License-Identifier: BSD-3-Clause
//! A state of the machine: all that the RMM and EL3 keep, put away in little space and named by a
//! hash that does not depend on which granule serves for what.
//!
//! Some content has no effect on what follows. It is not kept, but made the same in all states:
//!
//! - Content that is not the RMM's: of Non-secure, Delegated and Data granules. The explorer checks
//!   it where a granule changes hands.
//! - Measurements, which grow without end. Each change is compared with that of the model.
//! - Registers of a REC, but for the address of a pending host call.
//! - Whether what a REC has learned of its Realm is from a former epoch, or nothing at all: it is
//!   forgotten at the next entry in either case.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use kit::el3::Pas;
use kit::memory::GRANULE_WORDS;
use rmm::granule::{Epochs, State};
use rmm::realm::epoch::{CallPage, Learned};
use rmm::realm::rd::RealmDescriptor;
use rmm::realm::rec::{PendingRequest, Rec, Registers};
use rmm::rmi::operations::{RecOperation, Stage, Work};

use crate::machine::{BASE, GRANULE, Machine, Page, index_of};

/// What all words of a Non-secure granule hold.
pub const HOST: u64 = 0x4040_4040_4040_4040;
/// What all words of a Delegated granule hold: something that nobody may ever see.
pub const SECRET: u64 = 0x5ec2_e75e_c2e7_5ec2;
/// What all words of a Data granule hold.
pub const REALM: u64 = 0x4ea1_4ea1_4ea1_4ea1;
/// [`Learned::epoch`] of a REC that has learned of its Realm as it is.
const CURRENT: u64 = 1;

/// The word of a Non-secure granule whose memory has answered.
pub const PROVEN: u16 = 8 << 10;

/// The state of a granule by its word.
pub fn state_of(word: u16) -> State {
    State::from_number(word >> 10 & 0xf).expect("a state")
}

/// The references of a granule by its word.
pub fn references(word: u16) -> u16 {
    word & 0x3ff
}

/// The RD in a page.
pub fn rd(page: &Page) -> &RealmDescriptor {
    // SAFETY: what the RMM keeps in a granule in state RD, or zero.
    unsafe { &*page.0.as_ptr().cast() }
}

/// The RD in a page, to be changed.
pub fn rd_mut(page: &mut Page) -> &mut RealmDescriptor {
    // SAFETY: as for `rd`.
    unsafe { &mut *page.0.as_mut_ptr().cast() }
}

/// The REC in a page.
pub fn rec(page: &Page) -> &Rec {
    // SAFETY: what the RMM keeps in a granule in state REC, or zero.
    unsafe { &*page.0.as_ptr().cast() }
}

/// The REC in a page, to be changed.
pub fn rec_mut(page: &mut Page) -> &mut Rec {
    // SAFETY: as for `rec`.
    unsafe { &mut *page.0.as_mut_ptr().cast() }
}

/// A part of the content of a granule.
#[derive(Clone, Copy, Hash)]
enum Token {
    /// So many words with this value.
    Words(u16, u64),
    /// The address of a granule, at this byte, with what else is in the word.
    Address(u16, u8, u64),
}

/// Contents of granules, each once.
#[derive(Default)]
pub struct Contents {
    by_hash: HashMap<u128, u32>,
    runs: Vec<Box<[(u16, u64)]>>,
    tokens: Vec<Box<[Token]>>,
}

fn hash(feed: impl Fn(&mut DefaultHasher)) -> u128 {
    let half = |seed: u64| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        feed(&mut hasher);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}

fn runs(page: &Page) -> Vec<(u16, u64)> {
    let mut runs: Vec<(u16, u64)> = Vec::new();
    for word in &page.0 {
        match runs.last_mut() {
            Some((count, last)) if last == word => *count += 1,
            _ => runs.push((1, *word)),
        }
    }
    runs
}

/// Address bits of a descriptor, or of anything else that holds the address of a granule.
const OUTPUT: u64 = 0x0000_ffff_ffff_f000;

fn tokens(page: &Page, state: State, granules: usize) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut page = *page;
    if state == State::Rd {
        // RDs hold page numbers of five bytes as well.
        let bytes: Vec<u8> = page.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        for (at, five) in bytes.windows(5).enumerate() {
            let number = five.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
            let Some(index) = index_of(number << 12, granules) else { continue };
            tokens.push(Token::Address(at as u16, index as u8, 1));
            for byte in at..at + 5 {
                page.0[byte / 8] &= !(0xff << (byte % 8 * 8));
            }
        }
    }
    let mut at = 0;
    for (count, word) in runs(&page) {
        match index_of(word & OUTPUT, granules).filter(|_| word & OUTPUT >= BASE) {
            Some(index) => {
                let rest = word & !OUTPUT;
                tokens.extend((at..at + count).map(|at| Token::Address(at * 8, index as u8, rest)));
            }
            None => tokens.push(Token::Words(count, word)),
        }
        at += count;
    }
    tokens
}

impl Contents {
    /// The number of a content, of a granule in this state.
    pub fn intern(&mut self, page: &Page, state: State, granules: usize) -> u32 {
        let words = runs(page);
        let key = hash(|hasher| (state as u8, &words).hash(hasher));
        let next = self.runs.len() as u32;
        *self.by_hash.entry(key).or_insert_with(|| {
            self.runs.push(words.into());
            self.tokens.push(tokens(page, state, granules).into());
            next
        })
    }

    /// The content with this number.
    pub fn page(&self, number: u32) -> Page {
        let mut page = Page([0; GRANULE_WORDS]);
        let mut at = 0;
        for (count, word) in &*self.runs[number as usize] {
            page.0[at..at + usize::from(*count)].fill(*word);
            at += usize::from(*count);
        }
        page
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.runs.len()
    }
}

/// A granule of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granule {
    /// Its word in the granule array.
    pub word: u16,
    /// Its Physical Address Space.
    pub pas: Pas,
    /// The number of its content.
    pub content: u32,
}

/// A state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The granules.
    pub granules: Box<[Granule]>,
    /// Which of the VMIDs that are tried Realms have, a bit each.
    pub vmids: u16,
    /// Operations that the host has not finished, by handle (RMI 2.0).
    pub operations: Box<[(u64, RecOperation)]>,
}

/// Which granule stands for which in the name of a state.
pub struct Labels {
    /// The label of each granule.
    pub of: Vec<u8>,
    /// Granules that nothing tells apart but their state and Physical Address Space.
    pub anonymous: u64,
}

/// Makes content the same in all states if nothing that follows can depend on it.
pub fn normalize(page: &mut Page, state: State, epochs: &Epochs) {
    match state {
        State::Ns => page.0.fill(HOST),
        State::Delegated | State::Partial => page.0.fill(SECRET),
        State::Data => page.0.fill(REALM),
        State::Rd => {
            let descriptor = rd_mut(page);
            // SAFETY: all bits zero is a measurement.
            unsafe { core::ptr::from_mut(&mut descriptor.initial_measurement).write_bytes(0, 1) };
            descriptor.extensible_measurements = core::array::from_fn(|_| [SECRET; 8]);
        }
        State::Rec => {
            let content = rec_mut(page);
            let argument = match content.state.pending {
                PendingRequest::HostCall => content.state.registers.x(1),
                _ => 0,
            };
            content.state.registers = Registers::at_reset(0x8000, &[0, argument]);
            let vmid = content.identity.stage2.vmid;
            let learned = &mut content.state.learned;
            if learned.epoch == epochs.now(vmid.get()) {
                learned.epoch = CURRENT;
            } else {
                *learned =
                    Learned { epoch: 0, call_page: CallPage::None, vtcr: 0, vttbr: 0, vmpidr: 0 };
            }
            let fields = match learned.call_page {
                CallPage::None => 0..0,
                CallPage::At(..) => 8..24,
            };
            zero_padding(&mut learned.call_page, fields);
            let fields = fields_of_request(content.state.pending);
            zero_padding(&mut content.state.pending, fields);
        }
        State::RecAux | State::Rtt | State::Lost => {}
    }
}

/// Zeroes the bytes of a `repr(u8)` enumeration but for the first, its variant, and its `fields`.
fn zero_padding<T>(place: &mut T, fields: Range<usize>) {
    let first = core::ptr::from_mut(place).cast::<u8>();
    for at in (1..size_of::<T>()).filter(|at| !fields.contains(at)) {
        // SAFETY: in the value, and part of none of its fields.
        unsafe { first.add(at).write(0) };
    }
}

/// The bytes of a pending request that are fields.
fn fields_of_request(pending: PendingRequest) -> Range<usize> {
    match pending {
        PendingRequest::None | PendingRequest::HostCall => 0..0,
        PendingRequest::Ripas { .. } => 8..26,
        PendingRequest::CpuOn { .. } => 4..24,
        PendingRequest::AffinityInfo { .. } => 4..8,
    }
}

/// Gives a REC of a state its place in the present epoch of its Realm.
pub fn revive(page: &mut Page, epochs: &Epochs) {
    let content = rec_mut(page);
    let vmid = content.identity.stage2.vmid;
    let learned = &mut content.state.learned;
    if learned.epoch == CURRENT {
        learned.epoch = epochs.now(vmid.get());
    }
}

/// The operations of a machine. In which order what is only to be reclaimed was donated has no
/// consequences.
pub fn operations(machine: &Machine) -> Box<[(u64, RecOperation)]> {
    let mut operations = machine.operations();
    for (_, operation) in &mut operations {
        if matches!(operation.stage, Stage::Reclaim(_)) {
            operation.held.sort_unstable();
        }
    }
    operations.into()
}

/// The granules that an operation refers to, in a fixed order.
fn named(operation: &RecOperation) -> impl Iterator<Item = u64> {
    let creates = match operation.work {
        Work::Nothing => None,
        Work::CreateRec { rd, params } => Some([rd.get().get(), params.get()]),
    };
    let granules = operation.partial.iter().chain(&operation.held).map(|one| one.get().get());
    creates.into_iter().flatten().chain(granules)
}

impl Snapshot {
    /// Puts away the present state of a machine, whose contents are [normal](normalize). Of those
    /// that are not `fresh` the number is that of `before`.
    pub fn take(
        machine: &Machine,
        contents: &mut Contents,
        before: &Self,
        fresh: u64,
        vmids: &[u16],
    ) -> Self {
        let count = machine.granules();
        let granule = |index: usize| {
            let (word, pas) = (machine.word(index), machine.world.pas(index));
            let content = if fresh >> index & 1 == 0 {
                before.granules[index].content
            } else {
                let mut page = *machine.world.page(index);
                normalize(&mut page, state_of(word), machine.rmm.granules().epochs());
                contents.intern(&page, state_of(word), count)
            };
            Granule { word, pas, content }
        };
        let granules = (0..count).map(granule).collect();
        let taken = |(bit, vmid): (usize, &u16)| u16::from(machine.has_vmid(*vmid)) << bit;
        let vmids = vmids.iter().enumerate().map(taken).sum();
        Self { granules, vmids, operations: operations(machine) }
    }

    /// Whether two states are the same but for the content of RDs, and which VMIDs are in use.
    pub fn is_same_but_for_rds(&self, other: &Self) -> bool {
        let is_same = |(one, other): (&Granule, &Granule)| {
            let content = if state_of(one.word) == State::Rd { other.content } else { one.content };
            Granule { content, ..*one } == *other
        };
        self.granules.iter().zip(&other.granules).all(is_same)
            && self.operations == other.operations
    }

    /// A name that tells granules apart that serve alike.
    pub fn plain_key(&self) -> u128 {
        hash(|hasher| {
            self.vmids.hash(hasher);
            for Granule { word, pas, content } in &self.granules {
                (word, *pas as u8, content).hash(hasher);
            }
            for (handle, operation) in &self.operations {
                (handle, format!("{operation:?}")).hash(hasher);
            }
        })
    }

    /// The state of a granule.
    pub fn state(&self, index: usize) -> State {
        state_of(self.granules[index].word)
    }

    /// Names granules by what they are for: Realms by VMID, what belongs to each in the order in
    /// which it is found there. `fixed` granules, and all if there is no `symmetry`, keep their own
    /// names.
    pub fn labels(&self, contents: &Contents, fixed: u64, symmetry: bool) -> Labels {
        let count = self.granules.len();
        if !symmetry {
            return Labels { of: (0..count as u8).collect(), anonymous: 0 };
        }
        let mut of = vec![u8::MAX; count];
        let mut next = 0;
        for index in (0..count).filter(|index| fixed >> index & 1 != 0) {
            (of[index], next) = (next, next + 1);
        }
        let mut realms: Vec<usize> =
            (0..count).filter(|index| self.state(*index) == State::Rd).collect();
        let vmid = |index: &usize| rd(&contents.page(self.granules[*index].content)).stage2.vmid;
        realms.sort_by_key(|index| vmid(index).get());
        let mut queue = realms;
        // Then the granules that operations refer to, so that the same operations get the same
        // labels.
        for granule in self.operations.iter().flat_map(|(_, operation)| named(operation)) {
            queue.extend(index_of(granule, count));
        }
        let mut seen: u64 = 0;
        let mut at = 0;
        while let Some(index) = queue.get(at).copied() {
            at += 1;
            if seen >> index & 1 != 0 {
                continue;
            }
            seen |= 1 << index;
            if of[index] == u8::MAX {
                (of[index], next) = (next, next + 1);
            }
            if !matches!(self.state(index), State::Rd | State::Rec | State::Rtt) {
                continue;
            }
            for token in &*contents.tokens[self.granules[index].content as usize] {
                if let Token::Address(_, granule, _) = token {
                    queue.push(usize::from(*granule));
                }
            }
        }
        // What is in use and belongs to no Realm cannot be told apart by this.
        let idle = |index: &usize| matches!(self.state(*index), State::Ns | State::Delegated);
        let mut rest: Vec<usize> = (0..count).filter(|index| of[*index] == u8::MAX).collect();
        let anonymous = rest.iter().filter(|index| idle(index)).map(|index| 1 << index).sum();
        rest.sort_by_key(|index| {
            let Granule { word, pas, .. } = self.granules[*index];
            (!idle(index), word, pas as u8)
        });
        for index in rest {
            (of[index], next) = (next, next + 1);
        }
        Labels { of, anonymous }
    }

    /// The name of the state.
    pub fn key(&self, contents: &Contents, labels: &Labels) -> u128 {
        let mut by_label: Vec<(u8, usize)> =
            labels.of.iter().enumerate().map(|(index, label)| (*label, index)).collect();
        by_label.sort_unstable();
        hash(|hasher| {
            self.vmids.hash(hasher);
            for (handle, operation) in &self.operations {
                let label = |granule| match index_of(granule, labels.of.len()) {
                    Some(index) => labels.of[index].into(),
                    None => granule,
                };
                let stage = format!("{:?}", operation.stage);
                let parts = (operation.partial.is_some(), operation.held.len(), stage);
                (handle, matches!(operation.work, Work::Nothing), parts).hash(hasher);
                named(operation).map(label).for_each(|label| label.hash(hasher));
            }
            for (_, index) in &by_label {
                let Granule { word, pas, content } = self.granules[*index];
                (word, pas as u8).hash(hasher);
                for token in &*contents.tokens[content as usize] {
                    match token {
                        Token::Words(count, word) => (count, word).hash(hasher),
                        Token::Address(at, granule, rest) => {
                            let label = labels.of[usize::from(*granule)];
                            (u64::MAX, at, label, rest).hash(hasher);
                        }
                    }
                }
            }
        })
    }
}

/// The address of the first byte behind so many granules.
pub fn end(granules: usize) -> u64 {
    BASE + GRANULE * granules as u64
}
