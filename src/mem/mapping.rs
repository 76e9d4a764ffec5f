// SPDX-License-Identifier: BSD-3-Clause
//! Mappings: values that show a granule through a slot. Dropping one unmaps the granule.
//!
//! The state of a granule determines the type of its content ([`Content`]), so a guard of state `S`
//! suffices to see the granule as the right type.
//!
//! Content that may be seen through a reference cannot be borrowed mutably:
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
//! Other content cannot be seen through a reference, which does not prove that it is exclusive:
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
//! Content must fit into a granule:
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

use super::auxiliary::AUXILIARY;
use super::page::{MappedPage, Slot};
use crate::address::{GRANULE_SIZE, native};
use crate::arch::atomic::AtomicU64;
use crate::arch::window::{Aborted, Window};
use crate::granule::state::{Delegated, GranuleState, Mappable, Rec, Untyped};
use crate::granule::{CountError, GranuleAddress, LockedGranule, Reference};

/// 64-bit words of a granule.
pub const GRANULE_WORDS: usize = native(GRANULE_SIZE) / size_of::<u64>();

/// The content of a granule in some state.
///
/// A granule is all zero when it enters its state. All that is written later is written as this
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
    /// another CPU holds its lock. Then it is never borrowed mutably: only its atomics change.
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

/// The content at `window`, as type `T`.
///
/// # Safety
///
/// Nothing borrows it as `&mut T` during `'m`, and the granule is in state `T::State`.
unsafe fn content<'m, T: Content>(window: Window) -> &'m T {
    let () = T::FITS;
    // SAFETY: mapped, granule-aligned, and large enough (`FITS`); `Content` vouches for the bits;
    // the caller for the rest.
    unsafe { &*window.pointer().cast::<T>() }
}

/// A locked granule, mapped.
#[derive(Debug)]
#[must_use = "dropping the mapping unmaps the granule"]
pub struct Mapping<'m, S: Mappable> {
    page: MappedPage<'m>,
    state: PhantomData<S>,
}

impl<'m, S: Mappable> Mapping<'m, S> {
    /// Wraps a page that maps a granule whose lock is held for `'m`.
    pub(super) fn new(page: MappedPage<'m>) -> Self {
        Self { page, state: PhantomData }
    }

    /// The content.
    pub fn get<T: Content<State = S::ContentState>>(&self) -> &T {
        // SAFETY: only `SHARED` content is visible elsewhere, through references, and that is never
        // borrowed as `&mut`.
        unsafe { content(self.page.window()) }
    }

    /// The content, to be changed. Not for [`SHARED`](Content::SHARED) content.
    pub fn get_mut<T: Content<State = S::ContentState>>(&mut self) -> &mut T {
        let () = T::FITS;
        const { assert!(!T::SHARED, "shared content is changed by its atomics") };
        // SAFETY: as in `content`; the lock is held and the content not shared, so that this
        // mapping, borrowed whole, is the only way to it.
        unsafe { &mut *self.page.window().pointer().cast::<T>() }
    }
}

/// A locked granule, mapped together with the lock: unmapped before it is unlocked.
#[derive(Debug)]
#[must_use = "dropping the mapping unmaps and unlocks the granule"]
pub struct LockedMapping<'m, 'g, S: Mappable> {
    page: MappedPage<'m>,
    granule: LockedGranule<'g, S>,
}

impl<'m, 'g, S: Mappable> LockedMapping<'m, 'g, S> {
    /// Maps `granule` through `slot`.
    #[inline]
    pub fn new(slot: &'m mut Slot, granule: LockedGranule<'g, S>) -> Self {
        Self { page: MappedPage::new(slot, granule.address()), granule }
    }

    /// Maps another granule in its place, then unlocks the one that was mapped.
    #[inline(always)]
    pub fn replace(&mut self, granule: LockedGranule<'g, S>) {
        self.page.replace(granule.address());
        self.granule = granule;
    }

    /// Unmaps and unlocks the granule, as dropping does, at the call.
    #[inline(always)]
    pub fn end(self) {
        let Self { page, granule } = self;
        drop(page);
        drop(granule);
    }

    /// The granule.
    pub fn granule(&self) -> &LockedGranule<'g, S> {
        &self.granule
    }

    /// The content.
    pub fn get<T: Content<State = S::ContentState>>(&self) -> &T {
        // SAFETY: as for `Mapping::get`; the granule is locked for as long as `self` lives.
        unsafe { content(self.page.window()) }
    }
}

impl Mapping<'_, Delegated> {
    /// Zeroes the granule; complete after a DSB.
    ///
    /// # Errors
    ///
    /// [`Aborted`] by memory that does not answer.
    pub(super) fn zero(&mut self) -> Result<(), Aborted> {
        // SAFETY: a Delegated granule is not in use, and it is locked.
        unsafe { self.page.window().zero() }
    }
}

impl<S: Untyped> Mapping<'_, S> {
    /// The content as words. A Realm that runs may change them at any time.
    pub fn words(&self) -> &[AtomicU64; GRANULE_WORDS] {
        // SAFETY: mapped for as long as `self` is borrowed; any bits are words; there is no other
        // type for this state (`Untyped`).
        unsafe { &*self.page.window().pointer().cast() }
    }

    /// The content as plain words. No Realm can change them: it does not have the granule yet.
    pub fn plain_words(&mut self) -> &[u64; GRANULE_WORDS] {
        self.words_mut()
    }

    /// The content as plain words, for a copy that fills them.
    pub(super) fn words_mut(&mut self) -> &mut [u64; GRANULE_WORDS] {
        // SAFETY: as for `words`; the lock is held and `self` borrowed whole.
        unsafe { &mut *self.page.window().pointer().cast() }
    }
}

/// A granule that is referred to, mapped. Other CPUs may have it mapped, too, locked or not.
#[derive(Debug)]
#[must_use = "dropping the mapping unmaps the granule"]
pub struct SharedMapping<'m, S: Mappable> {
    page: MappedPage<'m>,
    state: PhantomData<S>,
}

impl<'m, S: Mappable> SharedMapping<'m, S> {
    /// Wraps a page that maps a granule that stays in state `S` for `'m`.
    pub(super) fn new(page: MappedPage<'m>) -> Self {
        Self { page, state: PhantomData }
    }

    /// The content, which must be [`SHARED`](Content::SHARED).
    pub fn get<T: Content<State = S::ContentState> + Sync>(&self) -> &T {
        const { assert!(T::SHARED, "content seen through a reference is shared") };
        // SAFETY: shared content is never borrowed as `&mut`.
        unsafe { content(self.page.window()) }
    }
}

/// The right to run a REC: its one reference.
///
/// Made under the REC's lock when the count goes from 0 to 1. While it lasts no other CPU enters the
/// REC, destroys it, or has its state; the holder of the lock may see its identity.
#[derive(Debug)]
#[must_use = "dropping it lets other CPUs run the REC"]
pub struct RunningRec<'a>(Reference<'a, Rec>);

static_assertions::const_assert_eq!(<Rec as GranuleState>::MAX_REFERENCES, 1);

impl<'a> RunningRec<'a> {
    /// Takes the right, if no CPU has it.
    ///
    /// # Errors
    ///
    /// [`CountError::Overflow`]: another CPU runs the REC.
    pub fn new(rec: &LockedGranule<'a, Rec>) -> Result<Self, CountError> {
        rec.reference().map(Self)
    }

    /// Where the REC is.
    pub fn address(&self) -> GranuleAddress {
        self.0.address()
    }
}

/// What a REC's granule holds, in two parts.
///
/// # Safety
///
/// An `Identity` is at offset 0 and never changes while the granule is a REC. While the REC runs,
/// other CPUs look at the identity only. A `Running` is at `RUNNING_OFFSET`. The granules that
/// `auxiliary` gives are in state REC_AUX, and no other REC's.
pub unsafe trait RunningContent: Content<State = Rec> {
    /// What never changes.
    type Identity: Content<State = Rec>;
    /// What belongs to the CPU that runs the REC.
    type Running;
    /// Where the state is.
    const RUNNING_OFFSET: usize;

    /// Its auxiliary granules.
    fn auxiliary(identity: &Self::Identity) -> &[GranuleAddress; AUXILIARY];
}
