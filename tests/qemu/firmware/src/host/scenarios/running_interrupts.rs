// SPDX-License-Identifier: BSD-3-Clause
//! FIQs of the host, and virtual interrupts of a Realm in every state: the whole exit record of
//! each, and what the Realm sees.

use crate::check;
use crate::gic;
use crate::guest::{Executed, Guest, field, reason};
use crate::realm::ERROR_REC;
use crate::rmi::Status;

/// Instructions of the payload that read into X0 or write X1.
mod instruction {
    pub const NOP: u32 = 0xd503_201f;
    /// `msr daifclr, #2`: virtual IRQs are taken.
    pub const UNMASK: u32 = 0xd503_42ff;
    /// `msr icc_pmr_el1, x1`, `msr icc_igrpen1_el1, x1`
    pub const PMR: u32 = 0xd518_4601;
    pub const IGRPEN1: u32 = 0xd518_cce1;
    /// `mrs x0, icc_iar1_el1`, `msr icc_eoir1_el1, x1`, `msr icc_dir_el1, x1`
    pub const IAR1: u32 = 0xd538_cc00;
    pub const EOIR1: u32 = 0xd518_cc21;
    pub const DIR: u32 = 0xd518_cb21;
}

/// A list register: pending, active, and Group 1 of priority 0x80 with an INTID.
const PENDING: u64 = 1 << 62;
const ACTIVE: u64 = 2 << 62;
const fn interrupt(intid: u64) -> u64 {
    1 << 60 | 0x80 << 48 | intid
}

/// ICH_HCR_EL2 and ICH_MISR_EL2: underflow, EOI of an interrupt in no list register, nothing
/// pending, Group 1 enabled. ICH_HCR_EL2: TDIR, and an EOI count of one.
const UNDERFLOW: u64 = 1 << 1;
const EOI: u64 = 1 << 2;
const NOTHING_PENDING: u64 = 1 << 3;
const GROUP_1_ENABLED: u64 = 1 << 6;
const TDIR: u64 = 1 << 14;
const ONE_EOI: u64 = 1 << 27;

/// ICH_VMCR_EL2 of a REC that has enabled Group 1 for all priorities.
const ENABLED: u64 = field::VMCR_AT_RESET | 0xf8 << 24 | 1 << 1;

/// Executes an instruction with these values in ICH_HCR_EL2 and the list registers.
fn execute(guest: &Guest, hcr: u64, list: [u64; 2], instruction: u32, x1: u64) -> Executed {
    guest.run(0).prepare_interrupts(hcr, &list);
    guest.execute(0, instruction, [0, x1, 0, 0])
}

/// Asserts what the exit record says of virtual interrupts.
fn expect(guest: &Guest, what: &str, hcr: u64, list: [u64; 2], misr: u64) {
    let [first, second] = list;
    let run = guest.run(0);
    let words = [
        (field::HCR, hcr),
        (field::LIST, first),
        (field::LIST + 8, second),
        (field::MISR, misr),
        (field::VMCR, ENABLED),
    ];
    run.expect_range(what, field::GIC, &words);
}

/// All exits that concern interrupts.
pub fn interrupts() {
    let guest = Guest::start(1);
    gic::enable();
    fiq(&guest);
    states(&guest);
    maintenance(&guest);
    refused(&guest);
    guest.destroy();
}

/// A Group 0 interrupt is a FIQ.
fn fiq(guest: &Guest) {
    gic::enable_fiq(true);
    gic::set_pending(true);
    for turn in ["a FIQ leaves the Realm", "and again"] {
        let entered = guest.begin(0, instruction::NOP, [0; 4]);
        check::equal(turn, entered, Status::SUCCESS);
        guest.run(0).expect("a FIQ", &[(field::REASON, reason::FIQ)]);
    }
    gic::set_pending(false);
    gic::enable_fiq(false);
    check::equal("it is entered again", guest.enter(0), Status::SUCCESS);
    check::equal("and goes on", guest.executed(0).exceptions, 0);
}

/// A virtual interrupt from pending to inactive.
fn states(guest: &Guest) {
    const INTID: u64 = 40;
    const OTHER: u64 = 8200;
    execute(guest, 0, [0; 2], instruction::PMR, 0xff);
    execute(guest, 0, [0; 2], instruction::IGRPEN1, 1);
    expect(guest, "nothing is pending", 0, [0; 2], 0);
    let spurious = execute(guest, 0, [0; 2], instruction::IAR1, 0);
    check::equal("none is acknowledged", spurious.x[0], 1023);

    let list = [PENDING | interrupt(INTID), PENDING | interrupt(OTHER) | 1 << 48 << 3];
    let taken = execute(guest, 0, list, instruction::UNMASK, 0);
    check::equal("an IRQ is taken", (taken.exceptions, taken.vector), (1, 0x280));
    expect(guest, "it stays pending", 0, list, 0);
    let acknowledged = execute(guest, 0, list, instruction::IAR1, 0);
    check::equal("it is acknowledged", acknowledged.x[0], INTID);
    let [_, other] = list;
    let active = [ACTIVE | interrupt(INTID), other];
    expect(guest, "it is active", 0, active, 0);
    let none = execute(guest, 0, active, instruction::IAR1, 0);
    check::equal("one of lower priority waits", none.x[0], 1023);
    execute(guest, 0, active, instruction::EOIR1, INTID);
    expect(guest, "it is over", 0, [interrupt(INTID), other], 0);
    let next = execute(guest, 0, [0, other], instruction::IAR1, 0);
    check::equal("the other follows", next.x[0], OTHER);
    execute(guest, 0, [0, ACTIVE | other & !PENDING], instruction::EOIR1, OTHER);
    expect(guest, "and is over", 0, [0, other & !PENDING], 0);
}

/// Maintenance interrupts, for the host's attention.
fn maintenance(guest: &Guest) {
    const INTID: u64 = 41;
    for (what, hcr, misr) in [
        ("an underflow", UNDERFLOW, UNDERFLOW),
        ("nothing pending", NOTHING_PENDING, NOTHING_PENDING),
        ("Group 1 enabled", GROUP_1_ENABLED, GROUP_1_ENABLED),
        ("all of it", UNDERFLOW | NOTHING_PENDING, UNDERFLOW | NOTHING_PENDING),
    ] {
        execute(guest, hcr, [0; 2], instruction::NOP, 0);
        expect(guest, what, hcr, [0; 2], misr);
    }
    gic::enable_maintenance(true);
    guest.run(0).prepare_interrupts(UNDERFLOW, &[0; 2]);
    let entered = guest.begin(0, instruction::NOP, [0; 4]);
    check::equal("maintenance leaves the Realm", entered, Status::SUCCESS);
    let words = [
        (field::REASON, reason::IRQ),
        (field::HCR, UNDERFLOW),
        (field::MISR, UNDERFLOW),
        (field::VMCR, ENABLED),
    ];
    guest.run(0).expect("an interrupt for maintenance", &words);
    check::equal("no interrupt is left", gic::is_pending(), false);
    gic::enable_maintenance(false);
    guest.run(0).prepare_interrupts(0, &[0; 2]);
    check::equal("it is entered again", guest.enter(0), Status::SUCCESS);
    check::equal("and goes on", guest.executed(0).exceptions, 0);

    // The host removes an active interrupt from its list register.
    let acknowledged = execute(guest, EOI, [PENDING | interrupt(INTID), 0], instruction::IAR1, 0);
    check::equal("one more is acknowledged", acknowledged.x[0], INTID);
    execute(guest, EOI, [0; 2], instruction::EOIR1, INTID);
    expect(guest, "its end is counted", EOI | ONE_EOI, [0; 2], EOI);
    execute(guest, 0, [0; 2], instruction::NOP, 0);
    expect(guest, "and stays so", ONE_EOI, [0; 2], 0);

    guest.run(0).prepare_interrupts(TDIR, &[0; 2]);
    let entered = guest.begin(0, instruction::DIR, [0, INTID, 0, 0]);
    check::equal("a deactivation leaves the Realm", entered, Status::SUCCESS);
    let words = [
        (field::ESR, 0x18 << 26 | 1 << 25 | 3 << 20 | 1 << 17 | 12 << 10 | 11 << 1),
        (field::GPRS, INTID),
        (field::HCR, TDIR | ONE_EOI),
        (field::VMCR, ENABLED),
    ];
    guest.run(0).expect("a deactivation", &words);
    guest.run(0).prepare_interrupts(0, &[0; 2]);
    check::equal("it is entered again", guest.enter(0), Status::SUCCESS);
    check::equal("and goes on", guest.executed(0).exceptions, 0);
}

/// Values that the RMM refuses from the host.
fn refused(guest: &Guest) {
    let run = guest.run(0);
    for (what, hcr, list) in [
        ("En", 1, [0; 2]),
        ("vSGIEOICount", 1 << 8, [0; 2]),
        ("TALL0", 1 << 11, [0; 2]),
        ("EOIcount", ONE_EOI, [0; 2]),
        ("a physical interrupt", 0, [PENDING | 1 << 61 | interrupt(40), 0]),
        ("a priority that there is not", 0, [PENDING | 1 << 48 | interrupt(40), 0]),
        ("an INTID that is special", 0, [PENDING | interrupt(1023), 0]),
        ("an interrupt twice", 0, [PENDING | interrupt(40), ACTIVE | interrupt(40)]),
    ] {
        run.prepare_interrupts(hcr, &list);
        check::equal(what, guest.enter(0), ERROR_REC);
    }
    execute(guest, 0, [0; 2], instruction::NOP, 0);
    expect(guest, "nothing has changed", ONE_EOI, [0; 2], 0);
}
