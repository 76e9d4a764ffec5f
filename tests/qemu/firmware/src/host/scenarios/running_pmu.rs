// SPDX-License-Identifier: BSD-3-Clause
//! The PMUs of a host and of a Realm: each finds its own values, and overflows are reported.

use rmm_abi::rmi_v1::{RealmAttributes, RealmFlags};
use rmm_test_firmware::realm_protocol::program;
use rmm_test_firmware::{read_register, say, write_register};

use crate::check;
use crate::gic;
use crate::guest::{Executed, Guest, field, reason};
use crate::rmi::Status;

/// A register of the PMU, by op1, CRn, CRm and op2.
#[derive(Clone, Copy)]
struct Register(u32, u32, u32, u32);

const PMCR: Register = Register(3, 9, 12, 0);
const PMCNTENSET: Register = Register(3, 9, 12, 1);
const PMOVSCLR: Register = Register(3, 9, 12, 3);
const PMSWINC: Register = Register(3, 9, 12, 4);
const PMSELR: Register = Register(3, 9, 12, 5);
const PMCCNTR: Register = Register(3, 9, 13, 0);
const PMUSERENR: Register = Register(3, 9, 14, 0);
const PMOVSSET: Register = Register(3, 9, 14, 3);
const PMINTENSET: Register = Register(0, 9, 14, 1);
const PMEVCNTR0: Register = Register(3, 14, 8, 0);
const PMEVTYPER0: Register = Register(3, 14, 12, 0);
const ID_AA64DFR0: Register = Register(0, 0, 5, 0);
const NOP: u32 = 0xd503_201f;

impl Register {
    const fn encoding(self) -> u32 {
        let Self(op1, crn, crm, op2) = self;
        3 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5
    }

    /// The encoding of an MRS to X0.
    const fn read_instruction(self) -> u32 {
        0xd520_0000 | self.encoding()
    }

    /// The value that the Realm reads.
    fn read(self, guest: &Guest) -> u64 {
        let executed = guest.execute(0, self.read_instruction(), [0; 4]);
        check::equal("it is there", executed.exceptions, 0);
        executed.x[0]
    }

    /// Makes the Realm write a value.
    fn write(self, guest: &Guest, value: u64) {
        let executed = guest.execute(0, 0xd500_0001 | self.encoding(), [0, value, 0, 0]);
        check::equal("it is there", executed.exceptions, 0);
    }
}

/// The number of host registers of which a Realm has its own copies, without PMCR_EL0.
const HOSTS: usize = 10;

fn hosts() -> [u64; HOSTS] {
    [
        read_register!("pmcntenset_el0"),
        read_register!("pmintenset_el1"),
        read_register!("pmovsset_el0"),
        read_register!("pmselr_el0"),
        read_register!("pmuserenr_el0"),
        read_register!("pmccntr_el0"),
        read_register!("pmccfiltr_el0"),
        read_register!("pmevcntr0_el0"),
        read_register!("pmevtyper0_el0"),
        read_register!("pmevcntr1_el0"),
    ]
}

fn fill_hosts() {
    // SAFETY: nothing counts, and the interrupt is disabled.
    unsafe {
        write_register!("pmcr_el0", 1 << 6);
        write_register!("pmcntenset_el0", 0x8000_000a);
        write_register!("pmintenset_el1", 0x8000_0005);
        write_register!("pmovsset_el0", 0x8000_0003);
        write_register!("pmselr_el0", 2);
        write_register!("pmuserenr_el0", 3);
        write_register!("pmccntr_el0", 0x1234_5678_9abc);
        write_register!("pmccfiltr_el0", 1 << 27);
        write_register!("pmevcntr0_el0", 0xabc0);
        write_register!("pmevtyper0_el0", 0x11);
        write_register!("pmevcntr1_el0", 0xabc1);
        core::arch::asm!("isb");
    }
}

fn with_pmu(counters: u64) -> impl Fn(&mut RealmAttributes) {
    move |attributes| {
        attributes.flags |= RealmFlags::PMU.bits();
        attributes.pmu_num_ctrs = u32::try_from(counters).unwrap_or(u32::MAX);
    }
}

/// Executes an instruction at EL0. Gives the class of its only exception, and X0, which was `MARK`.
fn at_el0(guest: &Guest, instruction: u32) -> (u64, u64) {
    let entered = guest.begin_program(0, program::AT_EL0, &[instruction.into(), MARK, 1]);
    check::equal("EL0", entered, Status::SUCCESS);
    let Executed { x, exceptions, esr, vector, .. } = guest.executed_by_program(0);
    check::equal("takes one exception", (exceptions, vector), (1, 0x400));
    (esr >> 26, x[0])
}

const MARK: u64 = 0x5eed;
/// Classes of exceptions from EL0: the SVC after the instruction, and a trap to EL1.
const SVC: u64 = 0x15;
const TRAPPED: u64 = 0x18;

/// The host's PMUSERENR_EL0 has no effect at EL0 of a Realm.
fn el0(guest: &Guest, expected: &[(u32, u64, u64)]) {
    for hosts in [0, 0xf] {
        // SAFETY: the host has no EL0.
        unsafe { write_register!("pmuserenr_el0", hosts) };
        for (instruction, class, x0) in expected {
            let what = format_args!("{instruction:#x} at EL0, the host has {hosts:#x}");
            check::equal(what, at_el0(guest, *instruction), (*class, *x0));
        }
        check::equal("the host has its own", read_register!("pmuserenr_el0"), hosts);
    }
}

/// Realms with a PMU, and what the exit record reports.
pub fn pmu() {
    let (_, features) = crate::rmi::features(0);
    let counters = features >> 27 & 0x1f;
    check::equal("Realms can have a PMU", features >> 26 & 1, 1);
    check::equal("with all counters", counters, read_register!("pmcr_el0") >> 11 & 0x1f);
    check::that("but no more", !Guest::can_be_created(with_pmu(counters + 1)));
    let may_be_empty = read_register!("id_aa64dfr0_el1") >> 60 != 0;
    check::equal("nor none", Guest::can_be_created(with_pmu(0)), may_be_empty);

    let plain = Guest::start(1);
    check::equal("a Realm without sees none", ID_AA64DFR0.read(&plain) >> 8 & 0xf, 0);
    check::equal("and reads zero", PMCR.read(&plain), 0);
    let trapped = [PMCR, PMCNTENSET, PMSELR, PMCCNTR, PMOVSSET, PMEVCNTR0, PMEVTYPER0]
        .map(|register| (register.read_instruction(), TRAPPED, MARK));
    el0(&plain, &trapped);
    // `msr pmswinc_el0, x1`
    let write = 0xd500_0001 | PMSWINC.encoding();
    el0(&plain, &[(write, TRAPPED, MARK), (PMUSERENR.read_instruction(), SVC, 0)]);
    plain.destroy();

    let guest = Guest::start_with(1, with_pmu(counters - 1));
    fill_hosts();
    let before = hosts();
    let version = read_register!("id_aa64dfr0_el1") >> 8 & 0xf;
    check::equal("a Realm with a PMU sees it", ID_AA64DFR0.read(&guest) >> 8 & 0xf, version.min(8));
    check::equal("and its counters", PMCR.read(&guest) >> 11 & 0x1f, counters - 1);
    for register in [PMCNTENSET, PMINTENSET, PMOVSSET, PMSELR, PMUSERENR, PMCCNTR, PMEVCNTR0] {
        check::equal("which begin as zero", register.read(&guest), 0);
    }
    check::that("the host has its own", hosts() == before);

    // SW_INCR, which the Realm itself increments.
    PMEVTYPER0.write(&guest, 0);
    PMEVCNTR0.write(&guest, 0xffff_fffe);
    PMSELR.write(&guest, 1);
    PMUSERENR.write(&guest, 0xf);
    PMCNTENSET.write(&guest, 1);
    PMINTENSET.write(&guest, 1);
    PMCR.write(&guest, 1 << 6 | 1);
    check::that("the host has its own", hosts() == before);
    PMSWINC.write(&guest, 1);
    check::equal("an event is counted", PMEVCNTR0.read(&guest), 0xffff_ffff);
    let overflow = || guest.run(0).exit(field::PMU_OVERFLOW);
    check::equal("without an overflow", overflow(), 0);
    PMSWINC.write(&guest, 1);
    check::equal("the next one overflows", overflow(), 1);
    check::equal("and is counted", PMEVCNTR0.read(&guest) & 0xffff_ffff, 0);
    check::equal("the Realm sees it", PMOVSSET.read(&guest), 1);
    check::that("the host has its own", hosts() == before);

    gic::enable();
    gic::enable_pmu(true);
    check::equal("it is entered", guest.begin(0, NOP, [0; 4]), Status::SUCCESS);
    let run = guest.run(0);
    check::equal("an overflow interrupts", (run.reason(), overflow()), (reason::IRQ, 1));
    gic::enable_pmu(false);
    check::equal("it is entered again", guest.enter(0), Status::SUCCESS);
    check::equal("and goes on", guest.executed(0).exceptions, 0);
    PMOVSCLR.write(&guest, 1);
    check::equal("until the Realm clears it", overflow(), 0);
    for (register, value) in [(PMSELR, 1), (PMUSERENR, 0xf), (PMCNTENSET, 1), (PMINTENSET, 1)] {
        check::equal("what it wrote is there", register.read(&guest), value);
    }
    PMCR.write(&guest, 1 << 6);
    check::equal("stopped, it is kept", PMCNTENSET.read(&guest), 1);
    check::that("the host has its own", hosts() == before);
    check::equal("and its control", read_register!("pmcr_el0") & 0xff, 1 << 6);
    // EL1 gives EL0 access, and then does not.
    let [selected, userenr] = [PMSELR, PMUSERENR].map(Register::read_instruction);
    el0(&guest, &[(selected, SVC, 1), (userenr, SVC, 0xf)]);
    PMUSERENR.write(&guest, 0);
    el0(&guest, &[(selected, TRAPPED, MARK), (userenr, SVC, 0)]);
    guest.destroy();
    say!("a Realm has {} event counters", counters - 1);
}
