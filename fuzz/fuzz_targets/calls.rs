// SPDX-License-Identifier: BSD-3-Clause
//! Fuzzes the calls of a Realm and its host's commands: RECs call RSI and PSCI with any arguments
//! and take any exception, between commands of the host on the same Realm. Invariants are checked
//! after each step. The answers of calls are checked by the tests that have a model.
//!
//! The first byte chooses the dialect.
//!
//! Run with `ASAN_OPTIONS=detect_leaks=0 cargo +nightly fuzz run calls -- -max_len=4096`: the
//! tables of the CPU are never freed.
#![no_main]

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use kit::system::{Storage, System};
use libfuzzer_sys::fuzz_target;
use rmm::abi::{psci, rsi, smccc};
use rmm::host::{preset_register, set_realm};
use rmm::percpu::Cpu;
use rmm::realm::rec::Registers;
use rmm::rmi::{Dialect, function};
use rmm_fuzz::{
    BASE, Bytes, GRANULE, Operations, RD, REC, SECOND_REC, answer, boot, call, check, create_realm,
    create_rec, dialect, done, store,
};

/// Tables and memory of the Realm, and the run page.
const TABLES: [u64; 2] = [RD + 40 * GRANULE, RD + 41 * GRANULE];
const MEMORY: u64 = RD + 42 * GRANULE;
const RUN: u64 = BASE + 2 * GRANULE;
/// The number of pages with memory, and of pages that are RAM.
const PAGES: u64 = 3;
const RAM: u64 = 6;

/// Commands of the host, mostly an entry and those that complete an exit.
const COMMANDS: [u32; 16] = [
    function::REC_ENTER,
    function::REC_ENTER,
    function::REC_ENTER,
    function::REC_ENTER,
    function::REC_ENTER,
    function::REC_ENTER,
    function::RTT_SET_RIPAS,
    function::RTT_SET_RIPAS,
    function::PSCI_COMPLETE,
    function::PSCI_COMPLETE,
    function::DATA_DESTROY,
    function::DATA_CREATE_UNKNOWN,
    function::RTT_CREATE,
    function::RTT_DESTROY,
    function::RTT_FOLD,
    function::REC_DESTROY,
];

/// As [`COMMANDS`], for RMI 2.0.
const COMMANDS_2_0: [u32; 16] = [
    function::REC_ENTER,
    function::REC_ENTER,
    function::REC_ENTER,
    function::REC_ENTER,
    function::REC_ENTER,
    function::RTT_SET_RIPAS,
    function::RTT_SET_RIPAS,
    function::PSCI_COMPLETE,
    function::PSCI_COMPLETE,
    function::RTT_DATA_UNMAP,
    function::RTT_DATA_MAP,
    function::RTT_CREATE,
    function::RTT_FOLD,
    function::REALM_TERMINATE,
    function::REC_DESTROY,
    function::OP_CONTINUE,
];

thread_local! {
    /// The CPU, which keeps no state between calls. Its tables are never freed.
    static CPU: RefCell<Cpu> = RefCell::new(System::cpu(0));
}

fuzz_target!(|input: &[u8]| CPU.with_borrow_mut(|cpu| run(cpu, input)));

/// An argument of a Realm's call: mostly an IPA, a small number or the MPIDR of a REC.
fn argument(bytes: &Bytes) -> u64 {
    let choice = bytes.take();
    match choice % 8 {
        0..3 => choice / 8 % 8 * GRANULE,
        3 => choice / 8 * 0x100,
        4 => choice / 8 % 4,
        5 => bytes.take() << (12 + choice / 8),
        6 => (1 << 39) - GRANULE * (choice / 8),
        _ => bytes.word(),
    }
}

/// What a REC does before it takes an exception. Gives the vector.
fn act(bytes: &Bytes, registers: &mut Registers, called: &Cell<Option<[u64; 20]>>) -> u64 {
    const SYNCHRONOUS: u64 = 0;
    const IRQ: u64 = 1;
    let marks = |registers: &Registers| core::array::from_fn(|index| registers.gprs[11 + index]);
    if let Some(before) = called.take() {
        assert_eq!(before, marks(registers), "X11 and up are the Realm's");
    }
    if bytes.is_empty() {
        return IRQ;
    }
    let choice = bytes.take();
    match choice % 8 {
        0..5 => {
            let all = [rsi::function::ALL, psci::function::ALL, smccc::function::ALL].concat();
            registers.gprs[0] = match bytes.take() {
                0 => bytes.word(),
                number => u64::from(all[usize::try_from(number).expect("a byte") % all.len()].1),
            };
            let arguments = 1 + usize::try_from(choice / 8 % 4).expect("small");
            for register in 1..=arguments {
                registers.gprs[register] = argument(bytes);
            }
            preset_register("ESR_EL2", 0x17 << 26 | 1 << 25);
            called.set(Some(marks(registers)));
            SYNCHRONOUS
        }
        5 => {
            // An access, or any other exception.
            let esr =
                bytes.of(&[0x24 << 26 | 0b111, 0x24 << 26 | 1 << 24 | 0b111, 0x20 << 26 | 0b111]);
            preset_register("ESR_EL2", esr);
            preset_register("FAR_EL2", bytes.take());
            preset_register("HPFAR_EL2", argument(bytes) >> 8 & !0xf);
            SYNCHRONOUS
        }
        6 => {
            preset_register("ESR_EL2", bytes.word() & 0xffff_ffff);
            SYNCHRONOUS
        }
        _ => IRQ + choice / 8 % 3,
    }
}

fn run(cpu: &mut Cpu, input: &[u8]) {
    let bytes = Bytes::new(input);
    let (dialect, _) = dialect(&bytes);
    let mut storage = Storage::default();
    let system = boot(cpu, &mut storage, dialect, false);
    create_realm(&system, cpu);
    create_rec(&system, cpu, REC, 0);
    create_rec(&system, cpu, SECOND_REC, 1);
    done(&system, cpu, function::RTT_CREATE, &[RD, TABLES[0], 0, 2]);
    done(&system, cpu, function::RTT_CREATE, &[RD, TABLES[1], 0, 3]);
    done(&system, cpu, function::RTT_INIT_RIPAS, &[RD, 0, RAM * GRANULE]);
    for page in (0..PAGES).map(|index| index * GRANULE) {
        match dialect {
            Dialect::V1_0 => {
                done(&system, cpu, function::DATA_CREATE_UNKNOWN, &[RD, MEMORY + page, page]);
            }
            Dialect::V2_0 => {
                let map = map(MEMORY + page, page);
                assert_eq!(call(&system, cpu, function::RTT_DATA_MAP, map), 0);
            }
        }
    }
    done(&system, cpu, function::REALM_ACTIVATE, &[RD]);

    let called = Rc::new(Cell::new(None));
    let (of_realm, is_called) = (bytes.clone(), Rc::clone(&called));
    set_realm(move |registers| act(&of_realm, registers, &is_called));
    let mut operations = Operations::default();
    let mut pending = [0; 2];
    while !bytes.is_empty() {
        let choice = bytes.take();
        let rec = [REC, SECOND_REC][usize::from(choice & 0x80 != 0)];
        let other = REC + SECOND_REC - rec;
        let right = choice & 0x40 != 0;
        if choice & 0x30 == 0x30 {
            // The host changes a word of its run page: flags, a general register, or another word.
            let offset = bytes.of(&[0, 0, 0x200, 0x208, 0x300, 0x308, 0x800]);
            store(&system, RUN + offset, if right { bytes.take() } else { bytes.word() });
            continue;
        }
        let commands = if dialect == Dialect::V1_0 { COMMANDS } else { COMMANDS_2_0 };
        let command = commands[usize::try_from(choice % 16).expect("small")];
        let mut arguments = [0; 5];
        match command {
            function::REC_ENTER => arguments[..2].copy_from_slice(&[rec, RUN]),
            function::PSCI_COMPLETE => {
                arguments[..3].copy_from_slice(&[rec, other, bytes.of(&[0, !2, 1])]);
            }
            function::RTT_SET_RIPAS => {
                arguments[..4].copy_from_slice(&[RD, rec, pending[0], pending[1]]);
            }
            function::REC_DESTROY => arguments[0] = rec,
            function::OP_CONTINUE => arguments[0] = operations.any(&bytes),
            _ => arguments[0] = RD,
        }
        if !right {
            for argument in &mut arguments[1..] {
                *argument = bytes.argument();
            }
        } else if command == function::DATA_CREATE_UNKNOWN {
            arguments[1..3].copy_from_slice(&[
                MEMORY + bytes.take() % 8 * GRANULE,
                bytes.take() % 8 * GRANULE,
            ]);
        } else if command == function::DATA_DESTROY {
            arguments[1] = bytes.take() % 8 * GRANULE;
        } else if command == function::RTT_DATA_MAP {
            arguments = map(MEMORY + bytes.take() % 8 * GRANULE, bytes.take() % 8 * GRANULE);
        } else if command == function::RTT_DATA_UNMAP {
            let base = bytes.take() % 8 * GRANULE;
            arguments = [RD, base, base + (1 + bytes.take() % 4) * GRANULE, 1, 0];
        }
        let all = answer(&system, cpu, command, arguments);
        operations.note(command, all);
        let status = all[0];
        // Registers may change between an exit and the next entry.
        called.set(None);
        if command == function::REC_ENTER && status == 0 {
            let exit = |offset| system.machine.ns_read(RUN + 0x800 + offset);
            pending = [0x500, 0x508].map(|offset| exit(offset).unwrap_or(0));
        }
    }
    operations.end(&system, cpu);
    check(&system);
}

/// Arguments with which RMI_RTT_DATA_MAP maps one page.
fn map(memory: u64, ipa: u64) -> [u64; 5] {
    [RD, ipa, ipa + GRANULE, 1, memory | 1 << 2]
}
