// SPDX-License-Identifier: BSD-3-Clause
//! A slot's page, and the page while it is mapped.

use core::mem::ManuallyDrop;

use crate::address::VirtAddr;
use crate::arch::barrier;
use crate::arch::window::{Aborted, Window};
use crate::granule::GranuleAddress;
use crate::xlat::{El2And0, PageTemplate, TransientPage};

/// A slot: one page for one granule.
#[derive(Debug)]
pub struct Slot {
    page: TransientPage<'static, El2And0>,
    template: PageTemplate<El2And0>,
}

impl Slot {
    /// The slot that is `page`, mapped with `template`.
    pub(super) const fn new(
        page: TransientPage<'static, El2And0>,
        template: PageTemplate<El2And0>,
    ) -> Self {
        Self { page, template }
    }

    /// Zeroes the granule. The zeroes are complete for the system before EL3 gives the granule to
    /// another world.
    ///
    /// # Errors
    ///
    /// [`Aborted`] by memory that does not answer.
    ///
    /// # Safety
    ///
    /// The caller holds the guard that allows mapping the granule, and nothing refers to its
    /// content.
    #[inline(never)]
    pub(super) unsafe fn zero(&mut self, granule: GranuleAddress) -> Result<(), Aborted> {
        self.map_here(granule);
        // SAFETY: mapped as writable Realm memory; the caller's promise.
        let result = unsafe { Window::new(self.page.address(), granule.get()).zero() };
        barrier::dsb_ish();
        self.unmap_here();
        result
    }

    /// Maps the granule. Most functions of the RMM map one, so that a copy in each is large.
    #[inline(never)]
    fn show(&self, granule: GranuleAddress) {
        self.map_here(granule);
    }

    /// Unmaps the granule.
    #[inline(never)]
    fn hide(&self) {
        self.unmap_here();
    }

    #[inline(always)]
    fn map_here(&self, granule: GranuleAddress) {
        // Cannot fail: the slot is borrowed, so it is not mapped, and granules lie in the physical
        // address range. After a failure an access would reach another granule.
        if self.page.map(granule.get(), self.template).is_err() {
            panic!("a slot is in use, or cannot show its granule");
        }
    }

    #[inline(always)]
    fn unmap_here(&self) {
        if self.page.unmap().is_err() {
            panic!("a slot was unmapped already");
        }
    }
}

/// A page that is mapped to a granule until this is dropped.
#[derive(Debug)]
pub(super) struct MappedPage<'m> {
    slot: &'m Slot,
    window: Window,
}

impl<'m> MappedPage<'m> {
    /// Maps the granule. The caller holds the guard or reference that allows it.
    pub(super) fn new(slot: &'m mut Slot, granule: GranuleAddress) -> Self {
        slot.show(granule);
        Self::of(slot, granule)
    }

    /// As `new`, inlined.
    #[inline(always)]
    pub(super) fn new_here(slot: &'m mut Slot, granule: GranuleAddress) -> Self {
        slot.map_here(granule);
        Self::of(slot, granule)
    }

    /// The page of a slot that maps the granule.
    fn of(slot: &'m Slot, granule: GranuleAddress) -> Self {
        Self { slot, window: Window::new(slot.page.address(), granule.get()) }
    }

    /// Unmaps the granule. Dropping does the same, but is not inlined.
    #[inline(always)]
    pub(super) fn end(self) {
        ManuallyDrop::new(self).slot.unmap_here();
    }

    /// Maps another granule in its place, with one ISB less than unmapping and mapping. The caller
    /// holds the guard or reference that allows it.
    #[inline(always)]
    pub(super) fn replace(&mut self, granule: GranuleAddress) {
        // As in `new`.
        if self.slot.page.remap(granule.get(), self.slot.template).is_err() {
            panic!("a slot is not mapped, or cannot show its granule");
        }
        self.window = Window::new(self.address(), granule.get());
    }

    /// Maps two granules with the barriers of one.
    pub(super) fn new_pair(
        [(slot, granule), (other_slot, other)]: [(&'m mut Slot, GranuleAddress); 2],
    ) -> [Self; 2] {
        let (to, other_to) = ((granule.get(), slot.template), (other.get(), other_slot.template));
        // As in `new`.
        if slot.page.map_with(to, &other_slot.page, other_to).is_err() {
            panic!("a slot of a pair is in use, or cannot show its granule");
        }
        [Self::of(slot, granule), Self::of(other_slot, other)]
    }

    /// Unmaps this page and another, with the barriers of one. Neither may be dropped afterwards:
    /// that would unmap it twice.
    pub(super) fn unmap_with(&self, other: &Self) {
        if self.slot.page.unmap_with(&other.slot.page).is_err() {
            panic!("a slot of a pair was unmapped already");
        }
    }

    pub(super) fn address(&self) -> VirtAddr {
        self.slot.page.address()
    }

    pub(super) const fn window(&self) -> Window {
        self.window
    }
}

impl Drop for MappedPage<'_> {
    fn drop(&mut self) {
        self.slot.hide();
    }
}
