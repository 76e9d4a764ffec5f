// SPDX-License-Identifier: BSD-3-Clause
//! A REC that does random things, under a host that answers at random. A model gives every word of
//! every exit record, and every register with which the REC goes on. Its model of aborts is the
//! table of `decisions.rs`.
//!
//! Seen to fail, one after the other: a register in the record of a load, a count of EOIs that the
//! host resets, a refused entry that forgets what is pending, an access that can be emulated twice,
//! a measurement in the wrong slot, an ID register that shows SME, a host call that writes nothing.
//! Also seen to fail, together with `random_runs.rs`: a REC that two CPUs may run, an exception
//! that panics, a reference to the RD that is never released.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use kit::realm_fixture::*;
use kit::rmi::fixture::SUCCESS;
use kit::seed;
use rmm::abi::psci::function as psci;
use rmm::abi::rsi::function as rsi;
use rmm::host::{preset_register, read_register, set_realm};
use rmm::realm::measurement::HashAlgorithm;
use rmm::realm::rec::Registers;
use rmm::realm::rec::syndrome::Syndrome;
use rmm::rmi::{Dialect, function};
use rmm::run::decide::{Action, Injected};

use crate::decisions::{PROTECTED_END, bits, expected_abort, value};
use crate::measurement_reference::{bytes, hash};

const ENTRIES: usize = 6_000;
const PAGE: u64 = 0x1000;
const EXIT: u64 = 0x800;
const SOIL: u64 = 0xdead_5011_dead_5011;
const TABLES: [u64; 2] = [SPARE, SPARE + PAGE];
const MEMORY: u64 = SPARE + 2 * PAGE;
/// Pages of the Realm: one with memory, and one that is RAM without memory. All others are EMPTY.
const WITH_MEMORY: u64 = PAGE;
const WITHOUT_MEMORY: u64 = 2 * PAGE;
const EMPTY: u64 = 3 * PAGE;
const BEYOND: u64 = 1 << 40;
const LISTS: [&str; 4] = ["ICH_LR0_EL2", "ICH_LR1_EL2", "ICH_LR2_EL2", "ICH_LR3_EL2"];
/// Vectors.
const IRQ: u64 = 1;
const SERROR: u64 = 3;
/// Flags of an entry.
const EMULATED: u64 = 1;
const ABORTED: u64 = 2;
const REJECTED: u64 = 1 << 4;
/// Fields of ESR_EL1 for an abort: EC, ISV, SET, FnV, EA, DFSC.
const ABORT_FIELDS: u64 = 0x3f << 26 | 1 << 24 | 3 << 11 | 1 << 10 | 1 << 9 | 0x3f;
/// ESR_EL1 of an exception with unknown reason (Undefined).
const UNDEFINED: u64 = 1 << 25;

/// An exception that the Realm takes, with X0 and up if they differ from the model's.
#[derive(Clone, Default)]
struct Taken {
    vector: u64,
    syndrome: Syndrome,
    arguments: Vec<u64>,
    /// What it has written before to the IPA of its host calls.
    memory: Option<Words>,
}

/// The words of an RsiHostCall, and their offset in the page.
type Words = [u64; 32];
const CALL: usize = 0x300 / 8;

/// The state of a REC that a run has seen.
#[derive(Default)]
struct Found {
    /// Its registers each time it starts or goes on.
    registers: Vec<Registers>,
    /// Whether an SError was pending for it, and the words of its last host call in memory.
    serror: bool,
    memory: Words,
}

impl Taken {
    fn synchronous(class: u64, iss: u64) -> Self {
        let esr = class << 26 | 1 << 25 | iss;
        Self { syndrome: Syndrome { esr, ..Syndrome::default() }, ..Self::default() }
    }

    fn call(function: u32, arguments: &[u64]) -> Self {
        let arguments = [&[u64::from(function)], arguments].concat();
        Self { arguments, ..Self::synchronous(0x17, 0) }
    }

    /// X0 to X30 at the exception.
    fn gprs(&self) -> [u64; 31] {
        let given = |index| self.arguments.get(index).copied();
        std::array::from_fn(|index| given(index).unwrap_or(value(index as u64)))
    }
}

/// The consequence of an exception.
enum Follows {
    /// The REC leaves with these words in the record.
    Leaves(Vec<(u64, u64)>),
    /// It goes on with these general registers.
    GoesOn(Box<[u64; 31]>),
    /// It goes on, and the ID register it reads has none of these bits.
    WithoutBits(usize, u64),
    /// It takes an exception whose ESR_EL1 has this value under the mask.
    Takes(u64, u64),
}

/// What the next entry has to complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pending {
    #[default]
    None,
    /// An abort at an unprotected IPA, and whether the host can emulate the access.
    Abort(u64, bool),
    Read(usize),
    HostCall,
    Ripas(u64, u64),
    Psci,
    /// The SMC is executed again.
    Replay,
}

/// A Realm, its REC, and the model's state of both.
struct Model {
    fixture: &'static RealmFixture,
    random: fastrand::Rng,
    is_1_0: bool,
    pending: Pending,
    /// X0 to X30 when it left.
    left: [u64; 31],
    serror: bool,
    measurements: [[u8; 64]; 4],
    list: [u64; 4],
    hcr: u64,
    eoi_count: u64,
    vmcr: u64,
}

impl Model {
    fn new(dialect: Dialect) -> Self {
        preset_register("ICH_VTR_EL2", 3 | 4 << 29 | 4 << 26);
        for name in ["ID_AA64PFR0_EL1", "ID_AA64PFR1_EL1", "ID_AA64ISAR2_EL1"] {
            preset_register(name, 0x1111_1111_1111_1111);
        }
        let fixture: &RealmFixture = Box::leak(Box::new(RealmFixture::in_dialect(dialect)));
        let is_1_0 = dialect == Dialect::V1_0;
        fixture.realm(RD, ROOT, 1);
        fixture.rec(RD, REC, AUX, 0);
        fixture.rec(RD, SECOND_REC, SECOND_AUX, 1);
        if is_1_0 {
            fixture.delegate(&TABLES);
            fixture.delegate(&[MEMORY]);
            for (function, arguments) in [
                (function::RTT_CREATE, [RD, TABLES[0], 0, 2]),
                (function::RTT_CREATE, [RD, TABLES[1], 0, 3]),
            ] {
                assert_eq!(fixture.call(function, &arguments), SUCCESS);
            }
            let range = [RD, WITH_MEMORY, WITHOUT_MEMORY + PAGE];
            let (x0, _) =
                kit::rmi::fixture::call(&fixture.system, function::RTT_INIT_RIPAS, &range);
            assert_eq!(x0, SUCCESS);
            let memory = [RD, MEMORY, WITH_MEMORY];
            assert_eq!(fixture.call(function::DATA_CREATE_UNKNOWN, &memory), SUCCESS);
        }
        fixture.activate();
        Self {
            fixture,
            random: seed::generator("random records"),
            is_1_0,
            pending: Pending::None,
            left: std::array::from_fn(|index| if index < 8 { index as u64 + 1 } else { 0 }),
            serror: false,
            measurements: [[0; 64]; 4],
            list: [0; 4],
            hcr: 0,
            eoi_count: 0,
            vmcr: 0,
        }
    }

    fn any<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.random.usize(..all.len())]
    }

    /// Whether the IPA is RAM without memory.
    fn is_missing(&self, ipa: u64) -> bool {
        self.is_1_0 && ipa & !0xfff == WITHOUT_MEMORY
    }

    /// Chooses an exception, and gives its consequence.
    fn exception(&mut self) -> (Taken, Follows, Pending) {
        match self.random.u8(..12) {
            0 => (Taken { vector: IRQ, ..Taken::default() }, leaves(1, 0, []), Pending::None),
            1 => (Taken { vector: 2, ..Taken::default() }, leaves(2, 0, []), Pending::None),
            2 => self.serror(),
            3 => {
                let iss = self.random.u64(..1 << 25);
                let follows = leaves(0, 1 << 26 | iss & 1, []);
                (Taken::synchronous(0x01, iss), follows, Pending::None)
            }
            4..7 => self.abort(),
            7 => self.interrupt_controller(),
            8 => self.id_register(),
            9 => {
                let class = self.any(&[0x00, 0x03, 0x0e, 0x16, 0x19, 0x1d, 0x22, 0x2f, 0x3c]);
                let taken = Taken::synchronous(class, self.random.u64(..1 << 25));
                (taken, Follows::Takes(UNDEFINED, !0), Pending::None)
            }
            _ => self.call(),
        }
    }

    fn serror(&mut self) -> (Taken, Follows, Pending) {
        let iss = self.random.u64(..1 << 13) & !0x3f | self.any(&[0x11, 0x10]);
        let iss = iss | self.random.u64(..2) << 24;
        let esr = 0x2f << 26 | iss;
        let syndrome = Syndrome { esr, ..Syndrome::default() };
        let is_harmless = matches!(bits(iss, 12, 10), 2 | 6) && iss & (1 << 24 | 0x3f) == 0x11;
        self.serror |= !is_harmless;
        let taken = Taken { vector: SERROR, syndrome, ..Taken::default() };
        (taken, leaves(6, esr & 0xfd00_1e3f, []), Pending::None)
    }

    fn abort(&mut self) -> (Taken, Follows, Pending) {
        let ipas = [WITHOUT_MEMORY, EMPTY, PROTECTED_END, PROTECTED_END | 7 << 30, BEYOND];
        let ipa = self.any(&ipas);
        let class = self.any(&[0x24, 0x24, 0x24, 0x20]);
        let status = self.any(&[5, 6, 7, 7, 7, 0xf, 0x10, 0x14, 0x21, 0x28, 0x30]);
        let mut taken = Taken::synchronous(class, self.random.u64(..1 << 25) & !0x3f | status);
        taken.syndrome.hpfar = ipa >> 8 | self.random.u64(..2) << 63;
        taken.syndrome.far = self.random.u64(..);
        let esr = taken.syndrome.esr;
        let action = expected_abort(&taken.syndrome, false);
        let is_told = matches!(action, Action::Exit(exit) if exit.hpfar != 0);
        let pending = if is_told && ipa >= PROTECTED_END {
            Pending::Abort(esr, bits(esr, 24, 24) == 1)
        } else {
            Pending::None
        };
        let follows = match action {
            Action::Exit(exit) | Action::InjectAndExit(_, exit) => {
                let words = [(0x108, exit.far), (0x110, exit.hpfar), (0x200, exit.gpr0)];
                leaves(0, exit.esr, words)
            }
            Action::CheckRipas(ipa, exit) if self.is_missing(ipa.get()) => {
                leaves(0, exit.esr, [(0x108, exit.far), (0x110, exit.hpfar)])
            }
            Action::CheckRipas(..) | Action::Inject(Injected::ExternalAbort(_)) => {
                Follows::Takes((class + 1) << 26 | 1 << 9 | 0x10, ABORT_FIELDS)
            }
            other => unreachable!("{other:?} of an abort"),
        };
        (taken, follows, pending)
    }

    fn interrupt_controller(&mut self) -> (Taken, Follows, Pending) {
        // ICC_SGI1R_EL1, ICC_DIR_EL1, ICC_PMR_EL1.
        const REGISTERS: [u64; 3] =
            [5 << 17 | 12 << 10 | 11 << 1, 1 << 17 | 12 << 10 | 11 << 1, 4 << 10 | 6 << 1];
        let named = 3 << 20 | self.any(&REGISTERS);
        let (register, read) = (self.random.u64(..32), self.random.u64(..2));
        let taken = Taken::synchronous(0x18, named | register << 5 | read);
        let esr = taken.syndrome.esr & !(31 << 5);
        let gpr0 = if read == 1 { 0 } else { value(register) };
        let pending = if read == 1 { Pending::Read(register as usize) } else { Pending::None };
        (taken, leaves(0, esr, [(0x200, gpr0)]), pending)
    }

    fn id_register(&mut self) -> (Taken, Follows, Pending) {
        let register = self.random.u64(..31);
        // ID_AA64PFR0_EL1 without SVE, MPAM, AMU, RME; ID_AA64PFR1_EL1 without MTE, MPAM_frac, SME,
        // RNDR_trap, MTE_frac; ID_AA64ISAR2_EL1 without RPRES, BC, and later fields.
        let (crm, op2, hidden) = self.any(&[
            (4, 0, 0x00f0_ff0f_0000_0000_u64),
            (4, 1, 0x0000_0f00_ff0f_0f00),
            (6, 2, 0xffff_ffff_f0f0_00f0),
        ]);
        let iss = 3 << 20 | op2 << 17 | crm << 1 | register << 5 | 1;
        let follows = Follows::WithoutBits(register as usize, hidden);
        (Taken::synchronous(0x18, iss), follows, Pending::None)
    }

    fn call(&mut self) -> (Taken, Follows, Pending) {
        let index = self.random.u64(1..5);
        match self.random.u8(..6) {
            0 => {
                let size = self.random.u64(..65);
                let words: [u64; 8] = std::array::from_fn(|_| self.random.u64(..));
                let slot = &mut self.measurements[index as usize - 1];
                let message = [&slot[..32], &bytes::<8, 64>(&words)[..size as usize]].concat();
                *slot = hash(HashAlgorithm::Sha256, &message);
                let taken =
                    Taken::call(rsi::MEASUREMENT_EXTEND, &[&[index, size][..], &words].concat());
                let follows = Follows::GoesOn(Box::new(answered(&taken, &[0, 0, 0, 0])));
                (taken, follows, Pending::None)
            }
            1 => {
                let taken = Taken::call(rsi::MEASUREMENT_READ, &[index]);
                let value = &self.measurements[index as usize - 1];
                let words =
                    value.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
                let answer: Vec<u64> = [0].into_iter().chain(words).collect();
                let follows = Follows::GoesOn(Box::new(answered(&taken, &answer)));
                (taken, follows, Pending::None)
            }
            2 => {
                let (base, ripas) = (self.any(&[0x40_0000, 0x60_0000]), self.random.u64(..2));
                let taken = Taken::call(rsi::IPA_STATE_SET, &[base, base + PAGE, ripas, 0]);
                let words = [(0x500, base), (0x508, base + PAGE), (0x510, ripas)];
                (taken, leaves(4, 0, words), Pending::Ripas(base, ripas))
            }
            3 => {
                let taken = Taken::call(psci::AFFINITY_INFO_64, &[1, 0]);
                let name = u64::from(psci::AFFINITY_INFO_64);
                if self.is_1_0 {
                    return (taken, leaves(3, 0, [(0x200, name), (0x208, 1)]), Pending::Psci);
                }
                let follows = Follows::GoesOn(Box::new(answered(&taken, &[0, 0, 0, 0])));
                (taken, follows, Pending::None)
            }
            _ => self.host_call(),
        }
    }

    fn host_call(&mut self) -> (Taken, Follows, Pending) {
        let page = self.any(&[WITH_MEMORY, WITH_MEMORY, WITHOUT_MEMORY, EMPTY]);
        let address = page + CALL as u64 * 8;
        let taken = Taken::call(rsi::HOST_CALL, &[address]);
        if self.is_missing(address) {
            // An exit as for a load that faults at level 3.
            let words = leaves(0, 0x24 << 26 | 7, [(0x110, address >> 12 << 4)]);
            return (taken, words, Pending::Replay);
        }
        if !self.is_1_0 || address & !0xfff == EMPTY {
            let follows = Follows::GoesOn(Box::new(answered(&taken, &[1, 0, 0, 0])));
            return (taken, follows, Pending::None);
        }
        let words: Words = std::array::from_fn(|_| self.random.u64(..));
        let [immediate, gprs @ ..] = words;
        let mut record: Vec<_> = (0x200..).step_by(8).zip(gprs).collect();
        record.extend([(0, 5), (0x600, immediate & 0xffff)]);
        (Taken { memory: Some(words), ..taken }, Follows::Leaves(record), Pending::HostCall)
    }

    /// Sets the host's virtual interrupts, and gives the words that the record must have for them.
    fn interrupts(&mut self) -> Vec<(u64, u64)> {
        if !self.is_1_0 {
            return Vec::new();
        }
        let given = self.random.u64(..0x80) & !1;
        self.fixture.write(HOSTS, 0x300, given);
        for index in 0..4 {
            let interrupt = 1 << 62 | 0x80 << 48 | (32 + 8 * index);
            self.fixture.write(HOSTS, 0x308 + 8 * index, interrupt);
        }
        // The Realm changes them.
        self.list = std::array::from_fn(|_| self.random.u64(..));
        self.hcr = self.random.u64(..32) << 27;
        let (vmcr, misr) = (self.random.u64(..), self.random.u64(..));
        preset_register("ICH_MISR_EL2", misr);
        self.vmcr = vmcr;
        let lists = (0x308..).step_by(8).zip(self.list);
        // EOIs are counted across entries.
        self.eoi_count |= self.hcr;
        let others = [(0x300, given | self.eoi_count), (0x388, misr), (0x390, vmcr)];
        lists.chain(others).collect()
    }

    /// Enters with flags that do not fit what is pending. Nothing changes.
    fn refuse(&mut self) {
        let (can_emulate, can_abort) = match self.pending {
            Pending::Abort(_, can_emulate) => (can_emulate, true),
            _ => (false, false),
        };
        let flags = self.random.u64(1..4);
        let is_right = if flags & ABORTED != 0 { can_abort } else { can_emulate };
        if is_right && self.pending != Pending::Psci {
            return;
        }
        self.fixture.write(HOSTS, 0, flags);
        self.soil();
        set_realm(|_| panic!("it is refused"));
        assert_eq!(self.enter(), ERROR_REC, "{:?}, flags {flags}", self.pending);
        assert!((EXIT..PAGE).step_by(8).all(|offset| self.read(offset) == SOIL));
    }

    fn enter(&self) -> u64 {
        self.fixture.call(function::REC_ENTER, &[REC, HOSTS])
    }

    fn read(&self, offset: u64) -> u64 {
        self.fixture.system.machine.ns_read(HOSTS + offset).expect("the host's own memory")
    }

    fn soil(&self) {
        for offset in (EXIT..PAGE).step_by(8) {
            self.fixture.write(HOSTS, offset, SOIL);
        }
    }

    /// Writes the host's answer. Gives X0 to X30 with which the REC goes on; `None` if it takes an
    /// exception first.
    fn answer(&mut self) -> Option<[u64; 31]> {
        let gprs: [u64; 31] = std::array::from_fn(|_| self.random.u64(..));
        for (offset, gpr) in (0x200..).step_by(8).zip(gprs) {
            self.fixture.write(HOSTS, offset, gpr);
        }
        let mut flags = self.random.u64(..2) << 4;
        let mut expected = self.left;
        match self.pending {
            Pending::Abort(esr, can_emulate) => {
                let choice = self.random.u8(..3);
                if choice == 0 {
                    self.fixture.write(HOSTS, 0, flags | ABORTED | EMULATED);
                    return None;
                }
                if choice == 1 && can_emulate {
                    flags |= EMULATED;
                    let register = bits(esr, 20, 16) as usize;
                    if bits(esr, 6, 6) == 0 && register != 31 {
                        expected[register] = loaded(esr, gprs[0]);
                    }
                }
            }
            Pending::Read(31) | Pending::None | Pending::Replay => {}
            Pending::Read(register) => expected[register] = gprs[0],
            Pending::HostCall => expected[0] = 0,
            Pending::Ripas(base, ripas) => {
                let is_rejected = ripas == 1 && flags & REJECTED != 0;
                expected[..4].copy_from_slice(&[0, base, is_rejected.into(), 0]);
            }
            Pending::Psci => {
                let arguments = [REC, SECOND_REC, 0];
                assert_eq!(self.fixture.call(function::PSCI_COMPLETE, &arguments), SUCCESS);
                expected[..4].copy_from_slice(&[0; 4]);
            }
        }
        self.fixture.write(HOSTS, 0, flags);
        Some(expected)
    }

    /// One entry.
    fn step(&mut self) {
        self.refuse();
        let expected = self.answer();
        let answer: Vec<u64> = (0..31).map(|index| self.read(0x200 + 8 * index)).collect();
        let (was, serror) = (self.pending, self.serror);
        let replays = was == Pending::Replay;
        let (taken, follows, pending) = self.exception();
        let mut record = self.interrupts();
        let timers: [u64; 2] = [self.random.u64(..), self.random.u64(..)];
        record.extend([(0x408, timers[0]), (0x418, timers[1])]);
        let found = self.run(&taken, timers);
        self.soil();
        assert_eq!(self.enter(), SUCCESS);
        let found = found.borrow();
        let seen = &found.registers;
        let what = format!("{was:?}, then {:x?}", taken.syndrome);

        let before = seen.first().expect("it runs");
        match expected {
            Some(gprs) if !replays => assert_eq!(before.gprs, gprs, "{what}"),
            Some(_) => {}
            None => assert_eq!(before.el1.esr & ABORT_FIELDS, 0x25 << 26 | 1 << 9 | 0x10, "{what}"),
        }
        if was == Pending::HostCall {
            assert_eq!(found.memory[1..], answer, "{what}");
        }
        assert_eq!(found.serror, serror, "{what}");
        self.pending = pending;
        self.left = taken.gprs();
        let words = match (follows, seen.get(1)) {
            (Follows::Leaves(words), None) => words,
            (Follows::GoesOn(gprs), Some(after)) => {
                assert_eq!((after.gprs, after.pc), (*gprs, 0x8004), "{what}");
                vec![(0, 1)]
            }
            (Follows::WithoutBits(register, hidden), Some(after)) => {
                assert_eq!(after.gprs[register] & hidden, 0, "{what}");
                assert_ne!(after.gprs[register], 0, "{what}");
                vec![(0, 1)]
            }
            (Follows::Takes(esr, fields), Some(after)) => {
                assert_eq!((after.el1.esr & fields, after.pc), (esr, 0x200), "{what}");
                vec![(0, 1)]
            }
            (_, after) => panic!("{what}: went on: {}", after.is_some()),
        };
        if let Some(after) = seen.get(1) {
            self.left = after.gprs;
        }
        record.extend(words);
        for offset in (0..0x800).step_by(8) {
            let expected = record.iter().find(|(at, _)| *at == offset).map_or(0, |(_, word)| *word);
            assert_eq!(self.read(EXIT + offset), expected, "{what}: exit record at {offset:#x}");
        }
    }

    /// Makes the REC take this exception when it runs, and then an IRQ.
    fn run(&self, taken: &Taken, timers: [u64; 2]) -> Rc<RefCell<Found>> {
        let found = Rc::new(RefCell::new(Found::default()));
        let (log, taken) = (found.clone(), taken.clone());
        let (list, hcr, vmcr, is_1_0) = (self.list, self.hcr, self.vmcr, self.is_1_0);
        let memory = self.fixture.system.machine.memory.granule(MEMORY).expect("there is memory");
        set_realm(move |registers| {
            const VSE: u64 = 1 << 8;
            let mut found = log.borrow_mut();
            found.registers.push(*registers);
            if found.registers.len() == 2 {
                return IRQ;
            }
            found.serror = read_register("HCR_EL2") & VSE != 0;
            for (seen, word) in found.memory.iter_mut().zip(&memory[CALL..]) {
                *seen = word.load(Ordering::Relaxed);
            }
            for (written, word) in taken.memory.iter().flatten().zip(&memory[CALL..]) {
                word.store(*written, Ordering::Relaxed);
            }
            registers.gprs = taken.gprs();
            (registers.pc, registers.pstate) = (0x8000, 0x3c5);
            preset_register("CNTP_CVAL_EL02", timers[0]);
            preset_register("CNTV_CVAL_EL02", timers[1]);
            if is_1_0 {
                for (name, value) in LISTS.into_iter().zip(list) {
                    preset_register(name, value);
                }
                preset_register("ICH_VMCR_EL2", vmcr);
                preset_register("ICH_HCR_EL2", read_register("ICH_HCR_EL2") | hcr);
            }
            preset_register("ESR_EL2", taken.syndrome.esr);
            preset_register("FAR_EL2", taken.syndrome.far);
            preset_register("HPFAR_EL2", taken.syndrome.hpfar);
            taken.vector
        });
        found
    }
}

/// The record of an exit with this reason and syndrome.
fn leaves<const N: usize>(reason: u64, esr: u64, words: [(u64, u64); N]) -> Follows {
    Follows::Leaves([(0, reason), (0x100, esr)].into_iter().chain(words).collect())
}

/// X0 to X30 after a call with this answer in X0 and up.
fn answered(taken: &Taken, answer: &[u64]) -> [u64; 31] {
    let mut gprs = taken.gprs();
    gprs[..answer.len()].copy_from_slice(answer);
    gprs
}

/// The register's value after a load of `value`: SAS, SSE, SF.
fn loaded(esr: u64, value: u64) -> u64 {
    let extended = match (bits(esr, 23, 22), bits(esr, 21, 21)) {
        (0, 0) => u64::from(value as u8),
        (0, _) => value as i8 as u64,
        (1, 0) => u64::from(value as u16),
        (1, _) => value as i16 as u64,
        (2, 0) => u64::from(value as u32),
        (2, _) => value as i32 as u64,
        _ => value,
    };
    let is_narrow = bits(esr, 21, 21) == 1 && bits(esr, 15, 15) == 0;
    if is_narrow { extended & 0xffff_ffff } else { extended }
}

fn records(dialect: Dialect) {
    let mut model = Model::new(dialect);
    for _ in 0..seed::cases(ENTRIES) {
        model.step();
    }
}

#[test]
fn every_word_of_a_record_and_every_register_after_it_is_what_a_model_says() {
    records(Dialect::V1_0);
}

#[test]
fn and_under_rmi_2_0() {
    records(Dialect::V2_0);
}
