// SPDX-License-Identifier: BSD-3-Clause
//! TLB invalidation of a range of addresses: a TLBI for each leaf, TLBIs of ranges
//! (FEAT_TLBIRANGE), or one TLBI of everything.

use core::convert::Infallible;

use super::invalidation::{Invalidation, WalkPart};
use super::level::{Level, Span};
use super::maintenance::Maintenance;
use super::pool::TableIndex;
use super::regime::Regime;
use super::space::AddressSpace;
use super::table_tree::TableTree;
use crate::arch::tlbi_range;

/// The most TLBIs by address in one operation: as many as a table has entries. Beyond that one TLBI
/// of everything is taken to be cheaper.
const MAX_INVALIDATIONS: u64 = 512;

/// How many entries for a span do not point to tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LeafCount {
    count: u64,
    /// Their level, if it is the same.
    level: Option<Level>,
}

impl LeafCount {
    pub(super) const NONE: Self = Self { count: 0, level: None };

    /// One leaf at `level`.
    pub(super) const fn one(level: Level) -> Self {
        Self { count: 1, level: Some(level) }
    }

    /// As many leaves at `level` as make up `span`.
    pub(super) const fn all_at(level: Level, span: Span) -> Self {
        Self { count: (span.last - span.first + 1) >> level.shift(), level: Some(level) }
    }

    pub(super) fn add(&mut self, level: Level) {
        self.level = Some(level).filter(|_| self.count == 0 || self.level == Some(level));
        self.count += 1;
    }
}

/// Splits `span` into parts that one TLBI covers each. Gives the first page of each, and the fields
/// of a range unless the part is a single page.
fn parts(space: &AddressSpace, span: Span) -> impl Iterator<Item = (u64, Option<u64>)> {
    let mut next = span.first >> Level::Three.shift();
    let end = (span.last >> Level::Three.shift()) + 1;
    let aligned = space.range_base_alignment();
    core::iter::from_fn(move || {
        let first = next;
        if first == end {
            return None;
        }
        let range = tlbi_range::first_part(end - first).filter(|_| first.is_multiple_of(aligned));
        let (pages, fields) = range.map_or((1, None), |(pages, fields)| (pages, Some(fields)));
        next += pages;
        Some((first << Level::Three.shift(), fields))
    })
}

impl TableTree<'_> {
    /// Invalidates the TLB entries of `span`, after its new descriptors were stored. Complete on
    /// every CPU concerned.
    ///
    /// `cover` is a table with every entry for `span`, and its level; `leaves` counts them.
    pub(super) fn retire_span<R: Regime>(
        &self,
        cover: (TableIndex, Level),
        span: Span,
        leaves: LeafCount,
        part: WalkPart,
        maintenance: Maintenance,
    ) {
        if maintenance == Maintenance::None {
            return;
        }
        maintenance.complete_stores();
        let space = &self.space;
        let mut last = Invalidation::All;
        let mut invalidate = |invalidation| {
            maintenance.invalidate::<R>(invalidation);
            last = invalidation;
        };
        let ranges = if leaves.count > 1 && space.maintenance_features().range {
            let most = usize::try_from(MAX_INVALIDATIONS).unwrap_or(usize::MAX);
            parts(space, span).take(most.saturating_add(1)).count() as u64
        } else {
            u64::MAX
        };
        if ranges.min(leaves.count) > MAX_INVALIDATIONS {
            invalidate(Invalidation::All);
        } else if ranges < leaves.count {
            for (first, fields) in parts(space, span) {
                let va = space.address(first);
                invalidate(match fields {
                    Some(fields) => space.range_invalidation(va, fields, part, leaves.level),
                    None => space.invalidation(va, part, leaves.level),
                });
            }
        } else if let Some(level) = leaves.level {
            for piece in level.pieces(span) {
                let va = space.address(piece.span.first);
                invalidate(space.invalidation(va, part, Some(level)));
            }
        } else {
            let Ok(()) = self.visit_in::<Infallible>(cover.0, cover.1, span, &mut |visited| {
                let va = space.address(visited.span.first);
                invalidate(space.invalidation(va, part, Some(visited.level)));
                Ok(())
            });
        }
        maintenance.complete_invalidations::<R>(last);
    }
}
