// SPDX-License-Identifier: BSD-3-Clause
//! The regions of a context, sorted by virtual and by physical address.
//!
//! Invariants:
//! - Virtually, two regions are disjoint, or one lies inside the other and both are static memory.
//! - A region inside another maps to what the outer one would, so they nest physically as well.
//! - Regions that are disjoint virtually are disjoint physically. No memory has two sets of
//!   attributes in one context.
//! - `container` of a region is the smallest region around it.
//!
//! Regions keep their number while they are in the list; the orders are arrays of numbers. A check
//! takes two binary searches and a step for each region inside the new one. An insertion at the end
//! of both orders moves nothing.

#[cfg(test)]
mod tests;

use core::cmp::Ordering;

use super::descriptor::LeafBits;
use super::error::{Error, Extent};
use super::level::Span;
use super::region::Region;
use crate::address::VirtAddr;

/// Room for `N` regions, at most 65,535. [`RegionStorage::list`] makes the list of a context.
#[derive(Debug)]
pub struct RegionStorage<const N: usize> {
    regions: [PlacedRegion; N],
    by_va: [u16; N],
    by_pa: [u16; N],
}

impl<const N: usize> RegionStorage<N> {
    /// Room for `N` regions.
    pub const fn new() -> Self {
        const { assert!(N <= u16::MAX as usize, "regions are numbered with 16 bits") };
        Self { regions: [PlacedRegion::NONE; N], by_va: [0; N], by_pa: [0; N] }
    }

    /// An empty list that keeps its regions here.
    pub fn list(&mut self) -> RegionList<'_> {
        for (number, vacant) in (0..=u16::MAX).zip(&mut self.by_va) {
            *vacant = number;
        }
        RegionList {
            regions: &mut self.regions,
            by_va: &mut self.by_va,
            by_pa: &mut self.by_pa,
            len: 0,
            len_physical: 0,
        }
    }
}

impl<const N: usize> Default for RegionStorage<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// How long a region stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// As long as the context.
    Static,
    /// Until it is removed.
    Dynamic,
}

/// A region with its offsets in the VA range, in the list or to be added.
///
/// Its physical addresses do not wrap.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlacedRegion {
    pub(super) region: Region,
    pub(super) span: Span,
    lifetime: Lifetime,
    /// The smallest region around it, by number.
    container: Option<u16>,
    /// Its attributes, encoded when it was added.
    pub(super) bits: LeafBits,
}

impl PlacedRegion {
    const NONE: Self = Self::new(
        Region::transient(VirtAddr::new(0), 0),
        Span { first: 0, last: 0 },
        Lifetime::Static,
    );

    pub(super) const fn new(region: Region, span: Span, lifetime: Lifetime) -> Self {
        Self { region, span, lifetime, container: None, bits: LeafBits::NONE }
    }

    /// This region, its attributes encoded as `bits`.
    pub(super) const fn with_bits(self, bits: LeafBits) -> Self {
        Self { bits, ..self }
    }

    /// Physical addresses, of a region that has them.
    fn physical(&self) -> Option<Span> {
        let first = self.region.pa()?.get();
        Some(Span { first, last: first + (self.span.last - self.span.first) })
    }

    /// Whether `inner`, whose virtual addresses lie in this region's, may be inside it.
    fn may_contain(&self, inner: &Self) -> Result<(), fn(Extent) -> Error> {
        match (self.physical(), inner.physical()) {
            (Some(outer_pa), Some(inner_pa))
                if (self.lifetime, inner.lifetime) == (Lifetime::Static, Lifetime::Static) =>
            {
                let offset = inner.span.first - self.span.first;
                if outer_pa.first + offset == inner_pa.first {
                    Ok(())
                } else {
                    Err(Error::NestedElsewhere)
                }
            }
            _ => Err(Error::Overlap),
        }
    }
}

/// Where a region goes that [`RegionList::check`] accepted.
#[derive(Debug)]
pub(super) struct Insertion {
    container: Option<u16>,
    /// Position in `by_va`.
    by_va: usize,
    /// Position in `by_pa`, of a region with a physical address.
    by_pa: Option<usize>,
}

/// Ascending by first address, an outer region before those inside it.
fn order(a: Span, b: Span) -> Ordering {
    a.first.cmp(&b.first).then(b.last.cmp(&a.last))
}

/// Inserts `first` before the numbers of `order`, and drops the last of these.
fn insert(order: &mut [u16], first: u16) {
    // By sixteen: on the target this takes a third of the instructions that a move of memory does.
    let mut carried = first;
    let (lines, rest) = order.as_chunks_mut::<16>();
    for line in lines {
        for number in line {
            core::mem::swap(number, &mut carried);
        }
    }
    for number in rest {
        core::mem::swap(number, &mut carried);
    }
}

/// The regions of a context.
#[derive(Debug)]
pub struct RegionList<'a> {
    regions: &'a mut [PlacedRegion],
    /// Numbers of all regions, in order of virtual address; from `len` on, vacant numbers.
    by_va: &'a mut [u16],
    /// Numbers of the regions with a physical address, in order of that; `len_physical` of them.
    by_pa: &'a mut [u16],
    len: usize,
    len_physical: usize,
}

impl RegionList<'_> {
    /// How many regions there can be.
    pub fn capacity(&self) -> usize {
        self.regions.len()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Each region and its lifetime, by virtual address, an outer region before those inside it.
    pub fn iter(&self) -> impl Iterator<Item = (&Region, Lifetime)> {
        self.by_va().iter().map(|&number| {
            let PlacedRegion { region, lifetime, .. } = self.get(number);
            (region, *lifetime)
        })
    }

    fn get(&self, number: u16) -> &PlacedRegion {
        &self.regions[usize::from(number)]
    }

    fn by_va(&self) -> &[u16] {
        &self.by_va[..self.len]
    }

    fn by_pa(&self) -> &[u16] {
        &self.by_pa[..self.len_physical]
    }

    fn span(&self, number: u16) -> Span {
        self.get(number).span
    }

    /// The physical addresses of a region in `by_pa`, all of which have some.
    fn physical(&self, number: u16) -> Span {
        self.get(number).physical().unwrap_or(Span { first: 0, last: 0 })
    }

    /// The first position in `by_va` not before `span`.
    fn va_position(&self, span: Span) -> usize {
        // Most regions come in ascending order.
        match self.by_va().last() {
            Some(&last) if self.span(last).last < span.first => self.len,
            _ => self.by_va().partition_point(|&number| order(self.span(number), span).is_lt()),
        }
    }

    /// The first position in `by_pa` not before `span`.
    fn pa_position(&self, span: Span) -> usize {
        match self.by_pa().last() {
            Some(&last) if self.physical(last).last < span.first => self.len_physical,
            _ => self.by_pa().partition_point(|&number| order(self.physical(number), span).is_lt()),
        }
    }

    /// Whether `new` may be added, and where it then goes.
    ///
    /// # Errors
    /// [`Error::Overlap`], [`Error::NestedElsewhere`], [`Error::PhysicalOverlap`] or
    /// [`Error::OutOfRegions`].
    pub(super) fn check(&self, new: &PlacedRegion) -> Result<Insertion, Error> {
        let by_va = self.va_position(new.span);
        let container = self.container(new, by_va)?;
        let inside = self.count_inside(new, by_va)?;
        let by_pa = self.check_physical(new, container, inside)?;
        if self.len == self.capacity() {
            return Err(Error::OutOfRegions(new.region.extent));
        }
        Ok(Insertion { container, by_va, by_pa })
    }

    /// Of the region before `position` in an order and those around it, the smallest whose span
    /// holds `address`.
    fn innermost(
        &self,
        order: &[u16],
        position: usize,
        address: u64,
        span: impl Fn(u16) -> Span,
    ) -> Option<u16> {
        let before = order[..position].last().copied();
        core::iter::successors(before, |&number| self.get(number).container)
            .find(|&number| span(number).last >= address)
    }

    /// The smallest region around `new`, which goes to `position` in `by_va`.
    fn container(&self, new: &PlacedRegion, position: usize) -> Result<Option<u16>, Error> {
        // A region that holds the first address is the one before, or is around that one.
        let container =
            self.innermost(self.by_va(), position, new.span.first, |number| self.span(number));
        if let Some(outer) = container.map(|number| self.get(number)) {
            if outer.span.last < new.span.last {
                return Err(Error::Overlap(new.region.extent));
            }
            outer.may_contain(new).map_err(|error| error(new.region.extent))?;
        }
        Ok(container)
    }

    /// How many regions lie inside `new`, which goes to `position` in `by_va`.
    fn count_inside(&self, new: &PlacedRegion, position: usize) -> Result<usize, Error> {
        let mut count = 0;
        for other in self.by_va()[position..].iter().map(|&number| self.get(number)) {
            if other.span.first > new.span.last {
                break;
            }
            // With the same span neither is inside the other: which one counts would be unclear.
            if other.span.last > new.span.last || other.span == new.span {
                return Err(Error::Overlap(new.region.extent));
            }
            new.may_contain(other).map_err(|error| error(new.region.extent))?;
            count += 1;
        }
        Ok(count)
    }

    /// Checks `new`, which is in `container` and around `inside` regions virtually, against the
    /// physical addresses of the others. Returns its position in `by_pa`, if it has one.
    fn check_physical(
        &self,
        new: &PlacedRegion,
        container: Option<u16>,
        inside: usize,
    ) -> Result<Option<usize>, Error> {
        let Some(span) = new.physical() else { return Ok(None) };
        let position = self.pa_position(span);
        let around =
            self.innermost(self.by_pa(), position, span.first, |number| self.physical(number));
        let met = self.by_pa()[position..]
            .iter()
            .take_while(|&&number| self.physical(number).first <= span.last)
            .take(inside + 1)
            .count();
        // Regions nested virtually are nested physically. Any other overlaps physically only.
        if around != container || met != inside {
            return Err(Error::PhysicalOverlap(new.region.extent));
        }
        Ok(Some(position))
    }

    /// Adds `new`, for which [`Self::check`] returned `insertion` with the list as it is now.
    pub(super) fn insert(&mut self, new: &PlacedRegion, insertion: Insertion) {
        let Insertion { container, by_va, by_pa } = insertion;
        // The first vacant number moves to position `by_va`, and the numbers from there on move up.
        let number = self.by_va[self.len];
        insert(&mut self.by_va[by_va..=self.len], number);
        self.len += 1;
        for &inner in &self.by_va[by_va + 1..self.len] {
            let inner = &mut self.regions[usize::from(inner)];
            if inner.span.first > new.span.last {
                break;
            }
            if inner.container == container {
                inner.container = Some(number);
            }
        }
        self.regions[usize::from(number)] = PlacedRegion { container, ..*new };
        if let Some(by_pa) = by_pa {
            insert(&mut self.by_pa[by_pa..=self.len_physical], number);
            self.len_physical += 1;
        }
    }

    /// Position in `by_va` of the dynamic region with exactly this span.
    fn dynamic(&self, span: Span, extent: Extent) -> Result<usize, Error> {
        let position = self.va_position(span);
        match self.by_va().get(position).map(|&number| self.get(number)) {
            Some(found) if found.span == span && found.lifetime == Lifetime::Dynamic => {
                Ok(position)
            }
            Some(found) if found.span == span => Err(Error::Static(extent)),
            _ => Err(Error::NoSuchRegion(extent)),
        }
    }

    /// The dynamic region with exactly this span.
    ///
    /// # Errors
    /// [`Error::NoSuchRegion`], or [`Error::Static`].
    pub(super) fn find_dynamic(&self, span: Span, extent: Extent) -> Result<&Region, Error> {
        self.dynamic(span, extent).map(|position| &self.get(self.by_va[position]).region)
    }

    /// Removes the dynamic region with exactly this span. Returns the offsets around it that no
    /// region has now.
    ///
    /// # Errors
    /// As [`Self::find_dynamic`].
    pub(super) fn remove(&mut self, span: Span, extent: Extent) -> Result<Span, Error> {
        let position = self.dynamic(span, extent)?;
        // Nothing is inside a dynamic region, so no `container` names it.
        let number = self.by_va[position];
        if let Some(span) = self.get(number).physical() {
            let position = self.pa_position(span);
            self.by_pa.copy_within(position + 1..self.len_physical, position);
            self.len_physical -= 1;
        }
        self.by_va.copy_within(position + 1..self.len, position);
        self.len -= 1;
        self.by_va[self.len] = number;
        // Of the regions before, the outermost around the last one ends last.
        let before = self.by_va[..position].last().copied();
        let before = core::iter::successors(before, |&number| self.get(number).container).last();
        let after = self.by_va().get(position).copied();
        Ok(Span {
            first: before.map_or(0, |number| self.span(number).last + 1),
            last: after.map_or(u64::MAX, |number| self.span(number).first - 1),
        })
    }

    /// Calls `f` with each part of each region that lies in no inner region, in ascending order,
    /// until it fails.
    pub(super) fn try_for_each_part<E>(
        &self,
        mut f: impl FnMut(&PlacedRegion, Span) -> Result<(), E>,
    ) -> Result<(), E> {
        // The innermost region around `next`, which is the first offset not dealt with.
        let (mut open, mut next) = (None, 0);
        for &number in self.by_va() {
            let first = self.span(number).first;
            self.close(&mut open, &mut next, first, &mut f)?;
            if let Some(around) = open
                && next < first
            {
                f(self.get(around), Span { first: next, last: first - 1 })?;
            }
            (open, next) = (Some(number), first);
        }
        self.close(&mut open, &mut next, u64::MAX, &mut f)
    }

    /// Ends `open` and the regions around it that end before `first`.
    fn close<E>(
        &self,
        open: &mut Option<u16>,
        next: &mut u64,
        first: u64,
        f: &mut impl FnMut(&PlacedRegion, Span) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(number) = *open {
            let ending = self.get(number);
            if ending.span.last >= first {
                break;
            }
            if *next <= ending.span.last {
                f(ending, Span { first: *next, last: ending.span.last })?;
                *next = ending.span.last + 1;
            }
            *open = ending.container;
        }
        Ok(())
    }
}
