// SPDX-License-Identifier: BSD-3-Clause
//! What the exit record of a REC reports (RMM specification 1.0, RmiRecExit), apart from the state
//! of interrupts and timers.

use crate::abi::rmi_v1::GPRS;
use crate::mem::NsAccessError;

/// RmiRecExitReason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u64)]
pub enum ExitReason {
    /// A synchronous exception.
    #[default]
    Sync = 0,
    /// An IRQ.
    Irq = 1,
    /// A FIQ.
    Fiq = 2,
    /// A PSCI call.
    Psci = 3,
    /// A request to change RIPAS.
    RipasChange = 4,
    /// A host call.
    HostCall = 5,
    /// An SError.
    SError = 6,
}

/// An exit because of an exception: the fields of the exit record that only such exits use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Why.
    pub reason: ExitReason,
    /// esr.
    pub esr: u64,
    /// far.
    pub far: u64,
    /// hpfar.
    pub hpfar: u64,
    /// gprs\[0\].
    pub gpr0: u64,
}

impl Exit {
    /// An exit with a reason only.
    pub const fn new(reason: ExitReason) -> Self {
        Self { reason, esr: 0, far: 0, hpfar: 0, gpr0: 0 }
    }
}

/// What an exit reports beyond the state of interrupts and timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// An exception.
    Exception(Exit),
    /// A host call.
    HostCall {
        /// imm.
        immediate: u16,
        /// Whether the general registers are in the host's page.
        written: Result<(), NsAccessError>,
    },
    /// A PSCI call: gprs\[0\] and up.
    Psci([u64; 4]),
    /// A request to change RIPAS.
    RipasChange {
        /// ripas_base.
        base: u64,
        /// ripas_top.
        top: u64,
        /// ripas_value.
        ripas: u64,
    },
}

/// X0 to X30, the registers of a call and of its answer.
pub type CallRegisters = [u64; GPRS];

/// What follows from a call of the Realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The REC resumes after the SMC.
    Resume,
    /// The REC exits, and later resumes after the SMC.
    Exit(Report),
    /// The REC exits, and later executes the SMC again, with the same registers.
    Replay(Report),
}

impl Next {
    /// The REC exits for a PSCI call with one argument.
    pub const fn psci(function: u64, argument: u64) -> Self {
        Self::Exit(Report::Psci([function, argument, 0, 0]))
    }
}
