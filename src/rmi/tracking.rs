// SPDX-License-Identifier: BSD-3-Clause
//! RMI 2.0: which memory can be delegated.

use super::call::{Answered, Call, Status};
use super::state::Rmm;
use crate::abi::rmi_v2::{CATEGORY_CONVENTIONAL, TRACKING_FINE, TRACKING_NONE};
use crate::address::PhysAddr;
use crate::granule::GranuleAddress;

/// RMI_GRANULE_TRACKING_GET(x1 = base, x2 = top): x1 = category, x2 = tracking state of the memory
/// at the base, x3 = where memory of another kind begins, or the top if that comes first.
pub(super) fn get(rmm: &Rmm<'_>, call: Call<'_>) -> Answered {
    let (base, top) = (PhysAddr::new(call.x1()), PhysAddr::new(call.x2()));
    let aligned = GranuleAddress::new(base).is_some() && GranuleAddress::new(top).is_some();
    if !aligned || base >= top || !rmm.features.has_physical_range_to(top) {
        return call.answer(Status::ErrorInput);
    }
    let region = rmm.granules.tracking_region(base);
    let end = region.end.map_or(top, |end| end.min(top));
    call.answer_with(
        Status::Success,
        [
            CATEGORY_CONVENTIONAL,
            if region.is_tracked { TRACKING_FINE } else { TRACKING_NONE },
            end.get(),
        ],
    )
}
