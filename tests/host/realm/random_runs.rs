// SPDX-License-Identifier: BSD-3-Clause
//! CPUs enter the RECs of a Realm with random entry records while they remove its memory and
//! tables, and the Realm does anything that a Realm may do.
//!
//! Invariants are asserted at every entry and exit. Seen to fail, one after the other: EL1
//! registers of the host that are not restored, EL1 registers of a REC that are not saved, a
//! refused entry that writes the exit half, an SError that is lost, a pending interrupt that is not
//! checked for, breakpoints of the host that stay on or are not restored; in RMI 2.0 a Realm that
//! is terminated while one of its RECs is entered, and virtual interrupts that an exit leaves on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kit::realm_fixture::*;
use kit::rmi::fixture::{FIRST, SUCCESS};
use kit::seed;
use kit::system::System;
use rmm::abi::psci::function as psci;
use rmm::abi::rsi::function as rsi;
use rmm::arch::el1::El1Registers;
use rmm::granule::State;
use rmm::host::{preset_register, read_register, set_realm};
use rmm::percpu::Cpu;
use rmm::realm::rec::Registers;
use rmm::rmi::{Dialect, function};

const CPUS: usize = 3;
const ROUNDS: usize = 16;
const CALLS: usize = 800;

const PAGE: u64 = 0x1000;
const EXIT: u64 = 0x800;
const UNPROTECTED: u64 = 1 << 39;
/// Pages of the Realm that may have memory, and the granules for them.
const IPAS: [u64; 3] = [PAGE, 2 * PAGE, 3 * PAGE];
const TABLES: [u64; 2] = [SPARE, SPARE + PAGE];
const MEMORY: [u64; 3] = [SPARE + 2 * PAGE, SPARE + 3 * PAGE, SPARE + 4 * PAGE];
const RECS: [u64; 2] = [REC, SECOND_REC];
/// The run page of each CPU.
const RUN: u64 = FIRST.0 + 0x3_9000;
/// The page of each CPU for address lists, which stays the host's.
const LISTS: u64 = FIRST.0 + 0x3_c000;
/// The content of the exit half before an entry.
const SOIL: u64 = 0xdead_5011_dead_5011;
/// The upper half of the registers: of a CPU of the host, and of a REC.
const OF_HOST: u64 = 0xca5e_0000 << 32;
const OF_REC: u64 = 0x5eed_0000 << 32;
const UPPER: u64 = 0xffff_0000 << 32;
/// General registers that change only by the answer of a host call or by a read of the REC.
const KEPT: std::ops::Range<usize> = 19..31;
/// The EL1 register that only the RMM writes: every access of a Realm traps.
const OF_RMM: &str = "MDSCR_EL1";
/// The host's breakpoints and watchpoints: values, and controls.
const DEBUG_VALUES: [&str; 4] = ["DBGBVR0_EL1", "DBGBVR15_EL1", "DBGWVR0_EL1", "DBGWVR1_EL1"];
const DEBUG_CONTROLS: [&str; 6] =
    ["DBGBCR0_EL1", "DBGBCR1_EL1", "DBGBCR15_EL1", "DBGWCR0_EL1", "DBGWCR1_EL1", "DBGWCR15_EL1"];
/// The EL1 registers that change when the RMM injects an exception.
const INJECTED: [&str; 4] = ["ELR_EL12", "SPSR_EL12", "ESR_EL12", "FAR_EL12"];

/// A REC, as the code that runs in it sees it.
#[derive(Default)]
struct Seen {
    /// Whether it runs. Only one CPU may run it.
    runs: AtomicBool,
    /// What it left in its registers. Nothing after PSCI_CPU_ON has reset it.
    left: Mutex<Option<Left>>,
    /// Whether an SError is pending for it.
    serror: AtomicBool,
}

/// The registers of a REC when it took an exception.
struct Left {
    gprs: [u64; 31],
    el1: Vec<u64>,
    /// Whether a general register may have another value when it goes on.
    changes: fn(usize, u64) -> bool,
    esr: u64,
}

/// The registers that the RMM or the host may change for an exception.
fn changes(vector: u64, esr: u64, function: u64) -> fn(usize, u64) -> bool {
    match (vector, esr >> 26) {
        (0, 0x17) if function == u64::from(rsi::HOST_CALL) => |_, _| true,
        (0, 0x18) => |index, esr| index as u64 == esr >> 5 & 0x1f,
        (0, 0x24) => |index, esr| index as u64 == esr >> 16 & 0x1f,
        _ => |_, _| false,
    }
}

#[derive(Default)]
struct World {
    recs: [Seen; RECS.len()],
    /// Whether the host has terminated the Realm (RMI 2.0). Then no REC runs.
    terminated: AtomicBool,
    /// How often a CPU began to delegate the run page of another one, which wipes it, and how often
    /// it gave the page back.
    taken: [[AtomicUsize; 2]; CPUS],
    runs: AtomicUsize,
    refused: AtomicUsize,
    left: AtomicUsize,
}

impl World {
    /// A number that is the same as long as no CPU takes this run page away.
    fn page(&self, cpu: usize) -> Option<usize> {
        let [begun, ended] = &self.taken[cpu];
        let ended = ended.load(Ordering::SeqCst);
        (begun.load(Ordering::SeqCst) == ended).then_some(ended)
    }
}

fn el1() -> Vec<u64> {
    El1Registers::NAMES.iter().map(|name| read_register(name)).collect()
}

/// Any of these.
fn any<T: Copy>(random: &mut fastrand::Rng, all: &[T]) -> T {
    all[random.usize(..all.len())]
}

/// What a Realm does when it runs on a CPU: one of everything.
fn realm(world: Arc<World>, mut random: fastrand::Rng) -> impl FnMut(&mut Registers) -> u64 {
    move |registers| {
        const HCR_VSE: u64 = 1 << 8;
        let index = usize::try_from(read_register("VMPIDR_EL2") & 0xff).expect("small");
        let seen = &world.recs[index];
        assert!(!seen.runs.swap(true, Ordering::AcqRel), "REC {index} runs on two CPUs");
        assert!(!world.terminated.load(Ordering::SeqCst), "REC {index} runs in a dead Realm");
        world.runs.fetch_add(1, Ordering::Relaxed);
        // No interrupt is pending when the host enters.
        assert_eq!(read_register("ISR_EL1"), 0, "an interrupt waits while a Realm runs on");
        let all = registers.gprs.iter().copied().chain(el1());
        let leaked = all.chain([registers.pc, registers.sp_el0]).find(|x| x & UPPER == OF_HOST);
        assert_eq!(leaked, None, "REC {index} sees a register of the host");
        let is_debugging = read_register(OF_RMM) & (1 << 15 | 1) != 0;
        let on = DEBUG_CONTROLS.into_iter().find(|name| read_register(name) & UPPER == OF_HOST);
        assert!(!is_debugging || on.is_none(), "{on:?} of the host is on in REC {index}");
        if let Some(Left { gprs, el1: before, changes, esr }) =
            seen.left.lock().expect("no panic").take()
        {
            let is_reset = registers.gprs[KEPT].iter().all(|x| *x == 0);
            for register in KEPT {
                let kept = registers.gprs[register] == gprs[register] || changes(register, esr);
                assert!(is_reset || kept, "REC {index} lost X{register} by {esr:#x}");
            }
            for ((name, is), was) in El1Registers::NAMES.iter().zip(el1()).zip(before) {
                let kept = is == was || is_reset || INJECTED.contains(name) || *name == OF_RMM;
                assert!(kept, "{name} of REC {index} was {was:#x}, is {is:#x}");
            }
            let pending = seen.serror.load(Ordering::Relaxed);
            assert_eq!(
                read_register("HCR_EL2") & HCR_VSE != 0,
                pending,
                "an SError of REC {index}"
            );
        }
        if random.u8(..4) == 0 && seen.serror.swap(false, Ordering::Relaxed) {
            // The Realm takes the SError.
            preset_register("HCR_EL2", read_register("HCR_EL2") & !HCR_VSE);
        }
        for register in &mut registers.gprs[KEPT] {
            *register = OF_REC | u64::from(random.u32(1..));
        }
        for name in El1Registers::NAMES.iter().filter(|name| **name != OF_RMM) {
            preset_register(name, OF_REC | u64::from(random.u32(..)));
        }
        preset_register("SCTLR_EL12", random.u64(..) & !UPPER);
        let vector = exception(&mut random, registers);
        let (esr, gprs) = (read_register("ESR_EL2"), registers.gprs);
        let changes = changes(vector, esr, gprs[0]);
        *seen.left.lock().expect("no panic") = Some(Left { gprs, el1: el1(), changes, esr });
        let pends = vector == 3
            && !matches!(read_register("ESR_EL2") & (1 << 24 | 7 << 10 | 0x3f), 0x1811 | 0x0811);
        if pends {
            seen.serror.store(true, Ordering::Relaxed);
        }
        preset_register("ISR_EL1", u64::from(random.u8(..4) == 0) << 7);
        assert!(!world.terminated.load(Ordering::SeqCst), "REC {index} runs in a dead Realm");
        seen.runs.store(false, Ordering::Release);
        vector
    }
}

/// Chooses an exception that the Realm takes, and its registers then. Gives the vector.
fn exception(random: &mut fastrand::Rng, registers: &mut Registers) -> u64 {
    let ipa = match random.u8(..6) {
        0 => UNPROTECTED,
        1 => 1 << 40,
        2 => random.u64(..1 << 52),
        _ => any(random, &IPAS),
    };
    preset_register("HPFAR_EL2", ipa >> 8 & !0xf | random.u64(..2) << 63);
    preset_register("FAR_EL2", ipa | random.u64(..0x1000));
    let class = match random.u8(..16) {
        0 => random.u64(..64),
        1..5 => 0x24,
        5 => 0x20,
        6..10 => 0x17,
        10 => 0x18,
        11 => 0x01,
        12 => 0x07,
        13 => 0x16,
        _ => {
            preset_register("ESR_EL2", random.u64(..1 << 32));
            return random.u64(1..4);
        }
    };
    let status = any(random, &[0x05, 0x06, 0x07, 0x0f, 0x10, 0x14, 0x21, 0x28, 0x2b]);
    let iss =
        if random.bool() { random.u64(..1 << 25) } else { random.u64(..1 << 25) & !0x3f | status };
    let iss = if class == 0x18 && random.bool() { debug_access(random, registers) } else { iss };
    preset_register("ESR_EL2", class << 26 | 1 << 25 | iss);
    if class == 0x17 {
        let functions = [
            rsi::VERSION,
            rsi::HOST_CALL,
            rsi::HOST_CALL,
            rsi::IPA_STATE_SET,
            rsi::IPA_STATE_GET,
            rsi::REALM_CONFIG,
            rsi::MEASUREMENT_READ,
            rsi::MEASUREMENT_EXTEND,
            psci::CPU_ON_64,
            psci::AFFINITY_INFO_64,
            psci::VERSION,
        ];
        let function = if random.u8(..64) == 0 { psci::CPU_OFF } else { any(random, &functions) };
        registers.gprs[0] = u64::from(function);
        let pages = [PAGE, 2 * PAGE, 3 * PAGE, 4 * PAGE, 0x2100, UNPROTECTED, 0, 1];
        for register in &mut registers.gprs[1..4] {
            *register =
                if random.u8(..8) == 0 { random.u64(..1 << 48) } else { any(random, &pages) };
        }
        registers.gprs[4] = random.u64(..2);
        if random.bool() && function == psci::CPU_ON_64 {
            // The target is this REC or the other one.
            registers.gprs[1] = random.u64(..2);
        }
    }
    0
}

/// An access to a debug register: MDSCR_EL1, OSLAR_EL1, a breakpoint or a watchpoint.
fn debug_access(random: &mut fastrand::Rng, registers: &mut Registers) -> u64 {
    const OP0: u64 = 2 << 20;
    let named = match random.u8(..4) {
        0 | 1 => 2 << 17 | 2 << 1,
        2 if random.u8(..4) == 0 => 4 << 17 | 1 << 10,
        _ => random.u64(4..8) << 17 | random.u64(..3) << 1,
    };
    let register = random.usize(..19);
    registers.gprs[register] = random.u64(..1 << 16);
    OP0 | named | (register as u64) << 5 | random.u64(..2)
}

/// A CPU of the host: commands of both dialects.
struct Host<'f> {
    fixture: &'f RealmFixture,
    is_2_0: bool,
    cpu: Cpu,
    list: u64,
}

impl<'f> Host<'f> {
    fn new(fixture: &'f RealmFixture, cpu: usize) -> Self {
        let is_2_0 = fixture.system.rmm.dialect() == Dialect::V2_0;
        Self { fixture, is_2_0, cpu: System::cpu(cpu), list: LISTS + PAGE * cpu as u64 }
    }

    /// Calls; gives x0 to x3.
    fn outputs(&mut self, function: u32, arguments: &[u64]) -> [u64; 4] {
        let mut registers = [0; 8];
        registers[0] = u64::from(function);
        registers[1..=arguments.len()].copy_from_slice(arguments);
        let [x0, x1, x2, x3, ..] = self.fixture.system.call(&mut self.cpu, registers);
        assert!(self.cpu.slots.is_empty());
        [x0, x1, x2, x3]
    }

    /// Calls; gives x0.
    fn call(&mut self, function: u32, arguments: &[u64]) -> u64 {
        self.outputs(function, arguments)[0]
    }

    fn delegate(&mut self, granule: u64) -> u64 {
        match self.is_2_0 {
            true => self.call(function::GRANULE_RANGE_DELEGATE, &[granule, granule + PAGE]),
            false => self.call(function::GRANULE_DELEGATE, &[granule]),
        }
    }

    fn undelegate(&mut self, granule: u64) -> u64 {
        match self.is_2_0 {
            true => self.call(function::GRANULE_RANGE_UNDELEGATE, &[granule, granule + PAGE]),
            false => self.call(function::GRANULE_UNDELEGATE, &[granule]),
        }
    }

    /// Maps memory in the Realm.
    fn map(&mut self, memory: u64, ipa: u64) -> u64 {
        const SINGLE: u64 = 1;
        match self.is_2_0 {
            true => {
                let map = [RD, ipa, ipa + PAGE, SINGLE, memory | 1 << 2];
                self.call(function::RTT_DATA_MAP, &map)
            }
            false => self.call(function::DATA_CREATE_UNKNOWN, &[RD, memory, ipa]),
        }
    }

    /// Unmaps it.
    fn unmap(&mut self, ipa: u64) -> u64 {
        match self.is_2_0 {
            true => self.call(function::RTT_DATA_UNMAP, &[RD, ipa, ipa + PAGE, 0, 0]),
            false => self.call(function::DATA_DESTROY, &[RD, ipa]),
        }
    }

    /// Unmaps all memory of the Realm. In RMI 2.0, with one call that fills a list.
    fn unmap_all(&mut self) {
        const LIST: u64 = 2 | (IPAS.len() as u64) << 2;
        if !self.is_2_0 {
            return IPAS.into_iter().for_each(|ipa| _ = self.unmap(ipa));
        }
        let unmap = [RD, IPAS[0], IPAS[2] + PAGE, LIST, self.list];
        let [x0, _, _, count] = self.outputs(function::RTT_DATA_UNMAP, &unmap);
        assert!(x0 != SUCCESS || count <= IPAS.len() as u64);
    }

    fn destroy_rec(&mut self, rec: u64) -> u64 {
        let [x0, handle, ..] = self.outputs(function::REC_DESTROY, &[rec]);
        if x0 & 0xff != INCOMPLETE {
            return x0;
        }
        let reclaim = [handle, self.list, PAGE / 8];
        assert_eq!(self.call(function::OP_MEM_RECLAIM, &reclaim), INCOMPLETE);
        self.call(function::OP_CONTINUE, &[handle, 0])
    }

    /// Terminates the Realm in RMI 2.0.
    fn terminate(&mut self, world: &World) {
        if self.is_2_0 {
            match self.call(function::REALM_TERMINATE, &[RD]) {
                SUCCESS => world.terminated.store(true, Ordering::SeqCst),
                status => assert_eq!(status, ERROR_REALM),
            }
        }
    }
}

/// Enters a REC with a random page, and checks the answer.
fn enter(host: &mut Host<'_>, world: &World, cpu: usize, random: &mut fastrand::Rng) {
    const EN: u64 = 1;
    let page = RUN + PAGE * cpu as u64;
    let is_2_0 = host.is_2_0;
    let machine = Arc::clone(&host.fixture.system.machine);
    // Another CPU may have delegated the page, so the write may fail.
    let write = |offset, word| {
        let _ = machine.ns_write(page + offset, word);
    };
    let flags = match random.u8(..8) {
        0 => random.u64(..),
        1 | 2 => random.u64(..0x20),
        _ => random.u64(..2) << 4,
    };
    write(0, flags);
    write(0x200, random.u64(..));
    let control = if random.u8(..16) == 0 { random.u64(..1 << 16) } else { 0 };
    write(0x300, control);
    let list = match random.u8(..16) {
        0 => random.u64(..),
        1 => 1 << 62 | 1 << 60 | 0x80 << 48 | random.u64(..1020),
        _ => 0,
    };
    write(0x308, list);
    // RMI 2.0 keeps these in the CPU.
    let control = control | u64::from(random.bool());
    preset_register("ICH_HCR_EL2", control);
    preset_register("ICH_LR0_EL2", list);
    let page_before = world.page(cpu);
    for offset in (EXIT..PAGE).step_by(8) {
        write(offset, SOIL);
    }
    let of_host = |index: usize| OF_HOST | (cpu << 8 | index) as u64;
    for (index, name) in El1Registers::NAMES.iter().enumerate() {
        preset_register(name, of_host(index));
    }
    for (index, name) in DEBUG_VALUES.iter().chain(&DEBUG_CONTROLS).enumerate() {
        preset_register(name, of_host(0x80 | index));
    }
    preset_register("ISR_EL1", 0);
    let status = host.call(function::REC_ENTER, &[any(random, &RECS), page]);
    let (left_on, left) = (read_register("ICH_HCR_EL2"), read_register("ICH_LR0_EL2"));
    if is_2_0 && status == SUCCESS {
        assert_eq!((left_on & EN, left), (0, list), "an exit leaves virtual interrupts on");
    } else if is_2_0 && status != 1 {
        assert_eq!((left_on, left), (control, list), "a refused entry changes virtual interrupts");
    }
    for (index, name) in El1Registers::NAMES.iter().enumerate() {
        assert_eq!(read_register(name), of_host(index), "{name} of the host");
    }
    for (index, name) in DEBUG_VALUES.iter().chain(&DEBUG_CONTROLS).enumerate() {
        assert_eq!(read_register(name), of_host(0x80 | index), "{name} of the host");
    }
    let soiled = || {
        let mut words = (EXIT..PAGE).step_by(8).map(|offset| machine.ns_read(page + offset));
        let is_soiled = words.all(|word| word == Ok(SOIL));
        is_soiled || page_before.is_none() || world.page(cpu) != page_before
    };
    match status {
        SUCCESS => world.left.fetch_add(1, Ordering::Relaxed),
        // Another CPU may take the page away while the REC runs or the record is written.
        1 => world.refused.fetch_add(1, Ordering::Relaxed),
        ERROR_REALM | ERROR_REALM_OFF | ERROR_REC => {
            assert!(status != ERROR_REALM_OFF || !is_2_0, "an index that RMI 2.0 does not have");
            assert!(soiled(), "a refused entry writes the exit half");
            world.refused.fetch_add(1, Ordering::Relaxed)
        }
        other => panic!("RMI_REC_ENTER answers {other:#x}"),
    };
}

/// One call that disturbs the Realm.
///
/// If `is_late`, near the end of a round, it may end the Realm.
fn disturb(host: &mut Host<'_>, world: &World, random: &mut fastrand::Rng, is_late: bool) {
    let (ipa, memory, rec) = (any(random, &IPAS), any(random, &MEMORY), any(random, &RECS));
    match random.u8(..24) {
        0..6 => _ = host.map(memory, ipa),
        6..8 => _ = host.unmap(ipa),
        8 => host.unmap_all(),
        9..13 => _ = host.call(function::RTT_SET_RIPAS, &[RD, rec, ipa, ipa + PAGE]),
        13 => _ = host.call(function::RTT_READ_ENTRY, &[RD, ipa, 3]),
        14 => _ = host.call(function::RTT_DESTROY, &[RD, 0, 3]),
        15 => _ = host.call(function::RTT_CREATE, &[RD, TABLES[1], 0, 3]),
        16..19 => {
            let (target, status) = (any(random, &RECS), random.u64(..2));
            // In RMI 2.0 the host may let the RMM find the target.
            let is_left = host.is_2_0 && random.bool();
            let complete = if is_left { [rec, status, 0] } else { [rec, target, status] };
            host.call(function::PSCI_COMPLETE, &complete);
        }
        19 => _ = host.call(function::REALM_DESTROY, &[RD]),
        20 => _ = host.undelegate(any(random, &[RD, REC, AUX, TABLES[0], memory])),
        21 => _ = host.delegate(memory),
        22 => {
            let cpu = random.usize(..CPUS);
            let page = RUN + PAGE * cpu as u64;
            let [begun, ended] = &world.taken[cpu];
            begun.fetch_add(1, Ordering::SeqCst);
            host.delegate(page);
            host.undelegate(page);
            ended.fetch_add(1, Ordering::SeqCst);
        }
        _ if random.u8(..100) == 0 => _ = host.destroy_rec(rec),
        _ if is_late => host.terminate(world),
        _ => {}
    }
}

/// An ACTIVE Realm with two RECs, tables, and RIPAS RAM for its pages.
fn build(fixture: &RealmFixture) {
    fixture.realm(RD, ROOT, 1);
    fixture.rec(RD, REC, AUX, 0);
    fixture.rec(RD, SECOND_REC, SECOND_AUX, 1);
    fixture.delegate(&TABLES);
    fixture.delegate(&MEMORY);
    let host = &mut Host::new(fixture, 0);
    for (function, arguments) in [
        (function::RTT_CREATE, [RD, TABLES[0], 0, 2]),
        (function::RTT_CREATE, [RD, TABLES[1], 0, 3]),
        (function::RTT_INIT_RIPAS, [RD, IPAS[0], IPAS[1] + PAGE, 0]),
        (function::REALM_ACTIVATE, [RD, 0, 0, 0]),
    ] {
        assert_eq!(host.call(function, &arguments), SUCCESS, "{function:#x}");
    }
    assert_eq!(host.map(MEMORY[0], IPAS[0]), SUCCESS);
}

/// Destroys everything. Nothing may still hold a granule.
fn take_down(fixture: &RealmFixture, world: &World) {
    let host = &mut Host::new(fixture, 0);
    for rec in RECS {
        if fixture.state(rec) == Some(State::Rec) {
            assert_eq!(host.destroy_rec(rec), SUCCESS);
        }
    }
    host.unmap_all();
    for level in [3, 2] {
        host.call(function::RTT_DESTROY, &[RD, 0, level]);
    }
    host.terminate(world);
    assert_eq!(host.call(function::REALM_DESTROY, &[RD]), SUCCESS);
    let all = [RD, ROOT, ROOT + PAGE, REC, SECOND_REC].into_iter().chain(TABLES).chain(MEMORY);
    for granule in all.chain(auxiliary(AUX)).chain(auxiliary(SECOND_AUX)) {
        if fixture.state(granule) == Some(State::Delegated) {
            fixture.undelegate(&[granule]);
        }
    }
    let left: Vec<_> = fixture.see().into_iter().filter(|seen| seen.references != 0).collect();
    assert!(left.is_empty(), "{left:x?}");
    assert!(fixture.see().iter().all(|seen| matches!(seen.state, None | Some(State::Ns))));
}

fn run(dialect: Dialect) {
    let seed = seed::generator(&format!("random runs, {dialect:?}")).u64(..);
    let (mut runs, mut left, mut refused) = (0, 0, 0);
    for round in 0..seed::cases(ROUNDS) as u64 {
        let fixture = &RealmFixture::in_dialect(dialect);
        build(fixture);
        let world = Arc::new(World::default());
        std::thread::scope(|scope| {
            for cpu in 0..CPUS {
                let world = Arc::clone(&world);
                scope.spawn(move || {
                    kit::machine::attach(&fixture.system.machine);
                    preset_register("ID_AA64DFR0_EL1", 15 << 20 | 15 << 12);
                    let mut random = fastrand::Rng::with_seed(seed ^ round << 8 ^ cpu as u64);
                    set_realm(realm(Arc::clone(&world), random.fork()));
                    let mut host = Host::new(fixture, cpu);
                    for step in 0..CALLS {
                        if random.u8(..3) == 0 {
                            disturb(&mut host, &world, &mut random, step > CALLS * 3 / 4);
                        } else {
                            enter(&mut host, &world, cpu, &mut random);
                        }
                    }
                });
            }
        });
        runs += world.runs.load(Ordering::Relaxed);
        left += world.left.load(Ordering::Relaxed);
        refused += world.refused.load(Ordering::Relaxed);
        take_down(fixture, &world);
    }
    println!("{runs} runs, {left} exits, {refused} refused");
    assert!(runs != 0 && left != 0 && refused != 0);
}

#[test]
fn recs_that_do_anything_under_hosts_that_do_anything_keep_the_invariants() {
    run(Dialect::V1_0);
}

#[test]
fn recs_that_do_anything_under_hosts_of_rmi_2_0_keep_the_invariants() {
    run(Dialect::V2_0);
}
