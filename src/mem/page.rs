// SPDX-License-Identifier: BSD-3-Clause
//! A slot's page, and the page while it is mapped.

use crate::arch::window::Window;
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
}

/// A page that is mapped to a granule until this is dropped.
#[derive(Debug)]
pub(super) struct MappedPage<'m> {
    page: &'m TransientPage<'static, El2And0>,
    granule: GranuleAddress,
}

impl<'m> MappedPage<'m> {
    /// Maps the granule. The caller proves that it may.
    #[inline]
    pub(super) fn new(slot: &'m mut Slot, granule: GranuleAddress) -> Self {
        // The slot is borrowed, hence not mapped, and banks lie in the physical address range: this
        // cannot fail. If it did, going on would access something else.
        if slot.page.map(granule.get(), slot.template).is_err() {
            panic!("a slot is in use, or cannot show its granule");
        }
        Self { page: &slot.page, granule }
    }

    pub(super) fn window(&self) -> Window {
        Window::new(self.page.address(), self.granule.get())
    }
}

impl Drop for MappedPage<'_> {
    fn drop(&mut self) {
        if self.page.unmap().is_err() {
            panic!("a slot was unmapped already");
        }
    }
}
