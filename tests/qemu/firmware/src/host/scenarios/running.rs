// SPDX-License-Identifier: BSD-3-Clause
//! Realms that run the payload (RMI 1.0).

use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::realm_protocol::{BASE, CALL_REGISTERS, PAGES, WAITING, command};
use rmm_test_firmware::say;

use crate::check::{self, Every};
use crate::gic;
use crate::guest::{Executed, Guest, field, flag, mark, reason};
use crate::realm::ERROR_REC;
use crate::rmi::Status;
use crate::tables;

/// `add x0, x1, x2`.
const ADD: u32 = 0x8b02_0020;
/// `hvc #0`.
const HVC: u32 = 0xd400_0002;
/// `smc #0`.
const SMC: u32 = 0xd400_0003;

/// RSI_VERSION.
const RSI_VERSION: u64 = 0xC400_0190;

/// A Realm calls the host, carries out its commands, and is destroyed.
pub fn life() {
    let guest = Guest::start(1);
    say!("the Realm called the host: immediate {:#x}", guest.run(0).exit(field::IMMEDIATE));
    let executed = guest.execute(0, ADD, [0, 30, 12, 0]);
    check::equal("the Realm adds", (executed.x[0], executed.exceptions), (42, 0));
    let version = guest.execute(0, SMC, [RSI_VERSION, 0x1_0000, 0, 7]);
    check::equal("RSI_VERSION is 1.0", version.x, [0, 0x1_0000, 0x1_0000, 0]);
    let unknown = guest.execute(0, SMC, [0xC400_0158, 1, 2, 3]);
    check::equal("a Realm does not call the RMI", unknown.x, [!0, 0, 0, 0]);
    let undefined = guest.execute(0, HVC, [0; 4]);
    let taken = (undefined.exceptions, undefined.esr, undefined.vector);
    check::equal("HVC is undefined", taken, (1, 0x0200_0000, 0x200));
    guest.destroy();
}

/// The first unprotected IPA.
const UNPROTECTED: u64 = 1 << 39;
/// A protected IPA with a table, without memory, with RIPAS EMPTY.
const EMPTY: u64 = BASE + PAGES * GRANULE;

/// Instructions of the payload, with the address in X0 and the value in X1.
mod instruction {
    pub const NOP: u32 = 0xd503_201f;
    pub const WFI: u32 = 0xd503_207f;
    /// `str w1, [x0]`, `strb w1, [x0]`
    pub const STORE: u32 = 0xb900_0001;
    pub const STORE_BYTE: u32 = 0x3900_0001;
    /// `ldr w1, [x0]`, `ldrsb x1, [x0]`, `ldr x1, [x0]`
    pub const LOAD: u32 = 0xb940_0001;
    pub const LOAD_SIGNED_BYTE: u32 = 0x3980_0001;
    pub const LOAD_DOUBLE: u32 = 0xf940_0001;
    /// `ldp x1, x2, [x0]`
    pub const LOAD_PAIR: u32 = 0xa940_0801;
    /// `br x0`
    pub const BRANCH: u32 = 0xd61f_0000;
    /// `msr icc_sgi1r_el1, x1`
    pub const SGI: u32 = 0xd518_cba1;
    /// `mrs x0, id_aa64pfr0_el1`
    pub const ID_AA64PFR0: u32 = 0xd538_0400;
    /// `mrs x0, mpidr_el1`
    pub const MPIDR: u32 = 0xd538_00a0;
    /// `msr cntv_cval_el0, x1`, `msr cntv_ctl_el0, x1`
    pub const CNTV_CVAL: u32 = 0xd51b_e341;
    pub const CNTV_CTL: u32 = 0xd51b_e321;
    /// `msr cpacr_el1, x1`
    pub const CPACR: u32 = 0xd518_1041;
    /// `rdvl x0, #1`
    pub const RDVL: u32 = 0x04bf_5020;
    /// `smstart`
    pub const SMSTART: u32 = 0xd503_477f;
    /// Reads into X0 of registers that a Realm does not have: `dbgbvr2_el1`, `osdlr_el1`,
    /// `pmccntr_el0`, `pmcr_el0`, `trcdevarch`, `amcr_el0`, `erridr_el1`, `scxtnum_el1`,
    /// `tpidr2_el0`, `lorc_el1`, `actlr_el1`, `pmscr_el1`, `trfcr_el1`.
    pub const HIDDEN: [u32; 13] = [
        0xd530_0280,
        0xd530_1380,
        0xd53b_9d00,
        0xd53b_9c00,
        0xd531_7fc0,
        0xd53b_d200,
        0xd538_5300,
        0xd538_d0e0,
        0xd53b_d0a0,
        0xd538_a460,
        0xd538_1020,
        0xd538_9900,
        0xd538_1220,
    ];
    /// Reads into X0 that are undefined: `mpam0_el1`, `brbcr_el1`, and `sctlr_el2`.
    pub const UNDEFINED: [u32; 3] = [0xd538_a520, 0xd531_9000, 0xd53c_1000];
}

/// ESR_EL1 of a data abort: External, from EL1.
const EXTERNAL_ABORT: u64 = 0x25 << 26 | 1 << 9 | 0x10;
/// Its fields that are compared: EC, EA, DFSC.
const ABORT_FIELDS: u64 = 0x3f << 26 | 1 << 9 | 0x3f;
/// ESR_EL1 of an exception with unknown reason (Undefined).
const UNDEFINED: u64 = 1 << 25;

/// Each kind of exit, with the whole exit record, and the result of the next entry.
pub fn exits() {
    let guest = Guest::start(2);
    memory_accesses(&guest);
    protected_accesses(&guest);
    changes_of_ripas(&guest);
    trapped_instructions(&guest);
    timer(&guest);
    interrupt(&guest);
    host_call(&guest);
    guest.destroy();
}

/// A host call. Its words depend on what the Realm was asked to do: RSI_VERSION, and the registers
/// after it.
fn host_call(guest: &Guest) {
    let entered = guest.begin_call(0, &[RSI_VERSION, 0x1_0000, 0, 7]);
    check::equal("the REC is entered", entered, Status::SUCCESS);
    let mut words = [(0, 0); 4 + CALL_REGISTERS];
    words[0] = (field::REASON, reason::HOST_CALL);
    words[1] = (field::IMMEDIATE, u64::from(WAITING));
    // CNTV_CVAL_EL0 has the Realm's last value.
    words[2] = (field::TIMERS.start + 0x18, 1);
    words[3] = (field::GPRS, command::CALL);
    let gprs = (field::GPRS + 8..).step_by(8);
    for (index, (word, offset)) in words[4..].iter_mut().zip(gprs).enumerate() {
        let value = match index {
            0 | 3 => 0,
            1 | 2 => 0x1_0000,
            index => mark(index),
        };
        *word = (offset, value);
    }
    guest.run(0).expect("a call of the host", &words);
}

fn answer(guest: &Guest, flags: u64, gpr0: u64) -> Executed {
    guest.run(0).prepare(flags, &[gpr0]);
    check::equal("the REC is entered again", guest.enter(0), Status::SUCCESS);
    guest.executed(0)
}

fn refuse(guest: &Guest, flags: u64) {
    guest.run(0).prepare(flags, &[]);
    check::equal("an entry with flags that do not fit", guest.enter(0), ERROR_REC);
}

fn memory_accesses(guest: &Guest) {
    let run = guest.run(0);
    let hpfar = UNPROTECTED >> 8;
    // A walk in the unprotected half ends at level 1.
    const DATA_ABORT: u64 = 0x24 << 26 | 0b101;
    const ISV: u64 = 1 << 24;
    for (instruction, esr, value) in [
        (instruction::STORE, 2 << 22 | 1 << 6, 0x89ab_cdef),
        (instruction::STORE_BYTE, 1 << 6, 0xef),
    ] {
        let entered =
            guest.begin(0, instruction, [UNPROTECTED | 0x124, 0x0123_4567_89ab_cdef, 0, 0]);
        check::equal("a store leaves the Realm", entered, Status::SUCCESS);
        let esr = DATA_ABORT | ISV | esr;
        let words =
            [(field::ESR, esr), (field::FAR, 0x124), (field::HPFAR, hpfar), (field::GPRS, value)];
        run.expect("a store", &words);
        check::equal("it goes on", answer(guest, flag::EMULATED_MMIO, 77).exceptions, 0);
    }
    for (instruction, esr, value) in [
        (instruction::LOAD, 2 << 22, 0xdead_beef),
        (instruction::LOAD_SIGNED_BYTE, 1 << 15, 0xffff_ffff_ffff_ffef),
        (instruction::LOAD_DOUBLE, 3 << 22 | 1 << 15, 0x5555_4444_dead_beef),
    ] {
        let entered = guest.begin(0, instruction, [UNPROTECTED, 0, 0, 0]);
        check::equal("a load leaves the Realm", entered, Status::SUCCESS);
        run.expect("a load", &[(field::ESR, DATA_ABORT | ISV | esr), (field::HPFAR, hpfar)]);
        let executed = answer(guest, flag::EMULATED_MMIO, 0x5555_4444_dead_beef);
        check::equal("what the host gave", (executed.x[1], executed.exceptions), (value, 0));
    }
    let entered = guest.begin(0, instruction::LOAD_PAIR, [UNPROTECTED, 0, 0, 0]);
    check::equal("a load of a pair leaves the Realm", entered, Status::SUCCESS);
    run.expect("a load of a pair", &[(field::ESR, DATA_ABORT), (field::HPFAR, hpfar)]);
    refuse(guest, flag::EMULATED_MMIO);
    let executed = answer(guest, flag::INJECT_SEA, 0);
    let taken = (executed.exceptions, executed.esr & ABORT_FIELDS, executed.far, executed.vector);
    check::equal("it is aborted", taken, (1, EXTERNAL_ABORT, UNPROTECTED, 0x200));
    refuse(guest, flag::INJECT_SEA);
    refuse(guest, flag::EMULATED_MMIO);
    let executed = guest.execute(0, instruction::BRANCH, [UNPROTECTED, 0, 0, 0]);
    let taken = (executed.exceptions, executed.esr >> 26, executed.elr);
    check::equal("nothing is fetched there", taken, (1, 0x21, UNPROTECTED));
}

fn protected_accesses(guest: &Guest) {
    const BEYOND: u64 = 1 << 40;
    for (what, address) in [("RIPAS EMPTY", EMPTY | 8), ("beyond the IPA space", BEYOND)] {
        let executed = guest.execute(0, instruction::LOAD, [address, 0, 0, 0]);
        let taken = (executed.exceptions, executed.esr & ABORT_FIELDS, executed.far);
        check::equal(what, taken, (1, EXTERNAL_ABORT, address));
    }
    let executed = guest.execute(0, instruction::BRANCH, [EMPTY, 0, 0, 0]);
    check::equal("a fetch", (executed.exceptions, executed.esr >> 26), (1, 0x21));
    // The host unmaps the last page, which becomes DESTROYED.
    let last = BASE + (PAGES - 1) * GRANULE;
    let rd = guest.rd();
    let (status, granule, _) = tables::data_destroy(rd, last);
    check::equal("a page is destroyed", status, Status::SUCCESS);
    let run = guest.run(0);
    for (instruction, esr) in
        [(instruction::LOAD, 0x24 << 26 | 0b111), (instruction::BRANCH, 0x20 << 26 | 0b111)]
    {
        let entered = guest.begin(0, instruction, [last | 0x40, 0, 0, 0]);
        check::equal("memory that is gone leaves the Realm", entered, Status::SUCCESS);
        run.expect("memory that is gone", &[(field::ESR, esr), (field::HPFAR, last >> 8)]);
        refuse(guest, flag::EMULATED_MMIO);
        refuse(guest, flag::INJECT_SEA);
        if instruction == instruction::LOAD {
            let (status, _) = tables::set_ripas(rd, guest.rec(0), last, last + GRANULE);
            check::equal("RIPAS is the Realm's to change", status, Status::ERROR_INPUT);
            // The REC faults again when it runs.
            run.prepare(0, &[]);
            check::equal("and again", guest.enter(0), Status::SUCCESS);
            run.expect("and again", &[(field::ESR, esr), (field::HPFAR, last >> 8)]);
        }
        // The page stays DESTROYED. The Realm's other REC asks for RAM.
        ripas(guest, 1, last, 1);
        let (status, top) = tables::set_ripas(rd, guest.rec(1), last, last + GRANULE);
        check::equal("RAM again", (status, top), (Status::SUCCESS, last + GRANULE));
        guest.run(1).prepare(0, &[]);
        check::equal("its other REC goes on", guest.enter(1), Status::SUCCESS);
        check::equal("with the page", guest.executed(1).x, [0, last + GRANULE, 0, 0]);
        let status = tables::data_create_unknown(rd, granule, last);
        check::equal("and memory", status, Status::SUCCESS);
        run.prepare(0, &[]);
        check::equal("the REC goes on", guest.enter(0), Status::SUCCESS);
        let executed = guest.executed(0);
        if instruction == instruction::LOAD {
            check::equal("zeroes", (executed.x[1], executed.exceptions), (0, 0));
            check::equal("gone again", tables::data_destroy(rd, last).0, Status::SUCCESS);
        } else {
            check::equal("0 is no instruction", executed.esr, UNDEFINED);
        }
    }
}

/// Makes the payload ask for a RIPAS of a page, and checks the exit record.
pub(super) fn ripas(guest: &Guest, rec: u64, page: u64, ripas: u64) {
    const IPA_STATE_SET: u64 = 0xC400_0197;
    // With 1 in X4, DESTROYED memory changes too.
    let entered = guest.begin(rec, SMC, [IPA_STATE_SET, page, page + GRANULE, ripas]);
    check::equal("the Realm asks for RIPAS", entered, Status::SUCCESS);
    guest.run(rec).expect(
        "a change of RIPAS",
        &[
            (field::REASON, reason::RIPAS_CHANGE),
            (field::RIPAS, page),
            (field::RIPAS + 8, page + GRANULE),
            (field::RIPAS + 16, ripas),
        ],
    );
}

fn changes_of_ripas(guest: &Guest) {
    ripas(guest, 0, EMPTY, 1);
    const REJECTED: u64 = 1 << 4;
    let executed = answer(guest, REJECTED, 0);
    check::equal("the host rejects it", executed.x, [0, EMPTY, 1, 0]);
    let executed = guest.execute(0, SMC, [0xC400_0197, UNPROTECTED, UNPROTECTED + GRANULE, 0]);
    check::equal("unprotected memory has no RIPAS", executed.x, [1, 0, 0, 0]);
}

fn trapped_instructions(guest: &Guest) {
    let run = guest.run(0);
    // QEMU does not trap WFE.
    run.prepare(flag::TRAP_WFI, &[command::EXECUTE, u64::from(instruction::WFI)]);
    check::equal("WFI leaves the Realm", guest.enter(0), Status::SUCCESS);
    run.expect("WFI", &[(field::ESR, 1 << 26)]);
    check::equal("and is over", answer(guest, 0, 0).exceptions, 0);
    let entered = guest.begin(0, instruction::SGI, [0, 0x2_0003, 0, 0]);
    check::equal("an SGI leaves the Realm", entered, Status::SUCCESS);
    let esr = 0x18 << 26 | 1 << 25 | 3 << 20 | 5 << 17 | 12 << 10 | 11 << 1;
    run.expect("an SGI", &[(field::ESR, esr), (field::GPRS, 0x2_0003)]);
    check::equal("and is sent", answer(guest, 0, 0).exceptions, 0);

    let features = guest.execute(0, instruction::ID_AA64PFR0, [0; 4]);
    let shown = |low: u32| features.x[0] >> low & 0xf;
    let levels = (features.exceptions, shown(0), shown(4), shown(32), shown(40), shown(44));
    check::equal("no AArch32, SVE, MPAM, AMU in a Realm", levels, (0, 1, 1, 0, 0, 0));
    for rec in [0, 1] {
        let mpidr = guest.execute(rec, instruction::MPIDR, [0; 4]);
        check::equal("a REC has its own MPIDR", mpidr.x[0], 1 << 31 | rec);
    }
    guest.execute(0, instruction::CPACR, [0, 0x333 << 16, 0, 0]);
    let mut every = Every::new("a register that is not the Realm's reads as zero or is undefined");
    for register in instruction::HIDDEN {
        let executed = guest.execute(0, register, [!0, 0, 0, 0]);
        let undefined = executed.exceptions == 1 && executed.esr == UNDEFINED;
        let zero = (executed.x[0], executed.exceptions) == (0, 0);
        every.equal(format_args!("{register:#x}"), undefined || zero, true);
    }
    drop(every);
    let mut every = Every::new("what a Realm does not have is undefined");
    let none = [instruction::RDVL, instruction::SMSTART];
    for instruction in instruction::UNDEFINED.into_iter().chain(none) {
        let executed = guest.execute(0, instruction, [0; 4]);
        let taken = (executed.exceptions, executed.esr, executed.vector);
        every.equal(format_args!("{instruction:#x}"), taken, (1, UNDEFINED, 0x200));
    }
}

fn timer(guest: &Guest) {
    let run = guest.run(0);
    let control = field::TIMERS.start + 0x10;
    guest.execute(0, instruction::CNTV_CVAL, [0, 1, 0, 0]);
    let executed = guest.execute(0, instruction::CNTV_CTL, [0, 1, 0, 0]);
    check::equal("a timer fires", (executed.exceptions, run.exit(control)), (0, 5));
    check::equal("at its time", run.exit(control + 8), 1);
    let executed = guest.execute(0, instruction::NOP, [0; 4]);
    check::equal("the Realm goes on", (executed.exceptions, run.exit(control)), (0, 5));
    guest.execute(0, instruction::CNTV_CTL, [0, 0, 0, 0]);
    check::equal("the timer is off", run.exit(control), 0);
}

fn interrupt(guest: &Guest) {
    gic::enable();
    gic::set_pending(true);
    let entered = guest.begin(0, instruction::NOP, [0; 4]);
    check::equal("an interrupt leaves the Realm", entered, Status::SUCCESS);
    // CNTV_CVAL_EL0 has the Realm's last value.
    let words = [(field::REASON, reason::IRQ), (field::TIMERS.start + 0x18, 1)];
    guest.run(0).expect("an interrupt", &words);
    gic::set_pending(false);
    check::equal("the Realm goes on", answer(guest, 0, 0).exceptions, 0);
}
