// SPDX-License-Identifier: BSD-3-Clause
//! What follows from an exception that a Realm takes to the RMM: a pure decision.
//!
//! [`decide`] touches no register and no memory. Walks and accesses happen after it. Nothing that a
//! Realm does is fatal to the RMM; what has no better answer is an Undefined Instruction exception
//! in the Realm.

use crate::address::Ipa;
use crate::realm::rec::Registers;
use crate::realm::rec::debug::DebugRegister;
use crate::realm::rec::exit::{Exit, ExitReason};
use crate::realm::rec::syndrome::{
    EMULATABLE, FAULT_STATUS, ISV, NOT_EMULATABLE, SERROR, Syndrome, Vector, class,
};

/// What of a Realm and its REC a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Its registers.
    pub registers: &'a Registers,
    /// The first IPA that there is not.
    pub ipa_end: u64,
    /// The first IPA that is not protected.
    pub protected_end: u64,
    /// Whether it has SVE.
    pub has_sve: bool,
    /// Whether it has a PMU that is not open to it yet.
    pub has_closed_pmu: bool,
}

impl View<'_> {
    /// SPSR.M\[4\]: the exception came from AArch32, which only EL0 can be in.
    const fn is_aarch32(&self) -> bool {
        self.registers.pstate & 1 << 4 != 0
    }
}

/// An exception that the Realm is to take at its EL1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injected {
    /// Undefined Instruction.
    Undefined,
    /// Synchronous External abort, as the exception that was taken to EL2 would report it.
    ExternalAbort(Syndrome),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The Realm goes on after the instruction; a read of a register that is not there gives 0.
    ReadZero(usize),
    /// The Realm goes on after the instruction, whose write has no effect.
    IgnoreWrite,
    /// A read of an ID register: CRm and Op2, and the general register.
    ReadId {
        /// CRm.
        crm: u64,
        /// Op2.
        op2: u64,
        /// The general register; 31 is XZR.
        register: usize,
    },
    /// A read of a debug register to a general register.
    ReadDebug {
        /// The debug register.
        debug: DebugRegister,
        /// The general register; 31 is XZR.
        register: usize,
    },
    /// A write of a debug register.
    WriteDebug {
        /// The debug register.
        debug: DebugRegister,
        /// What is written.
        value: u64,
    },
    /// The Realm takes an exception.
    Inject(Injected),
    /// The Realm takes an exception, and the host is told.
    InjectAndExit(Injected, Exit),
    /// A call of the RSI or of PSCI.
    Call,
    /// The Realm's SIMD registers are to be loaded, and the instruction tried again.
    Simd,
    /// The Realm's PMU is to be loaded, and the instruction tried again.
    Pmu,
    /// A fault on a protected IPA: if its RIPAS is EMPTY the Realm takes an External abort, else
    /// this exit.
    CheckRipas(Ipa, Exit),
    /// An exit.
    Exit(Exit),
    /// An exit after which the Realm goes on behind the instruction.
    ExitPast(Exit),
    /// An SError that is the Realm's: pending for it, and an exit.
    PendSError(Exit),
}

/// Decides what follows from an exception.
pub fn decide(vector: Vector, syndrome: &Syndrome, view: &View<'_>) -> Action {
    match vector {
        Vector::Synchronous => synchronous(syndrome, view),
        Vector::Irq => Action::Exit(Exit::new(ExitReason::Irq)),
        Vector::Fiq => Action::Exit(Exit::new(ExitReason::Fiq)),
        Vector::SError => serror(syndrome),
    }
}

fn synchronous(syndrome: &Syndrome, view: &View<'_>) -> Action {
    match syndrome.class() {
        class::WFX => {
            /// TI bit 0: WFE rather than WFI.
            const WFE: u64 = 1;
            let esr = class::WFX << 26 | syndrome.esr & WFE;
            Action::ExitPast(Exit { esr, ..Exit::new(ExitReason::Sync) })
        }
        class::SIMD => Action::Simd,
        class::SVE if view.has_sve => Action::Simd,
        class::SMC => Action::Call,
        class::SYSTEM_REGISTER => system_register(syndrome, view),
        class::INSTRUCTION_ABORT => instruction_abort(syndrome, view),
        class::DATA_ABORT => data_abort(syndrome, view),
        // HVC, SVE, SME, and what no Realm should be able to cause.
        _ => Action::Inject(Injected::Undefined),
    }
}

fn system_register(syndrome: &Syndrome, view: &View<'_>) -> Action {
    let access = syndrome.system_register();
    let register = access.register();
    if let Some((crm, op2)) = access.id_register() {
        if access.is_read() {
            return Action::ReadId { crm, op2, register };
        }
        return Action::Inject(Injected::Undefined);
    }
    if view.has_closed_pmu && access.is_pmu() {
        return Action::Pmu;
    }
    if access.is_hidden() {
        return Action::Inject(Injected::Undefined);
    }
    if access.is_interrupt_controller() {
        /// Rt, 9:5: the data is in gprs[0] whatever it is.
        const RT: u64 = 0x1f << 5;
        let gpr0 = if access.is_read() { 0 } else { view.registers.x(register) };
        return Action::ExitPast(Exit {
            esr: syndrome.esr & !RT,
            gpr0,
            ..Exit::new(ExitReason::Sync)
        });
    }
    if let Some(debug) = access.debug_register() {
        return if access.is_read() {
            Action::ReadDebug { debug, register }
        } else {
            Action::WriteDebug { debug, value: view.registers.x(register) }
        };
    }
    if access.is_read() { Action::ReadZero(register) } else { Action::IgnoreWrite }
}

/// An exit for an abort that the host cannot emulate.
fn abort_exit(syndrome: &Syndrome) -> Exit {
    Exit {
        esr: syndrome.esr & NOT_EMULATABLE,
        hpfar: syndrome.reported_hpfar(),
        ..Exit::new(ExitReason::Sync)
    }
}

/// An External abort: the host hears of it, and the Realm too if it can go on (SET, bits 12:11).
fn external_abort(syndrome: &Syndrome) -> Action {
    /// SET: the error is corrected, or can be restarted from.
    const RESTARTABLE: u64 = 3 << 11;
    let exit = Exit { esr: syndrome.esr & NOT_EMULATABLE, ..Exit::new(ExitReason::Sync) };
    if syndrome.esr & RESTARTABLE == RESTARTABLE {
        Action::Exit(exit)
    } else {
        Action::InjectAndExit(Injected::ExternalAbort(*syndrome), exit)
    }
}

fn instruction_abort(syndrome: &Syndrome, view: &View<'_>) -> Action {
    if syndrome.is_external_abort() {
        return external_abort(syndrome);
    }
    let ipa = syndrome.ipa();
    if ipa.get() >= view.protected_end || !syndrome.is_translation_fault() {
        return Action::Inject(Injected::ExternalAbort(*syndrome));
    }
    Action::CheckRipas(ipa, abort_exit(syndrome))
}

fn data_abort(syndrome: &Syndrome, view: &View<'_>) -> Action {
    if syndrome.is_external_abort() {
        return external_abort(syndrome);
    }
    let ipa = syndrome.ipa();
    if ipa.get() >= view.ipa_end {
        return Action::Inject(Injected::ExternalAbort(*syndrome));
    }
    if ipa.get() < view.protected_end {
        return Action::CheckRipas(ipa, abort_exit(syndrome));
    }
    if syndrome.esr & ISV == 0 || view.is_aarch32() {
        return Action::Exit(abort_exit(syndrome));
    }
    let access = syndrome.access();
    let gpr0 =
        if access.is_write { access.truncate(view.registers.x(access.register())) } else { 0 };
    Action::Exit(Exit {
        esr: syndrome.esr & EMULATABLE,
        far: syndrome.far & 0xfff,
        gpr0,
        ..abort_exit(syndrome)
    })
}

fn serror(syndrome: &Syndrome) -> Action {
    /// IDS: the syndrome is implementation defined.
    const IMPLEMENTATION_DEFINED: u64 = 1 << 24;
    /// DFSC: an asynchronous SError, so that AET is valid.
    const ASYNCHRONOUS: u64 = 0x11;
    /// AET, bits 12:10: corrected, or restartable.
    const CORRECTED: u64 = 6;
    const RESTARTABLE: u64 = 2;
    let exit = Exit { esr: syndrome.esr & SERROR, ..Exit::new(ExitReason::SError) };
    let kind = syndrome.esr >> 10 & 7;
    let known =
        syndrome.esr & IMPLEMENTATION_DEFINED == 0 && syndrome.esr & FAULT_STATUS == ASYNCHRONOUS;
    if known && matches!(kind, CORRECTED | RESTARTABLE) {
        Action::Exit(exit)
    } else {
        // What this CPU says of an error that is not contained is no worse for the RMM. The Realm
        // must not go on as if nothing were, even if a late store of the RMM to the host's page was
        // it.
        Action::PendSError(exit)
    }
}
