// SPDX-License-Identifier: BSD-3-Clause
//! Changing the attributes of mapped addresses, by break-before-make (Arm ARM (DDI 0487 L.a)
//! D8.17.1).
//!
//! After all checks, each leaf concerned is parked (invalid, content kept), invalidated in the
//! TLBs, and made valid again from its content. A leaf changed in part is replaced by a table. A
//! group joined by the Contiguous hint is broken as a whole, since a TLB may hold it as one entry.

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
        let format = self.space.format();
        let extent = self.space.extent(range);
        let bits = self
            .space
            .leaf_bits::<R>(attributes)
            .map_err(|rule| Error::Attributes(extent, rule))?;
        let change =
            AttributeChange { range, bits, contiguous_hint: self.space.has_contiguous_hint() };
        self.check_change::<R>(range, attributes)?;
        let edges = [self.find(range.first), self.find(range.last)];
        if self.tables_for_edges(&change, &edges) > self.pool.free() {
            return Err(Error::OutOfTables(extent));
        }

        let broken = Span {
            first: self.joined_unit(&edges[0], range.first).first,
            last: self.joined_unit(&edges[1], range.last).last,
        };
        let Ok(()) = self.visit::<Infallible>(broken, &mut |visited| {
            if let Descriptor::Leaf(leaf) = visited.descriptor
                && leaf.bits(format) != bits
            {
                store_descriptor(visited.entry, park(leaf.raw()));
            }
            Ok(())
        });
        maintenance.complete_stores();
        let mut last = None;
        let Ok(()) = self.visit::<Infallible>(broken, &mut |visited| {
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
        self.make(&change, broken).map_err(|OutOfTables| Error::OutOfTables(extent))?;
        maintenance.publish();
        Ok(())
    }

    /// Checks that all of `range` is mapped, and that `attributes` differ only where they may.
    fn check_change<R: Regime>(&self, range: Span, attributes: Attributes) -> Result<(), Error> {
        let (format, walks) = (self.space.format(), self.space.walks());
        self.visit(range, &mut |visited| {
            let extent = self.space.extent(visited.span);
            match visited.descriptor {
                Descriptor::Leaf(leaf) if leaf.is_transient() => Err(Error::Transient(extent)),
                Descriptor::Transient => Err(Error::Transient(extent)),
                Descriptor::Leaf(leaf) => {
                    let old = leaf.attributes::<R>(format, walks);
                    let fixed = |a: Attributes| (a.memory, a.pas, a.shareability);
                    if fixed(old) == fixed(attributes) {
                        Ok(())
                    } else {
                        Err(Error::FixedAttribute(extent))
                    }
                }
                _ => Err(Error::NotMapped(extent)),
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
    fn make(&mut self, change: &AttributeChange, broken: Span) -> Result<(), OutOfTables> {
        // Only leaves at the ends can be cut.
        for offset in [change.range.first, change.range.last] {
            let WalkEnd { level, table, index, descriptor } = self.find(offset);
            let unit = Span::unit(offset, level.entry_size());
            if let (Descriptor::ParkedLeaf(leaf), Some(finer)) = (descriptor, level.finer())
                && change.cuts(unit)
            {
                let below = self.split(change, &self.old(leaf, unit.first), unit, finer)?;
                store_descriptor(self.pool.entry(table, index), self.pool.descriptor_of(below));
            }
        }
        let Ok(()) = self.visit::<Infallible>(broken, &mut |visited| {
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
