// SPDX-License-Identifier: BSD-3-Clause
//! The tables of a context as a tree: walks, and new mappings.
//!
//! Recursion goes through [`Level::finer`], so it is at most five deep. A new mapping never meets a
//! leaf: `region_list` keeps regions disjoint, and cuts inner regions out of those around them.

use core::sync::atomic::AtomicU64;

use super::descriptor::{self, Descriptor, LeafBits, TRANSIENT_UNMAPPED};
use super::descriptor_flags::DescriptorFlags;
use super::error::Error;
use super::level::{CONTIGUOUS_ENTRIES, Level, Span};
use super::pool::{TableIndex, TablePool};
use super::region::RegionKind;
use super::region_list::PlacedRegion;
use super::space::AddressSpace;
use crate::address::PhysAddr;
use crate::arch::memory::store_descriptor;

/// The pool has no table left.
#[derive(Debug)]
pub(super) struct OutOfTables;

/// The tables of a context.
#[derive(Debug)]
pub(super) struct TableTree<'a> {
    pub(super) pool: TablePool<'a>,
    pub(super) root: TableIndex,
    pub(super) space: AddressSpace,
}

/// The end of a walk: an entry that does not point to a table.
#[derive(Clone, Copy, Debug)]
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
    /// The part of the visited span that it covers.
    pub(super) span: Span,
    pub(super) entry: &'a AtomicU64,
    pub(super) descriptor: Descriptor,
}

/// A span to map, and what it maps to.
#[derive(Debug)]
pub(super) struct MapRequest {
    span: Span,
    target: MapTarget,
    /// Bytes of the largest page, block or Contiguous group allowed.
    largest_unit: u64,
    contiguous_hint: bool,
}

#[derive(Debug)]
enum MapTarget {
    /// The physical address of the first byte, and the attribute fields.
    Memory(PhysAddr, LeafBits),
    Transient,
}

impl MapRequest {
    /// Maps `span`, all or part of the region `placed`.
    pub(super) fn new(placed: &PlacedRegion, span: Span, space: &AddressSpace) -> Self {
        let RegionKind::Memory { base, .. } = placed.region.kind else {
            return Self {
                span,
                target: MapTarget::Transient,
                largest_unit: Level::Three.entry_size(),
                contiguous_hint: false,
            };
        };
        // In range: the whole region was checked when it was added.
        let base = PhysAddr::new(base.get() + (span.first - placed.span.first));
        Self {
            span,
            target: MapTarget::Memory(base, placed.bits),
            largest_unit: placed.region.largest_unit(),
            contiguous_hint: space.has_contiguous_hint(),
        }
    }

    /// The physical address of `offset` in the span.
    fn pa(&self, base: PhysAddr, offset: u64) -> PhysAddr {
        PhysAddr::new(base.get() + (offset - self.span.first))
    }

    /// Whether one page, block or group can map `unit`, an aligned power of two in the span.
    fn maps_as_unit(&self, unit: Span) -> bool {
        let size = unit.last - unit.first + 1;
        let aligned = match self.target {
            MapTarget::Memory(base, _) => self.pa(base, unit.first).is_aligned(size),
            MapTarget::Transient => true,
        };
        size <= self.largest_unit && aligned
    }

    /// Whether a leaf at `level` can map `piece`, which one entry covers.
    fn is_leaf(&self, piece: Span, level: Level, space: &AddressSpace) -> bool {
        space.format().leaf_at(level)
            && piece.is_unit(level.entry_size())
            && self.maps_as_unit(piece)
    }

    /// The part of the span where leaves at `level` get the Contiguous hint: the whole groups that
    /// one unit could map.
    fn hinted(&self, level: Level) -> Option<Span> {
        let group = level.entry_size() * CONTIGUOUS_ENTRIES;
        let first = self.span.first.next_multiple_of(group);
        // Exclusive, as there may be no group.
        let end = (self.span.last + 1) & !(group - 1);
        let whole = first < end && self.maps_as_unit(Span::unit(first, group));
        (self.contiguous_hint && descriptor::contiguous_at(level) && whole)
            .then(|| Span { first, last: end - 1 })
    }

    /// The descriptor at `level` for `offset`, with the hint if `hinted` holds it.
    fn leaf(&self, offset: u64, level: Level, hinted: Option<Span>) -> u64 {
        match self.target {
            MapTarget::Transient => TRANSIENT_UNMAPPED,
            MapTarget::Memory(base, bits) => {
                let joined = hinted.is_some_and(|hinted| hinted.contains(offset));
                let hint = if joined { DescriptorFlags::CONTIGUOUS.bits() } else { 0 };
                descriptor::leaf(bits, self.pa(base, offset), level) | hint
            }
        }
    }
}

/// Counts the tables of a tree that is not built.
#[derive(Debug)]
pub(super) struct TableCounter {
    /// For each level the number of the last entry, counted from offset 0, that needs a table.
    last: [Option<u64>; Level::ALL.len()],
    count: usize,
}

impl TableCounter {
    /// Counts the initial table.
    pub(super) const fn new() -> Self {
        Self { last: [None; Level::ALL.len()], count: 1 }
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Counts the tables of `request`, which maps higher offsets than those before.
    pub(super) fn add(&mut self, request: &MapRequest, space: &AddressSpace) {
        self.add_in(space.initial_level(), request.span, request, space);
    }

    fn add_in(&mut self, level: Level, span: Span, request: &MapRequest, space: &AddressSpace) {
        let Some(finer) = level.finer() else { return };
        for piece in level.pieces(span) {
            if request.is_leaf(piece.span, level, space) {
                continue;
            }
            let window = piece.span.first >> level.shift();
            let last = &mut self.last[level.depth()];
            if last.replace(window) != Some(window) {
                self.count += 1;
            }
            self.add_in(finer, piece.span, request, space);
        }
    }
}

impl<'a> TableTree<'a> {
    /// A tree of one empty table.
    pub(super) fn new(mut pool: TablePool<'a>, space: AddressSpace) -> Result<Self, Error> {
        let root = pool.take().ok_or(Error::TablePool(pool.base()))?;
        Ok(Self { pool, root, space })
    }

    /// Removes everything. No walker may use the tree.
    pub(super) fn clear(&mut self) {
        self.pool.reset_to(self.root);
    }

    pub(super) fn load(&self, table: TableIndex, index: usize, level: Level) -> Descriptor {
        self.pool.load(table, index, level, self.space.format())
    }

    /// Walks for `offset`.
    pub(super) fn find(&self, offset: u64) -> WalkEnd {
        self.find_from((self.root, self.space.initial_level()), offset)
    }

    /// Walks for `offset` from a table on that covers it.
    pub(super) fn find_from(
        &self,
        (mut table, mut level): (TableIndex, Level),
        offset: u64,
    ) -> WalkEnd {
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

    /// Calls `f` with each entry for `span` that does not point to a table, in ascending order,
    /// until it fails. Enters parked tables.
    pub(super) fn visit<E>(
        &self,
        span: Span,
        f: &mut impl FnMut(VisitedEntry<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.visit_in(self.root, self.space.initial_level(), span, f)
    }

    pub(super) fn visit_in<E>(
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

    /// The table at level 3 that holds every entry for `span`, if there is one.
    pub(super) fn page_table(&self, span: Span) -> Option<TableIndex> {
        if !Span::unit(span.first, Level::Two.entry_size()).contains(span.last) {
            return None;
        }
        let found = self.find(span.first);
        (found.level == Level::Three).then_some(found.table)
    }

    /// The finest table that holds every entry for `span`, and its level.
    pub(super) fn smallest_cover(&self, span: Span) -> (TableIndex, Level) {
        let (mut table, mut level) = (self.root, self.space.initial_level());
        while let Some(finer) = level.finer()
            && Span::unit(span.first, level.entry_size()).contains(span.last)
            && let Descriptor::Table(pa) = self.load(table, level.index(span.first), level)
        {
            (table, level) = (self.pool.at(pa), finer);
        }
        (table, level)
    }

    /// Adds a mapping. A table is filled before the store that links it.
    ///
    /// `page_table` is the table at level 3 that has every entry for it, if there is one.
    pub(super) fn map(
        &mut self,
        request: &MapRequest,
        page_table: Option<TableIndex>,
    ) -> Result<(), OutOfTables> {
        if let Some(table) = page_table {
            let hinted = request.hinted(Level::Three);
            self.map_pages(table, request.span, request, hinted);
            return Ok(());
        }
        self.map_in(self.root, self.space.initial_level(), request.span, request)
    }

    fn map_in(
        &mut self,
        table: TableIndex,
        level: Level,
        span: Span,
        request: &MapRequest,
    ) -> Result<(), OutOfTables> {
        let hinted = request.hinted(level);
        let Some(finer) = level.finer() else {
            self.map_pages(table, span, request, hinted);
            return Ok(());
        };
        for piece in level.pieces(span) {
            let entry = self.pool.entry(table, piece.index);
            if request.is_leaf(piece.span, level, &self.space) {
                store_descriptor(entry, request.leaf(piece.span.first, level, hinted));
            } else if let Descriptor::Table(pa) = self.load(table, piece.index, level) {
                self.map_in(self.pool.at(pa), finer, piece.span, request)?;
            } else {
                let below = self.pool.take().ok_or(OutOfTables)?;
                self.map_in(below, finer, piece.span, request)?;
                store_descriptor(entry, self.pool.descriptor_of(below));
            }
        }
        Ok(())
    }

    /// Maps the pages of `span` in a table at level 3.
    fn map_pages(&self, table: TableIndex, span: Span, request: &MapRequest, hinted: Option<Span>) {
        let indexes = Level::Three.index(span.first)..=Level::Three.index(span.last);
        let entries = &self.pool.entries(table)[indexes];
        if let MapTarget::Transient = request.target {
            for entry in entries {
                store_descriptor(entry, TRANSIENT_UNMAPPED);
            }
            return;
        }
        let mut offset = span.first;
        for entry in entries {
            store_descriptor(entry, request.leaf(offset, Level::Three, hinted));
            offset += Level::Three.entry_size();
        }
    }

    /// How many tables [`Self::map`] would take. If more than `limit`, any number above it.
    pub(super) fn tables_for(&self, request: &MapRequest, limit: usize) -> usize {
        self.tables_in(Some(self.root), self.space.initial_level(), request.span, request, limit)
    }

    fn tables_in(
        &self,
        table: Option<TableIndex>,
        level: Level,
        span: Span,
        request: &MapRequest,
        limit: usize,
    ) -> usize {
        let Some(finer) = level.finer() else { return 0 };
        let mut count = 0;
        for piece in
            level.pieces(span).filter(|piece| !request.is_leaf(piece.span, level, &self.space))
        {
            let below = match table.map(|table| self.load(table, piece.index, level)) {
                Some(Descriptor::Table(pa)) => Some(self.pool.at(pa)),
                _ => None,
            };
            count += usize::from(below.is_none());
            if count > limit {
                break;
            }
            count += self.tables_in(below, finer, piece.span, request, limit - count);
        }
        count
    }
}
