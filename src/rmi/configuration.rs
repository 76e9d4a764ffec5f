// SPDX-License-Identifier: BSD-3-Clause
//! RMI 2.0: the configuration of the RMM, and its activation.
//!
//! The global state is INIT until RMI_RMM_ACTIVATE, then ACTIVE. Configuration is set in INIT only;
//! granules are delegated in both.

use super::call::{Answered, Call, Status};
use super::state::Rmm;
use crate::abi::rmi_v2::RmmConfiguration;
use crate::address::{GRANULE_SIZE, PhysAddr};
use crate::mem::words_of;
use crate::percpu::Cpu;

/// The one configuration of this RMM: granules of 4 KiB, tracked by regions of 1 GiB.
const CONFIGURATION: RmmConfiguration =
    RmmConfiguration { tracking_region_size: 0, rmi_granule_size: 0 };

/// Words of RmiRmmConfig written at a time.
const CHUNK: usize = 64;

/// RMI_RMM_CONFIG_SET(x1 = Non-secure page with an RmiRmmConfig).
pub(super) fn set(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    if rmm.is_active() {
        return call.answer(Status::ErrorGlobal);
    }
    let wanted = rmm
        .granules
        .ns_granule(PhysAddr::new(call.x1()))
        .map(|granule| cpu.slots.ns.read_value::<RmmConfiguration>(granule, 0));
    match wanted {
        Some(Ok(wanted)) if wanted == CONFIGURATION => call.answer(Status::Success),
        _ => call.answer(Status::ErrorInput),
    }
}

/// RMI_RMM_CONFIG_GET(x1 = Non-secure page): fills it with an RmiRmmConfig.
pub(super) fn get(rmm: &Rmm<'_>, cpu: &mut Cpu, call: Call<'_>) -> Answered {
    let Some(granule) = rmm.granules.ns_granule(PhysAddr::new(call.x1())) else {
        return call.answer(Status::ErrorInput);
    };
    let mut words = [0; CHUNK];
    let mut configuration = CONFIGURATION;
    let configured = words_of(&mut configuration);
    words[..configured.len()].copy_from_slice(configured);
    let page = cpu.slots.ns.map(granule);
    for offset in (0..GRANULE_SIZE).step_by(size_of_val(&words)) {
        if page.write(offset, &words).is_err() {
            return call.answer(Status::ErrorInput);
        }
        // All that follows is reserved.
        words = [0; CHUNK];
    }
    call.answer(Status::Success)
}

/// RMI_RMM_ACTIVATE.
pub(super) fn activate(rmm: &Rmm<'_>, call: Call<'_>) -> Answered {
    call.answer(if rmm.activate() { Status::Success } else { Status::ErrorGlobal })
}
