// SPDX-License-Identifier: BSD-3-Clause
//! Fuzzes the commands on Realms, RECs, tables and data with any arguments, which mostly name
//! existing objects, and with a page of parameters that changes between calls. Invariants are
//! checked after each call. The answers of calls are checked by the tests that have a model.
//!
//! The first byte chooses the dialect. Stateful operations of RMI 2.0 are brought to their end.
//!
//! Run with `ASAN_OPTIONS=detect_leaks=0 cargo +nightly fuzz run realm -- -max_len=4096`: the
//! tables of the CPU are never freed.
#![no_main]

use std::cell::RefCell;

use kit::system::{Storage, System};
use libfuzzer_sys::fuzz_target;
use rmm::percpu::Cpu;
use rmm::rmi::{Dialect, function};
use rmm_fuzz::{
    BASE, BLOCK, Bytes, GRANULE, GRANULES, IPA_BITS, Operations, RD, REC, answer, boot, call,
    check, create_realm, create_rec, dialect, interrupt,
};

/// Commands of RMI 1.0.
const COMMANDS: [u32; 23] = [
    function::GRANULE_DELEGATE,
    function::GRANULE_UNDELEGATE,
    function::DATA_CREATE,
    function::DATA_CREATE_UNKNOWN,
    function::DATA_DESTROY,
    function::REALM_ACTIVATE,
    function::REALM_CREATE,
    function::REALM_DESTROY,
    function::REC_AUX_COUNT,
    function::REC_CREATE,
    function::REC_DESTROY,
    function::REC_ENTER,
    function::PSCI_COMPLETE,
    function::RTT_CREATE,
    function::RTT_CREATE,
    function::RTT_DESTROY,
    function::RTT_FOLD,
    function::RTT_READ_ENTRY,
    function::RTT_MAP_UNPROTECTED,
    function::RTT_UNMAP_UNPROTECTED,
    function::RTT_INIT_RIPAS,
    function::RTT_SET_RIPAS,
    function::FEATURES,
];

/// Commands of RMI 2.0.
const COMMANDS_2_0: [u32; 38] = [
    function::GRANULE_RANGE_DELEGATE,
    function::GRANULE_RANGE_UNDELEGATE,
    function::RTT_DATA_MAP_INIT,
    function::RTT_DATA_MAP,
    function::RTT_DATA_MAP,
    function::RTT_DATA_MAP,
    function::RTT_DATA_UNMAP,
    function::RTT_DATA_UNMAP,
    function::RTT_UNPROT_MAP,
    function::RTT_UNPROT_UNMAP,
    function::REALM_ACTIVATE,
    function::REALM_CREATE,
    function::REALM_TERMINATE,
    function::REALM_DESTROY,
    function::REC_CREATE,
    function::REC_CREATE,
    function::REC_DESTROY,
    function::REC_ENTER,
    function::PSCI_COMPLETE,
    function::RTT_CREATE,
    function::RTT_CREATE,
    function::RTT_DESTROY,
    function::RTT_FOLD,
    function::RTT_READ_ENTRY,
    function::RTT_INIT_RIPAS,
    function::RTT_SET_RIPAS,
    function::OP_CONTINUE,
    function::OP_CONTINUE,
    function::OP_CANCEL,
    function::OP_MEM_DONATE,
    function::OP_MEM_RECLAIM,
    function::FEATURES,
    function::GRANULE_TRACKING_GET,
    function::GPT_INFO,
    function::GPT_L1_CREATE,
    function::RMM_CONFIG_GET,
    function::RMM_DEACTIVATE,
    function::RMM_ACTIVATE,
];

thread_local! {
    /// The CPU, which keeps no state between calls. Its tables are never freed.
    static CPU: RefCell<Cpu> = RefCell::new(System::cpu(0));
}

fuzz_target!(|input: &[u8]| CPU.with_borrow_mut(|cpu| run(cpu, input)));

fn run(cpu: &mut Cpu, input: &[u8]) {
    let bytes = Bytes::new(input);
    let (dialect, blocks) = dialect(&bytes);
    let mut storage = Storage::default();
    let system = boot(cpu, &mut storage, dialect, blocks);
    create_realm(&system, cpu);
    create_rec(&system, cpu, REC, 0);
    match dialect {
        Dialect::V1_0 => session(&system, cpu, &bytes),
        Dialect::V2_0 => session_2_0(&system, cpu, &bytes),
    }
    check(&system);
}

fn session(system: &System<'_>, cpu: &mut Cpu, bytes: &Bytes) {
    while !bytes.is_empty() {
        let choice = bytes.take();
        let command = usize::try_from(choice).ok().and_then(|index| COMMANDS.get(index % 32));
        if let Some(command) = command {
            let arguments = [0; 5].map(|_: u64| bytes.argument());
            // The first argument of most commands is the RD.
            let arguments = if choice < 128 {
                [RD, arguments[1], arguments[2], arguments[3], arguments[4]]
            } else {
                arguments
            };
            call(system, cpu, *command, arguments);
        } else {
            write(system, bytes);
        }
    }
}

/// The host changes a word of its own page.
fn write(system: &System<'_>, bytes: &Bytes) {
    let page = bytes.take() % 8 * GRANULE;
    let offset = bytes.of(&[0, 0x8, 0x18, 0x20, 0x30, 0x38, 0x100, 0x800, 0x808, 0x810, 0x818]);
    let word = if bytes.take() % 2 == 0 { descriptor(bytes) } else { bytes.argument() };
    let _fault = system.machine.ns_write(BASE + page + offset, word);
}

/// A descriptor of a range: mostly of a few pages or a block.
fn descriptor(bytes: &Bytes) -> u64 {
    let choice = bytes.take();
    let (count, state) = (choice / 4 % 16, bytes.of(&[0, 0, 0, 0, 0, 1 << 62, 1 << 63]));
    let base = match choice % 4 {
        0 => BLOCK.0 | 1,
        1 => bytes.argument(),
        _ => BASE + bytes.take() % GRANULES * GRANULE,
    };
    base | count << 2 | state
}

fn session_2_0(system: &System<'_>, cpu: &mut Cpu, bytes: &Bytes) {
    let mut operations = Operations::default();
    while !bytes.is_empty() {
        let choice = bytes.take();
        let index = usize::try_from(choice % 64).expect("small");
        let Some(command) = COMMANDS_2_0.get(index) else {
            if index % 4 == 0 {
                interrupt(index % 8 == 0);
            } else {
                write(system, bytes);
            }
            continue;
        };
        let mut arguments = [0; 5].map(|_: u64| bytes.argument());
        if choice < 192 {
            // With the alignment that the command requires.
            let size = bytes.of(&[GRANULE, GRANULE, GRANULE, BLOCK.1, 1 << 30]);
            let page = BASE + bytes.take() % 8 * GRANULE;
            match *command {
                function::OP_CONTINUE
                | function::OP_CANCEL
                | function::OP_MEM_DONATE
                | function::OP_MEM_RECLAIM => {
                    arguments[..3].copy_from_slice(&[
                        operations.any(bytes),
                        page + bytes.take() % 2 * 0x800,
                        bytes.take() % 16,
                    ]);
                }
                function::RTT_DATA_MAP
                | function::RTT_DATA_UNMAP
                | function::RTT_UNPROT_MAP
                | function::RTT_UNPROT_UNMAP => {
                    let half = bytes.of(&[0, 1 << (IPA_BITS - 1)]);
                    let base = half + bytes.take() % 4 * size;
                    let flags = bytes.of(&[1, 1, 0, 2 | 4 << 2, 1 | 6 << 16 | 3 << 19]);
                    let addresses = if flags & 3 == 2 { page } else { descriptor(bytes) };
                    let top = base + (1 + bytes.take() % 4) * size;
                    arguments = [RD, base, top, flags, addresses];
                }
                function::GRANULE_RANGE_DELEGATE | function::GRANULE_RANGE_UNDELEGATE => {
                    arguments[1] = arguments[0].wrapping_add(bytes.take() % 8 * GRANULE);
                }
                _ => arguments[0] = RD,
            }
        }
        let answer = answer(system, cpu, *command, arguments);
        operations.note(*command, answer);
    }
    // The RMM may be active or not.
    call(system, cpu, function::RMM_ACTIVATE, [0; 5]);
    operations.end(system, cpu);
}
