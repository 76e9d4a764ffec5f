// SPDX-License-Identifier: BSD-3-Clause
//! Single cases of a context in use: regions that are added, removed and changed, errors that
//! change nothing, and the separation of handles and shared contexts.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use rmm::host::{observe, record};
use rmm::xlat::{
    AttributeRule, Attributes, Context, ContextBuilder, DescriptorFormat, El1And0, El2And0, Error,
    LeafMapping, Level, Maintenance, PhysicalAddressSpace, Region, RegionKind, RegionStorage,
    Shareability, Table, VaRange, mmu,
};

use super::cases::*;

#[test]
fn dynamic_regions_come_and_go_before_and_after_init() {
    let region = |page: u64| Region::flat(pa(page * PAGE), PAGE, Attributes::read_write());
    with_builder(low(32), 8, |mut builder| {
        builder.add_static(region(1)).expect("good");
        builder.add_dynamic(region(2)).expect("good");
        builder.add_dynamic(region(3)).expect("good");
        builder.remove(va(2 * PAGE), PAGE).expect("dynamic");
        assert_eq!(builder.remove(va(PAGE), PAGE), Err(Error::Static(extent(PAGE, PAGE))));
        let mut context = builder.init().expect("tables enough");
        for maintenance in [Maintenance::None, Maintenance::Local, Maintenance::InnerShareable] {
            kit::xlat::activate(&mut context, maintenance).expect("shareable");
            assert!(context.translate(va(2 * PAGE)).is_err());
            context.add(region(2)).expect("good");
            assert!(context.translate(va(2 * PAGE)).is_ok());
            assert_eq!(context.add(region(2)), Err(Error::Overlap(extent(2 * PAGE, PAGE))));
            assert_eq!(context.remove(va(PAGE), PAGE), Err(Error::Static(extent(PAGE, PAGE))));
            context.remove(va(2 * PAGE), PAGE).expect("dynamic");
            assert_eq!(
                context.remove(va(2 * PAGE), PAGE),
                Err(Error::NoSuchRegion(extent(2 * PAGE, PAGE)))
            );
        }
        context.remove(va(3 * PAGE), PAGE).expect("dynamic since before init");
    });
}

#[test]
fn tables_come_back_when_they_are_empty() {
    with_builder(low(48), 16, |builder| {
        let mut context = builder.init().expect("one table");
        let free = context.pool().free();
        for round in 0..50 {
            let apart = GIB512 * (round % 3 + 1);
            let region = Region::flat(pa(apart), 3 * MIB2 + 5 * PAGE, Attributes::read_write());
            context.add(region).expect("good");
            assert_eq!(context.pool().free(), free - 3);
            context.remove(region.extent.base, region.extent.size).expect("dynamic");
            assert_eq!(context.pool().free(), free);
        }
    });
}

#[test]
fn attributes_are_queried_and_changed() {
    with_builder(low(32), 8, |mut builder| {
        builder.add_static(Region::flat(pa(0), 2 * MIB2, Attributes::read_write())).expect("good");
        let mut context = builder.init().expect("tables enough");
        let attributes = |context: &Context<'_, El2And0>, address| {
            context.translate(va(address)).map(|found| (found.attributes, found.level))
        };
        context.change_attributes(va(PAGE), PAGE, Attributes::code()).expect("mapped");
        assert_eq!(attributes(&context, PAGE), Ok((Attributes::code(), Level::Three)));
        assert_eq!(attributes(&context, 2 * PAGE), Ok((Attributes::read_write(), Level::Three)));
        assert_eq!(attributes(&context, MIB2), Ok((Attributes::read_write(), Level::Two)));
        // All of it, across leaves of two sizes. What already has the attributes is not changed.
        context.change_attributes(va(0), 2 * MIB2, Attributes::read_only()).expect("mapped");
        assert_eq!(attributes(&context, PAGE), Ok((Attributes::read_only(), Level::Three)));
        let (result, events) =
            record(|| context.change_attributes(va(0), 2 * MIB2, Attributes::read_only()));
        assert_eq!((result, events), (Ok(()), vec![]));
    });
}

#[test]
fn a_refused_change_changes_nothing() {
    with_builder(low(32), 2, |mut builder| {
        builder.add_static(Region::flat(pa(0), 2 * MIB2, Attributes::read_write())).expect("good");
        let mut context = builder.init().expect("tables enough");
        kit::xlat::activate(&mut context, Maintenance::Local).expect("shareable");
        let mut refused = |base: u64, size, attributes, error| {
            let before = context.to_string();
            let (result, events) = record(|| context.change_attributes(va(base), size, attributes));
            assert_eq!((result, events), (Err(error), vec![]));
            assert_eq!(context.to_string(), before);
        };
        let beyond = extent(2 * MIB2, MIB2);
        refused(MIB2, 2 * MIB2, Attributes::read_only(), Error::NotMapped(beyond));
        let block = extent(0, MIB2);
        refused(0, MIB2, Attributes::device(), Error::FixedAttribute(block));
        let elsewhere = Attributes::read_write().in_pas(PhysicalAddressSpace::NonSecure);
        refused(0, MIB2, elsewhere, Error::FixedAttribute(block));
        refused(0, PAGE, Attributes::read_only(), Error::OutOfTables(extent(0, PAGE)));
        let rule = AttributeRule::GuardedButNotExecutable;
        refused(
            0,
            PAGE,
            Attributes::read_only().guarded(),
            Error::Attributes(extent(0, PAGE), rule),
        );
        refused(8, PAGE, Attributes::read_only(), Error::Unaligned(extent(8, PAGE)));
        refused(0, 0, Attributes::read_only(), Error::Empty(extent(0, 0)));
    });
}

#[test]
fn transient_pages_take_no_other_operation() {
    with_builder(low(32), 8, |mut builder| {
        builder.add_dynamic(Region::transient(va(0), 2 * PAGE)).expect("good");
        let mut context = builder.init().expect("tables enough");
        let page = extent(0, PAGE);
        let change = context.change_attributes(va(0), PAGE, Attributes::read_only());
        assert_eq!(change, Err(Error::Transient(page)));
        {
            let range = context.transient(va(0), 2).expect("transient");
            let template = range.template(Attributes::read_write()).expect("good");
            range.page(0).expect("there").map(pa(0x5000), template).expect("free");
        }
        let change = context.change_attributes(va(0), PAGE, Attributes::read_only());
        assert_eq!(change, Err(Error::Transient(page)));
        assert_eq!(context.remove(va(0), 2 * PAGE), Err(Error::StillMapped(extent(0, 2 * PAGE))));
        context
            .transient(va(0), 2)
            .expect("transient")
            .page(0)
            .expect("there")
            .unmap()
            .expect("mapped");
        context.remove(va(0), 2 * PAGE).expect("nothing is mapped");
        assert_eq!(context.pool().total() - context.pool().free(), 1);
    });
}

#[test]
fn unmapped_for_now_and_never_valid_differ() {
    with_builder(low(32), 8, |mut builder| {
        builder.add_static(Region::transient(va(0), PAGE)).expect("good");
        let context = builder.init().expect("tables enough");
        assert_eq!(context.translate(va(0)), Err(Error::Unmapped(va(0))));
        assert_eq!(context.translate(va(PAGE)), Err(Error::NotMapped(extent(PAGE, 1))));
    });
}

#[test]
fn two_contexts_do_not_touch_each_other() {
    with_builder(low(32), 4, |mut first| {
        with_builder(low(32), 4, |mut second| {
            first.add_static(Region::flat(pa(0), PAGE, Attributes::read_write())).expect("good");
            second
                .add_static(Region::new(pa(GIB), va(0), PAGE, Attributes::read_only()))
                .expect("good");
            let (first, second) = (first.init().expect("good"), second.init().expect("good"));
            assert_eq!(first.translate(va(0)).map(|found| found.pa), Ok(pa(0)));
            assert_eq!(second.translate(va(0)).map(|found| found.pa), Ok(pa(GIB)));
        });
    });
}

#[test]
fn queries_and_the_dump_store_nothing() {
    with_builder(low(32), 8, |mut builder| {
        builder.add_static(Region::flat(pa(0), 3 * PAGE, Attributes::read_write())).expect("good");
        builder.add_static(Region::transient(va(MIB2), PAGE)).expect("good");
        let mut context = builder.init().expect("tables enough");
        kit::xlat::activate(&mut context, Maintenance::InnerShareable).expect("shareable");
        let ((), events) = record(|| {
            assert!(context.translate(va(0)).is_ok());
            assert!(!context.to_string().is_empty());
            assert!(context.transient(va(MIB2), 1).is_ok());
        });
        assert_eq!(events, []);
    });
}

#[test]
fn a_context_can_be_shared_and_handles_cannot_leave_their_cpu() {
    fn is_sync<T: Send + Sync>() {}
    is_sync::<Context<'static, El2And0>>();
    // That handles are not `Send` is asserted at compile time beside their definition.
}

#[test]
fn of_two_maps_of_one_transient_page_at_once_one_is_refused() {
    // The second map runs right before or right after the first one stores.
    let tables: &'static mut [Table] = Box::leak(Box::new([const { Table::EMPTY }; 3]));
    let storage: &'static mut _ = Box::leak(Box::new(RegionStorage::<1>::new()));
    let pool = kit::xlat::pool(tables, pa(POOL)).expect("good");
    let mut builder = ContextBuilder::<El2And0>::new(low(32), pool, storage.list()).expect("good");
    builder.add_static(Region::transient(va(0), PAGE)).expect("good");
    let context: &'static Context<'_, _> = Box::leak(Box::new(builder.init().expect("enough")));
    let handle = || context.transient(va(0), 1).expect("transient").page(0).expect("there");
    let template = context
        .transient(va(0), 1)
        .and_then(|range| range.template(Attributes::read_write()))
        .expect("good");
    let (first, second) = (handle(), handle());
    let other = Rc::new(Cell::new(None));
    let told = Rc::clone(&other);
    observe(Some(Box::new(move |_| told.set(Some(second.map(pa(0x6000), template))))));
    let result = first.map(pa(0x5000), template);
    observe(None);
    let results = [Some(result), other.get()];
    assert_eq!(results.iter().filter(|&&result| result == Some(Ok(()))).count(), 1, "{results:?}");
    assert!(results.contains(&Some(Err(Error::AlreadyMapped(va(0))))), "{results:?}");
    // The reverse: of two unmaps at once, one is an error.
    let (first, second) = (handle(), handle());
    let other = Rc::new(Cell::new(None));
    let told = Rc::clone(&other);
    observe(Some(Box::new(move |_| told.set(Some(second.unmap())))));
    let result = first.unmap();
    observe(None);
    let results = [Some(result), other.get()];
    assert_eq!(results.iter().filter(|&&result| result == Some(Ok(()))).count(), 1, "{results:?}");
}

#[test]
fn tables_are_not_shared_by_walks_that_are_not() {
    for (walks, refused) in [(Shareability::Non, true), (Shareability::Outer, false)] {
        with_builder(low(32).with_walks(walks), 1, |builder| {
            let mut context = builder.init().expect("one table");
            let expected = if refused { Err(Error::NonShareableWalks) } else { Ok(()) };
            for shared in [Maintenance::InnerShareable, Maintenance::InnerShareableTwice] {
                assert_eq!(kit::xlat::activate(&mut context, shared), expected);
            }
            for own in [Maintenance::None, Maintenance::Local] {
                assert_eq!(kit::xlat::activate(&mut context, own), Ok(()));
            }
        });
    }
}

#[test]
fn only_el1_invalidates_for_every_asid_at_once() {
    let mut tables = [Table::EMPTY; 1];
    let mut storage = RegionStorage::<1>::new();
    let any = low(32).for_any_asid();
    let pool = kit::xlat::pool(&mut tables, pa(POOL)).expect("good");
    let refused = ContextBuilder::<El2And0>::new(any, pool, storage.list());
    assert_eq!(refused.map(|_| ()).unwrap_err(), Error::NoAsid);
    let pool = kit::xlat::pool(&mut tables, pa(POOL)).expect("good");
    let context = ContextBuilder::<El1And0>::new(any, pool, storage.list()).expect("good");
    let context = context.init().expect("one table");
    let features = mmu::MmuFeatures::from_id_registers(0x05, 0, 0);
    let private = mmu::TableSharing::Private;
    let ttbr = mmu::ttbr_with_asid(&context, 0x7, private, &features);
    assert_eq!(ttbr, Ok(7 << 48 | POOL));
    let wide = mmu::ttbr_with_asid(&context, 0x100, private, &features);
    assert_eq!(wide, Err(Error::NoAsid), "8-bit ASIDs");
}

#[test]
fn addresses_of_the_other_range_are_outside() {
    let high = space(VaRange::High, 39, DescriptorFormat::Bits48);
    with_builder(high, 4, |mut builder| {
        let outside = Region::new(pa(0), va(PAGE), PAGE, Attributes::read_write());
        let error = Error::OutsideAddressSpace(outside.extent);
        assert_eq!(builder.try_add_static(outside), Err(error));
        assert_eq!(builder.remove(va(PAGE), PAGE), Err(error));
        let mut context = builder.init().expect("one table");
        assert_eq!(context.add(outside), Err(error));
        assert_eq!(context.remove(va(PAGE), PAGE), Err(error));
        assert_eq!(context.change_attributes(va(PAGE), PAGE, Attributes::code()), Err(error));
        assert_eq!(context.transient(va(PAGE), 1).map(|_| ()).unwrap_err(), error);
        let one = Error::OutsideAddressSpace(extent(PAGE, 1));
        assert_eq!(context.translate(va(PAGE)), Err(one));
    });
}

#[test]
fn a_handle_is_of_pages_with_their_entries_in_one_table() {
    with_builder(low(32), 8, |mut builder| {
        builder.add_static(Region::transient(va(MIB2 - 2 * PAGE), 4 * PAGE)).expect("good");
        let context = builder.init().expect("tables enough");
        let handle = |base, pages| context.transient(va(base), pages).map(|range| range.pages());
        assert_eq!(handle(MIB2 - 2 * PAGE, 2), Ok(2));
        assert_eq!(handle(MIB2, 2), Ok(2));
        let across = extent(MIB2 - PAGE, 2 * PAGE);
        assert_eq!(handle(MIB2 - PAGE, 2), Err(Error::SeveralTables(across)));
        assert_eq!(handle(MIB2, 0), Err(Error::Empty(extent(MIB2, 0))));
        assert_eq!(handle(MIB2 + 8, 1), Err(Error::Unaligned(extent(MIB2 + 8, PAGE))));
    });
}

#[test]
fn every_leaf_is_visited_in_order_with_its_attributes_of_now() {
    with_builder(low(32), 8, |mut builder| {
        builder.add_static(Region::flat(pa(0), MIB2 + PAGE, Attributes::read_write())).expect("g");
        builder.add_static(Region::transient(va(MIB2 + 2 * PAGE), PAGE)).expect("good");
        let mut context = builder.init().expect("tables enough");
        context.change_attributes(va(MIB2), PAGE, Attributes::read_only()).expect("mapped");
        let mut seen = Vec::new();
        let Ok(()) = context.visit_mappings::<Infallible>(|mapping| {
            let attributes = mapping.translation.map(|translation| translation.attributes);
            seen.push((mapping.extent, attributes));
            Ok(())
        });
        assert_eq!(
            seen,
            [
                (extent(0, MIB2), Some(Attributes::read_write())),
                (extent(MIB2, PAGE), Some(Attributes::read_only())),
                (extent(MIB2 + 2 * PAGE, PAGE), None),
            ]
        );
        assert_eq!(
            context.visit_mappings(Err),
            Err(LeafMapping {
                extent: extent(0, MIB2),
                translation: context.translate(va(0)).ok(),
            })
        );
        // A region is reported as it was added.
        let (region, _) = context.added_regions().iter().next().expect("there is one");
        assert!(matches!(region.kind, RegionKind::Memory { attributes, .. }
            if attributes == Attributes::read_write()));
    });
}
