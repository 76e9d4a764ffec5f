// SPDX-License-Identifier: BSD-3-Clause
//! Mappings: values through which a granule is accessed in a slot. Dropping one unmaps the granule.
//!
//! The state of a granule determines the type of its content ([`Content`]): a guard of state `S`
//! proves the type.
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
use crate::arch::window::Window;
use crate::granule::state::{GranuleState, Mappable, Rec, Untyped};
use crate::granule::{CountError, GranuleAddress, LockedGranule, Reference};

/// 64-bit words of a granule.
pub const GRANULE_WORDS: usize = native(GRANULE_SIZE) / size_of::<u64>();

/// The type of the content of a granule in some state.
///
/// A granule is all zero when it enters its state. Later it is written as this type only.
///
/// # Safety
///
/// - All bits zero is a value of the type.
/// - If a state has several types of content, whatever is written as one of them is a value of all.
///
/// That it fits into a granule and needs no `Drop` is checked at compile time, where it is used.
pub unsafe trait Content: Sized {
    /// The state.
    type State: Mappable;
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
/// The granule is mapped at `window` and in state `T::State` during `'m`, and nothing borrows its
/// content as `&mut T`.
unsafe fn content<'m, T: Content>(window: Window) -> &'m T {
    let () = T::FITS;
    // SAFETY: mapped and not borrowed mutably by the caller's promise; granule-aligned, large
    // enough (`FITS`), and a value of `T` (`Content`).
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

    /// Unmaps the granule. Dropping does the same, but is not inlined.
    #[inline(always)]
    pub(super) fn end(self) {
        self.page.end();
    }

    /// The content.
    pub fn get<T: Content<State = S::ContentState>>(&self) -> &T {
        // SAFETY: the granule is locked, and mapped as long as `self` lives. Only this mapping gives
        // access.
        unsafe { content(self.page.window()) }
    }

    /// The content, borrowed mutably.
    pub fn get_mut<T: Content<State = S::ContentState>>(&mut self) -> &mut T {
        let () = T::FITS;
        // SAFETY: mapped, aligned and a value as in `content`. The lock is held: only this mapping
        // gives access, and the reference borrows it mutably.
        unsafe { &mut *self.page.window().pointer().cast::<T>() }
    }
}

/// A mapping that owns the guard of its granule: unmapped first, then unlocked.
#[derive(Debug)]
#[must_use = "dropping the mapping unmaps and unlocks the granule"]
pub struct LockedMapping<'m, 'g, S: Mappable> {
    page: MappedPage<'m>,
    granule: LockedGranule<'g, S>,
}

impl<'m, 'g, S: Mappable> LockedMapping<'m, 'g, S> {
    /// Maps `granule` through `slot`.
    pub fn new(slot: &'m mut Slot, granule: LockedGranule<'g, S>) -> Self {
        Self { page: MappedPage::new(slot, granule.address()), granule }
    }

    /// Maps another granule in its place, then unlocks the former one.
    #[inline(always)]
    pub fn replace(&mut self, granule: LockedGranule<'g, S>) {
        self.page.replace(granule.address());
        core::mem::replace(&mut self.granule, granule).unlock();
    }

    /// Unmaps and unlocks the granule. Dropping does the same, but is not inlined.
    #[inline(always)]
    pub fn end(self) {
        let Self { page, granule } = self;
        page.end();
        granule.unlock();
    }

    /// The granule.
    pub fn granule(&self) -> &LockedGranule<'g, S> {
        &self.granule
    }

    /// The content.
    pub fn get<T: Content<State = S::ContentState>>(&self) -> &T {
        // SAFETY: as in `Mapping::get`; the granule is locked as long as `self` lives.
        unsafe { content(self.page.window()) }
    }
}

impl<S: Untyped> Mapping<'_, S> {
    /// The content as words. A Realm that runs may change them at any time.
    pub fn words(&self) -> &[AtomicU64; GRANULE_WORDS] {
        // SAFETY: mapped as long as `self` is borrowed; any bits are words; this state has no other
        // type of content (`Untyped`).
        unsafe { &*self.page.window().pointer().cast() }
    }

    /// The content as plain words. No Realm can change them: the granule is not mapped for one yet.
    pub fn plain_words(&mut self) -> &[u64; GRANULE_WORDS] {
        self.words_mut()
    }

    /// The content as plain words, for a copy that fills them.
    pub(super) fn words_mut(&mut self) -> &mut [u64; GRANULE_WORDS] {
        // SAFETY: as in `words`. The lock is held, no Realm can access the granule yet, and the
        // reference borrows `self` mutably.
        unsafe { &mut *self.page.window().pointer().cast() }
    }
}

/// The right to run a REC: its one reference.
///
/// Made under the REC's lock when the count goes from 0 to 1. While the value exists no other CPU
/// enters the REC, destroys it or accesses its state; the holder of the lock may read its identity.
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

    /// The address of the REC.
    pub fn address(&self) -> GranuleAddress {
        self.0.address()
    }
}

/// The content of a REC's granule, in two parts.
///
/// # Safety
///
/// An `Identity` is at offset 0 and never changes while the granule is a REC. While the REC runs,
/// other CPUs access the identity only. A `Running` is at `RUNNING_OFFSET`. The granules that
/// `auxiliary` gives are in state REC_AUX and belong to no other REC.
pub unsafe trait RunningContent: Content<State = Rec> {
    /// The part that never changes.
    type Identity: Content<State = Rec>;
    /// The part that only the CPU that runs the REC accesses: the state.
    type Running;
    /// The byte offset of the state.
    const RUNNING_OFFSET: usize;

    /// The auxiliary granules of the REC.
    fn auxiliary(identity: &Self::Identity) -> &[GranuleAddress; AUXILIARY];
}
