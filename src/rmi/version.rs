// SPDX-License-Identifier: BSD-3-Clause
//! The version of the RMI, which is that of the dialect chosen at boot, and the features.

use super::call::{Failure, Outcome, Status};
use super::state::Rmm;
use crate::percpu::Cpu;

/// RMI_VERSION. The one supported version is both outputs, whatever the host asks for.
pub(super) fn version(rmm: &Rmm<'_>, _: &mut Cpu, requested: u64) -> Outcome<2> {
    let supported = rmm.dialect.version();
    if requested == supported {
        Ok([supported, supported])
    } else {
        Err(Failure { status: Status::INPUT, outputs: [supported, supported, 0] })
    }
}

/// RMI_FEATURES.
pub(super) fn features(rmm: &Rmm<'_>, _: &mut Cpu, index: u64) -> Outcome<1> {
    Ok([rmm.features.get(index)])
}
