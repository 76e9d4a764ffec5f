// SPDX-License-Identifier: BSD-3-Clause
//! Fuzzes the commands on Realms, RECs, tables and data: any arguments, mostly such as name
//! something that is there, and a page of parameters that is changed between the calls. What must
//! hold after each call is checked here; what each call must answer is for the tests with a model.
//!
//! Run with `ASAN_OPTIONS=detect_leaks=0 cargo +nightly fuzz run realm -- -max_len=4096`: the
//! tables of the CPU are made for good.
#![no_main]

use std::cell::RefCell;

use kit::system::{Storage, System};
use libfuzzer_sys::fuzz_target;
use rmm::percpu::Cpu;
use rmm::rmi::function;
use rmm_fuzz::{BASE, Bytes, GRANULE, RD, REC, boot, call, check, create_realm, create_rec};

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

thread_local! {
    /// The CPU, which keeps nothing between calls, and whose tables are made for good.
    static CPU: RefCell<Cpu> = RefCell::new(System::cpu(0));
}

fuzz_target!(|input: &[u8]| CPU.with_borrow_mut(|cpu| run(cpu, input)));

fn run(cpu: &mut Cpu, input: &[u8]) {
    let mut storage = Storage::default();
    let system = boot(cpu, &mut storage);
    create_realm(&system, cpu);
    create_rec(&system, cpu, REC, 0);
    let bytes = Bytes::new(input);
    while !bytes.is_empty() {
        let choice = bytes.take();
        let command = usize::try_from(choice).ok().and_then(|index| COMMANDS.get(index % 32));
        if let Some(command) = command {
            let arguments = [0; 5].map(|_: u64| bytes.argument());
            // Most commands begin with the RD.
            let arguments = if choice < 128 {
                [RD, arguments[1], arguments[2], arguments[3], arguments[4]]
            } else {
                arguments
            };
            call(&system, cpu, *command, arguments);
        } else {
            // The host changes a word of a page of its own.
            let page = bytes.take() % 8 * GRANULE;
            let offset = [0, 0x8, 0x18, 0x20, 0x30, 0x100, 0x800, 0x808, 0x810, 0x818];
            let offset = offset[usize::try_from(bytes.take()).expect("a byte") % offset.len()];
            let word = bytes.argument();
            let _fault = system.machine.ns_write(BASE + page + offset, word);
        }
    }
    check(&system);
}
