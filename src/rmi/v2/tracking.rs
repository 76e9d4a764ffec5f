// SPDX-License-Identifier: BSD-3-Clause
//! Which memory can be delegated.

use crate::abi::rmi_v2::{CATEGORY_CONVENTIONAL, TRACKING_FINE, TRACKING_NONE};
use crate::address::PhysAddr;
use crate::granule::GranuleAddress;
use crate::percpu::Cpu;
use crate::rmi::call::{Outcome, Status};
use crate::rmi::state::Rmm;

/// RMI_GRANULE_TRACKING_GET. `state` is the tracking state of the memory at `base`; `out_top` is
/// where another state begins, or `top` if that comes first.
pub(super) fn get(rmm: &Rmm<'_>, _: &mut Cpu, base: PhysAddr, top: PhysAddr) -> Outcome<3> {
    let aligned = GranuleAddress::new(base).is_some() && GranuleAddress::new(top).is_some();
    if !aligned || base >= top || !rmm.features.has_physical_range_to(top) {
        return Err(Status::INPUT.into());
    }
    let region = rmm.granules.tracking_region(base);
    let end = region.end.map_or(top, |end| end.min(top));
    let state = if region.is_tracked { TRACKING_FINE } else { TRACKING_NONE };
    Ok([CATEGORY_CONVENTIONAL, state, end.get()])
}
