// SPDX-License-Identifier: BSD-3-Clause
//! Tests of the rules of regions.

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
    let placed = PlacedRegion::new(region, span, lifetime);
    let insertion = list.check(&placed)?;
    list.insert(&placed, insertion);
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
    for refused in
        [flat(12, 2), flat(9, 2), flat(19, 2), flat(30, 6), flat(34, 2), flat(0, 6), flat(13, 2)]
    {
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
    assert_eq!(add(&mut list, elsewhere, Static), Err(Error::NestedElsewhere(elsewhere.0.extent)));
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
    for (pa, count) in [(0x100, 10), (0x103, 1), (0x108, 1), (0xff, 12), (0xff, 2), (0x109, 2)] {
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
    assert!(remove(flat(20, 4)).is_ok());
    assert_eq!(pages(&list), [(10, 10)]);
}

#[test]
fn room_is_counted_and_used_again() {
    let mut storage = RegionStorage::<3>::new();
    let mut list = storage.list();
    for round in 0..4 {
        for page in [2, 0, 1] {
            assert_eq!(add(&mut list, region(page * 2, 1, 0x100 * round + page), Dynamic), Ok(()));
        }
        let more = flat(50, 1);
        assert_eq!(add(&mut list, more, Dynamic), Err(Error::OutOfRegions(more.0.extent)));
        assert_eq!(pages(&list), [(0, 1), (2, 1), (4, 1)]);
        for page in [1, 2, 0] {
            let (gone, span) = flat(page * 2, 1);
            assert!(list.remove(span, gone.extent).is_ok());
        }
        assert!(list.is_empty());
    }
}

#[test]
fn parts_cover_each_offset_by_its_innermost_region() {
    let mut storage = RegionStorage::<8>::new();
    let mut list = storage.list();
    // Nested three deep; holes at the start, in the middle, adjacent, and at the end.
    for nested in
        [flat(10, 10), flat(10, 2), flat(13, 4), flat(14, 1), flat(17, 1), flat(19, 1), flat(30, 1)]
    {
        add(&mut list, nested, Static).expect("nested");
    }
    let mut parts = Vec::new();
    let Ok(()) = list.try_for_each_part::<core::convert::Infallible>(|outer, part| {
        assert_eq!((part.first % PAGE, part.last % PAGE), (0, PAGE - 1));
        parts.push((
            outer.span.first / PAGE,
            part.first / PAGE,
            (part.last + 1 - part.first) / PAGE,
        ));
        Ok(())
    });
    assert_eq!(
        parts,
        [
            (10, 10, 2),
            (10, 12, 1),
            (13, 13, 1),
            (14, 14, 1),
            (13, 15, 2),
            (17, 17, 1),
            (10, 18, 1),
            (19, 19, 1),
            (30, 30, 1),
        ]
    );
}
