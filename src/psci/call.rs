// SPDX-License-Identifier: BSD-3-Clause
//! Calls of PSCI: decodes the registers of a REC to a function, and encodes its result.

pub(super) use crate::abi::psci::function;
use crate::command;
use crate::realm::rec::exit::{CallRegisters, Next};
use crate::realm::running::Caller;

/// Serves one function.
pub type Serve = fn(&mut Caller<'_, '_, '_>, &mut CallRegisters) -> Next;

/// The prefix of function names.
pub(super) const INTERFACE: &str = "PSCI";

/// The PSCI return code of a function that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure(pub(super) u64);

/// The error of a call with an argument that cannot be decoded. Every register value can be.
pub(super) const INVALID_ARGUMENT: Failure = Failure(crate::abi::psci::INVALID_PARAMETERS);

/// How a call that has not failed continues.
pub(super) enum Answer<const OUTPUTS: usize> {
    /// The REC resumes with the output in X0, or SUCCESS if there is none.
    Return([u64; OUTPUTS]),
    /// The REC exits, and resumes with SUCCESS when it is entered again.
    ReturnLater,
    /// The REC exits, and resumes after RMI_PSCI_COMPLETE. The exit record holds this argument.
    Pend(u64),
}

/// The result of a function.
pub(super) type Outcome<const OUTPUTS: usize = 0> = Result<Answer<OUTPUTS>, Failure>;

/// Runs a function and writes its answer to the registers, unless the call pends.
pub(super) fn answer<const OUTPUTS: usize>(
    registers: &mut CallRegisters,
    handler: impl FnOnce() -> Outcome<OUTPUTS>,
) -> Next {
    const { assert!(OUTPUTS <= 1, "x0") };
    let [r0, r1, r2, r3, ..] = registers;
    let function = command::function(*r0).into();
    let (result, next) = match handler() {
        Ok(Answer::Return(outputs)) => (outputs.first().copied().unwrap_or(0), Next::Resume),
        Ok(Answer::ReturnLater) => (0, Next::psci(function, 0)),
        Ok(Answer::Pend(argument)) => return Next::psci(function, argument),
        Err(Failure(code)) => (code, Next::Resume),
    };
    (*r0, *r1, *r2, *r3) = (result, 0, 0, 0);
    next
}

/// Calls of functions that the SMC Calling Convention defines.
pub(super) mod smccc {
    pub(in super::super) use super::{Serve, answer};
    pub(in super::super) use crate::abi::smccc::function;

    /// The prefix of function names.
    pub(in super::super) const INTERFACE: &str = "SMCCC";
}
