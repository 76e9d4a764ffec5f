// SPDX-License-Identifier: BSD-3-Clause
//! Granule Protection Tables: the platform has made them all.

use crate::abi::rmi_v2::GPT_PLATFORM;
use crate::address::{GRANULE_SIZE, PhysAddr};
use crate::percpu::Cpu;
use crate::rmi::call::{Outcome, Status};
use crate::rmi::state::Rmm;

/// What a level 1 table covers.
const L1_SIZE: u64 = 1 << 30;

/// RMI_GPT_L1_CREATE, of the table for the memory from `base` on: it is there already.
pub(super) fn l1_create(_: &Rmm<'_>, _: &mut Cpu, base: PhysAddr) -> Outcome {
    Err(if base.is_aligned(L1_SIZE) { Status::Gpt } else { Status::Input }.into())
}

/// RMI_GPT_INFO. `state` is that of the tables from `base` to `out_top`.
pub(super) fn info(rmm: &Rmm<'_>, _: &mut Cpu, base: PhysAddr, top: PhysAddr) -> Outcome<2> {
    let aligned = base.is_aligned(GRANULE_SIZE) && top.is_aligned(GRANULE_SIZE);
    if !aligned || base >= top || !rmm.features.has_physical_range_to(top) {
        return Err(Status::Input.into());
    }
    Ok([top.get(), GPT_PLATFORM])
}
