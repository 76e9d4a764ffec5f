// SPDX-License-Identifier: BSD-3-Clause
//! What a REC tells the host when it leaves (RMM specification 1.0, RmiRecExit), apart from the
//! state of its interrupts and timers.

use crate::abi::rmi_v1::GPRS;

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
    /// A call of PSCI.
    Psci = 3,
    /// A change of RIPAS.
    RipasChange = 4,
    /// A call of the host.
    HostCall = 5,
    /// An SError.
    SError = 6,
}

/// An exit to the host for an exception. The exit record holds no other field but those that every
/// exit has.
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
    /// An exit that says no more than why.
    pub const fn new(reason: ExitReason) -> Self {
        Self { reason, esr: 0, far: 0, hpfar: 0, gpr0: 0 }
    }
}

/// What an exit says beside the state of interrupts and timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// An exception.
    Exception(Exit),
    /// A call of the host.
    HostCall {
        /// imm. The general registers are beside the report.
        immediate: u16,
    },
    /// A call of PSCI: gprs\[0\] and up.
    Psci([u64; 4]),
    /// A change of RIPAS.
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
    /// The REC goes on behind the SMC.
    Resume,
    /// The REC leaves, and later goes on behind the SMC.
    Exit(Report),
    /// The REC leaves, and later executes the SMC again. Its registers are as they were.
    Replay(Report),
}

impl Next {
    /// The host is told of a PSCI call with one argument that matters.
    pub const fn psci(function: u64, argument: u64) -> Self {
        Self::Exit(Report::Psci([function, argument, 0, 0]))
    }
}
