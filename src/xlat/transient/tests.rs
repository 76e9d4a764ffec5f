// SPDX-License-Identifier: BSD-3-Clause
//! Tests of transient pages: what they do to the machine, and what they refuse.

use super::super::{
    AttributeRule, Context, ContextBuilder, PhysicalAddressSpace, Region, RegionStorage, Table,
    TablePool, VaRange,
};
use super::*;
use crate::host::{Event, record};

const SLOTS: VirtAddr = VirtAddr::new(0xffff_ffff_fff0_0000);
const LAST: VirtAddr = VirtAddr::new(0xffff_ffff_ffff_f000);

/// Runs `test` on a context of one table: a stack page, 16 slots, and another slot at the very
/// top.
fn with_context(maintenance: Maintenance, test: impl FnOnce(Context<'_, El2And0>)) {
    let mut tables = [Table::EMPTY; 1];
    let mut storage = RegionStorage::<3>::new();
    let max_pa = PhysAddr::new(0xff_ffff_ffff);
    let space =
        AddressSpace::new(VaRange::High, 21, max_pa, DescriptorFormat::Bits48).expect("good");
    let pool = TablePool::unwalked(&mut tables, PhysAddr::new(0x10_0000)).expect("good");
    let mut builder =
        ContextBuilder::new(space.with_asid(3), pool, storage.list()).expect("a good context");
    let stack = VirtAddr::new(0xffff_ffff_ffe0_1000);
    let stack = Region::new(PhysAddr::new(0x20_0000), stack, 0x1000, Attributes::read_write());
    for region in [stack, Region::transient(SLOTS, 0x1_0000), Region::transient(LAST, 0x1000)] {
        builder.add_static(region).expect("a good region");
    }
    let mut context = builder.init().expect("one table is enough");
    // SAFETY: no CPU will ever walk the tables.
    unsafe { context.activate(maintenance) }.expect("shareable");
    test(context);
}

fn names(events: &[Event]) -> Vec<(&'static str, Option<u64>)> {
    events
        .iter()
        .map(|event| match event {
            Event::Instruction(text, operand) => (*text, *operand),
            Event::Descriptor(_, value) => ("store", Some(*value)),
            other => panic!("{other:?} is no business of a transient page"),
        })
        .collect()
}

#[test]
fn a_range_and_its_pages_say_what_they_are() {
    with_context(Maintenance::Local, |context| {
        let range = context.transient(SLOTS, 16).expect("transient");
        assert_eq!(range.pages(), 16);
        assert_eq!(format!("{range:?}"), "TransientRange(16 pages at 0xfffffffffff00000, EL2&0)");
        let page = range.page(1).expect("there");
        assert_eq!(format!("{page:?}"), "TransientPage(0xfffffffffff01000, EL2&0)");
    });
}

#[test]
fn a_map_is_one_store_one_dsb_one_isb() {
    with_context(Maintenance::Local, |context| {
        let range = context.transient(SLOTS, 16).expect("transient");
        let template = range
            .template(Attributes::read_write().non_global().in_pas(PhysicalAddressSpace::NonSecure))
            .expect("good");
        let page = range.page(2).expect("there");
        let (result, events) = record(|| page.map(PhysAddr::new(0x8000_0000), template));
        assert_eq!(result, Ok(()));
        // Transient, UXN, PXN, nG, AF, inner shareable, NS, page.
        let descriptor = 0x00e0_0000_8000_0f23;
        assert_eq!(
            names(&events),
            [("store", Some(descriptor)), ("dsb nshst", None), ("isb", None)]
        );
        let translation = context.translate(page.address()).expect("mapped");
        assert_eq!(translation.pa, PhysAddr::new(0x8000_0000));
        assert!(translation.transient);
    });
}

#[test]
fn an_unmap_is_store_dsb_tlbi_dsb_isb() {
    with_context(Maintenance::Local, |context| {
        let range = context.transient(LAST, 1).expect("transient");
        let template = range.template(Attributes::read_write()).expect("good");
        let page = range.page(0).expect("there");
        page.map(PhysAddr::new(0x8000_0000), template).expect("free");
        let (result, events) = record(|| page.unmap());
        assert_eq!(result, Ok(()));
        assert_eq!(
            names(&events),
            [
                ("store", Some(1 << 55)),
                ("dsb nshst", None),
                ("tlbi vale2", Some(0x0003_0fff_ffff_ffff)),
                ("dsb nsh", None),
                ("isb", None),
            ]
        );
        assert_eq!(context.translate(LAST), Err(Error::Unmapped(LAST)));
    });
}

#[test]
fn a_shared_context_is_maintained_in_the_inner_shareable_domain_and_an_inactive_one_not_at_all() {
    let expected: [(Maintenance, &[&str]); 2] = [
        (
            Maintenance::InnerShareable,
            &["store", "dsb ishst", "isb", "store", "dsb ishst", "tlbi vale2is", "dsb ish", "isb"],
        ),
        (Maintenance::None, &["store", "store"]),
    ];
    for (maintenance, expected) in expected {
        with_context(maintenance, |context| {
            let range = context.transient(SLOTS, 1).expect("transient");
            let template = range.template(Attributes::read_write()).expect("good");
            let page = range.page(0).expect("there");
            let ((), events) = record(|| {
                page.map(PhysAddr::new(0x8000_0000), template).expect("free");
                page.unmap().expect("mapped");
            });
            let texts: Vec<_> = names(&events).iter().map(|(text, _)| *text).collect();
            assert_eq!(texts, expected);
        });
    }
}

#[test]
fn a_group_has_the_barriers_of_one_page() {
    with_context(Maintenance::Local, |context| {
        let range = context.transient(SLOTS, 16).expect("transient");
        let template = range.template(Attributes::read_write()).expect("good");
        let addresses = [0x9000, 0x4000, 0x7000].map(PhysAddr::new);
        let (result, events) = record(|| range.map_group(4, &addresses, template));
        assert_eq!(result, Ok(()));
        let texts: Vec<_> = names(&events).iter().map(|(text, _)| *text).collect();
        assert_eq!(texts, ["store", "store", "store", "dsb nshst", "isb"]);
        for (index, pa) in (4..).zip(addresses) {
            let va = range.page(index).expect("there").address();
            assert_eq!(context.translate(va).map(|translation| translation.pa), Ok(pa));
        }
        let (result, events) = record(|| range.unmap_group(4, 3));
        assert_eq!(result, Ok(()));
        let (texts, operands): (Vec<_>, Vec<_>) = names(&events).into_iter().unzip();
        assert_eq!(
            texts,
            [
                "store",
                "store",
                "store",
                "dsb nshst",
                "tlbi vale2",
                "tlbi vale2",
                "tlbi vale2",
                "dsb nsh",
                "isb"
            ]
        );
        let first = 0x0003_0fff_ffff_ff04;
        assert_eq!(operands[4..7], [Some(first), Some(first + 1), Some(first + 2)]);
    });
}

#[test]
fn a_refused_call_does_nothing_to_the_machine() {
    with_context(Maintenance::Local, |context| {
        let range = context.transient(SLOTS, 16).expect("transient");
        let template = range.template(Attributes::read_write()).expect("good");
        let page = |index| range.page(index).expect("there");
        let pa = PhysAddr::new(0x8000_0000);
        page(1).map(pa, template).expect("free");
        let unaligned = PhysAddr::new(0x8000_0008);
        let beyond = PhysAddr::new(0x100_0000_0000);
        let ((), events) = record(|| {
            let at = |index| page(index).address();
            assert_eq!(page(1).map(pa, template), Err(Error::AlreadyMapped(at(1))));
            assert_eq!(page(0).unmap(), Err(Error::Unmapped(at(0))));
            assert_eq!(page(0).map(unaligned, template), Err(Error::PageAddress(unaligned)));
            assert_eq!(page(0).map(beyond, template), Err(Error::PageAddress(beyond)));
            let group = range.map_group(0, &[pa, pa], template);
            assert_eq!(group, Err(Error::AlreadyMapped(at(1))));
            assert_eq!(range.map_group(15, &[pa, pa], template), Err(Error::NoSuchPage));
            assert_eq!(range.map_group(usize::MAX, &[pa, pa], template), Err(Error::NoSuchPage));
            assert_eq!(range.unmap_group(1, 2), Err(Error::Unmapped(at(2))));
            assert_eq!(range.unmap_group(usize::MAX, 2), Err(Error::NoSuchPage));
            let top = context.transient(LAST, 1).expect("transient");
            assert_eq!(top.unmap_group(1, 0), Err(Error::NoSuchPage));
            assert!(range.page(16).is_none());
        });
        assert_eq!(events, []);
    });
}

#[test]
fn handles_are_of_transient_pages_in_one_table() {
    with_context(Maintenance::Local, |context| {
        let extent = |base, pages: u64| Extent { base, size: pages * GRANULE_SIZE };
        let stack = VirtAddr::new(0xffff_ffff_ffe0_1000);
        let refused = |base, pages: usize, error| {
            assert_eq!(context.transient(base, pages).map(|_| ()), Err(error));
        };
        refused(stack, 1, Error::NotTransient(extent(stack, 1)));
        refused(SLOTS, 17, Error::NotTransient(extent(SLOTS, 17)));
        refused(LAST, 2, Error::OutsideAddressSpace(extent(LAST, 2)));
        refused(SLOTS, 0, Error::Empty(extent(SLOTS, 0)));
        refused(LAST, usize::MAX, Error::Unaligned(Extent { base: LAST, size: u64::MAX }));
        let range = context.transient(SLOTS, 16).expect("transient");
        let rule = AttributeRule::GuardedButNotExecutable;
        assert_eq!(
            range.template(Attributes::read_write().guarded()),
            Err(Error::Attributes(extent(SLOTS, 16), rule))
        );
    });
}

#[test]
fn a_template_of_another_format_is_refused() {
    with_context(Maintenance::Local, |context| {
        let range = context.transient(SLOTS, 1).expect("transient");
        let template = range.template(Attributes::read_write()).expect("good");
        let other = PageTemplate { format: DescriptorFormat::Lpa2, ..template };
        let page = range.page(0).expect("there");
        assert_eq!(page.map(PhysAddr::new(0x1000), other), Err(Error::Template));
    });
}
