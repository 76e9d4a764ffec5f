// SPDX-License-Identifier: BSD-3-Clause
//! Changing the attributes of mapped addresses.
//!
//! Permissions of leaves that keep their size change in place, so that what is in use can be
//! tightened. All else takes break-before-make (Arm ARM (DDI 0487 L.a) D8.17.1): each leaf
//! concerned is parked (invalid, content kept), invalidated in the TLBs, and made valid again from
//! its content. A leaf changed in part is replaced with a table. A group joined by the Contiguous
//! hint is broken as a whole, since a TLB may hold it as one entry.
//!
//! Where the CPUs allow it ([`MaintenanceFeatures::resize_in_place`]), leaves that a change of
//! permissions cuts are first replaced with smaller units that map the same, without being invalid
//! in between. Then all leaves keep their size.
//!
//! [`MaintenanceFeatures::resize_in_place`]: super::MaintenanceFeatures::resize_in_place

use core::convert::Infallible;

use super::attributes::{Attributes, Permissions};
use super::descriptor::{self, Descriptor, LeafBits, LeafDescriptor, park};
use super::descriptor_flags::DescriptorFlags;
use super::error::{AttributeRule, Error};
use super::invalidation::WalkPart;
use super::level::{CONTIGUOUS_ENTRIES, Level, Span};
use super::maintenance::Maintenance;
use super::pool::TableIndex;
use super::regime::Regime;
use super::retire::LeafCount;
use super::space::AddressSpace;
use super::table_tree::{OutOfTables, TableTree, WalkEnd};
use crate::address::PhysAddr;
use crate::arch::memory::store_descriptor;

/// A change of the attribute fields of leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldChange {
    mask: LeafBits,
    /// The new value of the fields in `mask`.
    bits: LeafBits,
    /// Set if only permissions change: the other fields of a leaf decide whether it may have these.
    permissions: Option<Permissions>,
}

impl FieldChange {
    /// Changes nothing.
    const NONE: Self = Self { mask: LeafBits::NONE, bits: LeafBits::NONE, permissions: None };

    /// All fields become those of `attributes`.
    pub(super) fn to_attributes<R: Regime>(
        attributes: Attributes,
        space: &AddressSpace,
    ) -> Result<Self, AttributeRule> {
        let bits = space.leaf_bits::<R>(attributes)?;
        Ok(Self { mask: LeafBits::ALL, bits, permissions: None })
    }

    /// Permissions become `permissions`, all else stays.
    pub(super) fn to_permissions<R: Regime>(
        permissions: Permissions,
        space: &AddressSpace,
    ) -> Result<Self, AttributeRule> {
        // Memory that may have any permissions.
        let memory = Attributes::non_cacheable().in_pas(R::OWN_PAS);
        let bits = space.leaf_bits::<R>(memory.with_permissions(permissions))?;
        let mask = LeafBits::permissions::<R>();
        Ok(Self { mask, bits, permissions: Some(permissions) })
    }

    fn applied(&self, old: LeafBits) -> LeafBits {
        old.replaced(self.mask, self.bits)
    }

    fn alters(&self, old: LeafBits) -> bool {
        self.applied(old) != old
    }
}

/// A range of offsets, and the change of the attribute fields of its leaves.
#[derive(Debug)]
struct AttributeChange {
    range: Span,
    fields: FieldChange,
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
        let changed = self.range.encloses(unit);
        let bits = if changed { self.fields.applied(old.bits) } else { old.bits };
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
    /// Changes attribute fields of all of `range`.
    pub(super) fn change<R: Regime>(
        &mut self,
        range: Span,
        fields: FieldChange,
        maintenance: Maintenance,
    ) -> Result<(), Error> {
        let first = self.find(range.first);
        if let Some(leaf) = self.only_leaf(&first, range) {
            let global = self.check_leaf::<R>(first.descriptor, range, &fields)?;
            if global {
                self.change_leaf::<R>(&first, leaf, range, &fields, maintenance);
                return Ok(());
            }
        }
        let extent = self.space.extent(range);
        let change =
            AttributeChange { range, fields, contiguous_hint: self.space.has_contiguous_hint() };
        let cover = self.smallest_cover(range);
        let same_globality = self.check_change::<R>(cover, range, &fields)?;
        let first_leaf = Span::unit(range.first, first.level.entry_size());
        let one = first_leaf.contains(range.last);
        let edges = if one { [first, first] } else { [first, self.find_from(cover, range.last)] };
        if self.tables_for_edges(&change, &edges) > self.pool.free() {
            return Err(Error::OutOfTables(extent));
        }
        let units =
            [self.joined_unit(&edges[0], range.first), self.joined_unit(&edges[1], range.last)];
        let broken = Span { first: units[0].first, last: units[1].last };
        let resize_in_place = self.space.maintenance_features().resize_in_place && same_globality;
        if broken != range && !resize_in_place {
            return self
                .break_and_make::<R>(cover, &change, broken, maintenance)
                .map_err(|OutOfTables| Error::OutOfTables(extent));
        }
        if broken != range {
            let distinct = if units[0] == units[1] { 1 } else { 2 };
            for (found, unit) in edges.iter().zip(units).take(distinct) {
                self.resize_in_place::<R>(found, unit, &change, maintenance)
                    .map_err(|OutOfTables| Error::OutOfTables(extent))?;
            }
        }
        self.change_in_place::<R>(cover, &change, maintenance);
        Ok(())
    }

    /// The leaf that `found` came to, if a TLB holds it as one entry for `range` and nothing else.
    fn only_leaf(&self, found: &WalkEnd, range: Span) -> Option<LeafDescriptor> {
        match found.descriptor {
            Descriptor::Leaf(leaf)
                if !leaf.is_contiguous() && range.is_unit(found.level.entry_size()) =>
            {
                Some(leaf)
            }
            _ => None,
        }
    }

    /// Changes one leaf in place.
    fn change_leaf<R: Regime>(
        &self,
        found: &WalkEnd,
        leaf: LeafDescriptor,
        range: Span,
        fields: &FieldChange,
        maintenance: Maintenance,
    ) {
        let format = self.space.format();
        let old = leaf.bits(format);
        if !fields.alters(old) {
            return;
        }
        let value = leaf.with_bits(fields.applied(old), format).raw();
        store_descriptor(self.pool.entry(found.table, found.index), value);
        let cover = (found.table, found.level);
        self.retire_span::<R>(
            cover,
            range,
            LeafCount::one(found.level),
            WalkPart::Leaf,
            maintenance,
        );
        maintenance.synchronize();
    }

    /// Changes leaves that keep their size. Only those whose globality changes are invalid in
    /// between.
    fn change_in_place<R: Regime>(
        &self,
        cover: (TableIndex, Level),
        change: &AttributeChange,
        maintenance: Maintenance,
    ) {
        let format = self.space.format();
        let (mut altered, mut parked, mut leaves) = (false, false, LeafCount::NONE);
        let Ok(()) = self.visit_in::<Infallible>(cover.0, cover.1, change.range, &mut |visited| {
            let Descriptor::Leaf(leaf) = visited.descriptor else { return Ok(()) };
            leaves.add(visited.level);
            let old = leaf.bits(format);
            let new = change.fields.applied(old);
            if old != new {
                // A TLB must not hold a global and a non-global translation of one address.
                let broken = !old.same_globality(new);
                let value = leaf.with_bits(new, format).raw();
                store_descriptor(visited.entry, if broken { park(value) } else { value });
                altered = true;
                parked |= broken;
            }
            Ok(())
        });
        if !altered {
            return;
        }
        self.retire_span::<R>(cover, change.range, leaves, WalkPart::Leaf, maintenance);
        if parked {
            let Ok(()) =
                self.visit_in::<Infallible>(cover.0, cover.1, change.range, &mut |visited| {
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
        cover: (TableIndex, Level),
        change: &AttributeChange,
        broken: Span,
        maintenance: Maintenance,
    ) -> Result<(), OutOfTables> {
        let format = self.space.format();
        let (mut parked, mut leaves) = (false, LeafCount::NONE);
        let Ok(()) = self.visit_in::<Infallible>(cover.0, cover.1, broken, &mut |visited| {
            leaves.add(visited.level);
            if let Descriptor::Leaf(leaf) = visited.descriptor
                && change.fields.alters(leaf.bits(format))
            {
                store_descriptor(visited.entry, park(leaf.raw()));
                parked = true;
            }
            Ok(())
        });
        if !parked {
            return Ok(());
        }
        self.retire_span::<R>(cover, broken, leaves, WalkPart::Leaf, maintenance);
        self.make(cover, change, broken)?;
        maintenance.publish();
        Ok(())
    }

    /// Replaces the leaf `found` at an end of the change with smaller ones that map the same and
    /// that the change does not cut. A TLB may hold the leaf as `unit`.
    fn resize_in_place<R: Regime>(
        &mut self,
        found: &WalkEnd,
        unit: Span,
        change: &AttributeChange,
        maintenance: Maintenance,
    ) -> Result<(), OutOfTables> {
        let format = self.space.format();
        let (table, level) = (found.table, found.level);
        let Descriptor::Leaf(leaf) = found.descriptor else { return Ok(()) };
        let hinted = leaf.is_contiguous();
        if !change.cuts(unit) || !change.fields.alters(leaf.bits(format)) {
            return Ok(());
        }
        let group = usize::try_from(CONTIGUOUS_ENTRIES).unwrap_or(1);
        let first = if hinted { found.index & !(group - 1) } else { found.index };
        let size = level.entry_size();
        let same = AttributeChange { fields: FieldChange::NONE, ..*change };
        for (number, index) in (0..).zip(first..first + if hinted { group } else { 1 }) {
            let Descriptor::Leaf(leaf) = self.load(table, index, level) else { continue };
            let piece = Span::unit(unit.first + number * size, size);
            let value = match level.finer() {
                Some(finer) if change.cuts(piece) => {
                    let below = self.split(&same, &self.old(leaf, piece.first), piece, finer)?;
                    self.pool.descriptor_of(below)
                }
                _ => leaf.raw() & !DescriptorFlags::CONTIGUOUS.bits(),
            };
            store_descriptor(self.pool.entry(table, index), value);
        }
        let leaves = LeafCount::all_at(level, unit);
        self.retire_span::<R>((table, level), unit, leaves, WalkPart::Leaf, maintenance);
        Ok(())
    }

    /// Checks that all of `range` is mapped and that its fields may change so. Returns whether the
    /// globality of every leaf stays.
    fn check_change<R: Regime>(
        &self,
        cover: (TableIndex, Level),
        range: Span,
        fields: &FieldChange,
    ) -> Result<bool, Error> {
        let mut same_globality = true;
        self.visit_in(cover.0, cover.1, range, &mut |visited| {
            same_globality &= self.check_leaf::<R>(visited.descriptor, visited.span, fields)?;
            Ok(())
        })?;
        Ok(same_globality)
    }

    /// As [`Self::check_change`], for the entry that maps `span`.
    fn check_leaf<R: Regime>(
        &self,
        descriptor: Descriptor,
        span: Span,
        fields: &FieldChange,
    ) -> Result<bool, Error> {
        let extent = || self.space.extent(span);
        let leaf = match descriptor {
            Descriptor::Leaf(leaf) if !leaf.is_transient() => leaf,
            Descriptor::Leaf(_) | Descriptor::Transient => return Err(Error::Transient(extent())),
            _ => return Err(Error::NotMapped(extent())),
        };
        let (format, walks) = (self.space.format(), self.space.walks());
        let old = leaf.bits(format);
        let new = fields.applied(old);
        if !old.same_memory::<R>(new) {
            return Err(Error::FixedAttribute(extent()));
        }
        if let Some(permissions) = fields.permissions
            && permissions.executable
        {
            let attributes = leaf.attributes::<R>(format, walks).with_permissions(permissions);
            self.space
                .leaf_bits::<R>(attributes)
                .map_err(|rule| Error::Attributes(extent(), rule))?;
        }
        Ok(old.same_globality(new))
    }

    /// How many tables splitting the leaves at the ends of a change takes.
    fn tables_for_edges(&self, change: &AttributeChange, edges: &[WalkEnd; 2]) -> usize {
        let count = |found: &WalkEnd, offset| match found.descriptor {
            Descriptor::Leaf(leaf) if change.fields.alters(leaf.bits(self.space.format())) => {
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
