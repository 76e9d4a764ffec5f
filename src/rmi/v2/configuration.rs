// SPDX-License-Identifier: BSD-3-Clause
//! RMI 2.0: the configuration of the RMM, and its activation.
//!
//! The global state is INIT until RMI_RMM_ACTIVATE, then ACTIVE. The configuration can be set in
//! INIT only; the commands on granules and Realms need ACTIVE.

use crate::abi::rmi_v2::RmmConfiguration;
use crate::address::{GRANULE_SIZE, PhysAddr};
use crate::mem::words_of;
use crate::percpu::Cpu;
use crate::rmi::call::{Outcome, Status};
use crate::rmi::state::Rmm;

/// The one configuration of this RMM: granules of 4 KiB, tracked by regions of 1 GiB.
const CONFIGURATION: RmmConfiguration =
    RmmConfiguration { tracking_region_size: 0, rmi_granule_size: 0 };

/// Words of RmiRmmConfig written at a time.
const CHUNK: usize = 64;

/// RMI_RMM_CONFIG_SET. `config` is a Non-secure page with an RmiRmmConfig.
pub(super) fn set(rmm: &Rmm<'_>, cpu: &mut Cpu, config: PhysAddr) -> Outcome {
    if rmm.is_active() {
        return Err(Status::GLOBAL.into());
    }
    let page = rmm.granules.ns_granule(config).ok_or(Status::INPUT)?;
    let wanted: RmmConfiguration = cpu.slots.ns.read_value(page, 0)?;
    if wanted == CONFIGURATION { Ok([]) } else { Err(Status::INPUT.into()) }
}

/// RMI_RMM_CONFIG_GET. `config` is a Non-secure page, which is filled with an RmiRmmConfig.
pub(super) fn get(rmm: &Rmm<'_>, cpu: &mut Cpu, config: PhysAddr) -> Outcome {
    let page = rmm.granules.ns_granule(config).ok_or(Status::INPUT)?;
    let mut configuration = CONFIGURATION;
    let configured = words_of(&mut configuration);
    let mut words = [0; CHUNK];
    words[..configured.len()].copy_from_slice(configured);
    let page = cpu.slots.ns.map(page);
    for offset in (0..GRANULE_SIZE).step_by(size_of_val(&words)) {
        page.write(offset, &words)?;
        // The rest of the page is reserved.
        words = [0; CHUNK];
    }
    Ok([])
}

/// RMI_RMM_ACTIVATE.
pub(super) fn activate(rmm: &Rmm<'_>, _: &mut Cpu) -> Outcome {
    if rmm.activate() { Ok([]) } else { Err(Status::GLOBAL.into()) }
}

/// RMI_RMM_DEACTIVATE: back to INIT, unless there are Realms.
pub(super) fn deactivate(rmm: &Rmm<'_>, _: &mut Cpu) -> Outcome {
    if rmm.deactivate() { Ok([]) } else { Err(Status::GLOBAL.into()) }
}
