// SPDX-License-Identifier: BSD-3-Clause
//! Breadth first, from the state after boot, by everything that can happen, until no new state
//! appears.

mod arrive;
mod hardware;
mod take_down;
mod two_cpus;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use kit::memory::GRANULE_WORDS;
use kit::stage2::tlb::Tlb;
use rmm::arch::smc::Registers;
use rmm::granule::State;
use rmm::host::preset_register;
use rmm::realm::rd::RealmDescriptor;
use rmm::rmi::function;

use crate::check;
use crate::configuration::Configuration;
use crate::interleavings::Pair;
use crate::letters::{Act, HostPage, Letter};
use crate::machine::{Machine, Page, SeamFault, address, identify, index_of};
use crate::spec::{MARKS, PARAMETERS, Spec, host_words};
use crate::state::{
    self, Contents, Granule, HOST, Labels, PROVEN, SECRET, Snapshot, rd, rec, references, revive,
    state_of,
};
use crate::stateful::{self, List, Operation};

use hardware::{observe_tlb, perform};
pub use two_cpus::Interleaved;

/// RMI_INCOMPLETE, in bits 7:0 of x0.
const INCOMPLETE: u64 = 13;

/// What must hold and does not.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What.
    pub what: String,
    /// The shortest path to it, from boot on.
    pub path: Vec<String>,
}

/// What came of an exploration.
#[derive(Clone, Debug)]
pub struct Explored {
    /// How many states there are.
    pub states: usize,
    /// How often something was seen to happen in one of them.
    pub transitions: u64,
    /// How many calls lead to the farthest one.
    pub depth: u16,
    /// Whether nothing is left to try.
    pub complete: bool,
    /// The first thing that does not hold.
    pub finding: Option<Finding>,
}

impl Explored {
    /// The row of the table in `docs/security/exploration.md`.
    pub fn row(&self, configuration: &Configuration) -> String {
        let Self { states, transitions, depth, .. } = self;
        let letters = configuration.letters.len();
        format!("| {} | {letters} | {states} | {transitions} | {depth} |", configuration.name)
    }
}

struct Node {
    snapshot: Snapshot,
    parent: u32,
    letter: u32,
    depth: u16,
}

/// An exploration.
pub struct Explorer {
    /// What is explored.
    pub configuration: Configuration,
    machine: Machine,
    contents: Contents,
    nodes: Vec<Node>,
    seen: HashMap<u128, u32>,
    /// The states that were checked, without symmetry.
    checked: HashSet<u128>,
    transitions: u64,
    /// The letters that have succeeded in any state.
    succeeded: Vec<bool>,
    /// The letters that are tried in the midst of another even if they fail before and after it.
    may_succeed: Vec<bool>,
    /// What each granule holds in the state that is loaded, and the number of that content.
    loaded: Vec<(u32, Page)>,
    /// What is in the host's page.
    written: Option<HostPage>,
    tlb: Rc<RefCell<Tlb>>,
    names: Vec<Vec<usize>>,
    /// Whether to say how far it is.
    pub progress: bool,
}

/// The state that is loaded.
struct Current {
    index: u32,
    /// What it is.
    before: Spec,
    /// The same, until a call changes it.
    spec: Spec,
    tlb: Tlb,
}

impl Explorer {
    /// An exploration that has just booted.
    pub fn new(configuration: Configuration, fault: SeamFault) -> Self {
        let count = configuration.granules();
        let mut machine = Machine::boot(count, &configuration.secure(), configuration.dialect);
        // All of it has been delegated before.
        for granule in (0..count).filter(|granule| !configuration.secure().contains(granule)) {
            machine.restore(granule, PROVEN, machine.world.pas(granule));
        }
        for granule in configuration.delegated_from_the_start() {
            machine.delegate(granule);
        }
        machine.world.fault.set(fault);
        let mut contents = Contents::default();
        let first = |index: usize| {
            let state = state_of(machine.word(index));
            let fill = if state == State::Ns { HOST } else { SECRET };
            let page = Page([fill; GRANULE_WORDS]);
            let content = contents.intern(&page, state, count);
            Granule { word: machine.word(index), pas: machine.world.pas(index), content }
        };
        let granules = (0..count).map(first).collect();
        let snapshot = Snapshot { granules, vmids: 0, operations: Box::default() };
        let memory = machine.world.memory.granule(address(0)).expect("it is there").as_ptr().addr();
        let tlb = Rc::new(RefCell::new(Tlb::new(memory..memory + 0x1000 * count)));
        let observed = Rc::clone(&tlb);
        observe_tlb(observed, 0, fault);
        let reached = Rc::clone(&tlb);
        machine.world.set_zeroed(Box::new(move |granule| {
            assert!(!reached.borrow().reaches(granule), "TLBs reach what is zeroed");
        }));
        let names = |letter: &Letter| {
            let mut named: Vec<usize> = Vec::new();
            for address in configuration.named(letter) {
                match index_of(address, count) {
                    Some(index) if !named.contains(&index) => named.push(index),
                    _ => {}
                }
            }
            named
        };
        let names = configuration.letters.iter().map(names).collect();
        let succeeded = vec![false; configuration.letters.len()];
        let nothing = (u32::MAX, Page([0; GRANULE_WORDS]));
        let mut explorer = Self {
            configuration,
            machine,
            contents,
            nodes: Vec::new(),
            seen: HashMap::new(),
            checked: HashSet::new(),
            transitions: 0,
            succeeded,
            may_succeed: Vec::new(),
            loaded: vec![nothing; count],
            written: None,
            tlb,
            names,
            progress: false,
        };
        let key = explorer.key(&snapshot);
        explorer.seen.insert(key, 0);
        explorer.nodes.push(Node { snapshot, parent: 0, letter: 0, depth: 0 });
        explorer
    }

    fn labels(&self, snapshot: &Snapshot) -> Labels {
        let fixed = self.configuration.fixed();
        snapshot.labels(&self.contents, fixed, self.configuration.symmetry)
    }

    fn key(&self, snapshot: &Snapshot) -> u128 {
        snapshot.key(&self.contents, &self.labels(snapshot))
    }

    /// The names of all states with symmetry, each with a path to it.
    pub fn names_by_symmetry(&self) -> BTreeMap<u128, Vec<String>> {
        let fixed = self.configuration.fixed();
        let name = |(index, node): (usize, &Node)| {
            let labels = node.snapshot.labels(&self.contents, fixed, true);
            (node.snapshot.key(&self.contents, &labels), self.path(index as u32, None))
        };
        self.nodes.iter().enumerate().map(name).collect()
    }

    /// Explores until nothing new appears, something does not hold, or there are `limit` states.
    pub fn run(&mut self, limit: usize) -> Explored {
        let mut next = 0;
        let mut finding = None;
        let mut depth = 0;
        while next < self.nodes.len() && self.nodes.len() < limit {
            if self.progress && self.nodes[next].depth > depth {
                depth = self.nodes[next].depth;
                eprintln!("{}: {next} states less deep than {depth}", self.configuration.name);
            }
            if let Err(found) = self.expand(next as u32) {
                finding = Some(found);
                break;
            }
            next += 1;
        }
        Explored {
            states: self.nodes.len(),
            transitions: self.transitions,
            depth: self.nodes.last().map_or(0, |node| node.depth),
            complete: finding.is_none() && next == self.nodes.len(),
            finding,
        }
    }

    /// The calls that lead to a state, and one more.
    fn path(&self, mut node: u32, last: Option<String>) -> Vec<String> {
        let mut path: Vec<String> = last.into_iter().collect();
        while node != 0 {
            let Node { parent, letter, .. } = &self.nodes[node as usize];
            path.push(self.describe(&self.configuration.letters[*letter as usize]));
            node = *parent;
        }
        path.reverse();
        path
    }

    fn describe(&self, letter: &Letter) -> String {
        letter.describe(&|value| self.configuration.name(value))
    }

    fn found(&self, node: u32, last: Option<String>, what: String) -> Finding {
        Finding { what, path: self.path(node, last) }
    }

    /// Tries everything in a state.
    fn expand(&mut self, node: u32) -> Result<(), Finding> {
        let mut current = self.load(node).map_err(|what| self.found(node, None, what))?;
        let labels = self.labels(&self.nodes[node as usize].snapshot);
        let ranks = self.ranks(node, &labels);
        let may_begin = self.may_begin(node);
        for letter in 0..self.configuration.letters.len() {
            if is_like_others(&self.names[letter], &ranks)
                || stateful::begins(&self.configuration.letters[letter]) && !may_begin
            {
                continue;
            }
            self.transitions += 1;
            if let Err(what) = self.step(&mut current, letter) {
                let last = self.describe(&self.configuration.letters[letter]);
                return Err(self.found(node, Some(last), what));
            }
        }
        Ok(())
    }

    /// Whether the host may begin an operation. RMI 1.0 has none.
    fn may_begin(&self, node: u32) -> bool {
        self.nodes[node as usize].snapshot.operations.len() < self.configuration.operations
    }

    /// For each granule that differs from others in its number alone: its group, and which one of
    /// the group it is.
    fn ranks(&self, node: u32, labels: &Labels) -> Vec<Option<(u8, u8)>> {
        let mut sizes = [0_u8; 8];
        let snapshot = &self.nodes[node as usize].snapshot;
        let rank = |index: usize| {
            if labels.anonymous >> index & 1 == 0 {
                return None;
            }
            let group = snapshot.state(index) as u8;
            let rank = sizes[usize::from(group)];
            sizes[usize::from(group)] += 1;
            Some((group, rank))
        };
        (0..snapshot.granules.len()).map(rank).collect()
    }

    /// Puts the machine into a state.
    fn load(&mut self, index: u32) -> Result<Current, String> {
        for granule in 0..self.machine.granules() {
            self.load_granule(index, granule, false);
        }
        self.restore_words(index);
        let spec = Spec::read(&self.machine)?;
        let mut tlb = self.tlb.borrow().clone();
        check::fill(&mut tlb, &self.machine, &self.configuration.places);
        Ok(Current { index, before: spec.clone(), spec, tlb })
    }

    /// Puts a granule's content back, if it is another one, or `anyway`.
    fn load_granule(&mut self, node: u32, granule: usize, anyway: bool) {
        let Granule { word, content, .. } = self.nodes[node as usize].snapshot.granules[granule];
        let is_rec = state_of(word) == State::Rec;
        let (number, page) = &mut self.loaded[granule];
        if *number != content || is_rec {
            *page = self.contents.page(content);
            *number = content;
            if is_rec {
                revive(page, self.machine.rmm.granules().epochs());
            }
        } else if !anyway {
            return;
        }
        if granule != PARAMETERS {
            self.machine.world.write_page(granule, page);
        }
    }

    fn restore_words(&mut self, node: u32) {
        let snapshot = &self.nodes[node as usize].snapshot;
        for (index, Granule { word, pas, .. }) in snapshot.granules.iter().enumerate() {
            self.machine.restore(index, *word, *pas);
        }
        for (bit, vmid) in self.configuration.vmids.iter().enumerate() {
            self.machine.restore_vmid(*vmid, snapshot.vmids >> bit & 1 != 0);
        }
        self.machine.restore_operations(&snapshot.operations);
    }

    fn host_words(&self, page: HostPage) -> Vec<(u64, u64)> {
        let mut words = host_words(page);
        if page != HostPage::Data {
            words.extend(self.configuration.lists.iter().flat_map(List::words));
        }
        words
    }

    /// Has the host write its page.
    fn write_page(&mut self, page: HostPage) {
        let words = self.host_words(page);
        if self.written != Some(page) {
            self.machine.world.write_page(PARAMETERS, &Page([MARKS; GRANULE_WORDS]));
            for (offset, word) in &words {
                self.machine.world.write_word(address(PARAMETERS) + offset, *word);
            }
            self.written = Some(page);
        }
    }

    /// Makes a call and checks what comes of it. The machine is as before then.
    fn step(&mut self, current: &mut Current, number: usize) -> Result<(), String> {
        let letter = self.configuration.letters[number];
        self.write_page(letter.page);
        current.spec.write_page(&self.host_words(letter.page));
        preset_register("ISR_EL1", u64::from(letter.interrupt) << 6);
        self.machine.world.refuses.set(letter.refused);
        if letter.function == function::REC_ENTER {
            perform(letter.act);
        }
        self.tlb.borrow_mut().clone_from(&current.tlb);
        self.machine.world.touched.set(0);
        let registers = registers_of(&letter);
        let before = registers;
        let answer = self.machine.call(0, registers)?;
        let expected = current.spec.call(&letter, &self.configuration.lists);
        check::answer(&letter, &before, &answer, &expected)?;
        if self.machine.cpus.iter().any(|cpu| !cpu.slots.is_empty()) {
            return Err("a slot is mapped between calls".into());
        }
        if let Some(reason) = expected.exit {
            let told = self.machine.world.page(PARAMETERS).0[0x800 / 8];
            if told != reason {
                return Err(format!("the REC left for {told}, not for {reason}"));
            }
            self.written = None;
        }
        self.succeeded[number] |= has_succeeded(answer[0]);
        let moves_vmids =
            [function::REALM_CREATE, function::REALM_DESTROY].contains(&letter.function);
        if moves_vmids {
            let (count, is) = (current.spec.model.realms.len(), self.machine.vmids_in_use());
            if is != format!("VmidTable {{ in_use: {count} }}") {
                return Err(format!("there are {count} Realms, and {is}"));
            }
        }
        let page = self.machine.world.page(PARAMETERS);
        let is_listed =
            stateful::reclaimed(&current.spec.reclaimed).all(|(index, word)| page.0[index] == word);
        if !is_listed {
            return Err("what is given back is not in the list".into());
        }
        if self.machine.world.touched.get() >> PARAMETERS & 1 != 0 {
            self.written = None;
        }
        let changed = self.changes(current.index);
        // An operation that ends with an error changes something, too.
        let begun = &self.nodes[current.index as usize].snapshot.operations;
        let ends = current.spec.operations.len() < begun.len();
        if !ends && !may_change(&letter, answer[0]) {
            if changed != 0 {
                return Err(format!(
                    "a call that failed with {:#x} changed {changed:#x}",
                    answer[0]
                ));
            }
        } else if changed != 0 || !only_asks(&letter) {
            self.arrive(current, number, changed)?;
            self.put_back(current.index);
            current.spec.clone_from(&current.before);
        }
        Ok(())
    }

    /// Puts the machine back into a state after calls that may have changed anything.
    fn put_back(&mut self, node: u32) {
        let touched = self.machine.world.touched.get();
        for granule in 0..self.machine.granules() {
            let (_, page) = &self.loaded[granule];
            let is_rec = self.nodes[node as usize].snapshot.state(granule) == State::Rec;
            let is_touched = touched >> granule & 1 != 0;
            if is_rec || is_touched && self.machine.world.page(granule) != page {
                self.load_granule(node, granule, true);
            }
        }
        self.restore_words(node);
    }
}

/// Whether a letter that names other granules, which is tried, does the same.
fn is_like_others(named: &[usize], ranks: &[Option<(u8, u8)>]) -> bool {
    let mut next = [0_u8; 8];
    for index in named {
        let Some((group, rank)) = ranks[*index] else { continue };
        if rank != next[usize::from(group)] {
            return true;
        }
        next[usize::from(group)] += 1;
    }
    false
}

/// x0 to x7 of a call that changes none of them but by its answer.
fn plain_registers(letter: &Letter) -> Registers {
    let mut registers: Registers = [0; 8];
    registers[0] = letter.function.into();
    registers[1..6].copy_from_slice(&letter.arguments);
    registers
}

/// x0 to x7 of a call.
fn registers_of(letter: &Letter) -> Registers {
    let mut registers: Registers = core::array::from_fn(|x| 0xa0a0_0000_0000_0000 | x as u64);
    registers[0] = letter.function.into();
    registers[1..6].copy_from_slice(&letter.arguments);
    registers
}

/// Whether a call with this answer may change anything.
fn may_change(letter: &Letter, x0: u64) -> bool {
    // A REC that is on already cannot be denied: the host is told that it was wrong, and the call
    // is completed.
    has_succeeded(x0) || letter.function == function::PSCI_COMPLETE
}

/// Whether a call with this answer has succeeded, or goes on.
fn has_succeeded(x0: u64) -> bool {
    x0 == 0 || x0 & 0xff == INCOMPLETE
}

/// Whether a call changes nothing even if it succeeds.
fn only_asks(letter: &Letter) -> bool {
    matches!(letter.function, function::RTT_READ_ENTRY | function::REC_AUX_COUNT)
}
