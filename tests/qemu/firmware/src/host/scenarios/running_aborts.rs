// SPDX-License-Identifier: BSD-3-Clause
//! Exits of a Realm that other scenarios lack, each with its whole exit record: a store to memory
//! that the host maps read-only, EL0 in AArch32, and in RMI 2.0 accesses to the interrupt
//! controller that the host traps.

use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::realm_protocol::{BASE, PAGES, command, program};
use rmm_test_firmware::{read_register, write_register};

use crate::check;
use crate::guest::{Guest, field, flag};
use crate::memory::granule;
use crate::rmi::{Dialect, Status};
use crate::tables;

/// An unprotected page that is mapped read-only, and the host's granule for it.
const READ_ONLY: u64 = 1 << 39;
const SHARED: u64 = 1100;
/// Attributes of a read-only mapping.
const READABLE: u64 = tables::UNPROTECTED & !(1 << 7);

/// ESR: EC of aborts from a lower level, ISV, WnR.
const DATA_ABORT: u64 = 0x24 << 26;
const ISV: u64 = 1 << 24;
const WNR: u64 = 1 << 6;
/// The ESR_EL1 fields that are compared for an abort of the Realm: EC, EA, DFSC.
const TAKEN: u64 = 0x3f << 26 | 1 << 9 | 0x3f;
/// An External abort from EL1, and from EL0.
const EXTERNAL_ABORT: u64 = 0x25 << 26 | 1 << 9 | 0x10;
const EXTERNAL_ABORT_OF_EL0: u64 = 0x24 << 26 | 1 << 9 | 0x10;

/// `str w1, [x0]`, `stp x1, x2, [x0]`, `ldr x1, [x0]`, `msr cpacr_el1, x1`.
const STORE: u32 = 0xb900_0001;
const STORE_PAIR: u32 = 0xa900_0801;
const LOAD: u32 = 0xf940_0001;
const CPACR: u32 = 0xd518_1041;

/// All of these exits.
pub fn aborts() {
    let mut guest = Guest::start(2);
    let rd = guest.rd();
    let brought = tables::bring_tables(rd, guest.pool(), READ_ONLY, 3);
    check::equal("tables", brought, Status::SUCCESS);
    let mapped = tables::map_unprotected(rd, READ_ONLY, 3, granule(SHARED) | READABLE);
    check::equal("a read-only page is mapped", mapped, Status::SUCCESS);
    read_only(&guest);
    aarch32(&guest);
    if Dialect::current() == Dialect::Two {
        interrupt_controller(&guest);
    }
    let unmapped = tables::unmap_unprotected(rd, READ_ONLY, 3).0;
    check::equal("it is unmapped", unmapped, Status::SUCCESS);
    let gone = tables::destroy_tables(rd, guest.pool(), READ_ONLY, 3, 1);
    check::equal("tables go", gone, Status::SUCCESS);
    guest.destroy();
}

fn go_on(guest: &Guest, flags: u64, gpr0: u64) {
    guest.run(0).prepare(flags, &[gpr0]);
    check::equal("the REC is entered again", guest.enter(0), Status::SUCCESS);
}

/// Permission faults, at level 3.
fn read_only(guest: &Guest) {
    const PERMISSION: u64 = 0xf;
    let run = guest.run(0);
    let loaded = guest.execute(0, LOAD, [READ_ONLY, !0, 0, 0]);
    check::equal("the Realm reads what is shared", loaded.exceptions, 0);
    let entered = guest.begin(0, STORE, [READ_ONLY | 0x24, 0x0123_4567_89ab_cdef, 0, 0]);
    check::equal("a store leaves the Realm", entered, Status::SUCCESS);
    let words = [
        (field::ESR, DATA_ABORT | ISV | 2 << 22 | WNR | PERMISSION),
        (field::FAR, 0x24),
        (field::HPFAR, READ_ONLY >> 8),
        (field::GPRS, 0x89ab_cdef),
    ];
    run.expect("a store", &words);
    go_on(guest, flag::EMULATED_MMIO, 0);
    check::equal("it goes on", guest.executed(0).exceptions, 0);
    let entered = guest.begin(0, STORE_PAIR, [READ_ONLY, 1, 2, 0]);
    check::equal("a store of a pair leaves the Realm", entered, Status::SUCCESS);
    let words = [(field::ESR, DATA_ABORT | PERMISSION), (field::HPFAR, READ_ONLY >> 8)];
    run.expect("a store of a pair", &words);
    go_on(guest, flag::INJECT_SEA, 0);
    let executed = guest.executed(0);
    let taken = (executed.exceptions, executed.esr & TAKEN, executed.far);
    check::equal("it is aborted", taken, (1, EXTERNAL_ABORT, READ_ONLY));
}

/// Instructions of A32: `ldr r1, [r0]`, `smc #0`, `wfi`, `mrc p14, 0, r0, c0, c1, 0`,
/// `vmov s0, r0`, `mov r1, #42`.
mod a32 {
    pub const LOAD: u64 = 0xe590_1000;
    pub const SMC: u64 = 0xe160_0070;
    pub const WFI: u64 = 0xe320_f003;
    pub const DEBUG: u64 = 0xee10_0e11;
    pub const VECTOR: u64 = 0xee00_0a10;
    pub const MOVE: u64 = 0xe3a0_102a;
}

/// Exceptions from EL0 in AArch32 with their vector: SVC, Undefined.
const FROM_AARCH32: u64 = 0x600;
const SVC: u64 = 0x11;
const UNDEFINED: u64 = 0;

fn begin_a32(guest: &Guest, instruction: u64, r0: u64) {
    let entered = guest.begin_program(0, program::AARCH32, &[instruction, r0]);
    check::equal("EL0 in AArch32", entered, Status::SUCCESS);
}

/// EL0 in AArch32. The Realm's ID registers hide it, but the CPU may have it.
fn aarch32(guest: &Guest) {
    const CPU_HAS_IT: u64 = 2;
    if read_register!("id_aa64pfr0_el1") & 0xf != CPU_HAS_IT {
        return;
    }
    let rd = guest.rd();
    guest.execute(0, CPACR, [0, 3 << 20, 0, 0]);
    for (what, instruction, r0, class) in [
        ("a move", a32::MOVE, 0, SVC),
        ("SMC", a32::SMC, 0, UNDEFINED),
        ("a debug register", a32::DEBUG, 0, UNDEFINED),
        ("a vector register", a32::VECTOR, 0, SVC),
        ("RIPAS EMPTY", a32::LOAD, BASE + PAGES * GRANULE, EXTERNAL_ABORT_OF_EL0 >> 26),
    ] {
        begin_a32(guest, instruction, r0);
        let executed = guest.executed_by_program(0);
        let taken = (executed.exceptions, executed.esr >> 26, executed.vector);
        // MDSCR_EL1 or the RMM may trap a debug register.
        let class = if instruction == a32::DEBUG && taken.1 == 5 { 5 } else { class };
        check::equal(what, taken, (1, class, FROM_AARCH32));
        check::that("and its result", instruction != a32::MOVE || executed.x[1] == 42);
    }

    let last = BASE + (PAGES - 1) * GRANULE;
    let (status, memory, _) = tables::data_destroy(rd, last);
    check::equal("a page is destroyed", status, Status::SUCCESS);
    begin_a32(guest, a32::LOAD, last | 0x40);
    let words = [(field::ESR, DATA_ABORT | 7), (field::HPFAR, last >> 8)];
    guest.run(0).expect("a load in AArch32", &words);
    // The other REC asks for memory there, and the host maps zeroed memory.
    super::running::ripas(guest, 1, last, 1);
    let (status, _) = tables::set_ripas(rd, guest.rec(1), last, last + GRANULE);
    check::equal("the host changes RIPAS", status, Status::SUCCESS);
    guest.run(1).prepare(0, &[]);
    check::equal("the other REC goes on", guest.enter(1), Status::SUCCESS);
    let given = tables::data_create_unknown(rd, memory, last);
    check::equal("memory comes back", given, Status::SUCCESS);
    go_on(guest, 0, 0);
    let executed = guest.executed_by_program(0);
    let loaded = (executed.exceptions, executed.esr >> 26, executed.x[1] & 0xffff_ffff);
    check::equal("the REC goes on with zeroes", loaded, (1, SVC, 0));

    let mut gprs = [0; 4];
    gprs[..3].copy_from_slice(&[command::PROGRAM, program::AARCH32, a32::WFI]);
    guest.run(0).prepare(flag::TRAP_WFI, &gprs);
    check::equal("WFI leaves the Realm", guest.enter(0), Status::SUCCESS);
    guest.run(0).expect("WFI in AArch32", &[(field::ESR, 1 << 26)]);
    go_on(guest, 0, 0);
    check::equal("and is over", guest.executed_by_program(0).esr >> 26, SVC);
}

/// Traps that the host has set in ICH_HCR_EL2: TC, TALL0 and TALL1.
fn interrupt_controller(guest: &Guest) {
    /// En, and the traps.
    const EN: u64 = 1;
    const TRAPS: u64 = 1 << 10 | 1 << 11 | 1 << 12;
    /// `mrs x0, icc_pmr_el1`, `mrs x1, icc_ctlr_el1`, `mrs x0, icc_igrpen0_el1`; `msr` of x1 to
    /// `icc_pmr_el1`, `icc_igrpen1_el1`, `icc_dir_el1`, `icc_sgi0r_el1`, `icc_eoir0_el1`; and `msr
    /// icc_pmr_el1, xzr`. Each with Op2, CRn and CRm, as in ESR.
    const READS: [(u32, usize, u64); 3] = [
        (0xd538_4600, 0, 4 << 10 | 6 << 1),
        (0xd538_cc81, 1, 4 << 17 | 12 << 10 | 12 << 1),
        (0xd538_ccc0, 0, 6 << 17 | 12 << 10 | 12 << 1),
    ];
    const WRITES: [(u32, u64, u64); 6] = [
        (0xd518_4601, 0x1_0038, 4 << 10 | 6 << 1),
        (0xd518_cce1, 0x1_0038, 7 << 17 | 12 << 10 | 12 << 1),
        (0xd518_cb21, 0x1_0038, 1 << 17 | 12 << 10 | 11 << 1),
        (0xd518_cbe1, 0x1_0038, 7 << 17 | 12 << 10 | 11 << 1),
        (0xd518_c821, 0x1_0038, 1 << 17 | 12 << 10 | 8 << 1),
        (0xd518_461f, 0, 4 << 10 | 6 << 1),
    ];
    const ACCESS: u64 = 0x18 << 26 | 1 << 25 | 3 << 20;
    let run = guest.run(0);
    let begin = |instruction, x| {
        // SAFETY: this concerns virtual interrupts, and the Realm has none.
        unsafe { write_register!("s3_4_c12_c11_0", EN | TRAPS) };
        check::equal("the REC is entered", guest.begin(0, instruction, x), Status::SUCCESS);
        let after = read_register!("s3_4_c12_c11_0");
        check::equal("virtual interrupts are off, and traps as they were", after, TRAPS);
    };
    for (instruction, register, named) in READS {
        begin(instruction, [0, 0x55, 0, 0]);
        run.expect("a read", &[(field::ESR, ACCESS | named | 1)]);
        go_on(guest, 0, 0xa5a5);
        let executed = guest.executed(0);
        let read = (executed.exceptions, executed.x[register]);
        check::equal("the Realm reads what the host says", read, (0, 0xa5a5));
    }
    for (instruction, value, named) in WRITES {
        begin(instruction, [0, 0x1_0038, 0, 0]);
        run.expect("a write", &[(field::ESR, ACCESS | named), (field::GPRS, value)]);
        go_on(guest, 0, 0xa5a5);
        let executed = guest.executed(0);
        let kept = (executed.exceptions, executed.x[1]);
        check::equal("the Realm goes on", kept, (0, 0x1_0038));
    }
    // SAFETY: restores the former value.
    unsafe { write_register!("s3_4_c12_c11_0", 0) };
}
