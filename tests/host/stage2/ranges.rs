// SPDX-License-Identifier: BSD-3-Clause
//! Memory in ranges (RMI 2.0): pages and blocks, single and in lists, and interrupts in the middle
//! of a block.

use std::collections::BTreeMap;

use kit::el3::Pas;
use kit::seed;
use kit::system::System;
use rmm::address::PhysAddr;
use rmm::granule::{GranuleAddress, State};
use rmm::host::preset_register;
use rmm::rmi::function;

/// The one bank of memory, in blocks of 2 MiB: objects, the host's pages, memory for a Realm.
const BANK: (u64, u64) = (0x8000_0000, 16 << 20);
pub(super) const BLOCK: u64 = 2 << 20;
pub(super) const PAGE: u64 = 0x1000;
pub(super) const RD: u64 = BANK.0;
const ROOT: u64 = BANK.0 + 0x2000;
const TABLES: u64 = BANK.0 + 0x10_000;
const PARAMETERS: u64 = BANK.0 + BLOCK;
const LIST: u64 = PARAMETERS + PAGE;
pub(super) const DATA: u64 = BANK.0 + 2 * BLOCK;

/// The first unprotected IPA.
pub(super) const SHARED: u64 = 1 << 39;

pub(super) const SUCCESS: u64 = 0;
const ERROR_INPUT: u64 = 1;
const ERROR_REALM: u64 = 2;
const ERROR_RTT: u64 = 4;
const INCOMPLETE: u64 = 13;
const UNDELEGATED: [u64; 3] = [0, 1 << 62, 1 << 63];
pub(super) const SINGLE: u64 = 1;
/// Normal memory, readable and writable.
pub(super) const ATTRIBUTES: u64 = 6 << 16 | 3 << 19;

fn rtt(level: u64) -> u64 {
    ERROR_RTT | level << 8
}

/// The descriptor of `count` blocks at a level.
pub(super) fn range(level: u64, address: u64, count: u64) -> u64 {
    (3 - level) | count << 2 | address
}

pub(super) struct Host {
    system: System<'static>,
    tables: u64,
}

impl Host {
    /// A host with a NEW Realm of 40 bits.
    pub(super) fn new() -> Self {
        let host = Self { system: System::boot_2_0(BANK), tables: TABLES };
        assert_eq!(host.call(function::RMM_ACTIVATE, &[])[0], SUCCESS);
        host.delegate(BANK.0, PARAMETERS);
        host.delegate(DATA, BANK.0 + BANK.1);
        for (offset, word) in [(0x8, 40), (0x808, ROOT), (0x810, 1), (0x818, 2)] {
            host.write(PARAMETERS + offset, word);
        }
        assert_eq!(host.call(function::REALM_CREATE, &[RD, PARAMETERS])[0], SUCCESS);
        host
    }

    pub(super) fn call(&self, function: u32, arguments: &[u64]) -> [u64; 4] {
        let mut registers = [0xdead; 8];
        registers[0] = u64::from(function);
        registers[1..=arguments.len()].copy_from_slice(arguments);
        let after = self.system.call(&mut System::cpu(0), registers);
        [after[0], after[1], after[2], after[3]]
    }

    /// As [`call`](Self::call), and continues until it is complete. Gives the answer and the number
    /// of continuations.
    fn finish(&self, function: u32, arguments: &[u64]) -> ([u64; 4], usize) {
        let mut answer = self.call(function, arguments);
        let mut continued = 0;
        while answer[0] == INCOMPLETE {
            answer = self.call(function::OP_CONTINUE, &[answer[1], 0]);
            continued += 1;
        }
        (answer, continued)
    }

    fn write(&self, address: u64, word: u64) {
        self.system.machine.ns_write(address, word).expect("the host's own memory");
    }

    fn read(&self, address: u64) -> u64 {
        self.system.machine.ns_read(address).expect("the host's own memory")
    }

    fn delegate(&self, mut base: u64, top: u64) {
        while base < top {
            let [x0, next, ..] = self.call(function::GRANULE_RANGE_DELEGATE, &[base, top]);
            assert_eq!(x0, SUCCESS, "{base:#x}");
            base = next;
        }
    }

    fn undelegate(&self, mut base: u64, top: u64) {
        while base < top {
            let [x0, next, ..] = self.call(function::GRANULE_RANGE_UNDELEGATE, &[base, top]);
            assert_eq!(x0, SUCCESS, "{base:#x}");
            base = next;
        }
    }

    fn state(&self, address: u64) -> State {
        let granule = GranuleAddress::new(PhysAddr::new(address)).expect("aligned");
        self.system.rmm.granules().state(granule).expect("it is tracked")
    }

    pub(super) fn tables(&mut self, ipa: u64, levels: &[u64]) {
        for level in levels {
            let base = ipa & !((1 << (39 - 9 * (level - 1))) - 1);
            let created = self.call(function::RTT_CREATE, &[RD, self.tables, base, *level]);
            assert_eq!(created[0], SUCCESS);
            self.tables += PAGE;
        }
    }

    pub(super) fn map(&self, base: u64, top: u64, flags: u64, addresses: u64) -> [u64; 4] {
        self.call(function::RTT_DATA_MAP, &[RD, base, top, flags, addresses])
    }

    pub(super) fn unmap(&self, base: u64, top: u64, flags: u64, addresses: u64) -> [u64; 4] {
        self.call(function::RTT_DATA_UNMAP, &[RD, base, top, flags, addresses])
    }
}

fn interrupts(pending: bool) {
    preset_register("ISR_EL1", u64::from(pending) << 7);
}

#[test]
fn pages_are_mapped_from_a_descriptor_and_unmapped_to_one() {
    let mut host = Host::new();
    assert_eq!(host.map(0, PAGE, SINGLE, range(3, DATA, 1)), [rtt(1), 0, 0, 0]);
    host.tables(0, &[2, 3]);
    // As many pages as the descriptor has, or as fit into the range.
    assert_eq!(host.map(0, 8 * PAGE, SINGLE, range(3, DATA, 3)), [SUCCESS, 3 * PAGE, 0, 0]);
    assert_eq!(host.map(0, 2 * PAGE, SINGLE, range(3, DATA, 9)), [SUCCESS, 2 * PAGE, 0, 0]);
    assert_eq!(host.state(DATA + 2 * PAGE), State::Data);
    assert_eq!(host.state(DATA + 3 * PAGE), State::Delegated);
    // Memory that is mapped elsewhere, and an IPA with other memory.
    let taken = host.map(4 * PAGE, 5 * PAGE, SINGLE, range(3, DATA, 1));
    assert_eq!(taken, [ERROR_INPUT, 4 * PAGE, 0, 0]);
    assert_eq!(host.map(0, PAGE, SINGLE, range(3, DATA + PAGE, 1)), [rtt(3), 0, 0, 0]);
    assert_eq!(host.map(0, PAGE, SINGLE, range(3, DATA + 7 * PAGE, 1)), [rtt(3), 0, 0, 0]);
    assert_eq!(host.state(DATA + 7 * PAGE), State::Delegated, "it was not taken");
    // A page that is not adjacent.
    assert_eq!(host.map(4 * PAGE, 5 * PAGE, SINGLE, range(3, DATA + 5 * PAGE, 1))[0], SUCCESS);
    assert_eq!(
        host.unmap(0, 16 * PAGE, SINGLE, 0),
        [SUCCESS, 4 * PAGE, range(3, DATA, 3), 0],
        "up to the page that is not adjacent"
    );
    let rest = host.unmap(4 * PAGE, 16 * PAGE, SINGLE, 0);
    assert_eq!(rest, [SUCCESS, 16 * PAGE, range(3, DATA + 5 * PAGE, 1), 0]);
    assert_eq!(host.unmap(0, 1 << 39, SINGLE, 0)[..3], [SUCCESS, 1 << 39, 0], "nothing is left");
    host.undelegate(DATA, BANK.0 + BANK.1);
}

#[test]
fn lists_are_read_and_written_where_the_host_wants_them() {
    let mut host = Host::new();
    host.tables(0, &[2, 3]);
    let entries = [(0, 2), (0, 0), (9, 1), (4, 3)];
    let at = LIST + 10 * 8;
    for (place, (page, count)) in (at..).step_by(8).zip(entries) {
        host.write(place, range(3, DATA + page * PAGE, count));
    }
    let flags = 2 | 4 << 2;
    assert_eq!(host.map(0, 16 * PAGE, flags, at), [SUCCESS, 6 * PAGE, 0, 0]);
    for bad in [at + 4, RD, 0, u64::MAX] {
        assert_eq!(host.unmap(0, 16 * PAGE, flags, bad)[0], ERROR_INPUT);
        assert_eq!(host.map(6 * PAGE, 7 * PAGE, flags, bad)[0], ERROR_INPUT);
    }
    assert_eq!(host.unmap(0, 16 * PAGE, 2, at)[0], ERROR_INPUT, "a list without entries");
    let unmapped = host.unmap(0, 16 * PAGE, 2 | 2 << 2, at);
    assert_eq!(unmapped, [SUCCESS, 3 * PAGE, 0, 2], "as many entries as there is room");
    assert_eq!(
        (host.read(at), host.read(at + 8)),
        (range(3, DATA, 2), range(3, DATA + 9 * PAGE, 1))
    );
    // Room for one entry at the end of the list's page.
    let last = LIST + PAGE - 8;
    assert_eq!(host.unmap(0, 16 * PAGE, flags, last), [SUCCESS, 16 * PAGE, 0, 1]);
    assert_eq!(host.read(last), range(3, DATA + 4 * PAGE, 3));
    host.undelegate(DATA, BANK.0 + BANK.1);
}

#[test]
fn empty_entries_of_a_list_are_passed_over_wherever_they_are() {
    const ENTRIES: u64 = PAGE / 8;
    let mut random = seed::generator("empty_entries_of_a_list");
    for _ in 0..20 {
        let mut host = Host::new();
        host.tables(0, &[2, 3]);
        let mut places: Vec<u64> = (0..3).map(|_| random.u64(..ENTRIES)).collect();
        places.sort_unstable();
        places.dedup();
        for place in 0..ENTRIES {
            // A count of zero, with random other fields.
            host.write(LIST + 8 * place, random.u64(..) & !(0x3ff << 2));
        }
        for (page, place) in (0..).zip(&places) {
            host.write(LIST + 8 * place, range(3, DATA + page * PAGE, 1));
        }
        let mapped = places.len() as u64 * PAGE;
        let flags = 2 | ENTRIES << 2;
        assert_eq!(host.map(0, 16 * PAGE, flags, LIST), [SUCCESS, mapped, 0, 0], "{places:?}");
        assert_eq!(host.unmap(0, mapped, SINGLE, 0)[2], range(3, DATA, places.len() as u64));
        for place in places {
            host.write(LIST + 8 * place, 0);
        }
        assert_eq!(host.map(0, PAGE, flags, LIST)[0], ERROR_INPUT, "nothing but empty entries");
    }
}

#[test]
fn a_list_that_the_host_takes_away_ends_the_range_and_what_was_mapped_is_told() {
    const ENTRIES: u64 = 4;
    let flags = 2 | ENTRIES << 2;
    for read in 0..ENTRIES {
        let mut host = Host::new();
        host.tables(0, &[2, 3]);
        for entry in 0..ENTRIES {
            host.write(LIST + 8 * entry, range(3, DATA + entry * PAGE, 1));
        }
        host.system.machine.take_away_after(read);
        let status = if read == 0 { ERROR_INPUT } else { SUCCESS };
        assert_eq!(host.map(0, ENTRIES * PAGE, flags, LIST)[..2], [status, read * PAGE], "{read}");
        let states = (0..ENTRIES).map(|page| host.state(DATA + page * PAGE));
        assert_eq!(states.filter(|state| *state == State::Data).count() as u64, read);
        host.system.machine.el3.set_pas(LIST, Pas::NonSecure);
        let done = host.map(0, ENTRIES * PAGE, flags, LIST);
        assert_eq!(done, [SUCCESS, ENTRIES * PAGE, 0, 0], "{read}");

        // The RMM writes a word before it unmaps anything, then each entry. Each entry is one page,
        // since no two pages are adjacent.
        host.unmap(PAGE, 2 * PAGE, SINGLE, 0);
        host.system.machine.take_away_after(read);
        let unmapped = host.unmap(0, ENTRIES * PAGE, flags, LIST);
        match read {
            0 => assert_eq!(unmapped, [ERROR_INPUT, 0, 0, 0]),
            1 => assert_eq!(unmapped, [SUCCESS, 2 * PAGE, 0, 0], "one is not told"),
            _ => assert_eq!((unmapped[0], unmapped[1]), (SUCCESS, ENTRIES * PAGE)),
        }
        host.system.machine.el3.set_pas(LIST, Pas::NonSecure);
        assert_eq!(host.unmap(0, ENTRIES * PAGE, 0, 0)[0], SUCCESS);
        host.undelegate(DATA, BANK.0 + BANK.1);
    }
}

#[test]
fn what_is_no_range_is_an_input_error_and_changes_nothing() {
    let mut host = Host::new();
    host.tables(0, &[2, 3]);
    let good = range(3, DATA, 1);
    for (base, top, flags, addresses) in [
        (0, 0, SINGLE, good),
        (PAGE, 0, SINGLE, good),
        (1, PAGE, SINGLE, good),
        (0, PAGE + 1, SINGLE, good),
        (0, PAGE, 0, good),
        (0, PAGE, 3, good),
        (0, PAGE, SINGLE, range(3, DATA, 0)),
        (0, PAGE, SINGLE, good | 1 << 62),
        (0, PAGE, SINGLE, good | 1 << 63),
        (0, 1 << 40, SINGLE, range(0, 0, 1)),
        (PAGE, BLOCK + PAGE, SINGLE, range(2, DATA, 1)),
        (SHARED, SHARED + PAGE, SINGLE, good),
        (SHARED - PAGE, SHARED + PAGE, SINGLE, good),
        (1 << 40, (1 << 40) + PAGE, SINGLE, good),
        (0, PAGE, SINGLE, range(3, PARAMETERS, 1)),
        (0, PAGE, SINGLE, range(3, RD, 1)),
        (0, PAGE, SINGLE, range(3, 0, 1)),
    ] {
        let [x0, ..] = host.map(base, top, flags, addresses);
        assert_eq!(x0, ERROR_INPUT, "{base:#x} {top:#x} {flags:#x} {addresses:#x}");
    }
    assert_eq!(host.map(0, PAGE, SINGLE, range(2, DATA, 1))[0], rtt(2), "less than a block");
    assert_eq!(host.map(0, BLOCK, SINGLE, range(2, DATA, 1))[0], rtt(2), "there is a table");
    for (base, top) in [(0, 0), (PAGE, 0), (1, PAGE), (0, SHARED + PAGE), (SHARED, SHARED + PAGE)] {
        assert_eq!(host.unmap(base, top, SINGLE, 0)[0], ERROR_INPUT);
    }
    assert_eq!(host.unmap(0, PAGE, 3, 0)[0], ERROR_INPUT);
    let call = |function| host.call(function, &[RD + PAGE, 0, PAGE, SINGLE, good])[0];
    assert_eq!(call(function::RTT_DATA_MAP), ERROR_INPUT);
    assert_eq!(call(function::RTT_UNPROT_UNMAP), ERROR_INPUT);
    assert_eq!(host.call(function::REALM_TERMINATE, &[RD])[0], SUCCESS);
    assert_eq!(host.map(0, PAGE, SINGLE, good)[0], ERROR_REALM);
    host.undelegate(DATA, BANK.0 + BANK.1);
}

#[test]
fn a_block_is_mapped_and_unmapped_in_one_call_or_granule_by_granule() {
    for pending in [false, true] {
        let mut host = Host::new();
        host.tables(0, &[2]);
        interrupts(pending);
        let base = 3 * BLOCK;
        let arguments = [RD, base, base + BLOCK, SINGLE, range(2, DATA, 1)];
        let (answer, continued) = host.finish(function::RTT_DATA_MAP, &arguments);
        assert_eq!(answer, [SUCCESS, base + BLOCK, 0, 0]);
        // The last granule and the entry are done in one step.
        assert_eq!(continued, if pending { 511 } else { 0 });
        assert!((DATA..DATA + BLOCK).step_by(0x1000).all(|page| host.state(page) == State::Data));
        // A second call has nothing to do.
        assert_eq!(host.finish(function::RTT_DATA_MAP, &arguments).0[..2], [SUCCESS, base + BLOCK]);
        let [x0, level, state, address] = host.call(function::RTT_READ_ENTRY, &[RD, base, 2]);
        assert_eq!((x0, level, state, address), (SUCCESS, 2, 1, DATA));
        assert_eq!(host.unmap(base, base + PAGE, SINGLE, 0)[..2], [rtt(2), base], "a part");
        assert_eq!(host.unmap(base + PAGE, base + BLOCK, SINGLE, 0)[0], rtt(2), "a part");
        let arguments = [RD, 0, 1 << 30, SINGLE, 0];
        let ([x0, mut next, mut descriptor, _], mut continued) =
            host.finish(function::RTT_DATA_UNMAP, &arguments);
        assert_eq!(x0, SUCCESS);
        while descriptor == 0 {
            // A hole counts as a step.
            let arguments = [RD, next, 1 << 30, SINGLE, 0];
            let (answer, more) = host.finish(function::RTT_DATA_UNMAP, &arguments);
            [_, next, descriptor, _] = answer;
            continued += more;
        }
        assert_eq!(descriptor, range(2, DATA, 1));
        assert_eq!(continued, if pending { 511 } else { 0 });
        interrupts(false);
        host.undelegate(DATA, BANK.0 + BANK.1);
    }
}

#[test]
fn a_block_that_cannot_be_had_is_given_back_granule_by_granule() {
    for pending in [false, true] {
        let mut host = Host::new();
        host.tables(0, &[2]);
        let hole = DATA + BLOCK + 100 * PAGE;
        host.undelegate(hole, hole + PAGE);
        interrupts(pending);
        // The second of two blocks fails. The first counts if the same call has mapped it.
        let arguments = [RD, 0, 2 * BLOCK, SINGLE, range(2, DATA, 2)];
        let (answer, _) = host.finish(function::RTT_DATA_MAP, &arguments);
        assert_eq!(answer, [SUCCESS, BLOCK, 0, 0]);
        let arguments = [RD, BLOCK, 2 * BLOCK, SINGLE, range(2, DATA + BLOCK, 1)];
        let (answer, continued) = host.finish(function::RTT_DATA_MAP, &arguments);
        assert_eq!(answer, [ERROR_INPUT, BLOCK, 0, 0]);
        assert_eq!(continued > 100, pending);
        for page in (DATA + BLOCK..DATA + 2 * BLOCK).step_by(0x1000).filter(|page| *page != hole) {
            assert_eq!(host.state(page), State::Delegated, "{page:#x}");
        }
        interrupts(false);
    }
}

#[test]
fn a_realm_with_a_parked_block_stays_and_the_block_finds_what_has_become_of_its_entry() {
    let mut host = Host::new();
    host.tables(0, &[2]);
    interrupts(true);
    let arguments = [RD, 0, BLOCK, SINGLE, range(2, DATA, 1)];
    let [x0, handle, ..] = host.call(function::RTT_DATA_MAP, &arguments);
    assert_eq!(x0, INCOMPLETE);
    // The operation asks for no memory and cannot be cancelled.
    for function in [function::OP_MEM_DONATE, function::OP_MEM_RECLAIM, function::OP_CANCEL] {
        assert_eq!(host.call(function, &[handle, LIST, 1])[0], ERROR_INPUT);
    }
    interrupts(false);
    let other = [RD, 0, BLOCK, SINGLE, range(2, DATA + BLOCK, 1)];
    assert_eq!(host.call(function::RTT_DATA_MAP, &other)[..2], [SUCCESS, BLOCK]);
    assert_eq!(host.call(function::OP_CONTINUE, &[0, handle]), [rtt(2), 0, 0, 0]);
    assert_eq!(host.call(function::OP_CONTINUE, &[0, handle])[0], ERROR_INPUT, "it has ended");
    assert!((DATA..DATA + BLOCK).step_by(0x1000).all(|page| host.state(page) == State::Delegated));

    assert_eq!(host.unmap(0, BLOCK, 0, 0)[..2], [SUCCESS, BLOCK]);
    interrupts(true);
    let [_, handle, ..] = host.call(function::RTT_DATA_MAP, &arguments);
    interrupts(false);
    assert_eq!(host.call(function::RTT_DESTROY, &[RD, 0, 2])[0], SUCCESS);
    assert_eq!(host.call(function::REALM_TERMINATE, &[RD])[0], SUCCESS);
    assert_eq!(host.call(function::REALM_DESTROY, &[RD])[0], ERROR_REALM, "it is referred to");
    assert_eq!(host.call(function::OP_CONTINUE, &[handle, 0])[0], rtt(1));
    assert_eq!(host.call(function::REALM_DESTROY, &[RD])[0], SUCCESS);
    host.undelegate(DATA, BANK.0 + BANK.1);
    host.undelegate(BANK.0, PARAMETERS);
}

#[test]
fn unprotected_memory_is_mapped_whatever_the_state_in_its_descriptor() {
    let mut host = Host::new();
    host.tables(SHARED, &[2, 3]);
    for (page, state) in (0..).zip(UNDELEGATED) {
        let ipa = SHARED + page * PAGE;
        let descriptor = range(3, PARAMETERS + page * PAGE, 1) | state;
        let map =
            |flags| host.call(function::RTT_UNPROT_MAP, &[RD, ipa, ipa + PAGE, flags, descriptor]);
        assert_eq!(map(SINGLE | ATTRIBUTES), [SUCCESS, ipa + PAGE, 0, 0]);
        assert_eq!(map(SINGLE | ATTRIBUTES), [SUCCESS, ipa + PAGE, 0, 0], "the same again");
        assert_eq!(map(SINGLE | 5 << 16 | 3 << 19), [rtt(3), ipa, 0, 0], "not the same");
        assert_eq!(map(SINGLE | 4 << 16), [ERROR_INPUT, ipa, 0, 0], "reserved attributes");
        assert_eq!(map(SINGLE | ATTRIBUTES | 4 << 19), [ERROR_INPUT, ipa, 0, 0], "no permission");
    }
    let unmap =
        |base, top, flags| host.call(function::RTT_UNPROT_UNMAP, &[RD, base, top, flags, 0]);
    let one = unmap(SHARED, SHARED + PAGE, SINGLE);
    assert_eq!(one, [SUCCESS, SHARED + PAGE, range(3, PARAMETERS, 1), 0]);
    // The rest of the unprotected half.
    assert_eq!(unmap(SHARED, 1 << 40, 0), [SUCCESS, 1 << 40, 0, 0]);
    assert_eq!(unmap(0, PAGE, 0)[0], ERROR_INPUT, "protected");
    assert_eq!(unmap(SHARED, (1 << 40) + PAGE, 0)[0], ERROR_INPUT, "beyond");
    assert_eq!(host.call(function::RTT_DESTROY, &[RD, SHARED, 3])[0], SUCCESS);
}

#[test]
fn ripas_is_initialized_over_memory_that_is_assigned() {
    let mut host = Host::new();
    host.tables(0, &[2, 3]);
    assert_eq!(host.map(PAGE, 2 * PAGE, SINGLE, range(3, DATA, 1))[0], SUCCESS);
    let init = |base, top| host.call(function::RTT_INIT_RIPAS, &[RD, base, top]);
    assert_eq!(init(0, 4 * PAGE), [SUCCESS, 4 * PAGE, 0, 0]);
    assert_eq!(init(0, 4 * PAGE), [SUCCESS, 4 * PAGE, 0, 0], "again");
    assert_eq!(host.unmap(PAGE, 2 * PAGE, 0, 0)[0], SUCCESS);
    assert_eq!(init(0, 4 * PAGE), [SUCCESS, PAGE, 0, 0], "up to what is DESTROYED");
    assert_eq!(init(PAGE, 4 * PAGE), [rtt(3), 0, 0, 0]);
}

/// Random ranges in one table and in adjacent blocks, compared with a map of pages.
#[test]
fn random_ranges_do_what_the_model_does() {
    let mut host = Host::new();
    host.tables(0, &[2, 3]);
    let mut random = seed::generator("ranges");
    // The page of memory at each IPA.
    let mut mapped = BTreeMap::<u64, u64>::new();
    for _ in 0..seed::cases(3000) {
        interrupts(random.u8(..4) == 0);
        let is_block = random.u8(..8) == 0;
        let (size, level) = if is_block { (BLOCK, 2) } else { (PAGE, 3) };
        let pages = size / PAGE;
        let (first, last) = if is_block { (1, 4) } else { (0, 24) };
        let base = random.u64(first..last) * size;
        let top = base + random.u64(1..4) * size;
        if random.bool() {
            let address = DATA + random.u64(..if is_block { 6 } else { 24 }) * size;
            let count = random.u64(1..4);
            let arguments = [RD, base, top, SINGLE, range(level, address, count)];
            let ([x0, next, ..], _) = host.finish(function::RTT_DATA_MAP, &arguments);
            let reached = if x0 == SUCCESS { next } else { base };
            assert!(reached <= top.min(base + count * size) && (x0 != SUCCESS || next > base));
            for page in 0..(reached - base) / PAGE {
                let (ipa, memory) = (base + page * PAGE, address + page * PAGE);
                let before = mapped.insert(ipa, memory);
                assert!(before.is_none_or(|before| before == memory), "{ipa:#x}");
            }
            if x0 != SUCCESS {
                // The first block is not free, or its memory is not Delegated.
                let is_free = (0..pages).all(|page| !mapped.contains_key(&(base + page * PAGE)));
                let has = |page| mapped.values().any(|memory| *memory == address + page * PAGE);
                assert!(!is_free || address + size > BANK.0 + BANK.1 || (0..pages).any(has));
            }
        } else {
            let arguments = [RD, base, top, SINGLE, 0];
            let ([x0, next, descriptor, count], _) =
                host.finish(function::RTT_DATA_UNMAP, &arguments);
            assert_eq!((x0, count), (SUCCESS, 0));
            let gone: Vec<_> =
                mapped.range(base..next).map(|(ipa, memory)| (*ipa, *memory)).collect();
            mapped.retain(|ipa, _| gone.iter().all(|(gone, _)| gone != ipa));
            let (size, count) = (descriptor & 3, descriptor >> 2 & 0x3ff);
            let pages = count << (9 * size);
            let from = descriptor & 0xf_ffff_ffff_f000;
            let told: Vec<_> = (0..pages).map(|page| from + page * PAGE).collect();
            assert_eq!(gone.iter().map(|(_, memory)| *memory).collect::<Vec<_>>(), told);
        }
        for page in (DATA..BANK.0 + BANK.1).step_by(0x1000 * 7) {
            let is_mapped = mapped.values().any(|memory| *memory == page);
            let state = if is_mapped { State::Data } else { State::Delegated };
            assert_eq!(host.state(page), state, "{page:#x}");
        }
    }
    interrupts(false);
    let mut next = 0;
    while next < 1 << 39 {
        [_, next, ..] = host.unmap(next, 1 << 39, 0, 0);
    }
    host.undelegate(DATA, BANK.0 + BANK.1);
}
