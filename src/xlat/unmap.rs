// SPDX-License-Identifier: BSD-3-Clause
//! Removing mappings. One sequence of barriers serves any number of entries:
//!
//! 1. Store: each leaf becomes empty. A table left empty is parked: the entry that points to it
//!    becomes invalid and keeps its address.
//! 2. Invalidate all pages and blocks that were mapped, at every level. This also drops cached
//!    pointers to parked tables, since each of these held such a page or block.
//! 3. When the invalidations are complete, no walker uses a parked table: return it to the pool.

use super::descriptor::{Descriptor, EMPTY, park};
use super::invalidation::WalkPart;
use super::level::{Level, Span};
use super::maintenance::Maintenance;
use super::pool::TableIndex;
use super::regime::Regime;
use super::retire::LeafCount;
use super::table_tree::TableTree;
use crate::arch::memory::store_descriptor;

impl TableTree<'_> {
    /// Removes all mappings and transient entries in `span`, which cuts no leaf. Nothing else is
    /// mapped in `vacant`, so tables for parts of `vacant` are empty afterwards.
    pub(super) fn unmap<R: Regime>(&mut self, span: Span, vacant: Span, maintenance: Maintenance) {
        let window = Span::unit(span.first, Level::Two.entry_size());
        if !vacant.encloses(window)
            && let Some(table) = self.page_table(span)
        {
            return self.unmap_pages::<R>(table, span, maintenance);
        }
        let (root, level) = (self.root, self.space.initial_level());
        let mut leaves = LeafCount::NONE;
        self.break_in(root, level, span, vacant, &mut leaves);
        self.retire_span::<R>((root, level), span, leaves, WalkPart::All, maintenance);
        maintenance.synchronize();
        self.give_back_in(root, level, span);
    }

    /// Removes the pages of `span` from a table that others have pages in.
    fn unmap_pages<R: Regime>(&self, table: TableIndex, span: Span, maintenance: Maintenance) {
        let indexes = Level::Three.index(span.first)..=Level::Three.index(span.last);
        for entry in &self.pool.entries(table)[indexes] {
            store_descriptor(entry, EMPTY);
        }
        let (cover, leaves) = ((table, Level::Three), LeafCount::all_at(Level::Three, span));
        self.retire_span::<R>(cover, span, leaves, WalkPart::Leaf, maintenance);
        maintenance.synchronize();
    }

    fn break_in(
        &self,
        table: TableIndex,
        level: Level,
        span: Span,
        vacant: Span,
        leaves: &mut LeafCount,
    ) {
        for piece in level.pieces(span) {
            let entry = self.pool.entry(table, piece.index);
            match (self.load(table, piece.index, level), level.finer()) {
                (Descriptor::Table(pa), Some(finer)) => {
                    let below = self.pool.at(pa);
                    self.break_in(below, finer, piece.span, vacant, leaves);
                    if vacant.encloses(Span::unit(piece.span.first, level.entry_size())) {
                        store_descriptor(entry, park(self.pool.descriptor_of(below)));
                    }
                }
                _ => {
                    store_descriptor(entry, EMPTY);
                    leaves.add(level);
                }
            }
        }
    }

    fn give_back_in(&mut self, table: TableIndex, level: Level, span: Span) {
        for piece in level.pieces(span) {
            let descriptor = self.load(table, piece.index, level);
            let (Descriptor::Table(pa) | Descriptor::ParkedTable(pa), Some(finer)) =
                (descriptor, level.finer())
            else {
                continue;
            };
            let below = self.pool.at(pa);
            self.give_back_in(below, finer, piece.span);
            if matches!(descriptor, Descriptor::ParkedTable(_)) {
                store_descriptor(self.pool.entry(table, piece.index), EMPTY);
                self.pool.give_back(below);
            }
        }
    }
}
