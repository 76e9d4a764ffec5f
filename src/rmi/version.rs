// SPDX-License-Identifier: BSD-3-Clause
//! RMI_VERSION: one version, that of the dialect chosen at boot.

use super::call::{Answered, Call, Status};
use super::state::Rmm;

/// RMI_VERSION(x1 = requested version): x1 = lower, x2 = higher supported version.
///
/// Only one is supported, so that it is both, whether the request named it (success) or not
/// (RMI_ERROR_INPUT).
pub(super) fn version(rmm: &Rmm<'_>, call: Call<'_>) -> Answered {
    let supported = rmm.dialect.version();
    let status = if call.x1() == supported { Status::Success } else { Status::ErrorInput };
    call.answer_with(status, [supported, supported, 0])
}
