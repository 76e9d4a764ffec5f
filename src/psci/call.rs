// SPDX-License-Identifier: BSD-3-Clause
//! From the registers of a REC to a function of PSCI and back.

pub(super) use crate::abi::psci::function;
use crate::command;
use crate::realm::rec::exit::{CallRegisters, Next};
use crate::realm::running::Caller;

/// Serves one function.
pub type Serve = fn(&mut Caller<'_, '_, '_>, &mut CallRegisters) -> Next;

/// The prefix of names.
pub(super) const INTERFACE: &str = "PSCI";

/// A return code of PSCI that says why a function failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure(pub(super) u64);

/// Any word is an argument.
pub(super) const INVALID_ARGUMENT: Failure = Failure(crate::abi::psci::INVALID_PARAMETERS);

/// How a function goes on.
pub(super) enum Answer<const OUTPUTS: usize> {
    /// The REC goes on. Its output, or SUCCESS without one, is in X0.
    Return([u64; OUTPUTS]),
    /// The REC leaves, and goes on with SUCCESS when it is entered again.
    ReturnLater,
    /// The REC leaves. RMI_PSCI_COMPLETE says how it goes on. The host gets this argument.
    Pend(u64),
}

/// What a function gives.
pub(super) type Outcome<const OUTPUTS: usize = 0> = Result<Answer<OUTPUTS>, Failure>;

/// Runs a function and writes its answer, if it has one now.
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

/// The same for the SMC Calling Convention.
pub(super) mod smccc {
    pub(in super::super) use super::{Serve, answer};
    pub(in super::super) use crate::abi::smccc::function;

    /// The prefix of names.
    pub(in super::super) const INTERFACE: &str = "SMCCC";
}
