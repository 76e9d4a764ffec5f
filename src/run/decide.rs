// SPDX-License-Identifier: BSD-3-Clause
//! Decides what follows from an exception taken from a Realm.
//!
//! [`decide`] touches no register and no memory. Walks and accesses happen after it. Nothing that a
//! Realm does is fatal to the RMM: by default the Realm takes an Undefined Instruction exception.

use crate::address::Ipa;
use crate::realm::rec::Registers;
use crate::realm::rec::debug::DebugRegister;
use crate::realm::rec::exit::{Exit, ExitReason};
use crate::realm::rec::syndrome::{
    EMULATABLE, FAULT_STATUS, ISV, NOT_EMULATABLE, SERROR, Syndrome, Vector, class,
};

/// The state of a Realm and its REC that a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Its registers.
    pub registers: &'a Registers,
    /// The first IPA beyond the IPA space.
    pub ipa_end: u64,
    /// The first unprotected IPA.
    pub protected_end: u64,
    /// Whether it has SVE.
    pub has_sve: bool,
    /// Whether it has a PMU whose registers still trap.
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
    /// Synchronous External abort, in place of the abort with this syndrome that was taken to EL2.
    ExternalAbort(Syndrome),
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A read of a system register to this general register returns 0.
    ReadZero(usize),
    /// A write of a system register has no effect.
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
    /// The Realm takes an exception, and the REC exits.
    InjectAndExit(Injected, Exit),
    /// A call of the RSI or of PSCI.
    Call,
    /// The REC's SIMD registers are loaded, and it executes the instruction again.
    Simd,
    /// The REC's PMU registers are loaded, and it executes the instruction again.
    Pmu,
    /// A fault on a protected IPA. If its RIPAS is EMPTY the Realm takes an External abort,
    /// otherwise the REC exits.
    CheckRipas(Ipa, Exit),
    /// The REC exits.
    Exit(Exit),
    /// The REC exits, and later continues after the instruction.
    ExitPast(Exit),
    /// The REC exits, and a virtual SError is pending for it.
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
        // HVC, SME, SVE in a Realm without it, and what no Realm should be able to cause.
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
        /// Rt, bits 9:5: not reported, since the value is always in gprs[0].
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

/// An External abort: the REC exits. The Realm takes it too, unless it can continue from it.
fn external_abort(syndrome: &Syndrome) -> Action {
    /// SET, bits 12:11: the error is restartable or corrected.
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
        // Even an uncontainable error does not stop the RMM. The Realm must not continue as if
        // nothing had happened, although a late store of the RMM to the host's page may be the
        // cause.
        Action::PendSError(exit)
    }
}
