// SPDX-License-Identifier: BSD-3-Clause
//! A REC that this CPU runs, and the host's run page, mapped and unmapped together.

use core::mem::ManuallyDrop;

use super::auxiliary::AuxiliaryOf;
use super::mapping::{RunningContent, RunningRec};
use super::ns_access::{NsMapping, NsSlot};
use super::page::{MappedPage, Slot};
use crate::granule::NsGranule;

/// The two pages.
#[derive(Debug)]
#[must_use = "dropping the mapping unmaps the granules"]
pub struct RunMapping<'m> {
    rec: ManuallyDrop<MappedPage<'m>>,
    page: ManuallyDrop<NsMapping<'m>>,
}

impl<'m> RunMapping<'m> {
    /// Maps the REC that this CPU runs, and `page`.
    pub fn new(
        rec: &'m mut Slot,
        running: &'m mut RunningRec<'_>,
        ns: &'m mut NsSlot,
        page: NsGranule,
    ) -> Self {
        let pair = [(rec, running.address()), (ns.slot(), page.address())];
        let [rec, page] = MappedPage::new_pair(pair);
        Self { rec: ManuallyDrop::new(rec), page: ManuallyDrop::new(NsMapping::new(page)) }
    }

    /// Identity and state of the REC, the right to its auxiliary granules, and the host's page.
    pub fn parts<T: RunningContent>(
        &mut self,
    ) -> (&T::Identity, &mut T::Running, AuxiliaryOf<'_>, &NsMapping<'m>) {
        let () = T::FITS;
        let start = self.rec.window().pointer().cast::<u8>();
        // SAFETY: mapped, aligned and large enough (`FITS`), with the two parts at the offsets of
        // `RunningContent`. Nothing writes the identity. Only this CPU accesses the state:
        // `RunningRec` is unique, and while it exists the holder of the REC's lock reads the
        // identity only.
        let (identity, state): (&T::Identity, _) =
            unsafe { (&*start.cast(), &mut *start.add(T::RUNNING_OFFSET).cast()) };
        (identity, state, AuxiliaryOf::new(T::auxiliary(identity)), &self.page)
    }
}

impl Drop for RunMapping<'_> {
    fn drop(&mut self) {
        self.rec.unmap_with(self.page.page());
    }
}
