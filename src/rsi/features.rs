// SPDX-License-Identifier: BSD-3-Clause
//! RSI_VERSION, RSI_FEATURES.

use super::call::{Answer, Failure, Outcome, Status};
use crate::abi::rsi::VERSION_1_0;
use crate::realm::running::Caller;

/// RSI_VERSION. Both outputs are the one supported version, for any requested one.
pub(super) fn version(_: &mut Caller<'_, '_, '_>, requested: u64) -> Outcome<2> {
    if requested == VERSION_1_0 {
        Ok(Answer::Return([VERSION_1_0, VERSION_1_0]))
    } else {
        Err(Failure::Status(Status::Input, [VERSION_1_0, VERSION_1_0, 0]))
    }
}

/// RSI_FEATURES. RSI 1.0 has no optional features.
pub(super) fn features(_: &mut Caller<'_, '_, '_>, _index: u64) -> Outcome<1> {
    Ok(Answer::Return([0]))
}
