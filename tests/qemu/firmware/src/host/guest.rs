// SPDX-License-Identifier: BSD-3-Clause
//! A Realm that runs the payload, and the host's entries into its RECs.

use core::cell::Cell;
use core::ops::Range;

use rmm_abi::rmi_v1::{GPRS, RealmAttributes};
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::realm_protocol::{
    BASE, CALL_REGISTERS, LOADED_AT, PAGES, RESULTS, WAITING, command,
};

use crate::check;
use crate::memory::granule;
use crate::probe;
use crate::realm::{self, Shape};
use crate::rmi::{self, Status};
use crate::tables::{self, Pool};

/// Indices of granules in test memory.
const PARAMETERS: u64 = 0;
const RD: u64 = 1;
const RUN_PAGES: u64 = 8;
const ROOT: u64 = 16;
const RECS: u64 = 32;
const AUXILIARY: u64 = 64;
const TABLES: u64 = 256;
const DATA: u64 = 512;

/// Exit reasons.
pub mod reason {
    /// A synchronous exception.
    pub const SYNC: u64 = 0;
    /// An IRQ.
    pub const IRQ: u64 = 1;
    /// A FIQ.
    pub const FIQ: u64 = 2;
    /// A PSCI call.
    pub const PSCI: u64 = 3;
    /// A change of RIPAS.
    pub const RIPAS_CHANGE: u64 = 4;
    /// RSI_HOST_CALL.
    pub const HOST_CALL: u64 = 5;
    /// An SError.
    pub const SERROR: u64 = 6;
}

/// Byte offsets in the exit half of a run page.
pub mod field {
    /// exit_reason.
    pub const REASON: u64 = 0x0;
    /// esr.
    pub const ESR: u64 = 0x100;
    /// far.
    pub const FAR: u64 = 0x108;
    /// hpfar.
    pub const HPFAR: u64 = 0x110;
    /// gprs.
    pub const GPRS: u64 = 0x200;
    /// gicv3_hcr to gicv3_vmcr.
    pub const GIC: core::ops::Range<u64> = HCR..0x398;
    /// gicv3_hcr.
    pub const HCR: u64 = 0x300;
    /// gicv3_lrs.
    pub const LIST: u64 = 0x308;
    /// gicv3_misr.
    pub const MISR: u64 = 0x388;
    /// gicv3_vmcr.
    pub const VMCR: u64 = 0x390;
    /// gicv3_vmcr of a REC that has not changed it: QEMU's smallest binary points, and VFIQEn.
    pub const VMCR_AT_RESET: u64 = 2 << 21 | 3 << 18 | 1 << 3;
    /// cntp_ctl, cntp_cval, cntv_ctl, cntv_cval.
    pub const TIMERS: core::ops::Range<u64> = 0x400..0x420;
    /// ripas_base, ripas_top and ripas_value.
    pub const RIPAS: u64 = 0x500;
    /// imm.
    pub const IMMEDIATE: u64 = 0x600;
    /// pmu_ovf_status.
    pub const PMU_OVERFLOW: u64 = 0x700;
}

/// Flags of the entry half.
pub mod flag {
    /// The host has emulated the access.
    pub const EMULATED_MMIO: u64 = 1 << 0;
    /// The access gets an External abort.
    pub const INJECT_SEA: u64 = 1 << 1;
    /// WFI exits to the host.
    pub const TRAP_WFI: u64 = 1 << 2;
}

/// The run page of a REC.
#[derive(Clone, Copy)]
pub struct Run(u64);

impl Run {
    const EXIT: u64 = 0x800;
    const ENTRY_GPRS: u64 = 0x200;

    /// Its address.
    pub fn address(self) -> u64 {
        self.0
    }

    fn write(self, offset: u64, value: u64) {
        if probe::write(self.0 + offset, value).is_err() {
            check::that("the host writes its own memory", false);
        }
    }

    /// A word of the exit half.
    pub fn exit(self, offset: u64) -> u64 {
        probe::read(self.0 + Self::EXIT + offset).unwrap_or(!0)
    }

    /// The exit reason.
    pub fn reason(self) -> u64 {
        self.exit(field::REASON)
    }

    /// Sets the flags and the first general registers for the next entry.
    pub fn prepare(self, flags: u64, gprs: &[u64]) {
        self.write(0, flags);
        for (offset, value) in (Self::ENTRY_GPRS..).step_by(8).zip(gprs) {
            self.write(offset, *value);
        }
    }

    /// Sets gicv3_hcr and the first list registers for the next entry.
    pub fn prepare_interrupts(self, hcr: u64, list: &[u64]) {
        const HCR: u64 = 0x300;
        for (offset, value) in (HCR..).step_by(8).zip([hcr].iter().chain(list)) {
            self.write(offset, *value);
        }
    }

    /// Fills the exit half with garbage. An exit must write all of it.
    pub fn soil(self) {
        for offset in (Self::EXIT..GRANULE).step_by(8) {
            self.write(offset, 0xdead_dead_dead_dead);
        }
    }

    /// Asserts every byte of the exit half: these words, gicv3_vmcr of a REC that has not changed
    /// it, and zeros.
    pub fn expect(self, what: &str, words: &[(u64, u64)]) {
        self.expect_range(what, 0..GRANULE - Self::EXIT, words);
    }

    /// Asserts every byte of a range of the exit half.
    pub fn expect_range(self, what: &str, range: Range<u64>, words: &[(u64, u64)]) {
        // In RMI 2.0 the virtual interrupts stay in the CPU.
        let vmcr =
            if rmi::Dialect::current() == rmi::Dialect::One { field::VMCR_AT_RESET } else { 0 };
        let usual = |offset| if offset == field::VMCR { vmcr } else { 0 };
        let mut differing = 0;
        for offset in range.step_by(8) {
            let named = words.iter().find(|(at, _)| *at == offset);
            let expected = named.map_or(usual(offset), |(_, word)| *word);
            let got = self.exit(offset);
            if got != expected {
                differing += 1;
                check::equal(format_args!("{what}, exit record at {offset:#x}"), got, expected);
            }
        }
        check::equal(format_args!("{what}: words of the exit record that differ"), differing, 0);
    }
}

/// The value of a call's register that the caller does not set.
pub fn mark(index: usize) -> u64 {
    0xca11_0000_0000_0000 | index as u64
}

/// A Realm that runs the payload.
pub struct Guest {
    recs: u64,
    /// Pages of its memory. The payload is at the beginning.
    pages: u64,
    pool: Pool,
    shape: Shape,
    /// Whether the host gives the hint that no SVE state is live.
    hints: Cell<bool>,
}

impl Guest {
    /// Builds a Realm with this many RECs. Each has run up to its first host call.
    pub fn start(recs: u64) -> Self {
        Self::start_with(recs, |_| {})
    }

    /// As [`start`](Self::start), with Realm parameters that `adjust` changes.
    pub fn start_with(recs: u64, adjust: impl FnOnce(&mut RealmAttributes)) -> Self {
        Self::start_shaped(recs, Shape::USUAL, adjust)
    }

    /// As [`start_with`](Self::start_with), with a stage 2 of this shape.
    pub fn start_shaped(
        recs: u64,
        shape: Shape,
        adjust: impl FnOnce(&mut RealmAttributes),
    ) -> Self {
        Self::build_with(recs, shape, [PAGES; 2], adjust).entered()
    }

    /// As [`start`](Self::start), with a measured image and memory of these sizes in pages.
    pub fn start_large(recs: u64, image: u64, all: u64) -> Self {
        Self::build_with(recs, Shape::USUAL, [image, all], |_| {}).entered()
    }

    /// Enters each REC, up to its first host call.
    fn entered(self) -> Self {
        for rec in 0..self.recs {
            check::equal("a REC is entered", self.enter(rec), Status::SUCCESS);
            self.expect_waiting(rec);
        }
        self
    }

    /// Whether a Realm can be created with parameters that `adjust` changes. It is destroyed again.
    pub fn can_be_created(adjust: impl FnOnce(&mut RealmAttributes)) -> bool {
        let (rd, page, root) = (granule(RD), granule(PARAMETERS), granule(ROOT));
        rmi::activate();
        let delegated = realm::delegate(rd, 1) && realm::delegate(root, 2);
        check::that("granules are delegated", delegated);
        let created = realm::create_with(rd, page, Shape::USUAL, root, 1, adjust);
        let gone = created != Status::SUCCESS || realm::destroy(rd) == Status::SUCCESS;
        let back = gone && realm::undelegate(rd, 1) && realm::undelegate(root, 2);
        check::that("nothing of it is left", back);
        created == Status::SUCCESS
    }

    /// Builds the Realm. No REC has run.
    fn build_with(
        recs: u64,
        shape: Shape,
        [image, all]: [u64; 2],
        adjust: impl FnOnce(&mut RealmAttributes),
    ) -> Self {
        rmi::activate();
        let delegated = realm::delegate(granule(RD), 1)
            && realm::delegate(granule(ROOT), 2)
            && realm::delegate(granule(TABLES), Pool::GRANULES as u64)
            && realm::delegate(granule(DATA), all);
        check::that("granules are delegated", delegated);
        let mut pool = Pool::new(granule(TABLES));
        let (rd, page, root) = (granule(RD), granule(PARAMETERS), granule(ROOT));
        let created = realm::create_with(rd, page, shape, root, 1, adjust);
        check::equal("a Realm is created", created, Status::SUCCESS);
        let mut bring = |pages| {
            let brought = Self::tables(pages)
                .all(|ipa| tables::bring_tables(rd, &mut pool, ipa, 3) == Status::SUCCESS);
            check::that("with tables", brought);
        };
        bring(image);
        // Memory after the image becomes RAM in blocks.
        let top = BASE + all * GRANULE;
        let mut next = BASE;
        while next < top {
            let (status, reached) = tables::init_ripas(rd, next, top);
            check::equal("and RAM", (status, reached > next), (Status::SUCCESS, true));
            next = reached.max(next + GRANULE);
        }
        bring(all);
        let filled = (0..image).all(|page| {
            // After the payload the image repeats it.
            let (offset, source) = (page * GRANULE, page % PAGES * GRANULE);
            tables::data_create(rd, granule(DATA + page), BASE + offset, LOADED_AT + source, true)
                == Status::SUCCESS
        });
        check::that("that holds the payload", filled);
        let (_, auxiliary) = realm::rec_aux_count(rd);
        for index in 0..recs {
            let base = granule(AUXILIARY + index * auxiliary);
            let delegated =
                realm::delegate(granule(RECS + index), 1) && realm::delegate(base, auxiliary);
            check::that("granules of a REC are delegated", delegated);
            let mut all = [0; 16];
            for (place, address) in all.iter_mut().zip((base..).step_by(GRANULE as usize)) {
                *place = address;
            }
            let created = realm::rec_create_at(
                rd,
                granule(RECS + index),
                granule(PARAMETERS),
                BASE,
                index,
                &all[..auxiliary as usize],
            );
            check::equal("a REC is created", created, Status::SUCCESS);
            if probe::fill_granule(granule(RUN_PAGES + index), 0).is_err() {
                check::that("the host writes its own memory", false);
            }
        }
        check::equal("the Realm is activated", realm::activate(rd), Status::SUCCESS);
        let given = (image..all).all(|page| {
            tables::data_create_unknown(rd, granule(DATA + page), BASE + page * GRANULE)
                == Status::SUCCESS
        });
        check::that("and has the rest of its memory", given);
        Self { recs, pages: all, pool, shape, hints: Cell::new(false) }
    }

    /// The first IPA of each table of level 3 for this many pages.
    fn tables(pages: u64) -> impl Iterator<Item = u64> {
        (BASE..BASE + pages * GRANULE).step_by(tables::size(2) as usize)
    }

    /// Granules for more tables. All must be returned before the Realm is destroyed.
    pub fn pool(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// The granule and the run page of a REC of the only such Realm, for CPUs that enter RECs at
    /// the same time.
    pub fn of_rec(rec: u64) -> (u64, Run) {
        (granule(RECS + rec), Run(granule(RUN_PAGES + rec)))
    }

    /// Its RD.
    pub fn rd(&self) -> u64 {
        granule(RD)
    }

    /// The granule of a REC.
    pub fn rec(&self, rec: u64) -> u64 {
        granule(RECS + rec)
    }

    /// The auxiliary granules of a REC.
    pub fn auxiliary(&self, rec: u64) -> impl Iterator<Item = u64> + Clone + use<> {
        let (_, count) = realm::rec_aux_count(self.rd());
        (0..count).map(move |index| granule(AUXILIARY + rec * count + index))
    }

    /// Removes the last REC, which has been destroyed, from those to destroy later.
    pub fn forget_rec(&mut self) {
        self.recs -= 1;
    }

    /// The run page of a REC.
    pub fn run(&self, rec: u64) -> Run {
        Run(granule(RUN_PAGES + rec))
    }

    /// Enters a REC with its run page as it is.
    pub fn enter(&self, rec: u64) -> Status {
        self.run(rec).soil();
        let enter =
            if self.hints.get() { realm::rec_enter_without_live_sve } else { realm::rec_enter };
        enter(self.rec(rec), self.run(rec).address())
    }

    /// Asserts that a REC has left to ask for its next command.
    pub fn expect_waiting(&self, rec: u64) {
        let run = self.run(rec);
        let (why, immediate) = (run.reason(), run.exit(field::IMMEDIATE));
        check::equal("the payload waits", (why, immediate), (reason::HOST_CALL, WAITING.into()));
    }

    /// Makes a waiting REC execute an instruction, by one entry. The REC then waits with the
    /// result, or has left because of the instruction.
    pub fn begin(&self, rec: u64, instruction: u32, x: [u64; 4]) -> Status {
        let [x0, x1, x2, x3] = x;
        let gprs = [command::EXECUTE, u64::from(instruction), x0, x1, x2, x3];
        self.run(rec).prepare(0, &gprs);
        self.enter(rec)
    }

    /// Sets whether the host gives the hint that no SVE state is live.
    pub fn hint(&self, hints: bool) {
        self.hints.set(hints);
    }

    /// Makes a waiting REC carry out a command of the payload, and gives the result.
    pub fn ask(&self, rec: u64, command: u64, argument: u64) -> [u64; 2] {
        let run = self.run(rec);
        run.prepare(0, &[command, argument]);
        check::equal("a REC is entered", self.enter(rec), Status::SUCCESS);
        check::equal("and did as it was told", run.exit(field::GPRS), command);
        [8, 16].map(|offset| run.exit(field::GPRS + offset))
    }

    /// The result of the instruction of a REC that waits again.
    pub fn executed(&self, rec: u64) -> Executed {
        Executed::from(self.words::<RESULTS>(rec, command::EXECUTE))
    }

    /// The result of an instruction in a program, of a REC that waits again.
    pub fn executed_by_program(&self, rec: u64) -> Executed {
        Executed::from(self.program_results::<RESULTS>(rec))
    }

    /// Makes a waiting REC execute an instruction without another exit, and gives the result.
    pub fn execute(&self, rec: u64, instruction: u32, x: [u64; 4]) -> Executed {
        let status = self.begin(rec, instruction, x);
        if status != Status::SUCCESS {
            check::equal(format_args!("{instruction:#x} is executed"), status, Status::SUCCESS);
        }
        self.executed(rec)
    }

    /// Makes a waiting REC call by SMC with these values in X0 and up, by one entry. The REC then
    /// waits with the answer, or has left for the call.
    pub fn begin_call(&self, rec: u64, x: &[u64]) -> Status {
        self.prepare_call(rec, x);
        self.enter(rec)
    }

    /// Prepares a waiting REC to call by SMC with these values in X0 and up.
    pub fn prepare_call(&self, rec: u64, x: &[u64]) {
        let mut gprs = [0; 1 + CALL_REGISTERS];
        let [what, registers @ ..] = &mut gprs;
        *what = command::CALL;
        for (index, register) in registers.iter_mut().enumerate() {
            *register = x.get(index).copied().unwrap_or(mark(index));
        }
        self.run(rec).prepare(0, &gprs);
    }

    /// The answer to a call of a REC that waits again. Asserts that X4 and up are preserved, except
    /// outputs up to X`outputs`.
    pub fn called(&self, rec: u64, x: &[u64], outputs: usize) -> [u64; CALL_REGISTERS] {
        let [.., changed] = self.words::<{ CALL_REGISTERS + 1 }>(rec, command::CALL);
        let answer = self.words::<CALL_REGISTERS>(rec, command::CALL);
        let passed = |index| x.get(index).copied().unwrap_or(mark(index));
        let kept = (4.max(outputs + 1)..CALL_REGISTERS).all(|index| answer[index] == passed(index));
        if changed != 0 || !kept {
            let what = format_args!("registers of call {:#x} that are no outputs", x[0]);
            check::equal(what, (changed, &answer[4..]), (0, &[][..]));
        }
        answer
    }

    /// Makes a waiting REC call without another exit, and gives the answer.
    pub fn call(&self, rec: u64, x: &[u64], outputs: usize) -> [u64; CALL_REGISTERS] {
        let status = self.begin_call(rec, x);
        if status != Status::SUCCESS {
            check::equal(format_args!("{:#x} is called", x[0]), status, Status::SUCCESS);
        }
        self.called(rec, x, outputs)
    }

    /// Makes a waiting REC run a program of the payload, by one entry.
    pub fn begin_program(&self, rec: u64, number: u64, arguments: &[u64]) -> Status {
        let mut gprs = [0; GPRS];
        let [what, program, rest @ ..] = &mut gprs;
        (*what, *program) = (command::PROGRAM, number);
        rest[..arguments.len()].copy_from_slice(arguments);
        self.run(rec).prepare(0, &gprs);
        self.enter(rec)
    }

    /// The results of a program of a REC that waits again.
    pub fn program_results<const N: usize>(&self, rec: u64) -> [u64; N] {
        self.words(rec, command::PROGRAM)
    }

    /// The first result words of a command of a REC that waits again.
    fn words<const N: usize>(&self, rec: u64, command: u64) -> [u64; N] {
        let run = self.run(rec);
        let came = (run.reason(), run.exit(field::GPRS));
        if came != (reason::HOST_CALL, command) {
            check::equal("the payload comes back", came, (reason::HOST_CALL, command));
        }
        core::array::from_fn(|index| run.exit(field::GPRS + 8 + 8 * index as u64))
    }

    /// Destroys the Realm, and checks that none of its content is left.
    pub fn destroy(mut self) {
        let rd = granule(RD);
        let (_, auxiliary) = realm::rec_aux_count(rd);
        for index in 0..self.recs {
            let destroyed = realm::rec_destroy(granule(RECS + index), granule(PARAMETERS));
            check::equal("a REC is destroyed", destroyed, Status::SUCCESS);
            let back = realm::undelegate(granule(RECS + index), 1)
                && realm::undelegate(granule(AUXILIARY + index * auxiliary), auxiliary);
            check::that("its granules come back, and zero", back);
        }
        let emptied = (0..self.pages)
            .all(|page| tables::data_destroy(rd, BASE + page * GRANULE).0 == Status::SUCCESS);
        check::that("its memory is destroyed", emptied);
        // The last table goes with those above it.
        for ipa in Self::tables(self.pages).skip(1) {
            let table = tables::destroy_tables(rd, &mut self.pool, ipa, 3, 2);
            check::equal("its other tables", table, Status::SUCCESS);
        }
        let tables = tables::destroy_tables(rd, &mut self.pool, BASE, 3, self.shape.level);
        check::equal("and its tables", tables, Status::SUCCESS);
        check::equal("and the Realm", realm::destroy(rd), Status::SUCCESS);
        let back = realm::undelegate(rd, 1)
            && realm::undelegate(granule(ROOT), 2)
            && realm::undelegate(granule(TABLES), Pool::GRANULES as u64)
            && realm::undelegate(granule(DATA), self.pages);
        check::that("all comes back, and zero", back);
    }
}

/// The result of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// X0 to X3 after it.
    pub x: [u64; 4],
    /// The number of exceptions that the Realm took for it.
    pub exceptions: u64,
    /// ESR_EL1 of the last exception.
    pub esr: u64,
    /// FAR_EL1 of the last exception.
    pub far: u64,
    /// ELR_EL1 of the last exception.
    pub elr: u64,
    /// SPSR_EL1 of the last exception.
    pub spsr: u64,
    /// The offset of its vector.
    pub vector: u64,
}

impl From<[u64; RESULTS]> for Executed {
    fn from(words: [u64; RESULTS]) -> Self {
        let [x0, x1, x2, x3, exceptions, esr, far, elr, spsr, vector] = words;
        Self { x: [x0, x1, x2, x3], exceptions, esr, far, elr, spsr, vector }
    }
}
