// SPDX-License-Identifier: BSD-3-Clause
//! Changing the attributes of mapped addresses.
//!
//! Permissions of leaves that keep their size change in place, so that what is in use can be
//! tightened. All else takes break-before-make (Arm ARM (DDI 0487 L.a) D8.17.1): each leaf
//! concerned is parked (invalid, content kept), invalidated in the TLBs, and made valid again from
//! its content. A leaf changed in part is replaced by a table. A group joined by the Contiguous hint
//! is broken as a whole, since a TLB may hold it as one entry.

use core::convert::Infallible;

use super::attributes::Attributes;
use super::descriptor::{self, Descriptor, LeafBits, LeafDescriptor, park};
use super::descriptor_flags::DescriptorFlags;
use super::error::Error;
use super::level::{CONTIGUOUS_ENTRIES, Level, Span};
use super::maintenance::Maintenance;
use super::pool::TableIndex;
use super::regime::Regime;
use super::table_tree::{OutOfTables, TableTree, WalkEnd};
use crate::address::PhysAddr;
use crate::arch::memory::store_descriptor;

/// Offsets, and the attribute fields that they get.
#[derive(Debug)]
struct AttributeChange {
    range: Span,
    bits: LeafBits,
    contiguous_hint: bool,
}

impl AttributeChange {
    /// Whether part of `unit` is changed, and part of it not.
    fn cuts(&self, unit: Span) -> bool {
        self.range.overlaps(unit) && !self.range.encloses(unit)
    }

    /// The descriptor at `level`, without the hint, for `unit`. `unit` is not cut and lies in
    /// `old`.
    fn leaf(&self, unit: Span, level: Level, old: &OldLeaf) -> u64 {
        let bits = if self.range.encloses(unit) { self.bits } else { old.bits };
        descriptor::leaf(bits, PhysAddr::new(old.pa.get() + (unit.first - old.first)), level)
    }

    /// The Contiguous hint for a leaf of `unit` at `level`, unless the change cuts its group.
    fn hint(&self, unit: Span, level: Level) -> u64 {
        let group = Span::unit(unit.first, level.entry_size() * CONTIGUOUS_ENTRIES);
        if self.contiguous_hint && descriptor::contiguous_at(level) && !self.cuts(group) {
            DescriptorFlags::CONTIGUOUS.bits()
        } else {
            0
        }
    }

    /// How many tables replace a leaf of `unit` at `level`.
    fn tables_for(&self, unit: Span, level: Level) -> usize {
        match level.finer() {
            Some(finer) if self.cuts(unit) => {
                1 + finer
                    .pieces(unit)
                    .map(|piece| self.tables_for(piece.span, finer))
                    .sum::<usize>()
            }
            _ => 0,
        }
    }
}

/// What a change without splits has stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum InPlace {
    Nothing,
    Changed,
    /// Some leaves are parked.
    Parked,
}

impl InPlace {
    fn or_changed(self) -> Self {
        if self == Self::Nothing { Self::Changed } else { self }
    }
}

/// A leaf as it was before the change.
#[derive(Debug)]
struct OldLeaf {
    bits: LeafBits,
    /// Output address of its first byte.
    pa: PhysAddr,
    /// Offset of its first byte.
    first: u64,
}

impl TableTree<'_> {
    /// Gives all of `range`, which is mapped, other attributes.
    pub(super) fn change<R: Regime>(
        &mut self,
        range: Span,
        attributes: Attributes,
        maintenance: Maintenance,
    ) -> Result<(), Error> {
        let extent = self.space.extent(range);
        let bits = self
            .space
            .leaf_bits::<R>(attributes)
            .map_err(|rule| Error::Attributes(extent, rule))?;
        let change =
            AttributeChange { range, bits, contiguous_hint: self.space.has_contiguous_hint() };
        let cover = self.smallest_cover(range);
        self.check_change::<R>(cover, range, bits)?;
        let first = self.find_from(cover, range.first);
        let first_leaf = Span::unit(range.first, first.level.entry_size());
        let one = first_leaf.contains(range.last);
        let edges = if one { [first, first] } else { [first, self.find_from(cover, range.last)] };
        if self.tables_for_edges(&change, &edges) > self.pool.free() {
            return Err(Error::OutOfTables(extent));
        }
        let broken = Span {
            first: self.joined_unit(&edges[0], range.first).first,
            last: self.joined_unit(&edges[1], range.last).last,
        };
        if broken == range {
            self.change_in_place::<R>(cover, &change, maintenance)
        } else {
            self.break_and_make::<R>(cover, &change, broken, maintenance)
                .map_err(|OutOfTables| Error::OutOfTables(extent))?;
        }
        Ok(())
    }

    /// Changes leaves that keep their size. None is invalid in between, where that is allowed.
    fn change_in_place<R: Regime>(
        &self,
        (table, level): (TableIndex, Level),
        change: &AttributeChange,
        maintenance: Maintenance,
    ) {
        let format = self.space.format();
        let mut state = InPlace::Nothing;
        let Ok(()) = self.visit_in::<Infallible>(table, level, change.range, &mut |visited| {
            if let Descriptor::Leaf(leaf) = visited.descriptor
                && leaf.bits(format) != change.bits
            {
                // A TLB must not hold a global and a non-global translation of one address.
                let broken = !leaf.bits(format).same_globality(change.bits);
                let value = leaf.with_bits(change.bits, format).raw();
                store_descriptor(visited.entry, if broken { park(value) } else { value });
                state = if broken { InPlace::Parked } else { state.or_changed() };
            }
            Ok(())
        });
        if state == InPlace::Nothing {
            return;
        }
        maintenance.complete_stores();
        let mut last = self.space.leaf_invalidation(self.space.address(change.range.first));
        if maintenance != Maintenance::None {
            let Ok(()) = self.visit_in::<Infallible>(table, level, change.range, &mut |visited| {
                last = self.space.leaf_invalidation(self.space.address(visited.span.first));
                maintenance.invalidate::<R>(last);
                Ok(())
            });
        }
        maintenance.complete_invalidations::<R>(last);
        if state == InPlace::Parked {
            let Ok(()) = self.visit_in::<Infallible>(table, level, change.range, &mut |visited| {
                if let Descriptor::ParkedLeaf(leaf) = visited.descriptor {
                    store_descriptor(visited.entry, leaf.raw());
                }
                Ok(())
            });
            maintenance.complete_stores();
        }
        maintenance.synchronize();
    }

    /// Changes leaves, when some are split or leave their Contiguous group.
    fn break_and_make<R: Regime>(
        &mut self,
        (table, level): (TableIndex, Level),
        change: &AttributeChange,
        broken: Span,
        maintenance: Maintenance,
    ) -> Result<(), OutOfTables> {
        let (format, bits) = (self.space.format(), change.bits);
        let Ok(()) = self.visit_in::<Infallible>(table, level, broken, &mut |visited| {
            if let Descriptor::Leaf(leaf) = visited.descriptor
                && leaf.bits(format) != bits
            {
                store_descriptor(visited.entry, park(leaf.raw()));
            }
            Ok(())
        });
        maintenance.complete_stores();
        let mut last = None;
        let Ok(()) = self.visit_in::<Infallible>(table, level, broken, &mut |visited| {
            if let Descriptor::ParkedLeaf(_) = visited.descriptor {
                let va = self.space.address(visited.span.first);
                let invalidation = self.space.leaf_invalidation(va);
                maintenance.invalidate::<R>(invalidation);
                last = Some(invalidation);
            }
            Ok(())
        });
        let Some(last) = last else { return Ok(()) };
        maintenance.complete_invalidations::<R>(last);
        self.make((table, level), change, broken)?;
        maintenance.publish();
        Ok(())
    }

    /// Checks that all of `range` is mapped, and that `bits` differ only where they may.
    fn check_change<R: Regime>(
        &self,
        (table, level): (TableIndex, Level),
        range: Span,
        bits: LeafBits,
    ) -> Result<(), Error> {
        let format = self.space.format();
        self.visit_in(table, level, range, &mut |visited| {
            let extent = || self.space.extent(visited.span);
            match visited.descriptor {
                Descriptor::Leaf(leaf) if leaf.is_transient() => Err(Error::Transient(extent())),
                Descriptor::Transient => Err(Error::Transient(extent())),
                Descriptor::Leaf(leaf) if leaf.bits(format).same_memory::<R>(bits) => Ok(()),
                Descriptor::Leaf(_) => Err(Error::FixedAttribute(extent())),
                _ => Err(Error::NotMapped(extent())),
            }
        })
    }

    /// How many tables splitting the leaves at the ends of a change takes.
    fn tables_for_edges(&self, change: &AttributeChange, edges: &[WalkEnd; 2]) -> usize {
        let count = |found: &WalkEnd, offset| match found.descriptor {
            Descriptor::Leaf(leaf) if leaf.bits(self.space.format()) != change.bits => {
                change.tables_for(Span::unit(offset, found.level.entry_size()), found.level)
            }
            _ => 0,
        };
        let [first, last] = edges;
        if (first.table, first.index) == (last.table, last.index) {
            count(first, change.range.first)
        } else {
            count(first, change.range.first) + count(last, change.range.last)
        }
    }

    /// The offsets that a TLB may hold as one entry with the leaf `found` for `offset`.
    fn joined_unit(&self, found: &WalkEnd, offset: u64) -> Span {
        let size = found.level.entry_size();
        match found.descriptor {
            Descriptor::Leaf(leaf) if leaf.is_contiguous() => {
                Span::unit(offset, size * CONTIGUOUS_ENTRIES)
            }
            _ => Span::unit(offset, size),
        }
    }

    /// Makes each parked leaf in `broken` valid again, changed, whole or split.
    fn make(
        &mut self,
        cover: (TableIndex, Level),
        change: &AttributeChange,
        broken: Span,
    ) -> Result<(), OutOfTables> {
        // Only leaves at the ends can be cut.
        for offset in [change.range.first, change.range.last] {
            let WalkEnd { level, table, index, descriptor } = self.find_from(cover, offset);
            let unit = Span::unit(offset, level.entry_size());
            if let (Descriptor::ParkedLeaf(leaf), Some(finer)) = (descriptor, level.finer())
                && change.cuts(unit)
            {
                let below = self.split(change, &self.old(leaf, unit.first), unit, finer)?;
                store_descriptor(self.pool.entry(table, index), self.pool.descriptor_of(below));
            }
        }
        let Ok(()) = self.visit_in::<Infallible>(cover.0, cover.1, broken, &mut |visited| {
            if let Descriptor::ParkedLeaf(leaf) = visited.descriptor {
                let old = self.old(leaf, visited.span.first);
                let hint =
                    if leaf.is_contiguous() { change.hint(visited.span, visited.level) } else { 0 };
                store_descriptor(
                    visited.entry,
                    change.leaf(visited.span, visited.level, &old) | hint,
                );
            }
            Ok(())
        });
        Ok(())
    }

    fn old(&self, leaf: LeafDescriptor, first: u64) -> OldLeaf {
        let format = self.space.format();
        OldLeaf { bits: leaf.bits(format), pa: leaf.pa(format), first }
    }

    /// Builds the table at `level` for `unit`, which lies in `old`. No walker can reach it yet.
    fn split(
        &mut self,
        change: &AttributeChange,
        old: &OldLeaf,
        unit: Span,
        level: Level,
    ) -> Result<TableIndex, OutOfTables> {
        let table = self.pool.take().ok_or(OutOfTables)?;
        for piece in level.pieces(unit) {
            let descriptor = match level.finer() {
                Some(finer) if change.cuts(piece.span) => {
                    let below = self.split(change, old, piece.span, finer)?;
                    self.pool.descriptor_of(below)
                }
                _ => change.leaf(piece.span, level, old) | change.hint(piece.span, level),
            };
            store_descriptor(self.pool.entry(table, piece.index), descriptor);
        }
        Ok(table)
    }
}
