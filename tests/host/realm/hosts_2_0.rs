// SPDX-License-Identifier: BSD-3-Clause
//! Existing hosts of RMI 2.0, call by call: Linux, which builds a Realm on demand, and TF-A's
//! tests, which use an older beta.

use kit::seed;
use kit::system::System;
use rmm::abi::psci;
use rmm::abi::rsi::function as rsi;
use rmm::address::PhysAddr;
use rmm::granule::{GranuleAddress, State};
use rmm::host::{preset_register, set_realm};
use rmm::mem::AUXILIARY;
use rmm::rmi::function;

/// The one bank of memory, and the host's use of it.
const BANK: (u64, u64) = (0x8000_0000, 16 << 20);
const PAGE: u64 = 0x1000;
const CONFIG: u64 = BANK.0;
const PARAMETERS: u64 = BANK.0 + PAGE;
const LIST: u64 = BANK.0 + 2 * PAGE;
const RUN: u64 = BANK.0 + 3 * PAGE;
const IMAGE: u64 = BANK.0 + 4 * PAGE;
const SHARED: u64 = BANK.0 + 5 * PAGE;
const RD: u64 = BANK.0 + 0x20 * PAGE;
const RECS: [u64; 2] = [RD + PAGE, RD + 2 * PAGE];
const ROOT: u64 = BANK.0 + 0x30 * PAGE;
const TABLES: u64 = BANK.0 + 0x40 * PAGE;
const AUX: u64 = BANK.0 + 0x60 * PAGE;
const DATA: u64 = BANK.0 + 0x80 * PAGE;

/// The first unprotected IPA of a Realm with 33 bits.
const HALF: u64 = 1 << 32;
/// The first IPA of its RAM.
const RAM: u64 = 0x8000_0000;
const RAM_TOP: u64 = RAM + 0x10_0000;

const SUCCESS: u64 = 0;
const INCOMPLETE: u64 = 13;
const DONATE: u64 = INCOMPLETE | 1 << 8 | 1 << 10;
const RECLAIM: u64 = INCOMPLETE | 2 << 8;
const ERROR_GPT: u64 = 15;
const SINGLE: u64 = 1;
/// Normal memory, readable and writable.
const ATTRIBUTES: u64 = 6 << 16 | 3 << 19;
const ALL: u64 = AUXILIARY as u64;

/// Vectors and exception classes.
const SYNCHRONOUS: u64 = 0;
const IRQ: u64 = 1;
const SMC: u64 = 0x17 << 26 | 1 << 25;
const DATA_ABORT: u64 = 0x24 << 26 | 1 << 25 | 4;

fn rtt(level: u64) -> u64 {
    4 | level << 8
}

/// The descriptor of one page.
fn page(address: u64) -> u64 {
    address | 1 << 2
}

struct Host {
    system: System<'static>,
    random: fastrand::Rng,
    tables: u64,
}

impl Host {
    fn new(name: &str) -> Self {
        let system = System::boot_2_0(BANK);
        Self { system, random: seed::generator(name), tables: TABLES }
    }

    fn write(&self, address: u64, word: u64) {
        self.system.machine.ns_write(address, word).expect("the host's own memory");
    }

    fn read(&self, address: u64) -> u64 {
        self.system.machine.ns_read(address).expect("the host's own memory")
    }

    /// Calls, with random values in the other registers.
    fn call(&mut self, function: u32, arguments: &[u64]) -> [u64; 5] {
        let mut registers = [0; 8].map(|_: u64| self.random.u64(..));
        registers[0] = u64::from(function);
        registers[1..=arguments.len()].copy_from_slice(arguments);
        let after = self.system.call(&mut System::cpu(0), registers);
        let outputs = if function == function::RTT_READ_ENTRY { 5 } else { 4 };
        assert_eq!(after[outputs..], registers[outputs..], "{function:#x}: x4-x7 come back");
        [after[0], after[1], after[2], after[3], after[4]]
    }

    /// Calls, and compares x0 to x3.
    #[track_caller]
    fn expect(&mut self, function: u32, arguments: &[u64], answer: [u64; 4]) {
        let [x0, x1, x2, x3, _] = self.call(function, arguments);
        assert_eq!([x0, x1, x2, x3], answer, "{function:#x} {arguments:#x?}");
    }

    #[track_caller]
    fn done(&mut self, function: u32, arguments: &[u64]) {
        self.expect(function, arguments, [SUCCESS, 0, 0, 0]);
    }

    #[track_caller]
    fn delegate(&mut self, base: u64, count: u64) {
        let top = base + count * PAGE;
        self.expect(function::GRANULE_RANGE_DELEGATE, &[base, top], [SUCCESS, top, 0, 0]);
    }

    #[track_caller]
    fn undelegate(&mut self, base: u64, count: u64) {
        let top = base + count * PAGE;
        self.expect(function::GRANULE_RANGE_UNDELEGATE, &[base, top], [SUCCESS, top, 0, 0]);
    }

    /// RMI_REALM_CREATE with 33 bits from level 2, and these breakpoints and watchpoints.
    fn create_realm(&mut self, debug: u64) {
        for offset in (0..PAGE).step_by(8) {
            self.write(PARAMETERS + offset, 0);
        }
        for (offset, word) in
            [(0x8, 33), (0x18, debug), (0x20, debug), (0x808, ROOT), (0x810, 2), (0x818, 8)]
        {
            self.write(PARAMETERS + offset, word);
        }
        self.done(function::REALM_CREATE, &[RD, PARAMETERS]);
    }

    fn write_rec(&self, index: u64) {
        for offset in (0..PAGE).step_by(8) {
            self.write(PARAMETERS + offset, 0);
        }
        for (offset, word) in [(0, u64::from(index == 0)), (0x100, index), (0x200, RAM)] {
            self.write(PARAMETERS + offset, word);
        }
    }

    fn write_list(&self, at: u64, base: u64, count: u64) {
        for index in 0..count {
            self.write(at + 8 * index, page(base + index * PAGE));
        }
    }

    /// Creates a table of level 3 if there is none.
    #[track_caller]
    fn create_table(&mut self, ipa: u64) {
        let table = self.tables;
        self.tables += PAGE;
        self.delegate(table, 1);
        self.done(function::RTT_CREATE, &[RD, table, ipa & !0x1f_ffff, 3]);
    }

    /// Enters a REC whose run ends with this exception. Gives the reason of the exit.
    fn enter(&mut self, rec: u64, vector: u64, esr: u64, ipa: u64, x: &'static [u64]) -> u64 {
        let mut has_run = false;
        set_realm(move |registers| {
            if core::mem::replace(&mut has_run, true) {
                return IRQ;
            }
            registers.gprs[..x.len()].copy_from_slice(x);
            preset_register("ESR_EL2", esr);
            preset_register("HPFAR_EL2", ipa >> 8);
            vector
        });
        self.done(function::REC_ENTER, &[rec, RUN]);
        self.read(RUN + 0x800)
    }

    /// Asserts that every granule is Non-secure again, without content of the Realm.
    fn all_is_back(&self) {
        let host = [CONFIG, PARAMETERS, LIST, RUN, IMAGE, SHARED];
        for address in (BANK.0..BANK.0 + BANK.1).step_by(0x1000) {
            let granule = GranuleAddress::new(PhysAddr::new(address)).expect("aligned");
            let state = self.system.rmm.granules().state(granule);
            assert_eq!(state, Some(State::Ns), "{address:#x}");
            let memory = &self.system.machine.memory;
            assert!(host.contains(&address) || memory.granule_is(address, 0), "{address:#x}");
        }
    }
}

/// Linux's newest host (2.0-bet3), and the one before it (v14) where the two differ.
#[test]
fn a_host_as_linux_is() {
    let mut host = Host::new("a_host_as_linux_is");
    let end = BANK.0 + BANK.1;
    host.expect(function::VERSION, &[0x2_0000], [SUCCESS, 0x2_0000, 0x2_0000, 0]);
    for index in 0..5 {
        let [x0, register, x2, x3, _] = host.call(function::FEATURES, &[index]);
        assert_eq!((x0, x2, x3), (SUCCESS, 0, 0));
        assert!(index != 1 || register & 0b1001 == 0b1001, "4 KiB, SHA-256: {register:#x}");
    }
    host.done(function::RMM_CONFIG_SET, &[CONFIG]);
    host.done(function::RMM_ACTIVATE, &[]);
    host.expect(function::GRANULE_TRACKING_GET, &[BANK.0, end], [SUCCESS, 0, 2, end]);
    host.expect(function::GPT_INFO, &[BANK.0, end], [SUCCESS, end, 1, 0]);
    host.expect(function::GPT_L1_CREATE, &[BANK.0], [ERROR_GPT, 0, 0, 0]);

    // Linux creates the Realm when it loads the first page of the image.
    host.delegate(ROOT, 8);
    host.delegate(RD, 1);
    host.create_realm(0);
    let pages = 3;
    for index in 0..pages {
        let (data, ipa) = (DATA + index * PAGE, RAM + index * PAGE);
        host.delegate(data, 1);
        let arguments = [RD, data, ipa, IMAGE, 1];
        if index == 0 {
            host.expect(function::RTT_DATA_MAP_INIT, &arguments, [rtt(2), 0, 0, 0]);
            host.create_table(ipa);
        }
        host.done(function::RTT_DATA_MAP_INIT, &arguments);
    }
    for (index, rec) in (0..).zip(RECS) {
        host.delegate(rec, 1);
        host.write_rec(index);
        let [x0, handle, wanted, x3, _] = host.call(function::REC_CREATE, &[RD, rec, PARAMETERS]);
        assert_eq!((x0, wanted, x3), (DONATE, ALL << 2, 0));
        let memory = AUX + index * ALL * PAGE;
        (0..ALL).for_each(|granule| host.delegate(memory + granule * PAGE, 1));
        // A list may begin at any multiple of 8.
        host.write_list(LIST + 0x7f8, memory, ALL);
        let go_on = INCOMPLETE | 1 << 10;
        let donate = [handle, LIST + 0x7f8, ALL, 0];
        host.expect(function::OP_MEM_DONATE, &donate, [go_on, ALL, 0, 0]);
        host.done(function::OP_CONTINUE, &[handle, 0]);
    }
    // The whole memory slot becomes RAM, with what is already assigned.
    let top = RAM_TOP;
    host.expect(function::RTT_INIT_RIPAS, &[RD, RAM, top], [SUCCESS, top, 0, 0]);
    host.done(function::REALM_ACTIVATE, &[RD]);

    // A fault on RAM: the host delegates and maps a page.
    let ipa = RAM + pages * PAGE;
    assert_eq!(host.enter(RECS[0], SYNCHRONOUS, DATA_ABORT, ipa, &[]), 0);
    assert_eq!(host.read(RUN + 0x800 + 0x110) << 8, ipa, "HPFAR");
    let data = DATA + pages * PAGE;
    host.delegate(data, 1);
    let next = ipa + PAGE;
    let map = [RD, ipa, next, SINGLE, page(data)];
    host.expect(function::RTT_DATA_MAP, &map, [SUCCESS, next, 0, 0]);
    // Another CPU has already mapped this page, then another page.
    host.expect(function::RTT_DATA_MAP, &map, [SUCCESS, next, 0, 0]);
    host.delegate(data + PAGE, 1);
    let other = [RD, ipa, next, SINGLE, page(data + PAGE)];
    host.expect(function::RTT_DATA_MAP, &other, [rtt(3), ipa, 0, 0]);
    host.undelegate(data + PAGE, 1);
    // A fault on shared memory: the host maps a page of its own. v14 leaves the state bits of the
    // descriptor 0.
    let shared = RAM | HALF;
    for state in [1 << 62, 0] {
        let map = [RD, shared, shared + PAGE, SINGLE | ATTRIBUTES, page(SHARED) | state];
        if state != 0 {
            host.expect(function::RTT_UNPROT_MAP, &map, [rtt(2), shared, 0, 0]);
            host.create_table(shared);
        }
        host.expect(function::RTT_UNPROT_MAP, &map, [SUCCESS, shared + PAGE, 0, 0]);
    }
    // The Realm gives pages up: they become EMPTY, unmapped and Non-secure.
    const GIVEN_UP: u64 = 2;
    const CHANGE: &[u64] = &[rsi::IPA_STATE_SET as u64, RAM, RAM + GIVEN_UP * PAGE, 0, 0];
    assert_eq!(host.enter(RECS[0], SYNCHRONOUS, SMC, 0, CHANGE), 4);
    let top = RAM + GIVEN_UP * PAGE;
    host.expect(function::RTT_SET_RIPAS, &[RD, RECS[0], RAM, top], [SUCCESS, top, 0, 0]);
    let both = page(DATA) + (1 << 2);
    host.expect(function::RTT_DATA_UNMAP, &[RD, RAM, top, SINGLE, 0], [SUCCESS, top, both, 0]);
    host.undelegate(DATA, GIVEN_UP);
    const ON: &[u64] = &[psci::function::CPU_ON_64 as u64, 1, RAM + 2 * PAGE, 0];
    assert_eq!(host.enter(RECS[0], SYNCHRONOUS, SMC, 0, ON), 3);
    // The target of PSCI_CPU_ON is entered too early, and the host tries again.
    host.expect(function::REC_ENTER, &[RECS[1], RUN], [3, 0, 0, 0]);
    host.done(function::PSCI_COMPLETE, &[RECS[0], psci::SUCCESS]);
    assert_eq!(host.enter(RECS[1], IRQ, 0, 0, &[]), 1);
    const AFFINITY: &[u64] = &[psci::function::AFFINITY_INFO_64 as u64, 1, 0];
    assert_eq!(host.enter(RECS[0], SYNCHRONOUS, SMC, 0, AFFINITY), 1, "no exit for it");

    // The end: everything is unmapped in as few calls as possible.
    let (low, high) = ((RAM, RAM_TOP), (HALF, 2 * HALF));
    let mut at = low.0;
    while at < low.1 {
        let [x0, next, range, x3, _] =
            host.call(function::RTT_DATA_UNMAP, &[RD, at, low.1, SINGLE, 0]);
        assert!(x0 == SUCCESS && x3 == 0 && next > at, "{at:#x}");
        if range != 0 {
            host.undelegate(range & !0xfff, range >> 2 & 0x3ff);
        }
        at = next;
    }
    let mut at = high.0;
    while at < high.1 {
        let [x0, next, x2, x3, _] = host.call(function::RTT_UNPROT_UNMAP, &[RD, at, high.1, 0, 0]);
        assert_eq!((x0, x2, x3), (SUCCESS, 0, 0), "{at:#x}");
        assert!(next > at);
        at = next;
    }
    for (index, rec) in (0..).zip(RECS) {
        let [x0, handle, x2, x3, _] = host.call(function::REC_DESTROY, &[rec]);
        assert_eq!((x0, x2, x3), (RECLAIM, 0, 0));
        let memory = AUX + index * ALL * PAGE;
        host.expect(function::OP_MEM_RECLAIM, &[handle, LIST, 256], [INCOMPLETE, 1, 0, 0]);
        assert_eq!(host.read(LIST), page(memory) + ((ALL - 1) << 2));
        host.undelegate(memory, ALL);
        host.done(function::OP_CONTINUE, &[handle, 0]);
        host.undelegate(rec, 1);
    }
    host.done(function::REALM_TERMINATE, &[RD]);
    for (ipa, table) in [(RAM, TABLES), (RAM | HALF, TABLES + PAGE)] {
        let [x0, address, ..] = host.call(function::RTT_DESTROY, &[RD, ipa, 3]);
        assert_eq!((x0, address), (SUCCESS, table));
        host.undelegate(table, 1);
    }
    host.done(function::REALM_DESTROY, &[RD]);
    host.undelegate(ROOT, 8);
    host.undelegate(RD, 1);
    host.all_is_back();
}

/// TF-A's tests: flags before handles, bit 63 for memory that is not delegated, and a short
/// donation.
#[test]
fn a_host_as_tf_as_tests_are() {
    let mut host = Host::new("a_host_as_tf_as_tests_are");
    host.expect(function::VERSION, &[0x2_0000], [SUCCESS, 0x2_0000, 0x2_0000, 0]);
    host.done(function::RMM_CONFIG_SET, &[CONFIG]);
    host.done(function::RMM_ACTIVATE, &[]);
    host.done(function::RMM_CONFIG_GET, &[CONFIG]);
    assert_eq!([0, 8].map(|offset| host.read(CONFIG + offset)), [0, 0]);

    (0..8).for_each(|table| host.delegate(ROOT + table * PAGE, 1));
    host.delegate(RD, 1);
    host.create_realm(1);
    // The image has the same address in the Realm and in memory.
    let (data, ipa) = (DATA, DATA);
    host.delegate(data, 1);
    let init = [RD, data, ipa, IMAGE, 0];
    host.expect(function::RTT_DATA_MAP_INIT, &init, [rtt(2), 0, 0, 0]);
    host.create_table(ipa);
    host.done(function::RTT_DATA_MAP_INIT, &init);
    let top = ipa + 4 * PAGE;
    host.expect(function::RTT_INIT_RIPAS, &[RD, ipa, top], [SUCCESS, top, 0, 0]);
    let shared = SHARED | HALF;
    let map = [RD, shared, shared + PAGE, SINGLE | ATTRIBUTES, page(SHARED) | 1 << 63];
    host.expect(function::RTT_UNPROT_MAP, &map, [rtt(2), shared, 0, 0]);
    host.create_table(shared);
    host.expect(function::RTT_UNPROT_MAP, &map, [SUCCESS, shared + PAGE, 0, 0]);

    host.delegate(RECS[0], 1);
    host.write_rec(0);
    let [x0, handle, wanted, ..] = host.call(function::REC_CREATE, &[RD, RECS[0], PARAMETERS]);
    assert_eq!((x0, wanted), (DONATE, ALL << 2), "it has to ask for memory");
    (0..ALL).for_each(|granule| host.delegate(AUX + granule * PAGE, 1));
    // Donates one granule less than asked for, from entry 10 of a page on.
    let list = LIST + 10 * 8;
    host.write_list(list, AUX, ALL);
    let donate = [handle, list, ALL - 1];
    host.expect(function::OP_MEM_DONATE, &donate, [DONATE, ALL - 1, 1 << 2, 0]);
    let donate = [handle, list + 8 * (ALL - 1), 1];
    host.expect(function::OP_MEM_DONATE, &donate, [INCOMPLETE | 1 << 10, 1, 0, 0]);
    host.done(function::OP_CONTINUE, &[0, handle]);
    host.done(function::REALM_ACTIVATE, &[RD]);
    host.expect(function::REC_CREATE, &[RD, RECS[0], PARAMETERS], [1, 0, 0, 0]);
    assert_eq!(host.enter(RECS[0], IRQ, 0, 0, &[]), 1);

    // These tests destroy RECs before they terminate the Realm.
    let [x0, handle, ..] = host.call(function::REC_DESTROY, &[RECS[0]]);
    assert_eq!(x0, RECLAIM, "it has to give memory back");
    host.expect(function::OP_MEM_RECLAIM, &[handle, list, ALL], [INCOMPLETE, 1, 0, 0]);
    host.done(function::OP_CONTINUE, &[0, handle]);
    (0..ALL).for_each(|granule| host.undelegate(AUX + granule * PAGE, 1));
    host.undelegate(RECS[0], 1);
    let [x0, level, state, address, ripas] = host.call(function::RTT_READ_ENTRY, &[RD, ipa, 3]);
    assert_eq!([x0, level, state, address & !0xfff, ripas], [SUCCESS, 3, 1, data, 1]);
    let next = ipa + PAGE;
    let unmap = [RD, ipa, next, SINGLE, 0];
    host.expect(function::RTT_DATA_UNMAP, &unmap, [SUCCESS, next, page(data), 0]);
    host.undelegate(data, 1);
    let unmap = [RD, shared, shared + PAGE, SINGLE, 0];
    let [x0, next, range, x3, _] = host.call(function::RTT_UNPROT_UNMAP, &unmap);
    assert_eq!((x0, next, x3), (SUCCESS, shared + PAGE, 0));
    assert_eq!(range & 0xf_ffff_ffff_ffff, page(SHARED));
    for (ipa, table) in [(ipa, TABLES), (shared, TABLES + PAGE)] {
        let [x0, address, ..] = host.call(function::RTT_DESTROY, &[RD, ipa & !0x1f_ffff, 3]);
        assert_eq!((x0, address), (SUCCESS, table));
        host.undelegate(table, 1);
    }
    host.expect(function::REALM_DESTROY, &[RD], [2, 0, 0, 0]);
    host.done(function::REALM_TERMINATE, &[RD]);
    host.expect(function::REC_ENTER, &[RECS[0], RUN], [1, 0, 0, 0]);
    host.done(function::REALM_DESTROY, &[RD]);
    (0..8).for_each(|table| host.undelegate(ROOT + table * PAGE, 1));
    host.undelegate(RD, 1);
    host.all_is_back();
}

#[test]
fn the_rmm_stays_active_while_there_is_a_realm() {
    const ERROR_GLOBAL: u64 = 11;
    let mut host = Host::new("the_rmm_stays_active");
    host.done(function::RMM_ACTIVATE, &[]);
    host.delegate(ROOT, 8);
    host.delegate(RD, 1);
    host.done(function::RMM_DEACTIVATE, &[]);
    host.done(function::RMM_ACTIVATE, &[]);
    host.create_realm(1);
    host.expect(function::RMM_DEACTIVATE, &[], [ERROR_GLOBAL, 0, 0, 0]);
    host.done(function::REALM_TERMINATE, &[RD]);
    host.expect(function::RMM_DEACTIVATE, &[], [ERROR_GLOBAL, 0, 0, 0]);
    host.done(function::REALM_DESTROY, &[RD]);
    host.done(function::RMM_DEACTIVATE, &[]);
    host.expect(function::REALM_CREATE, &[RD, PARAMETERS], [ERROR_GLOBAL, 0, 0, 0]);
}
