// SPDX-License-Identifier: BSD-3-Clause
//! The auxiliary granules of a REC: the content of each, and how the CPU that runs the REC maps
//! them.
//!
//! They form three parts. Each part is at the same virtual address on every CPU, so pointers into
//! it stay valid when the REC moves to another CPU. The layout is defined here only:
//!
//! | Granules | Slots from `rec_aux` on | Part | Holds |
//! | --- | --- | --- | --- |
//! | 0 to 2 | 0 to 2 | [`Features`](AuxiliaryPart::Features) | registers of SVE and PMU |
//! | 3 to 8 | 4 to 9 | [`Stack`](AuxiliaryPart::Stack) | the stack on which a token is signed |
//! | 9, 10 | 11, 12 | [`Token`](AuxiliaryPart::Token) | the state of a token, and its bytes |
//!
//! Slots between and after the parts are never mapped: an overflow of the stack faults.
//!
//! REC_ENTER maps none of the parts. [`RunningAuxiliary`] maps a part at its first use, and unmaps
//! it at the end of the run. To use a granule, define a type for its content, implement
//! [`AuxiliaryContent`] for it with the granule's number, and call [`get`](RunningAuxiliary::get).
//! The stack has no type: [`map`](RunningAuxiliary::map) gives its addresses. REC_CREATE wipes all
//! granules, before their first use.

use core::ops::Range;

use arrayvec::ArrayVec;

use super::slot_layout::{REC_AUX, SlotIndex};
use crate::address::{GRANULE_SIZE, PhysAddr, VirtAddr, native};
use crate::arch::window::Window;
use crate::granule::GranuleAddress;
use crate::xlat::{Context, El2And0, Error, PageTemplate, TransientRange};

/// Auxiliary granules of a REC.
pub const AUXILIARY: usize = 11;

/// A part of the auxiliary granules, which is mapped as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuxiliaryPart {
    /// Registers of optional features of the CPU.
    Features,
    /// The stack on which a token is signed.
    Stack,
    /// The state of a token, and its bytes.
    Token,
}

/// The extent of a part: its first granule, its first slot, and the number of each.
struct Extent {
    granule: usize,
    slot: usize,
    pages: usize,
}

impl AuxiliaryPart {
    const ALL: [Self; 3] = [Self::Features, Self::Stack, Self::Token];

    const fn extent(self) -> Extent {
        match self {
            Self::Features => Extent { granule: 0, slot: 0, pages: 3 },
            Self::Stack => Extent { granule: 3, slot: 4, pages: 6 },
            Self::Token => Extent { granule: 9, slot: 11, pages: 2 },
        }
    }

    /// The part that holds a granule.
    const fn of(granule: usize) -> Self {
        if granule < Self::Stack.extent().granule {
            Self::Features
        } else if granule < Self::Token.extent().granule {
            Self::Stack
        } else {
            Self::Token
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The virtual addresses of the part, on every CPU.
    pub fn addresses(self) -> Range<VirtAddr> {
        let Extent { slot, pages, .. } = self.extent();
        let base = SlotIndex::RecAux.address().get() + slot as u64 * GRANULE_SIZE;
        VirtAddr::new(base)..VirtAddr::new(base + pages as u64 * GRANULE_SIZE)
    }
}

static_assertions::const_assert!({
    let Extent { granule, slot, pages } = AuxiliaryPart::Token.extent();
    granule + pages == AUXILIARY && slot + pages < REC_AUX
});

/// What one auxiliary granule of a REC holds.
///
/// # Safety
///
/// All bits zero is a value of the type, and no other type has the same `GRANULE`.
///
/// That it fits into a granule and needs no `Drop` is checked at compile time, where it is used.
pub unsafe trait AuxiliaryContent: Sized {
    /// The number of the granule, below [`AUXILIARY`].
    const GRANULE: usize;

    /// Evaluated where the type is used.
    #[doc(hidden)]
    const FITS: () = assert!(
        size_of::<Self>() <= native(GRANULE_SIZE)
            && align_of::<Self>() <= native(GRANULE_SIZE)
            && !core::mem::needs_drop::<Self>()
            && Self::GRANULE < AUXILIARY,
        "the content of an auxiliary granule fits into it, and is never dropped"
    );
}

/// The addresses of the auxiliary granules of a REC that this CPU runs.
///
/// Only the mapping of the running REC gives this value: for `'m` no other CPU uses the granules.
#[derive(Clone, Copy, Debug)]
pub struct AuxiliaryOf<'m>(&'m [GranuleAddress; AUXILIARY]);

impl<'m> AuxiliaryOf<'m> {
    pub(super) fn new(granules: &'m [GranuleAddress; AUXILIARY]) -> Self {
        Self(granules)
    }

    /// Any granules, for tests of the slots. They are locked for `'m`.
    #[cfg(feature = "self-test")]
    pub fn for_self_test(granules: &'m [GranuleAddress; AUXILIARY]) -> Self {
        Self(granules)
    }
}

/// The slots for the auxiliary granules of one REC.
#[derive(Debug)]
pub struct AuxiliarySlots {
    pages: TransientRange<'static, El2And0>,
    template: PageTemplate<El2And0>,
}

impl AuxiliarySlots {
    pub(super) fn new(
        context: &'static Context<'static, El2And0>,
        template: PageTemplate<El2And0>,
    ) -> Result<Self, Error> {
        Ok(Self { pages: context.transient(SlotIndex::RecAux.address(), REC_AUX)?, template })
    }

    /// The auxiliary granules of a REC for a run. Nothing is mapped yet.
    pub fn running<'m>(&'m mut self, auxiliary: AuxiliaryOf<'m>) -> RunningAuxiliary<'m> {
        RunningAuxiliary { slots: self, granules: auxiliary.0, mapped: 0 }
    }
}

/// The auxiliary granules of a REC during a run, each part mapped from its first use on.
#[derive(Debug)]
#[must_use = "dropping it unmaps the granules"]
pub struct RunningAuxiliary<'m> {
    slots: &'m AuxiliarySlots,
    granules: &'m [GranuleAddress; AUXILIARY],
    mapped: u8,
}

impl RunningAuxiliary<'_> {
    /// Maps a part, if it is not mapped yet: a store for each page, one DSB, one ISB.
    pub fn map(&mut self, part: AuxiliaryPart) -> Range<VirtAddr> {
        if self.mapped & part.bit() == 0 {
            let Extent { granule, slot, pages } = part.extent();
            let granules = self.granules.iter().skip(granule).take(pages);
            let addresses: ArrayVec<PhysAddr, AUXILIARY> = granules.map(|one| one.get()).collect();
            // Cannot fail: the slots are borrowed, this part is not mapped, and granules lie in the
            // physical address range. After a failure an access would reach another granule.
            if self.slots.pages.map_group(slot, &addresses, self.slots.template).is_err() {
                panic!("the slots of {part:?} are in use, or cannot show their granules");
            }
            self.mapped |= part.bit();
        }
        part.addresses()
    }

    /// The content of a granule. Maps its part if that is not mapped yet.
    pub fn get<T: AuxiliaryContent>(&mut self) -> &mut T {
        let content = self.content::<T>();
        // SAFETY: mapped until `self` is dropped, aligned, large enough (`FITS`), and a value of
        // `T` (`AuxiliaryContent`). No other CPU uses the granule (`AuxiliaryOf`), and the
        // reference borrows `self` mutably.
        unsafe { &mut *content }
    }

    /// The contents of two granules at the same time.
    pub fn pair<A: AuxiliaryContent, B: AuxiliaryContent>(&mut self) -> (&mut A, &mut B) {
        const { assert!(A::GRANULE != B::GRANULE, "different granules") };
        let (a, b) = (self.content::<A>(), self.content::<B>());
        // SAFETY: as in `get` for each; the two granules are different.
        unsafe { (&mut *a, &mut *b) }
    }

    /// A pointer to the content of a granule: mapped until `self` is dropped, aligned, and a valid
    /// `T`. Maps its part if that is not mapped yet.
    pub(super) fn content<T: AuxiliaryContent>(&mut self) -> *mut T {
        let () = T::FITS;
        let part = const { AuxiliaryPart::of(T::GRANULE) };
        let index = const { (T::GRANULE - AuxiliaryPart::of(T::GRANULE).extent().granule) as u64 };
        let base = self.map(part).start.get() + index * GRANULE_SIZE;
        let Some(granule) = self.granules.get(T::GRANULE) else { panic!("checked by `FITS`") };
        Window::new(VirtAddr::new(base), granule.get()).pointer().cast()
    }

    /// Zeroes the granules of a part. Memory that does not answer is fatal, as elsewhere in these
    /// slots.
    ///
    /// There must be no reference to their content.
    pub(super) fn zero(&mut self, part: AuxiliaryPart) {
        let pages = self.map(part);
        let pages = (pages.start.get()..pages.end.get()).step_by(native(GRANULE_SIZE));
        for (page, granule) in pages.zip(self.granules.iter().skip(part.extent().granule)) {
            let window = Window::new(VirtAddr::new(page), granule.get());
            // SAFETY: mapped as writable Realm memory until `self` is dropped; no other CPU uses
            // it, and the caller has no reference to it.
            let _ = unsafe { window.zero() };
        }
    }
}

impl Drop for RunningAuxiliary<'_> {
    fn drop(&mut self) {
        if self.mapped != 0 {
            self.unmap();
        }
    }
}

impl RunningAuxiliary<'_> {
    /// Unmaps every part that is mapped.
    #[inline(never)]
    fn unmap(&mut self) {
        for part in AuxiliaryPart::ALL {
            let Extent { slot, pages, .. } = part.extent();
            let mapped = self.mapped & part.bit() != 0;
            if mapped && self.slots.pages.unmap_group(slot, pages).is_err() {
                panic!("the slots of {part:?} were unmapped already");
            }
        }
    }
}
