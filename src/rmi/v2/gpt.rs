// SPDX-License-Identifier: BSD-3-Clause
//! Granule Protection Tables: the platform makes them, and the host makes none.
//!
//! EL3 can change single granules only where there are tables of level 1: it has made one for each
//! GiB with a bank in it. The RMM knows of no others.

use crate::abi::rmi_v2::{GPT_NOT_CREATED, GPT_PLATFORM};
use crate::address::{GRANULE_SIZE, PhysAddr};
use crate::percpu::Cpu;
use crate::rmi::call::{Outcome, Status};
use crate::rmi::state::Rmm;

/// What a level 1 table covers.
const L1_SIZE: u64 = 1 << 30;

/// RMI_GPT_L1_CREATE, of the table for the GiB at `base`. It always fails.
pub(super) fn l1_create(rmm: &Rmm<'_>, _: &mut Cpu, base: PhysAddr) -> Outcome {
    let end = base.checked_add(L1_SIZE).filter(|_| base.is_aligned(L1_SIZE));
    let is_right = end.is_some_and(|end| rmm.features.has_physical_range_to(end));
    Err(if is_right { Status::GPT } else { Status::INPUT }.into())
}

/// The end of the GiB that ends at `end` or after it.
fn above(end: PhysAddr) -> Option<PhysAddr> {
    end.checked_add(L1_SIZE - 1).map(|end| end.align_down(L1_SIZE))
}

/// RMI_GPT_INFO. `state` holds for the memory from `base` to `out_top`.
pub(super) fn info(rmm: &Rmm<'_>, _: &mut Cpu, base: PhysAddr, top: PhysAddr) -> Outcome<2> {
    let aligned = base.is_aligned(GRANULE_SIZE) && top.is_aligned(GRANULE_SIZE);
    if !aligned || base >= top || !rmm.features.has_physical_range_to(top) {
        return Err(Status::INPUT.into());
    }
    // Looked up from the beginning of the GiB, which has one table.
    let first = base.align_down(L1_SIZE);
    let region = rmm.granules.tracking_region(first);
    let gib = first.checked_add(L1_SIZE);
    let (end, state) = match (region.is_tracked, region.end) {
        (true, Some(end)) => (above(end), GPT_PLATFORM),
        (true, None) => (None, GPT_PLATFORM),
        (false, Some(bank)) if gib.is_none_or(|gib| bank < gib) => (gib, GPT_PLATFORM),
        (false, Some(bank)) => (Some(bank.align_down(L1_SIZE)), GPT_NOT_CREATED),
        (false, None) => (None, GPT_NOT_CREATED),
    };
    Ok([end.map_or(top, |end| end.min(top)).get(), state])
}
