// SPDX-License-Identifier: BSD-3-Clause
//! Fuzzes the commands on Realms, RECs, tables and data: any arguments, mostly such as name
//! something that is there, and a page of parameters that is changed between the calls. What must
//! hold after each call is checked here; what each call must answer is for the tests with a model.
//!
//! Run with `ASAN_OPTIONS=detect_leaks=0 cargo +nightly fuzz run realm -- -max_len=4096`: the
//! tables of the CPU are made for good.
#![no_main]

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use libfuzzer_sys::fuzz_target;
use rmm::address::PhysAddr;
use rmm::granule::{GranuleAddress, State};
use kit::el3::Pas;
use kit::machine::Machine;
use rmm::host::preset_register;
use kit::system::{Storage, System};
use rmm::percpu::Cpu;
use rmm::rmi::{Dialect, function};

const BASE: u64 = 0x4000_0000;
const GRANULE: u64 = 0x1000;
const GRANULES: u64 = 64;
/// Non-secure pages with the parameters of a Realm and of a REC.
const REALM_PARAMETERS: u64 = BASE;
const REC_PARAMETERS: u64 = BASE + GRANULE;
/// Delegated to begin with: from here on.
const FIRST_DELEGATED: u64 = BASE + 8 * GRANULE;
const RD: u64 = FIRST_DELEGATED;
const REC: u64 = RD + GRANULE;
const AUXILIARY: u64 = RD + 8 * GRANULE;
/// Two concatenated root tables.
const ROOT: u64 = RD + 4 * GRANULE;
const IPA_BITS: u64 = 40;

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

/// The fuzzer's bytes, taken as choices; zeros once they are used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take(&mut self) -> u64 {
        self.0.split_off_first().copied().unwrap_or(0).into()
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes([0; 8].map(|_: u8| self.0.split_off_first().copied().unwrap_or(0)))
    }

    /// An argument: most often something that there is.
    fn argument(&mut self) -> u64 {
        let choice = self.take();
        match choice % 16 {
            0..5 => BASE + choice / 16 * 4 % GRANULES * GRANULE,
            5 | 6 => BASE + self.take() % GRANULES * GRANULE,
            7 => [RD, REC, AUXILIARY, ROOT][usize::try_from(choice / 16 % 4).expect("small")],
            8 | 9 => self.take() % 8 * GRANULE,
            10 => self.take() << 21,
            11 => {
                1 << (IPA_BITS - 1)
                    | self.take() << [12, 21, 30][usize::try_from(choice / 16 % 3).expect("small")]
            }
            12 => choice / 16 % 6,
            13 => BASE + 0x20_0000 * (choice / 16) | 0xd8,
            14 => 1_u64
                .wrapping_shl(u32::try_from(self.take()).expect("a byte"))
                .wrapping_sub(choice / 16),
            _ => self.word(),
        }
    }
}

fn store(system: &System<'_>, address: u64, value: u64) {
    system.machine.memory.word(address).expect("there is memory").store(value, Ordering::Relaxed);
}

fn call(system: &System<'_>, cpu: &mut Cpu, function: u32, arguments: [u64; 5]) -> u64 {
    let [x1, x2, x3, x4, x5] = arguments;
    let before = [u64::from(function), x1, x2, x3, x4, x5, 0xa6a6, 0xa7a7];
    let after = system.call(cpu, before);
    assert_eq!(after[5..], before[5..], "x5 to x7 come back");
    if function != function::RTT_READ_ENTRY || after[0] != 0 {
        assert_eq!(after[4], before[4], "x4 comes back");
    }
    assert!(cpu.slots.is_empty(), "a slot is left mapped");
    after[0]
}

thread_local! {
    /// The CPU, which keeps nothing between calls, and whose tables are made for good.
    static CPU: RefCell<Cpu> = RefCell::new(System::cpu(0));
}

/// The state table and EL3's Granule Protection Table agree.
fn check(system: &System<'_>) {
    for address in (0..GRANULES).map(|index| BASE + index * GRANULE) {
        let granule = GranuleAddress::new(PhysAddr::new(address)).expect("aligned");
        let is_hosts = system.rmm.granules().state(granule) == Some(State::Ns);
        assert_eq!(is_hosts, system.machine.el3.pas(address) == Pas::NonSecure, "{address:#x}");
    }
}

fuzz_target!(|input: &[u8]| CPU.with_borrow_mut(|cpu| run(cpu, input)));

fn run(cpu: &mut Cpu, input: &[u8]) {
    // PARange 48 bits, TGran4_2 48 bits, VMIDs of 16 bits, some breakpoints and watchpoints.
    preset_register("ID_AA64MMFR0_EL1", 5);
    preset_register("ID_AA64MMFR1_EL1", 2 << 4);
    preset_register("ID_AA64DFR0_EL1", 3 << 20 | 5 << 12);
    let bank = (BASE, GRANULES * GRANULE);
    let mut storage = Storage::default();
    let banks = [(PhysAddr::new(bank.0), bank.1)];
    let system =
        System::boot(&mut storage, Machine::with_dram(&[bank]), Dialect::V1_0, &banks, &[])
            .expect("the layout is right");
    for address in (FIRST_DELEGATED..BASE + GRANULES * GRANULE).step_by(0x1000) {
        assert_eq!(call(&system, cpu, function::GRANULE_DELEGATE, [address, 0, 0, 0, 0]), 0);
    }
    for (offset, word) in
        [(0x8, IPA_BITS), (0x18, 1), (0x20, 1), (0x800, 1), (0x808, ROOT), (0x810, 1), (0x818, 2)]
    {
        store(&system, REALM_PARAMETERS + offset, word);
    }
    let auxiliary = (0..).zip([AUXILIARY; rmm::mem::AUXILIARY]);
    let auxiliary = auxiliary.map(|(index, first)| (0x808 + 8 * index, first + index * GRANULE));
    let count = rmm::mem::AUXILIARY as u64;
    for (offset, word) in [(0, 1), (0x200, 0x1000), (0x800, count)].into_iter().chain(auxiliary) {
        store(&system, REC_PARAMETERS + offset, word);
    }
    assert_eq!(call(&system, cpu, function::REALM_CREATE, [RD, REALM_PARAMETERS, 0, 0, 0]), 0);
    assert_eq!(call(&system, cpu, function::REC_CREATE, [RD, REC, REC_PARAMETERS, 0, 0]), 0);

    let mut bytes = Bytes(input);
    while !bytes.0.is_empty() {
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
