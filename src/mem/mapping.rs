// SPDX-License-Identifier: BSD-3-Clause
//! Mappings: values that show a granule through a slot for as long as they live; dropping one
//! unmaps it.
//!
//! Which bytes a granule holds follows from its state: [`Content`] says it, one type for one state.
//! So a guard of state `S` is all that is needed to see its granule as the right type.
//!
//! Content that may be seen through a reference is never had as a mutable one:
//!
//! ```compile_fail,E0080
//! # use std::sync::atomic::AtomicU64;
//! # use rmm::{granule::state::Rec, mem::{Content, Mapping}};
//! struct Shared(AtomicU64);
//! unsafe impl Content for Shared {
//!     type State = Rec;
//!     const SHARED: bool = true;
//! }
//! fn change(mapping: &mut Mapping<'_, Rec>) {
//!     mapping.get_mut::<Shared>();
//! }
//! let _used: fn(&mut Mapping<'_, Rec>) = change;
//! ```
//!
//! And other content is not seen through a reference, which proves nothing about who else sees it:
//!
//! ```compile_fail,E0080
//! # use rmm::{granule::state::Rec, mem::{Content, SharedMapping}};
//! struct Exclusive(u64);
//! unsafe impl Content for Exclusive {
//!     type State = Rec;
//! }
//! fn look(mapping: &SharedMapping<'_, Rec>) {
//!     mapping.get::<Exclusive>();
//! }
//! let _used: fn(&SharedMapping<'_, Rec>) = look;
//! ```
//!
//! Content fits into a granule:
//!
//! ```compile_fail,E0080
//! # use rmm::{granule::state::Rec, mem::{Content, Mapping}};
//! struct Large([u64; 513]);
//! unsafe impl Content for Large {
//!     type State = Rec;
//! }
//! fn look(mapping: &Mapping<'_, Rec>) {
//!     mapping.get::<Large>();
//! }
//! let _used: fn(&Mapping<'_, Rec>) = look;
//! ```

use core::marker::PhantomData;
use core::sync::atomic::AtomicU64;

use crate::address::{GRANULE_SIZE, PhysAddr, VirtAddr, native};
use crate::arch::window::Window;
use crate::granule::GranuleAddress;
use crate::granule::state::{Delegated, Mappable, Untyped};
use crate::xlat::{El2And0, LocalPage, PageTemplate, TransientRange};

/// 64-bit words of a granule.
pub const GRANULE_WORDS: usize = native(GRANULE_SIZE) / size_of::<u64>();

/// What a granule in a state holds.
///
/// Every granule is all zero when it enters its state; whatever it holds later was written as this
/// type.
///
/// # Safety
///
/// All bits zero is a value of the type, and so is whatever the RMM may write to a granule in this
/// state by other means (none, for a state with one type of content). No other type is the content
/// of the same state, unless each is valid for all that is written as the other.
///
/// That it fits into a granule and needs no dropping is checked when it is first used.
pub unsafe trait Content: Sized {
    /// The state.
    type State: Mappable;
    /// Whether the granule may be seen through a [`Reference`](crate::granule::Reference) while
    /// another CPU holds its lock. Then nobody ever has it for himself: what changes in it are
    /// atomics.
    const SHARED: bool = false;

    /// Evaluated where the type is used.
    #[doc(hidden)]
    const FITS: () = assert!(
        size_of::<Self>() <= native(GRANULE_SIZE)
            && align_of::<Self>() <= native(GRANULE_SIZE)
            && !core::mem::needs_drop::<Self>(),
        "the content of a granule fits into it, and is never dropped"
    );
}

/// A page of a slot that is mapped to a granule, until this is dropped.
#[derive(Debug)]
pub(super) struct Open<'m> {
    page: &'m LocalPage<'static, El2And0>,
    granule: GranuleAddress,
}

impl<'m> Open<'m> {
    pub(super) fn new(page: &'m LocalPage<'static, El2And0>, granule: GranuleAddress) -> Self {
        // The slot is borrowed and so not mapped, and banks lie in the physical address range: this
        // cannot be refused. Were it, going on would be to access something else.
        if page.map(granule.get()).is_err() {
            not_mapped(granule);
        }
        Self { page, granule }
    }

    pub(super) fn window(&self) -> Window {
        Window::new(self.page.address(), self.granule.get())
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.page.unmap().is_err() {
            not_unmapped(self.page.address());
        }
    }
}

fn not_mapped(granule: GranuleAddress) -> ! {
    panic!("the slot for {granule:?} is in use, or cannot show it")
}

fn not_unmapped(page: VirtAddr) -> ! {
    panic!("the slot at {page} was unmapped by someone else")
}

/// The content at `window`, as type `T`.
///
/// # Safety
///
/// Nobody has it as `&mut T` for as long as `'m` lasts, and the granule is of state `T::State`.
unsafe fn content<'m, T: Content>(window: Window) -> &'m T {
    let () = T::FITS;
    // SAFETY: mapped, granule-aligned, and large enough (`FITS`); `Content` vouches for the bits;
    // the rest is the caller's.
    unsafe { &*window.pointer().cast::<T>() }
}

/// A locked granule, mapped.
#[derive(Debug)]
#[must_use = "dropping the mapping unmaps the granule"]
pub struct Mapping<'m, S: Mappable> {
    open: Open<'m>,
    state: PhantomData<S>,
}

impl<'m, S: Mappable> Mapping<'m, S> {
    /// Wraps a page that maps a granule whose lock is held, and stays so for `'m`.
    pub(super) fn new(open: Open<'m>) -> Self {
        Self { open, state: PhantomData }
    }

    /// The content.
    pub fn get<T: Content<State = S::Content>>(&self) -> &T {
        // SAFETY: others have it through references only, and then it is `SHARED`, never `&mut`.
        unsafe { content(self.open.window()) }
    }

    /// The content, to be changed; not for content that is [`SHARED`](Content::SHARED).
    pub fn get_mut<T: Content<State = S::Content>>(&mut self) -> &mut T {
        let () = T::FITS;
        const { assert!(!T::SHARED, "shared content is changed by its atomics") };
        // SAFETY: as in `content`; the lock is held and the content not shared, so that this
        // mapping, borrowed whole, is the only way to it.
        unsafe { &mut *self.open.window().pointer().cast::<T>() }
    }
}

impl Mapping<'_, Delegated> {
    /// Zeroes the granule; complete after a DSB.
    pub(super) fn zero(&mut self) {
        // SAFETY: a Delegated granule is in use by nobody, and locked.
        unsafe { self.open.window().zero() }
    }
}

impl<S: Untyped> Mapping<'_, S> {
    /// The content as words. A Realm that runs may change them at any time.
    pub fn words(&self) -> &[AtomicU64; GRANULE_WORDS] {
        // SAFETY: mapped for as long as `self` is borrowed; any bits are words; there is no other
        // type for this state (`Untyped`).
        unsafe { &*self.open.window().pointer().cast() }
    }

    /// The content as plain words. No Realm can change them: it does not have the granule yet.
    pub fn plain_words(&mut self) -> &[u64; GRANULE_WORDS] {
        self.words_mut()
    }

    /// The content as plain words, for a copy that fills them.
    pub(super) fn words_mut(&mut self) -> &mut [u64; GRANULE_WORDS] {
        // SAFETY: as for `words`; the lock is held and `self` borrowed whole.
        unsafe { &mut *self.open.window().pointer().cast() }
    }
}

/// A granule that is referred to, mapped. Other CPUs may have it mapped, too, locked or not.
#[derive(Debug)]
#[must_use = "dropping the mapping unmaps the granule"]
pub struct SharedMapping<'m, S: Mappable> {
    open: Open<'m>,
    state: PhantomData<S>,
}

impl<'m, S: Mappable> SharedMapping<'m, S> {
    /// Wraps a page that maps a granule that stays in state `S` for `'m`.
    pub(super) fn new(open: Open<'m>) -> Self {
        Self { open, state: PhantomData }
    }

    /// The content, which must be [`SHARED`](Content::SHARED).
    pub fn get<T: Content<State = S::Content> + Sync>(&self) -> &T {
        const { assert!(T::SHARED, "content seen through a reference is shared") };
        // SAFETY: shared content is never had as `&mut`.
        unsafe { content(self.open.window()) }
    }
}

/// Several locked granules, mapped by a [`SlotGroup`](super::SlotGroup).
#[derive(Debug)]
#[must_use = "dropping the mapping unmaps the granules"]
pub struct GroupMapping<'m, S: Mappable> {
    pages: &'m TransientRange<'static, El2And0>,
    granules: [PhysAddr; super::slot_layout::REC_AUX],
    count: usize,
    state: PhantomData<S>,
}

impl<'m, S: Mappable> GroupMapping<'m, S> {
    /// Maps the first `count` of the granules, whose locks are held for `'m`.
    pub(super) fn new(
        pages: &'m TransientRange<'static, El2And0>,
        granules: [PhysAddr; super::slot_layout::REC_AUX],
        count: usize,
        template: PageTemplate<El2And0>,
    ) -> Self {
        let mapped = granules.get(..count).map(|granules| pages.map_group(0, granules, template));
        // As in `Open::new`.
        if !matches!(mapped, Some(Ok(()))) {
            panic!("the slots of a group are in use, or cannot show their granules");
        }
        Self { pages, granules, count, state: PhantomData }
    }

    /// How many granules.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl<S: Untyped> GroupMapping<'_, S> {
    /// The words of granule `index`, in the order in which they were given; `None` from
    /// [`count`](Self::count) on.
    pub fn words(&self, index: usize) -> Option<&[AtomicU64; GRANULE_WORDS]> {
        let granule = *self.granules.get(..self.count)?.get(index)?;
        let window = Window::new(self.pages.page(index)?.address(), granule);
        // SAFETY: mapped for as long as `self` is borrowed; any bits are words; there is no other
        // type for this state (`Untyped`).
        Some(unsafe { &*window.pointer().cast() })
    }
}

impl<S: Mappable> Drop for GroupMapping<'_, S> {
    fn drop(&mut self) {
        if self.pages.unmap_group(0, self.count).is_err() {
            panic!("the slots of a group were unmapped by someone else");
        }
    }
}
