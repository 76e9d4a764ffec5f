// SPDX-License-Identifier: BSD-3-Clause
//! Calls of the RSI: decodes the registers of a REC to a command, and encodes its result.

pub(super) use crate::abi::rsi::function;
use crate::abi::rsi::status;
use crate::realm::rec::exit::{CallRegisters, Next, Report};
use crate::realm::running::Caller;
use crate::realm::stage2::RangeError;

/// Serves one command.
pub type Serve = fn(&mut Caller<'_, '_, '_>, &mut CallRegisters) -> Next;

/// The prefix of command names.
pub(super) const INTERFACE: &str = "RSI";

/// The error of a call with an argument that cannot be decoded.
pub(super) const INVALID_ARGUMENT: Status = Status::Input;

/// RsiCommandReturnCode of a command that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// An argument is wrong.
    Input,
    /// The Realm or the REC is in the wrong state.
    State,
    /// The operation is not complete: the Realm calls again.
    Incomplete,
    /// The RMM cannot do it, for a reason without a code of its own.
    Unknown,
}

impl Status {
    /// X0.
    pub(super) const fn word(self) -> u64 {
        match self {
            Self::Input => status::ERROR_INPUT,
            Self::State => status::ERROR_STATE,
            Self::Incomplete => status::INCOMPLETE,
            Self::Unknown => status::ERROR_UNKNOWN,
        }
    }
}

impl From<RangeError> for Status {
    fn from(_: RangeError) -> Self {
        Self::Input
    }
}

/// Why a command did not succeed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    /// The REC resumes with this status in X0, and these X1 to X3.
    Status(Status, [u64; 3]),
    /// Memory that the command needs is not mapped: the REC exits with this report, and executes
    /// the SMC again.
    Memory(Report),
}

impl<E: Into<Status>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Status(error.into(), [0; 3])
    }
}

/// How a command that succeeds continues.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer<const OUTPUTS: usize> {
    /// The REC resumes with these outputs in X1 and up.
    Return([u64; OUTPUTS]),
    /// The REC exits. The next entry writes the answer.
    Exit(Report),
}

/// The result of a command.
pub(super) type Outcome<const OUTPUTS: usize = 0> = Result<Answer<OUTPUTS>, Failure>;

/// Runs a command and writes its answer to the registers, unless the REC exits.
///
/// An answer writes X0 to X3. X4 and up are unchanged unless they are outputs.
pub(super) fn answer<const OUTPUTS: usize>(
    registers: &mut CallRegisters,
    command: impl FnOnce() -> Outcome<OUTPUTS>,
) -> Next {
    const { assert!(OUTPUTS < size_of::<CallRegisters>() / 8) };
    let [r0, r1, r2, r3, ..] = registers;
    match command() {
        Ok(Answer::Return(outputs)) => {
            (*r0, *r1, *r2, *r3) = (status::SUCCESS, 0, 0, 0);
            for (register, output) in registers.iter_mut().skip(1).zip(outputs) {
                *register = output;
            }
            Next::Resume
        }
        Ok(Answer::Exit(report)) => Next::Exit(report),
        Err(Failure::Status(status, [x1, x2, x3])) => {
            (*r0, *r1, *r2, *r3) = (status.word(), x1, x2, x3);
            Next::Resume
        }
        Err(Failure::Memory(report)) => Next::Replay(report),
    }
}
