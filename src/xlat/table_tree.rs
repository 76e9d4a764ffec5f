// SPDX-License-Identifier: BSD-3-Clause
//! The tables of a context as a tree: walking it, and adding to it.
//!
//! Every function that recurses does so with [`Level::finer`], so at most five deep. Additions
//! never meet a leaf in their way: regions are disjoint, or one inside the other and cut out of it
//! (`region_list`).

use core::sync::atomic::AtomicU64;

use super::descriptor::{self, Descriptor, DescriptorFlags, LeafBits, TRANSIENT_UNMAPPED};
use super::error::Error;
use super::level::{CONTIGUOUS_ENTRIES, Level, Span};
use super::pool::{TableIndex, TablePool};
use super::regime::Regime;
use super::region::{Region, RegionKind};
use super::space::AddressSpace;
use crate::address::PhysAddr;
use crate::arch::memory::store_descriptor;

/// The pool ran out.
#[derive(Debug)]
pub(super) struct OutOfTables;

/// The tables of a context.
#[derive(Debug)]
pub(super) struct TableTree<'a> {
    pub(super) pool: TablePool<'a>,
    pub(super) root: TableIndex,
    pub(super) space: AddressSpace,
}

/// Where a walk ended: an entry that is not a table.
#[derive(Debug)]
pub(super) struct WalkEnd {
    pub(super) level: Level,
    pub(super) table: TableIndex,
    pub(super) index: usize,
    pub(super) descriptor: Descriptor,
}

/// An entry that [`TableTree::visit`] came to.
#[derive(Debug)]
pub(super) struct VisitedEntry<'a> {
    pub(super) level: Level,
    /// The part of the visited span that falls to it.
    pub(super) span: Span,
    pub(super) entry: &'a AtomicU64,
    pub(super) descriptor: Descriptor,
}

/// A span to be mapped, and with what.
#[derive(Debug)]
pub(super) struct MapRequest {
    span: Span,
    fill: Fill,
    /// Bytes of the largest unit of translation allowed.
    largest_unit: u64,
}

#[derive(Debug)]
enum Fill {
    /// The physical address of the span's first byte, and the bits of each leaf.
    Memory(PhysAddr, LeafBits),
    Transient,
}

impl MapRequest {
    /// The mapping of `span`, which is all or part of `region`; that begins at offset `first`.
    pub(super) fn new<R: Regime>(
        region: &Region,
        first: u64,
        span: Span,
        space: &AddressSpace,
    ) -> Result<Self, Error> {
        let RegionKind::Memory { base, attributes } = region.kind else {
            return Ok(Self {
                span,
                fill: Fill::Transient,
                largest_unit: Level::Three.entry_size(),
            });
        };
        let bits = LeafBits::new::<R>(attributes, space.format(), space.walks())
            .map_err(|rule| Error::Attributes(region.extent, rule))?;
        // In range: the whole region was checked when it was added.
        let base = PhysAddr::new(base.get() + (span.first - first));
        Ok(Self { span, fill: Fill::Memory(base, bits), largest_unit: region.largest_unit() })
    }

    /// The physical address for `offset`, which is in the span.
    fn pa(&self, base: PhysAddr, offset: u64) -> PhysAddr {
        PhysAddr::new(base.get() + (offset - self.span.first))
    }

    /// Whether `unit` of this span, an aligned power of two in size, can be one unit of
    /// translation.
    fn maps_as_unit(&self, unit: Span) -> bool {
        let size = unit.last - unit.first + 1;
        let aligned = match self.fill {
            Fill::Memory(base, _) => self.pa(base, unit.first).is_aligned(size),
            Fill::Transient => true,
        };
        size <= self.largest_unit && aligned
    }

    /// Whether a leaf at `level` can map `piece`, which lies in one entry.
    fn is_leaf(&self, piece: Span, level: Level, space: &AddressSpace) -> bool {
        space.format().leaf_at(level)
            && piece.is_unit(level.entry_size())
            && self.maps_as_unit(piece)
    }

    /// The part of the span in which leaves at `level` get the Contiguous hint: whole groups that
    /// one unit could map.
    fn hinted(&self, level: Level) -> Option<Span> {
        let group = level.entry_size() * CONTIGUOUS_ENTRIES;
        let first = self.span.first.next_multiple_of(group);
        // An exclusive end, as there may be no group at all.
        let end = (self.span.last + 1) & !(group - 1);
        let whole = first < end && self.maps_as_unit(Span::unit(first, group));
        (descriptor::contiguous_at(level) && whole).then(|| Span { first, last: end - 1 })
    }

    /// The descriptor of the leaf at `level` for `offset`, of which `hinted` get the hint.
    fn leaf(&self, offset: u64, level: Level, hinted: Option<Span>) -> u64 {
        match self.fill {
            Fill::Transient => TRANSIENT_UNMAPPED,
            Fill::Memory(base, bits) => {
                let joined = hinted.is_some_and(|hinted| hinted.contains(offset));
                let hint = if joined { DescriptorFlags::CONTIGUOUS.bits() } else { 0 };
                descriptor::leaf(bits, self.pa(base, offset), level) | hint
            }
        }
    }
}

impl<'a> TableTree<'a> {
    /// A tree of one table that maps nothing.
    pub(super) fn new(mut pool: TablePool<'a>, space: AddressSpace) -> Result<Self, Error> {
        let root = pool.take().ok_or(Error::TablePool(pool.base()))?;
        Ok(Self { pool, root, space })
    }

    /// Removes everything, of a tree that no walker has been given.
    pub(super) fn clear(&mut self) {
        self.pool.reset_to(self.root);
    }

    pub(super) fn load(&self, table: TableIndex, index: usize, level: Level) -> Descriptor {
        self.pool.load(table, index, level, self.space.format())
    }

    /// Walks to the entry for `offset` that is not a table.
    pub(super) fn find(&self, offset: u64) -> WalkEnd {
        let mut level = self.space.initial_level();
        let mut table = self.root;
        loop {
            let index = level.index(offset);
            let descriptor = self.load(table, index, level);
            match (descriptor, level.finer()) {
                (Descriptor::Table(pa), Some(finer)) => {
                    table = self.pool.at(pa);
                    level = finer;
                }
                _ => return WalkEnd { level, table, index, descriptor },
            }
        }
    }

    /// Calls `f` with each entry for `span` that is not a table (in use or parked), in ascending
    /// order, until it fails.
    pub(super) fn visit<E>(
        &self,
        span: Span,
        f: &mut impl FnMut(VisitedEntry<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.visit_in(self.root, self.space.initial_level(), span, f)
    }

    fn visit_in<E>(
        &self,
        table: TableIndex,
        level: Level,
        span: Span,
        f: &mut impl FnMut(VisitedEntry<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        for piece in level.pieces(span) {
            match (self.load(table, piece.index, level), level.finer()) {
                (Descriptor::Table(pa) | Descriptor::ParkedTable(pa), Some(finer)) => {
                    self.visit_in(self.pool.at(pa), finer, piece.span, f)?;
                }
                (descriptor, _) => {
                    let entry = self.pool.entry(table, piece.index);
                    f(VisitedEntry { level, span: piece.span, entry, descriptor })?;
                }
            }
        }
        Ok(())
    }

    /// Maps what is not mapped yet. Each store makes an entry valid (or transient), after what it
    /// leads to.
    pub(super) fn map(&mut self, mapping: &MapRequest) -> Result<(), OutOfTables> {
        self.map_in(self.root, self.space.initial_level(), mapping.span, mapping)
    }

    fn map_in(
        &mut self,
        table: TableIndex,
        level: Level,
        span: Span,
        mapping: &MapRequest,
    ) -> Result<(), OutOfTables> {
        let hinted = mapping.hinted(level);
        let Some(finer) = level.finer() else {
            self.map_pages(table, span, mapping, hinted);
            return Ok(());
        };
        for piece in level.pieces(span) {
            let entry = self.pool.entry(table, piece.index);
            if mapping.is_leaf(piece.span, level, &self.space) {
                store_descriptor(entry, mapping.leaf(piece.span.first, level, hinted));
            } else if let Descriptor::Table(pa) = self.load(table, piece.index, level) {
                self.map_in(self.pool.at(pa), finer, piece.span, mapping)?;
            } else {
                let below = self.pool.take().ok_or(OutOfTables)?;
                self.map_in(below, finer, piece.span, mapping)?;
                store_descriptor(entry, self.pool.descriptor_of(below));
            }
        }
        Ok(())
    }

    /// [`Self::map_in`] at level 3, where every piece is a page.
    fn map_pages(&self, table: TableIndex, span: Span, mapping: &MapRequest, hinted: Option<Span>) {
        let indexes = Level::Three.index(span.first)..=Level::Three.index(span.last);
        let entries = &self.pool.entries(table)[indexes];
        if let Fill::Transient = mapping.fill {
            for entry in entries {
                store_descriptor(entry, TRANSIENT_UNMAPPED);
            }
            return;
        }
        let mut offset = span.first;
        for entry in entries {
            store_descriptor(entry, mapping.leaf(offset, Level::Three, hinted));
            offset += Level::Three.entry_size();
        }
    }

    /// How many tables [`Self::map`] would take; or some number above `limit` if more than that.
    pub(super) fn tables_for(&self, mapping: &MapRequest, limit: usize) -> usize {
        self.tables_in(Some(self.root), self.space.initial_level(), mapping.span, mapping, limit)
    }

    fn tables_in(
        &self,
        table: Option<TableIndex>,
        level: Level,
        span: Span,
        mapping: &MapRequest,
        limit: usize,
    ) -> usize {
        let Some(finer) = level.finer() else { return 0 };
        let mut count = 0;
        for piece in
            level.pieces(span).filter(|piece| !mapping.is_leaf(piece.span, level, &self.space))
        {
            let below = match table.map(|table| self.load(table, piece.index, level)) {
                Some(Descriptor::Table(pa)) => Some(self.pool.at(pa)),
                _ => None,
            };
            count += usize::from(below.is_none());
            if count > limit {
                break;
            }
            count += self.tables_in(below, finer, piece.span, mapping, limit - count);
        }
        count
    }
}
