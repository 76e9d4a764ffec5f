// SPDX-License-Identifier: BSD-3-Clause
//! RMI 2.0: which memory can be delegated.

use super::call::{Answered, Call, Status};
use super::state::Rmm;
use crate::address::PhysAddr;
use crate::granule::GranuleAddress;

/// RmiMemCategory: conventional memory. Devices are not tracked.
const CONVENTIONAL: u64 = 0;

/// RmiTrackingState of memory whose granules cannot be delegated.
const NONE: u64 = 1;
/// RmiTrackingState of memory whose granules are delegated one by one.
const FINE: u64 = 2;

/// RMI_GRANULE_TRACKING_GET(x1 = base, x2 = top): x1 = category, x2 = tracking state of the memory
/// at the base, x3 = where memory of another kind begins, or the top if that comes first.
pub(super) fn get(rmm: &Rmm<'_>, call: Call<'_>) -> Answered {
    let (base, top) = (PhysAddr::new(call.x1()), PhysAddr::new(call.x2()));
    let aligned = GranuleAddress::new(base).is_some() && GranuleAddress::new(top).is_some();
    if !aligned || base >= top || !rmm.features.has_physical_range_to(top) {
        return call.answer(Status::ErrorInput);
    }
    let run = rmm.granules.run_from(base);
    let end = run.end.map_or(top, |end| end.min(top));
    call.answer_with(
        Status::Success,
        [CONVENTIONAL, if run.tracked { FINE } else { NONE }, end.get()],
    )
}
