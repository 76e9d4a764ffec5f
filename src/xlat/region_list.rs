// SPDX-License-Identifier: BSD-3-Clause
//! The regions of a context, in order of virtual and of physical address.
//!
//! Invariants, which make every check a search in one of the two orders:
//! - Virtually, two regions are disjoint or one lies in the other, and then both are static memory.
//! - A region inside another maps to what the other would, so that they are nested physically as
//!   well.
//! - Regions that are disjoint virtually are disjoint physically. No memory thus has two sets of
//!   attributes in one context.
//! - `container` of a region is the smallest one around it.
//!
//! A region that contains others comes before them in both orders. Storage is the caller's and
//! bounds how many there can be. To add or remove one takes time in proportion to the logarithm of
//! how many there are, and to how many lie inside it.

use core::cmp::Ordering;

use super::error::{Error, Extent};
use super::level::Span;
use super::order::{Links, Neighbors, Order};
use super::region::Region;
use crate::address::VirtAddr;

/// Room for `N` regions. Make it wherever the context shall live, and give [`RegionStorage::list`]
/// to it.
#[derive(Debug)]
pub struct RegionStorage<const N: usize> {
    slots: [Slot; N],
    by_va: [Links; N],
    by_pa: [Links; N],
}

impl<const N: usize> RegionStorage<N> {
    /// Room for `N` regions, at most 65,535.
    pub const fn new() -> Self {
        const { assert!(N <= u16::MAX as usize, "regions are numbered with 16 bits") };
        Self { slots: [Slot::VACANT; N], by_va: [Links::NONE; N], by_pa: [Links::NONE; N] }
    }

    /// An empty list that keeps its regions here.
    pub fn list(&mut self) -> RegionList<'_> {
        let mut vacant = None;
        for (number, slot) in (0..).zip(&mut self.slots) {
            slot.container = vacant;
            vacant = Some(number);
        }
        RegionList {
            slots: &mut self.slots,
            by_va: Order::new(&mut self.by_va),
            by_pa: Order::new(&mut self.by_pa),
            len: 0,
            vacant,
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
struct Slot {
    region: Region,
    span: Span,
    lifetime: Lifetime,
    /// The smallest region around it; of a slot that is vacant, the next such slot.
    container: Option<u16>,
}

impl Slot {
    const VACANT: Self = Self {
        region: Region::transient(VirtAddr::new(0), 0),
        span: Span { first: 0, last: 0 },
        lifetime: Lifetime::Static,
        container: None,
    };

    fn member(&self) -> Member<'_> {
        Member { region: &self.region, span: self.span, lifetime: self.lifetime }
    }
}

/// A region with its offsets, in the list or to be added. Its physical addresses do not wrap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'r> {
    pub(super) region: &'r Region,
    pub(super) span: Span,
    pub(super) lifetime: Lifetime,
}

impl Member<'_> {
    /// Physical addresses, of a region that has them.
    fn physical(self) -> Option<Span> {
        let first = self.region.pa()?.get();
        Some(Span { first, last: first + (self.span.last - self.span.first) })
    }

    /// Whether `inner`, whose addresses lie in this region's, may be inside it.
    fn may_contain(self, inner: Self) -> Result<(), NestingRule> {
        match (self.physical(), inner.physical()) {
            (Some(outer_pa), Some(inner_pa)) if self.is_static() && inner.is_static() => {
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

    fn is_static(self) -> bool {
        self.lifetime == Lifetime::Static
    }
}

/// The error for a region that cannot be nested as it is.
type NestingRule = fn(Extent) -> Error;

/// Where a region that may be added goes.
#[derive(Debug)]
pub(super) struct Place {
    number: u16,
    container: Option<u16>,
}

/// Ascending by first address, the larger before the smaller.
fn order(a: Span, b: Span) -> Ordering {
    a.first.cmp(&b.first).then(b.last.cmp(&a.last))
}

/// The physical addresses of a region in `by_pa`, where only those are that have some.
fn physical(slots: &[Slot], number: u16) -> Span {
    slots[usize::from(number)].member().physical().unwrap_or(Span { first: 0, last: 0 })
}

/// The regions of a context.
#[derive(Debug)]
pub struct RegionList<'a> {
    slots: &'a mut [Slot],
    /// All regions, by virtual address.
    by_va: Order<'a>,
    /// Those that have a physical address, by that.
    by_pa: Order<'a>,
    len: usize,
    /// The first slot that is vacant.
    vacant: Option<u16>,
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

    /// Each region with how long it stays, by virtual address; one that contains others before
    /// them.
    pub fn iter(&self) -> impl Iterator<Item = (&Region, Lifetime)> {
        self.numbers().map(|number| {
            let Member { region, lifetime, .. } = self.member(number);
            (region, lifetime)
        })
    }

    fn slot(&self, number: u16) -> &Slot {
        &self.slots[usize::from(number)]
    }

    fn member(&self, number: u16) -> Member<'_> {
        self.slot(number).member()
    }

    /// What the place of `span` in the virtual order lies between; a region of that very span is
    /// after it.
    fn around(&self, span: Span) -> Neighbors {
        self.by_va.around(|n| order(self.slot(n).span, span).is_lt())
    }

    /// What the place of `span` in the physical order lies between; a region of that very span is
    /// after it.
    fn around_physical(&self, span: Span) -> Neighbors {
        self.by_pa.around(|n| order(physical(self.slots, n), span).is_lt())
    }

    /// The region after `number` in the virtual order.
    fn next(&self, number: u16) -> Option<u16> {
        let span = self.slot(number).span;
        self.by_va.around(|n| order(self.slot(n).span, span).is_le()).after
    }

    /// The region after `number` in the physical order.
    fn next_physical(&self, number: u16) -> Option<u16> {
        let span = physical(self.slots, number);
        self.by_pa.around(|n| order(physical(self.slots, n), span).is_le()).after
    }

    /// All regions in the virtual order.
    fn numbers(&self) -> impl Iterator<Item = u16> {
        let first = self.by_va.around(|_| false).after;
        core::iter::successors(first, |&number| self.next(number))
    }

    /// Whether `new` may be added, and where it then goes.
    ///
    /// # Errors
    /// [`Error::Overlap`], [`Error::NestedElsewhere`], [`Error::PhysicalOverlap`] or
    /// [`Error::OutOfRegions`].
    pub(super) fn check(&self, new: Member<'_>) -> Result<Place, Error> {
        let Neighbors { before, after } = self.around(new.span);
        let container = self.container_of(new, before)?;
        let inside = self.inside(new, after)?;
        self.check_physical(new, container, inside)?;
        let number = self.vacant.ok_or(Error::OutOfRegions(new.region.extent))?;
        Ok(Place { number, container })
    }

    /// Adds `new`, for which [`Self::check`] has found `place` in the list as it is now.
    pub(super) fn insert(&mut self, new: Member<'_>, place: Place) {
        let Place { number, container } = place;
        let mut inside = self.around(new.span).after;
        while let Some(inner) = inside.filter(|&n| self.slot(n).span.first <= new.span.last) {
            let slot = &mut self.slots[usize::from(inner)];
            if slot.container == container {
                slot.container = Some(number);
            }
            inside = self.next(inner);
        }
        self.vacant = self.slot(number).container;
        let Member { region, span, lifetime } = new;
        self.slots[usize::from(number)] = Slot { region: *region, span, lifetime, container };
        self.len += 1;
        let slots = &*self.slots;
        self.by_va.insert(number, |n| order(slots[usize::from(n)].span, span).is_lt());
        if let Some(span) = new.physical() {
            self.by_pa.insert(number, |n| order(physical(slots, n), span).is_lt());
        }
    }

    /// Of `number` and those around it, the smallest whose span by `span_of` holds `address`.
    fn innermost(
        &self,
        mut number: Option<u16>,
        address: u64,
        span_of: impl Fn(u16) -> Span,
    ) -> Option<u16> {
        while let Some(n) = number {
            if span_of(n).last >= address {
                break;
            }
            number = self.slot(n).container;
        }
        number
    }

    /// The smallest region around `new`, which belongs right after `before`.
    fn container_of(&self, new: Member<'_>, before: Option<u16>) -> Result<Option<u16>, Error> {
        // Whatever holds its first address contains the region before it, or is that one.
        let container = self.innermost(before, new.span.first, |n| self.slot(n).span);
        if let Some(number) = container {
            let container = self.member(number);
            if container.span.last < new.span.last {
                return Err(Error::Overlap(new.region.extent));
            }
            container.may_contain(new).map_err(|rule| rule(new.region.extent))?;
        }
        Ok(container)
    }

    /// How many regions lie inside `new`, which belongs right before `after`.
    fn inside(&self, new: Member<'_>, after: Option<u16>) -> Result<usize, Error> {
        let mut count = 0;
        let mut next = after;
        while let Some(number) = next.filter(|&n| self.slot(n).span.first <= new.span.last) {
            let other = self.member(number);
            // One of the same addresses is neither inside the other: which of them counts would be
            // unclear.
            if other.span.last > new.span.last || other.span == new.span {
                return Err(Error::Overlap(new.region.extent));
            }
            new.may_contain(other).map_err(|rule| rule(new.region.extent))?;
            count += 1;
            next = self.next(number);
        }
        Ok(count)
    }

    /// Checks `new`, in `container` and around `inside` regions virtually, against what is mapped
    /// physically.
    fn check_physical(
        &self,
        new: Member<'_>,
        container: Option<u16>,
        inside: usize,
    ) -> Result<(), Error> {
        let Some(span) = new.physical() else { return Ok(()) };
        let Neighbors { before, after } = self.around_physical(span);
        let around = self.innermost(before, span.first, |n| physical(self.slots, n));
        let in_range = core::iter::successors(after, |&number| self.next_physical(number))
            .take_while(|&n| physical(self.slots, n).first <= span.last)
            .take(inside + 1)
            .count();
        // What is nested virtually is nested physically. Anything more than that overlaps
        // physically only.
        if around != container || in_range != inside {
            return Err(Error::PhysicalOverlap(new.region.extent));
        }
        Ok(())
    }

    /// The number of the dynamic region with exactly these offsets.
    fn dynamic(&self, span: Span, extent: Extent) -> Result<u16, Error> {
        let found = self.around(span).after.filter(|&n| self.slot(n).span == span);
        let number = found.ok_or(Error::NoSuchRegion(extent))?;
        if self.member(number).is_static() { Err(Error::Static(extent)) } else { Ok(number) }
    }

    /// The dynamic region with exactly these offsets.
    ///
    /// # Errors
    /// [`Error::NoSuchRegion`], or [`Error::Static`].
    pub(super) fn find_dynamic(&self, span: Span, extent: Extent) -> Result<Member<'_>, Error> {
        self.dynamic(span, extent).map(|number| self.member(number))
    }

    /// Removes the dynamic region with exactly these offsets.
    ///
    /// # Errors
    /// As [`Self::find_dynamic`].
    pub(super) fn remove(&mut self, span: Span, extent: Extent) -> Result<(), Error> {
        let number = self.dynamic(span, extent)?;
        let slots = &*self.slots;
        let span_of = |n: u16| slots[usize::from(n)].span;
        self.by_va.remove(number, |n| order(span_of(n), span).is_lt());
        if let Some(span) = slots[usize::from(number)].member().physical() {
            self.by_pa.remove(number, |n| order(physical(slots, n), span).is_lt());
        }
        // Dynamic regions are not nested: no `container` names it.
        self.slots[usize::from(number)].container = self.vacant;
        self.vacant = Some(number);
        self.len -= 1;
        Ok(())
    }

    /// Calls `f` with each part of each region that is in no region inside it, until it fails.
    pub(super) fn try_for_each_part<E>(
        &self,
        mut f: impl FnMut(Member<'_>, Span) -> Result<(), E>,
    ) -> Result<(), E> {
        for number in self.numbers() {
            let slot = self.slot(number);
            let mut first = slot.span.first;
            let mut next = self.next(number);
            while let Some(inner) =
                next.map(|n| self.slot(n).span).filter(|inner| inner.first <= slot.span.last)
            {
                if first < inner.first {
                    f(slot.member(), Span { first, last: inner.first - 1 })?;
                }
                first = inner.last + 1;
                // Behind all that lies inside that one.
                next = self.by_va.around(|n| self.slot(n).span.first < first).after;
            }
            if first <= slot.span.last {
                f(slot.member(), Span { first, last: slot.span.last })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Attributes, Level};
    use super::*;
    use crate::address::{PhysAddr, VirtAddr};

    use Lifetime::{Dynamic, Static};

    const PAGE: u64 = Level::Three.entry_size();
    /// Where flat regions are, physically, from their offset.
    const FLAT: u64 = 0x100;

    /// A region of `pages` from page `va` on, to physical pages from `pa` on.
    fn region(va: u64, pages: u64, pa: u64) -> (Region, Span) {
        let span = Span { first: va * PAGE, last: (va + pages) * PAGE - 1 };
        let (pa, va) = (PhysAddr::new(pa * PAGE), VirtAddr::new(va * PAGE));
        (Region::new(pa, va, pages * PAGE, Attributes::read_write()), span)
    }

    fn flat(va: u64, pages: u64) -> (Region, Span) {
        region(va, pages, FLAT + va)
    }

    fn transient(va: u64, pages: u64) -> (Region, Span) {
        let (like, span) = flat(va, pages);
        (Region::transient(like.extent.base, like.extent.size), span)
    }

    fn add(
        list: &mut RegionList<'_>,
        (region, span): (Region, Span),
        lifetime: Lifetime,
    ) -> Result<(), Error> {
        let new = Member { region: &region, span, lifetime };
        let place = list.check(new)?;
        list.insert(new, place);
        Ok(())
    }

    /// The pages of each region, in order.
    fn pages(list: &RegionList<'_>) -> Vec<(u64, u64)> {
        list.iter()
            .map(|(region, _)| (region.extent.base.get() / PAGE, region.extent.size / PAGE))
            .collect()
    }

    #[test]
    fn static_regions_are_disjoint_or_nested() {
        let mut storage = RegionStorage::<8>::new();
        let mut list = storage.list();
        assert_eq!(add(&mut list, flat(10, 10), Static), Ok(()));
        assert_eq!(add(&mut list, flat(12, 2), Static), Ok(()));
        assert_eq!(add(&mut list, flat(5, 30), Static), Ok(()));
        assert_eq!(add(&mut list, flat(35, 5), Static), Ok(()));
        let before = pages(&list);
        assert_eq!(before, [(5, 30), (10, 10), (12, 2), (35, 5)]);
        // The last of these starts in the innermost region, ends outside it, and inside the
        // outermost.
        for refused in [
            flat(12, 2),
            flat(9, 2),
            flat(19, 2),
            flat(30, 6),
            flat(34, 2),
            flat(0, 6),
            flat(13, 2),
        ] {
            assert_eq!(add(&mut list, refused, Static), Err(Error::Overlap(refused.0.extent)));
            assert_eq!(pages(&list), before);
        }
    }

    #[test]
    fn a_region_that_crosses_only_an_outer_one_is_refused() {
        let mut storage = RegionStorage::<8>::new();
        let mut list = storage.list();
        add(&mut list, flat(0, 10), Static).expect("the first");
        add(&mut list, flat(1, 1), Static).expect("inside it");
        let crossing = flat(5, 10);
        assert_eq!(add(&mut list, crossing, Static), Err(Error::Overlap(crossing.0.extent)));
    }

    #[test]
    fn a_region_that_comes_after_those_inside_it_is_around_them() {
        let mut storage = RegionStorage::<8>::new();
        let mut list = storage.list();
        add(&mut list, flat(1, 1), Static).expect("the first");
        add(&mut list, flat(8, 2), Static).expect("disjoint");
        // It ends where the second does.
        assert_eq!(add(&mut list, flat(0, 10), Static), Ok(()));
        for crossing in [flat(5, 10), flat(9, 2)] {
            assert_eq!(add(&mut list, crossing, Static), Err(Error::Overlap(crossing.0.extent)));
        }
        assert_eq!(add(&mut list, flat(2, 1), Static), Ok(()));
    }

    #[test]
    fn a_list_knows_its_room_and_what_is_in_it() {
        let mut storage = RegionStorage::<3>::new();
        let mut list = storage.list();
        assert_eq!((list.capacity(), list.len(), list.is_empty()), (3, 0, true));
        add(&mut list, flat(0, 1), Static).expect("the first");
        assert_eq!((list.capacity(), list.len(), list.is_empty()), (3, 1, false));
    }

    #[test]
    fn dynamic_and_transient_regions_overlap_nothing() {
        let mut storage = RegionStorage::<8>::new();
        let mut list = storage.list();
        add(&mut list, flat(10, 4), Static).expect("the first");
        add(&mut list, flat(20, 4), Dynamic).expect("disjoint");
        add(&mut list, transient(30, 4), Static).expect("disjoint");
        for (refused, lifetime) in [
            (flat(11, 1), Dynamic),
            (flat(9, 6), Dynamic),
            (flat(21, 1), Dynamic),
            (flat(21, 1), Static),
            (flat(19, 6), Static),
            (flat(31, 1), Static),
            (flat(29, 6), Static),
            (transient(11, 1), Static),
            (transient(9, 6), Static),
            (transient(31, 1), Static),
        ] {
            assert_eq!(add(&mut list, refused, lifetime), Err(Error::Overlap(refused.0.extent)));
        }
        assert_eq!(list.len(), 3);
    }

    #[test]
    fn a_nested_region_maps_what_the_one_around_it_would() {
        let mut storage = RegionStorage::<8>::new();
        let mut list = storage.list();
        add(&mut list, flat(10, 10), Static).expect("the first");
        let elsewhere = region(12, 1, 0x900);
        assert_eq!(
            add(&mut list, elsewhere, Static),
            Err(Error::NestedElsewhere(elsewhere.0.extent))
        );
        let around = region(5, 20, 0x900);
        assert_eq!(add(&mut list, around, Static), Err(Error::NestedElsewhere(around.0.extent)));
    }

    #[test]
    fn memory_is_mapped_once() {
        let mut storage = RegionStorage::<8>::new();
        let mut list = storage.list();
        add(&mut list, region(10, 10, 0x100), Static).expect("the first");
        add(&mut list, region(12, 2, 0x102), Static).expect("inside it");
        // The same, inside, around, and crossing either end, at other virtual addresses.
        for (pa, count) in [(0x100, 10), (0x103, 1), (0x108, 1), (0xff, 12), (0xff, 2), (0x109, 2)]
        {
            for lifetime in [Static, Dynamic] {
                let refused = region(50, count, pa);
                assert_eq!(
                    add(&mut list, refused, lifetime),
                    Err(Error::PhysicalOverlap(refused.0.extent)),
                    "{count} pages at {pa:#x}"
                );
            }
        }
        assert_eq!(add(&mut list, region(50, 1, 0xff), Static), Ok(()));
        assert_eq!(add(&mut list, region(51, 1, 0x10a), Static), Ok(()));
    }

    #[test]
    fn a_region_around_others_must_be_around_all_that_it_meets_physically() {
        let mut storage = RegionStorage::<8>::new();
        let mut list = storage.list();
        add(&mut list, flat(12, 1), Static).expect("the first");
        add(&mut list, region(50, 1, FLAT + 14), Static).expect("elsewhere");
        let around = flat(10, 10);
        assert_eq!(add(&mut list, around, Static), Err(Error::PhysicalOverlap(around.0.extent)));
    }

    #[test]
    fn only_a_dynamic_region_of_that_very_size_is_removed() {
        let mut storage = RegionStorage::<8>::new();
        let mut list = storage.list();
        add(&mut list, flat(10, 10), Static).expect("the first");
        add(&mut list, flat(20, 4), Dynamic).expect("disjoint");
        let mut remove = |(region, span): (Region, Span)| list.remove(span, region.extent);
        for absent in [flat(20, 3), flat(21, 3), flat(20, 5), flat(0, 1)] {
            assert_eq!(remove(absent), Err(Error::NoSuchRegion(absent.0.extent)));
        }
        let fixed = flat(10, 10);
        assert_eq!(remove(fixed), Err(Error::Static(fixed.0.extent)));
        assert_eq!(remove(flat(20, 4)), Ok(()));
        assert_eq!(pages(&list), [(10, 10)]);
    }

    #[test]
    fn room_is_counted_and_used_again() {
        let mut storage = RegionStorage::<3>::new();
        let mut list = storage.list();
        for round in 0..4 {
            for place in [2, 0, 1] {
                assert_eq!(
                    add(&mut list, region(place * 2, 1, 0x100 * round + place), Dynamic),
                    Ok(())
                );
            }
            let more = flat(50, 1);
            assert_eq!(add(&mut list, more, Dynamic), Err(Error::OutOfRegions(more.0.extent)));
            assert_eq!(pages(&list), [(0, 1), (2, 1), (4, 1)]);
            for place in [1, 2, 0] {
                let (gone, span) = flat(place * 2, 1);
                assert_eq!(list.remove(span, gone.extent), Ok(()));
            }
            assert!(list.is_empty());
        }
    }

    #[test]
    fn parts_cover_each_offset_by_its_innermost_region() {
        let mut storage = RegionStorage::<8>::new();
        let mut list = storage.list();
        // Nested three deep; holes at the start, in the middle, adjacent, and at the end.
        for nested in [
            flat(10, 10),
            flat(10, 2),
            flat(13, 4),
            flat(14, 1),
            flat(17, 1),
            flat(19, 1),
            flat(30, 1),
        ] {
            add(&mut list, nested, Static).expect("nested");
        }
        let mut parts = Vec::new();
        let Ok(()) = list.try_for_each_part::<core::convert::Infallible>(|member, part| {
            assert_eq!((part.first % PAGE, part.last % PAGE), (0, PAGE - 1));
            parts.push((
                member.span.first / PAGE,
                part.first / PAGE,
                (part.last + 1 - part.first) / PAGE,
            ));
            Ok(())
        });
        assert_eq!(
            parts,
            [
                (10, 12, 1),
                (10, 18, 1),
                (10, 10, 2),
                (13, 13, 1),
                (13, 15, 2),
                (14, 14, 1),
                (17, 17, 1),
                (19, 19, 1),
                (30, 30, 1),
            ]
        );
    }
}
