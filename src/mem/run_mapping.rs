// SPDX-License-Identifier: BSD-3-Clause
//! A REC that this CPU runs, and the host's run page, mapped and unmapped together.

use core::mem::ManuallyDrop;

use super::auxiliary::AuxiliaryOf;
use super::mapping::{RunningContent, RunningRec};
use super::ns_access::{NsMapping, NsSlot};
use super::page::{MappedPage, Slot};
use crate::granule::NsGranule;

/// The REC that this CPU runs, and the host's page, while both are mapped.
#[derive(Debug)]
pub struct RunMapping<'m, T: RunningContent> {
    /// Identity of the REC.
    pub identity: &'m T::Identity,
    /// Its state.
    pub state: &'m mut T::Running,
    /// The right to its auxiliary granules.
    pub auxiliary: AuxiliaryOf<'m>,
    /// The host's page.
    pub page: &'m NsMapping<'m>,
}

/// Maps the REC that this CPU runs and the host's `page`, runs `then` with them, and unmaps both.
pub fn with_run_mapping<T: RunningContent, R>(
    rec: &mut Slot,
    running: &mut RunningRec<'_>,
    ns: &mut NsSlot,
    page: NsGranule,
    then: impl FnOnce(RunMapping<'_, T>) -> R,
) -> R {
    let () = T::FITS;
    let pair = [(rec, running.address()), (ns.slot(), page.address())];
    let [rec, page] = MappedPage::new_pair(pair);
    // Neither is dropped: they are unmapped together.
    let (rec, page) = (ManuallyDrop::new(rec), ManuallyDrop::new(NsMapping::new(page)));
    let start = rec.window().pointer().cast::<u8>();
    // SAFETY: mapped, aligned and large enough (`FITS`), with the two parts at the offsets of
    // `RunningContent`. Nothing writes the identity. Only this CPU accesses the state: `RunningRec`
    // is unique, and while it exists the holder of the REC's lock reads the identity only.
    let (identity, state): (&T::Identity, _) =
        unsafe { (&*start.cast(), &mut *start.add(T::RUNNING_OFFSET).cast()) };
    let auxiliary = AuxiliaryOf::new(T::auxiliary(identity));
    let result = then(RunMapping { identity, state, auxiliary, page: &page });
    rec.unmap_with(page.page());
    result
}
