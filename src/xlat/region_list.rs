// SPDX-License-Identifier: BSD-3-Clause
//! The regions of a context, in order of virtual and of physical address.
//!
//! Invariants, which make every check a binary search:
//! - Virtually, two regions are disjoint or one lies in the other, and then both are static memory.
//! - A region inside another maps to what the other would, so that they are nested physically as well.
//! - Regions that are disjoint virtually are disjoint physically. No memory thus has two sets of attributes in one context.
//! - `container` of a region is the smallest one around it.
//!
//! A region that contains others comes before them in both orders. Storage is the caller's and bounds how many there can be.

use super::error::{Error, Extent};
use super::level::Span;
use super::region::Region;

/// Room for `N` regions. Make it wherever the context shall live, and give [`RegionStorage::list`] to it.
#[derive(Debug)]
pub struct RegionStorage<const N: usize> {
    slots: [Slot; N],
    by_va: [u16; N],
    by_pa: [u16; N],
}

impl<const N: usize> RegionStorage<N> {
    /// Room for `N` regions, at most 65,535.
    pub const fn new() -> Self {
        const { assert!(N <= u16::MAX as usize, "regions are numbered with 16 bits") };
        Self { slots: [Slot::VACANT; N], by_va: [0; N], by_pa: [0; N] }
    }

    /// An empty list that keeps its regions here.
    pub fn list(&mut self) -> RegionList<'_> {
        for (number, slot) in (0..).zip(&mut self.by_va) {
            *slot = number;
        }
        RegionList {
            slots: &mut self.slots,
            by_va: &mut self.by_va,
            by_pa: &mut self.by_pa,
            len: 0,
            physical_len: 0,
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

/// A region as the list keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) region: Region,
    pub(super) lifetime: Lifetime,
    pub(super) span: Span,
    container: Option<u16>,
}

impl Slot {
    const VACANT: Self = Self {
        region: Region::transient(crate::address::VirtAddr::new(0), 0),
        lifetime: Lifetime::Static,
        span: Span { first: 0, last: 0 },
        container: None,
    };

    /// Physical addresses, of a region that has them.
    fn physical(&self) -> Option<Span> {
        let first = self.region.pa()?.get();
        // Checked when the region was added: it does not wrap.
        Some(Span { first, last: first + (self.span.last - self.span.first) })
    }

    /// Whether `inner`, whose addresses lie in this region's, may be inside it or equals it in what it maps.
    fn may_contain(&self, inner: &Self) -> Result<(), Error> {
        let extent = inner.region.extent;
        match (self.physical(), inner.physical()) {
            (Some(outer_pa), Some(inner_pa)) if self.is_static() && inner.is_static() => {
                let offset = inner.span.first - self.span.first;
                if outer_pa.first + offset == inner_pa.first {
                    Ok(())
                } else {
                    Err(Error::NestedElsewhere(extent))
                }
            }
            _ => Err(Error::Overlap(extent)),
        }
    }

    fn is_static(&self) -> bool {
        self.lifetime == Lifetime::Static
    }
}

/// Where a region that may be added goes.
#[derive(Debug)]
pub(super) struct Place {
    new: Slot,
    number: u16,
    by_va: usize,
    /// How many regions lie inside it.
    inside: usize,
    by_pa: Option<usize>,
}

/// Ascending by first address, the larger before the smaller.
fn order(a: Span, b: Span) -> core::cmp::Ordering {
    a.first.cmp(&b.first).then(b.last.cmp(&a.last))
}

/// The regions of a context.
#[derive(Debug)]
pub struct RegionList<'a> {
    slots: &'a mut [Slot],
    /// A permutation of the slot numbers: those in use by virtual address, then the vacant ones.
    by_va: &'a mut [u16],
    /// The slot numbers in use that have a physical address, by that.
    by_pa: &'a mut [u16],
    len: usize,
    physical_len: usize,
}

impl RegionList<'_> {
    /// How many regions there can be.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Each region with how long it stays, by virtual address; one that contains others before them.
    pub fn iter(&self) -> impl Iterator<Item = (&Region, Lifetime)> {
        self.in_use().iter().map(|&number| {
            let slot = self.slot(number);
            (&slot.region, slot.lifetime)
        })
    }

    fn slot(&self, number: u16) -> &Slot {
        &self.slots[usize::from(number)]
    }

    fn in_use(&self) -> &[u16] {
        &self.by_va[..self.len]
    }

    fn physical(&self) -> &[u16] {
        &self.by_pa[..self.physical_len]
    }

    fn physical_span(&self, number: u16) -> Span {
        // Only regions that have one are in `by_pa`.
        self.slot(number).physical().unwrap_or(Span { first: 0, last: 0 })
    }

    /// Whether [`Self::add`] would take this region, and where it would go.
    ///
    /// # Errors
    /// [`Error::Overlap`], [`Error::NestedElsewhere`], [`Error::PhysicalOverlap`] or [`Error::OutOfRegions`].
    pub(super) fn check(&self, region: &Region, span: Span, lifetime: Lifetime) -> Result<Place, Error> {
        let mut new = Slot { region: *region, lifetime, span, container: None };
        let by_va = self.in_use().partition_point(|&n| order(self.slot(n).span, span).is_lt());
        new.container = self.container_of(&new, by_va)?;
        let inside = self.inside(&new, by_va)?;
        let by_pa = self.check_physical(&new, inside)?;
        let number = *self.by_va.get(self.len).ok_or(Error::OutOfRegions(region.extent))?;
        Ok(Place { new, number, by_va, inside, by_pa })
    }

    /// Adds `region`, whose offsets are `span` and whose physical addresses do not wrap.
    ///
    /// # Errors
    /// Those of [`Self::check`].
    pub(super) fn add(&mut self, region: Region, span: Span, lifetime: Lifetime) -> Result<(), Error> {
        let place = self.check(&region, span, lifetime)?;
        self.insert(place);
        Ok(())
    }

    /// Adds what [`Self::check`] has found a place for, in the same list as it is now.
    pub(super) fn insert(&mut self, place: Place) {
        let Place { new, number, by_va: place, inside, by_pa } = place;
        for &inner in &self.by_va[place..place + inside] {
            let inner = &mut self.slots[usize::from(inner)];
            if inner.container == new.container {
                inner.container = Some(number);
            }
        }
        self.by_va.copy_within(place..self.len, place + 1);
        self.by_va[place] = number;
        self.len += 1;
        if let Some(place) = by_pa {
            self.by_pa.copy_within(place..self.physical_len, place + 1);
            self.by_pa[place] = number;
            self.physical_len += 1;
        }
        self.slots[usize::from(number)] = new;
    }

    /// Of `number` and those around it, the smallest whose span by `span_of` holds `address`.
    fn innermost(&self, mut number: Option<u16>, address: u64, span_of: impl Fn(u16) -> Span) -> Option<u16> {
        while let Some(n) = number {
            if span_of(n).last >= address {
                break;
            }
            number = self.slot(n).container;
        }
        number
    }

    /// The smallest region around `new`, which belongs at `place`.
    fn container_of(&self, new: &Slot, place: usize) -> Result<Option<u16>, Error> {
        // Whatever holds its first address contains the region before it, or is that one.
        let before = place.checked_sub(1).map(|place| self.by_va[place]);
        let container = self.innermost(before, new.span.first, |n| self.slot(n).span);
        if let Some(number) = container {
            let container = self.slot(number);
            if container.span.last < new.span.last {
                return Err(Error::Overlap(new.region.extent));
            }
            container.may_contain(new)?;
        }
        Ok(container)
    }

    /// How many regions lie inside `new`, which belongs at `place`.
    fn inside(&self, new: &Slot, place: usize) -> Result<usize, Error> {
        let mut count = 0;
        for &number in &self.in_use()[place..] {
            let other = self.slot(number);
            if other.span.first > new.span.last {
                break;
            }
            // One of the same addresses is neither inside the other: which of them counts would be unclear.
            if other.span.last > new.span.last || other.span == new.span {
                return Err(Error::Overlap(new.region.extent));
            }
            new.may_contain(other).map_err(|error| match error {
                Error::NestedElsewhere(_) => Error::NestedElsewhere(new.region.extent),
                _ => Error::Overlap(new.region.extent),
            })?;
            count += 1;
        }
        Ok(count)
    }

    /// The place of `new`, with `inside` regions in it virtually, in the physical order, if it has one.
    fn check_physical(&self, new: &Slot, inside: usize) -> Result<Option<usize>, Error> {
        let Some(span) = new.physical() else { return Ok(None) };
        let place = self.physical().partition_point(|&n| order(self.physical_span(n), span).is_lt());
        let before = place.checked_sub(1).map(|place| self.by_pa[place]);
        let around = self.innermost(before, span.first, |n| self.physical_span(n));
        let after = &self.physical()[place..];
        let in_range = after.partition_point(|&n| self.physical_span(n).first <= span.last);
        // What is nested virtually is nested physically. Anything more than that overlaps physically only.
        if around != new.container || in_range != inside {
            return Err(Error::PhysicalOverlap(new.region.extent));
        }
        Ok(Some(place))
    }

    /// The dynamic region with exactly these offsets.
    ///
    /// # Errors
    /// [`Error::NoSuchRegion`], or [`Error::Static`].
    pub(super) fn find_dynamic(&self, span: Span, extent: Extent) -> Result<&Slot, Error> {
        let found = self.in_use().binary_search_by(|&n| order(self.slot(n).span, span));
        let slot =
            found.map(|place| self.slot(self.by_va[place])).map_err(|_| Error::NoSuchRegion(extent))?;
        if slot.is_static() { Err(Error::Static(extent)) } else { Ok(slot) }
    }

    /// Removes the dynamic region with exactly these offsets.
    ///
    /// # Errors
    /// As [`Self::find_dynamic`].
    pub(super) fn remove(&mut self, span: Span, extent: Extent) -> Result<(), Error> {
        // Dynamic regions are not nested: no `container` names it.
        let physical = self.find_dynamic(span, extent)?.physical();
        if let Some(physical) = physical {
            let place = self.physical().partition_point(|&n| order(self.physical_span(n), physical).is_lt());
            self.by_pa.copy_within(place + 1..self.physical_len, place);
            self.physical_len -= 1;
        }
        let place = self.in_use().partition_point(|&n| order(self.slot(n).span, span).is_lt());
        let number = self.by_va[place];
        self.by_va.copy_within(place + 1..self.len, place);
        self.len -= 1;
        self.by_va[self.len] = number;
        Ok(())
    }

    /// Each region with the parts of it that are in no region inside it.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&Slot, Span)> {
        self.in_use().iter().enumerate().flat_map(|(place, &number)| {
            let slot = self.slot(number);
            let mut inner = self.in_use()[place + 1..]
                .iter()
                .map(|&n| self.slot(n))
                .take_while(|inner| inner.span.first <= slot.span.last)
                .filter(move |inner| inner.container == Some(number));
            let mut next = Some(slot.span.first);
            core::iter::from_fn(move || {
                loop {
                    let first = next?;
                    match inner.next() {
                        Some(hole) => {
                            next = hole.span.last.checked_add(1).filter(|&first| first <= slot.span.last);
                            if hole.span.first > first {
                                return Some((slot, Span { first, last: hole.span.first - 1 }));
                            }
                        }
                        None => {
                            next = None;
                            return Some((slot, Span { first, last: slot.span.last }));
                        }
                    }
                }
            })
        })
    }
}
