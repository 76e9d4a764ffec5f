// SPDX-License-Identifier: BSD-3-Clause
//! The commands on a Realm as a whole that both dialects have.

use super::call::Outcome;
use super::state::Rmm;
use crate::granule::GranuleAddress;
use crate::percpu::Cpu;
use crate::realm::lifecycle;

/// RMI_REALM_ACTIVATE.
pub(super) fn activate(rmm: &Rmm<'_>, cpu: &mut Cpu, rd: GranuleAddress) -> Outcome {
    lifecycle::activate(&rmm.granules, cpu, rd)?;
    Ok([])
}
