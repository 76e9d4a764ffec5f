// SPDX-License-Identifier: BSD-3-Clause
//! Barriers and TLB maintenance after a change of tables, by who may be walking them.
//!
//! docs/design/xlat.md lists each sequence and why each instruction is in it.

use super::regime::Regime;
use crate::arch::barrier::{dsb_ish, dsb_ishst, dsb_nsh, dsb_nshst, isb};

/// Who may be walking the tables of a context.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Maintenance {
    /// Nobody: the MMU is off, or the tables are not in a TTBR. No barrier and no maintenance.
    None,
    /// This CPU only.
    Local,
    /// The CPUs of the Inner Shareable domain.
    InnerShareable,
}

impl Maintenance {
    /// Makes earlier stores of descriptors visible to all walkers.
    ///
    /// Of valid ones, so that what they map can be used. Of invalid ones, so that what is
    /// invalidated next is not cached again.
    pub(super) fn complete_stores(self) {
        match self {
            Self::None => {}
            Self::Local => dsb_nshst(),
            Self::InnerShareable => dsb_ishst(),
        }
    }

    /// Makes earlier stores of valid descriptors usable by this CPU's next instruction, and visible
    /// to all other walkers.
    pub(super) fn publish(self) {
        self.complete_stores();
        self.synchronize();
    }

    /// Waits for the invalidations, on every CPU concerned: entries may be made valid again.
    pub(super) fn complete_invalidations(self) {
        match self {
            Self::None => {}
            Self::Local => dsb_nsh(),
            Self::InnerShareable => dsb_ish(),
        }
    }

    /// Has this CPU's next instruction see what has been waited for.
    pub(super) fn synchronize(self) {
        if self != Self::None {
            isb();
        }
    }

    /// Invalidates what is cached of the last level for the operand's page.
    pub(super) fn invalidate_leaf<R: Regime>(self, operand: u64) {
        match self {
            Self::None => {}
            Self::Local => R::invalidate_leaf_local(operand),
            Self::InnerShareable => R::invalidate_leaf_shared(operand),
        }
    }

    /// Invalidates what is cached of every level for the operand's page.
    pub(super) fn invalidate_walk<R: Regime>(self, operand: u64) {
        match self {
            Self::None => {}
            Self::Local => R::invalidate_walk_local(operand),
            Self::InnerShareable => R::invalidate_walk_shared(operand),
        }
    }
}
