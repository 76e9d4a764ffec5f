// SPDX-License-Identifier: BSD-3-Clause
//! Barriers and TLB maintenance after a change of tables, by who may be walking them.
//!
//! `docs/design/xlat.md` lists the sequence of each operation and why it needs each instruction.

use super::invalidation::Invalidation;
use super::regime::Regime;
use crate::arch::barrier::{dsb_ish, dsb_ishst, dsb_nsh, dsb_nshst, isb};

/// The CPUs that may be walking the tables of a context.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Maintenance {
    /// None: the MMU is off, or no TTBR holds the tables. No barriers, no TLB maintenance.
    None,
    /// This CPU only.
    Local,
    /// The CPUs of the Inner Shareable domain.
    InnerShareable,
    /// The same, where one of them may be concerned by CVE-2025-10263: the last TLBI and its DSB
    /// are done twice.
    InnerShareableTwice,
}

impl Maintenance {
    /// Whether other CPUs walk the tables.
    pub(super) fn is_shared(self) -> bool {
        matches!(self, Self::InnerShareable | Self::InnerShareableTwice)
    }

    /// Makes earlier stores of descriptors visible to the walkers.
    ///
    /// After valid descriptors: so that the mapping can be used. After invalid ones: so that no
    /// walker caches again what is invalidated next.
    pub(super) fn complete_stores(self) {
        match self {
            Self::None => {}
            Self::Local => dsb_nshst(),
            Self::InnerShareable | Self::InnerShareableTwice => dsb_ishst(),
        }
    }

    /// Makes earlier stores of valid descriptors visible to the walkers, and to the next
    /// instruction of this CPU.
    #[inline(always)]
    pub(super) fn publish(self) {
        if self == Self::Local {
            dsb_nshst();
            isb();
        } else {
            self.publish_to_others();
        }
    }

    #[cold]
    fn publish_to_others(self) {
        self.complete_stores();
        self.synchronize();
    }

    /// Invalidates the TLB entries of descriptors that were just made invalid. Complete on every
    /// CPU concerned.
    pub(super) fn retire<R: Regime, const N: usize>(self, all: [Invalidation; N]) {
        if self == Self::Local {
            dsb_nshst();
            all.into_iter().for_each(|one| R::invalidate(one, false));
            dsb_nsh();
        } else {
            self.retire_for_others::<R, N>(all);
        }
    }

    /// As [`retire`](Self::retire), and visible to the next instruction of this CPU.
    #[inline(always)]
    pub(super) fn retire_and_synchronize<R: Regime, const N: usize>(self, all: [Invalidation; N]) {
        if self == Self::Local {
            self.retire::<R, N>(all);
            isb();
        } else {
            self.retire_for_others_and_synchronize::<R, N>(all);
        }
    }

    // One call, so that a caller has nothing to do after it and needs no stack.
    #[cold]
    fn retire_for_others_and_synchronize<R: Regime, const N: usize>(self, all: [Invalidation; N]) {
        self.retire_for_others::<R, N>(all);
        self.synchronize();
    }

    #[cold]
    fn retire_for_others<R: Regime, const N: usize>(self, all: [Invalidation; N]) {
        self.complete_stores();
        all.into_iter().for_each(|one| self.invalidate::<R>(one));
        if let Some(last) = all.last() {
            self.complete_invalidations::<R>(*last);
        }
    }

    /// Waits until earlier TLB invalidations, of which `last` was the last, have completed on every
    /// CPU concerned.
    pub(super) fn complete_invalidations<R: Regime>(self, last: Invalidation) {
        match self {
            Self::None => {}
            Self::Local => dsb_nsh(),
            Self::InnerShareable => dsb_ish(),
            Self::InnerShareableTwice => {
                dsb_ish();
                self.invalidate::<R>(last);
                dsb_ish();
            }
        }
    }

    /// Makes completed changes visible to the next instruction of this CPU.
    pub(super) fn synchronize(self) {
        if self != Self::None {
            isb();
        }
    }

    /// Invalidates TLB entries.
    pub(super) fn invalidate<R: Regime>(self, invalidation: Invalidation) {
        match self {
            Self::None => {}
            Self::Local => R::invalidate(invalidation, false),
            Self::InnerShareable | Self::InnerShareableTwice => R::invalidate(invalidation, true),
        }
    }
}
