// SPDX-License-Identifier: BSD-3-Clause
//! What the fuzz targets for Realms share: a machine with a Realm and a REC, and arguments of
//! calls.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use kit::el3::Pas;
use kit::machine::Machine;
use kit::system::{Storage, System};
use rmm::address::PhysAddr;
use rmm::granule::{GranuleAddress, State};
use rmm::host::preset_register;
use rmm::mem::AUXILIARY as ALL_AUXILIARY;
use rmm::percpu::Cpu;
use rmm::rmi::{Dialect, function};

pub const BASE: u64 = 0x4000_0000;
pub const GRANULE: u64 = 0x1000;
pub const GRANULES: u64 = 64;
/// Non-secure pages with the parameters of a Realm and of a REC.
pub const REALM_PARAMETERS: u64 = BASE;
pub const REC_PARAMETERS: u64 = BASE + GRANULE;
/// The first granule of those that are Delegated at the beginning.
pub const FIRST_DELEGATED: u64 = BASE + 8 * GRANULE;
pub const RD: u64 = FIRST_DELEGATED;
pub const REC: u64 = RD + GRANULE;
pub const SECOND_REC: u64 = RD + 2 * GRANULE;
/// The first auxiliary granule of each REC.
pub const AUXILIARY: [u64; 2] = [RD + 8 * GRANULE, RD + 24 * GRANULE];
/// Two concatenated root tables.
pub const ROOT: u64 = RD + 4 * GRANULE;
pub const IPA_BITS: u64 = 40;
/// Delegated memory of a whole block, in some runs of RMI 2.0.
pub const BLOCK: (u64, u64) = (0x8000_0000, 0x20_0000);

/// The fuzzer's bytes as choices. Zeros follow when they are used up. Clones share the bytes.
#[derive(Clone)]
pub struct Bytes(Rc<RefCell<VecDeque<u8>>>);

impl Bytes {
    pub fn new(input: &[u8]) -> Self {
        Self(Rc::new(RefCell::new(input.iter().copied().collect())))
    }

    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub fn take(&self) -> u64 {
        self.0.borrow_mut().pop_front().unwrap_or(0).into()
    }

    pub fn word(&self) -> u64 {
        (0..8).fold(0, |word, byte| word | self.take() << (8 * byte))
    }

    /// One of these.
    pub fn of<T: Copy>(&self, all: &[T]) -> T {
        all[usize::try_from(self.take()).expect("a byte") % all.len()]
    }

    /// An argument: mostly the address of an existing object.
    pub fn argument(&self) -> u64 {
        let choice = self.take();
        match choice % 16 {
            0..5 => BASE + choice / 16 * 4 % GRANULES * GRANULE,
            5 | 6 => BASE + self.take() % GRANULES * GRANULE,
            7 => [RD, REC, SECOND_REC, ROOT][usize::try_from(choice / 16 % 4).expect("small")],
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

pub fn store(system: &System<'_>, address: u64, value: u64) {
    system.machine.memory.word(address).expect("there is memory").store(value, Ordering::Relaxed);
}

pub fn call(system: &System<'_>, cpu: &mut Cpu, function: u32, arguments: [u64; 5]) -> u64 {
    answer(system, cpu, function, arguments)[0]
}

/// Gives x0 to x3 of a call.
pub fn answer(system: &System<'_>, cpu: &mut Cpu, function: u32, arguments: [u64; 5]) -> [u64; 4] {
    let [x1, x2, x3, x4, x5] = arguments;
    let before = [u64::from(function), x1, x2, x3, x4, x5, 0xa6a6, 0xa7a7];
    let after = system.call(cpu, before);
    assert_eq!(after[5..], before[5..], "x5 to x7 come back");
    if function != function::RTT_READ_ENTRY || after[0] != 0 {
        assert_eq!(after[4], before[4], "x4 comes back");
    }
    assert!(cpu.slots.is_empty(), "a slot is left mapped");
    [after[0], after[1], after[2], after[3]]
}

/// Asserts that the granule table and EL3's Granule Protection Table agree.
pub fn check(system: &System<'_>) {
    for address in (0..GRANULES).map(|index| BASE + index * GRANULE) {
        let is_hosts = state(system, address) == Some(State::Ns);
        assert_eq!(is_hosts, system.machine.el3.pas(address) == Pas::NonSecure, "{address:#x}");
    }
}

/// Makes an interrupt of the host pending, or none.
pub fn interrupt(pending: bool) {
    const FIQ: u64 = 1 << 6;
    preset_register("ISR_EL1", if pending { FIQ } else { 0 });
}

/// The dialect of an input, and whether there is also memory for blocks.
pub fn dialect(bytes: &Bytes) -> (Dialect, bool) {
    match bytes.take() % 4 {
        0 => (Dialect::V1_0, false),
        3 => (Dialect::V2_0, true),
        _ => (Dialect::V2_0, false),
    }
}

/// A machine on which all granules that can be are Delegated.
pub fn boot<'s>(
    cpu: &mut Cpu,
    storage: &'s mut Storage,
    dialect: Dialect,
    blocks: bool,
) -> System<'s> {
    // PARange 48 bits, TGran4_2 48 bits, 16-bit VMIDs, some breakpoints and watchpoints.
    preset_register("ID_AA64MMFR0_EL1", 5);
    preset_register("ID_AA64MMFR1_EL1", 2 << 4);
    preset_register("ID_AA64DFR0_EL1", 3 << 20 | 5 << 12);
    interrupt(false);
    let banks = [(BASE, GRANULES * GRANULE), BLOCK];
    let banks = &banks[..if blocks { 2 } else { 1 }];
    let ranges: Vec<_> = banks.iter().map(|(base, size)| (PhysAddr::new(*base), *size)).collect();
    let system = System::boot(storage, Machine::with_dram(banks), dialect, &ranges, &[])
        .expect("the layout is right");
    if dialect == Dialect::V1_0 {
        for address in (FIRST_DELEGATED..BASE + GRANULES * GRANULE).step_by(0x1000) {
            done(&system, cpu, function::GRANULE_DELEGATE, &[address]);
        }
        return system;
    }
    done(&system, cpu, function::RMM_ACTIVATE, &[]);
    let range = [FIRST_DELEGATED, BASE + GRANULES * GRANULE];
    done(&system, cpu, function::GRANULE_RANGE_DELEGATE, &range);
    if blocks {
        done(&system, cpu, function::GRANULE_RANGE_DELEGATE, &[BLOCK.0, BLOCK.0 + BLOCK.1]);
    }
    system
}

/// Creates a NEW Realm.
pub fn create_realm(system: &System<'_>, cpu: &mut Cpu) {
    for (offset, word) in
        [(0x8, IPA_BITS), (0x18, 1), (0x20, 1), (0x800, 1), (0x808, ROOT), (0x810, 1), (0x818, 2)]
    {
        store(system, REALM_PARAMETERS + offset, word);
    }
    done(system, cpu, function::REALM_CREATE, &[RD, REALM_PARAMETERS]);
}

/// Creates the next REC of the Realm.
pub fn create_rec(system: &System<'_>, cpu: &mut Cpu, rec: u64, mpidr: u64) {
    let first = AUXILIARY[usize::try_from(mpidr).expect("small")];
    let granules = (0..ALL_AUXILIARY as u64).map(|index| (index, first + index * GRANULE));
    let auxiliary = granules.map(|(index, granule)| (0x808 + 8 * index, granule));
    let count = ALL_AUXILIARY as u64;
    for (offset, word) in
        [(0, 1), (0x100, mpidr), (0x200, 0x1000), (0x800, count)].into_iter().chain(auxiliary)
    {
        store(system, REC_PARAMETERS + offset, word);
    }
    let create = [RD, rec, REC_PARAMETERS, 0, 0];
    if system.rmm.dialect() == Dialect::V1_0 {
        assert_eq!(call(system, cpu, function::REC_CREATE, create), 0);
        return;
    }
    let [_, handle, ..] = answer(system, cpu, function::REC_CREATE, create);
    let list = REC_PARAMETERS + 0xe00;
    store(system, list, first | count << 2);
    let donate = [handle, list, 1, 0, 0];
    assert_eq!(answer(system, cpu, function::OP_MEM_DONATE, donate)[1], count, "all are taken");
    done(system, cpu, function::OP_CONTINUE, &[handle]);
}

/// A call of the host that must succeed.
pub fn done(system: &System<'_>, cpu: &mut Cpu, function: u32, arguments: &[u64]) {
    let mut all = [0; 5];
    all[..arguments.len()].copy_from_slice(arguments);
    assert_eq!(call(system, cpu, function, all), 0, "{function:#x} {arguments:x?}");
}

/// Handles of stateful operations of RMI 2.0 that have begun, the latest last.
#[derive(Debug, Default)]
pub struct Operations(Vec<u64>);

impl Operations {
    /// Records the handle of a command that answers RMI_INCOMPLETE.
    pub fn note(&mut self, function: u32, answer: [u64; 4]) {
        const INCOMPLETE: u64 = 13;
        let continued = [
            function::OP_CONTINUE,
            function::OP_CANCEL,
            function::OP_MEM_DONATE,
            function::OP_MEM_RECLAIM,
        ];
        if answer[0] & 0xff == INCOMPLETE && !continued.contains(&function) {
            self.0.push(answer[1]);
        }
    }

    /// One of the handles, or none.
    pub fn any(&self, bytes: &Bytes) -> u64 {
        let choice = usize::try_from(bytes.take()).expect("a byte");
        self.0.iter().rev().nth(choice % 4).copied().unwrap_or(0)
    }

    /// Ends each operation as its answers require, and leaves nothing of it.
    pub fn end(self, system: &System<'_>, cpu: &mut Cpu) {
        interrupt(false);
        let pages = (0..GRANULES).map(|index| BASE + index * GRANULE);
        let hosts = |page: &u64| state(system, *page) == Some(State::Ns);
        // A host without a page of its own cannot reclaim memory.
        let Some(list) = pages.clone().find(hosts) else { return };
        for handle in self.0 {
            let arguments = [handle, list, 512, 0, 0];
            call(system, cpu, function::OP_CANCEL, arguments);
            call(system, cpu, function::OP_MEM_RECLAIM, arguments);
            call(system, cpu, function::OP_CONTINUE, arguments);
            // An operation that could not be cancelled may fail now.
            call(system, cpu, function::OP_MEM_RECLAIM, arguments);
            call(system, cpu, function::OP_CONTINUE, arguments);
            assert_ne!(call(system, cpu, function::OP_CONTINUE, arguments), 13, "{handle:#x}");
        }
        for page in pages {
            assert_ne!(state(system, page), Some(State::Partial), "{page:#x} is lost");
        }
    }
}

fn state(system: &System<'_>, address: u64) -> Option<State> {
    let granule = GranuleAddress::new(PhysAddr::new(address)).expect("aligned");
    system.rmm.granules().state(granule)
}
