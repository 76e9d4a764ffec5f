// SPDX-License-Identifier: BSD-3-Clause
//! Single cases of building a context: limits, errors, sizes and levels, and how many tables a
//! layout takes.

use std::sync::Mutex;

use kit::xlat::machine::apply;
use kit::xlat::region_strategy::{self, Setup};
use kit::xlat::walker::{RegimeKind, Walked};
use rmm::address::{PhysAddr, VirtAddr};
use rmm::host::record;
use rmm::xlat::{
    AddressSpace, AttributeRule, Attributes, ContextBuilder, DataAccess, DescriptorFormat, El2,
    El2And0, El3, Error, Extent, Granularity, Level, Lifetime, Region, RegionKind, RegionStorage,
    Table, VaRange,
};

pub(super) const PAGE: u64 = 1 << 12;
pub(super) const MIB2: u64 = 1 << 21;
pub(super) const GIB: u64 = 1 << 30;
pub(super) const GIB512: u64 = 1 << 39;
pub(super) const POOL: u64 = 0x10_0000;

pub(super) fn pa(raw: u64) -> PhysAddr {
    PhysAddr::new(raw)
}

pub(super) fn va(raw: u64) -> VirtAddr {
    VirtAddr::new(raw)
}

pub(super) fn max_pa(format: DescriptorFormat) -> PhysAddr {
    pa((1 << format.address_bits()) - 1)
}

pub(super) fn space(range: VaRange, bits: u32, format: DescriptorFormat) -> AddressSpace {
    AddressSpace::new(range, bits, max_pa(format), format).expect("a good configuration")
}

pub(super) fn low(bits: u32) -> AddressSpace {
    space(VaRange::Low, bits, DescriptorFormat::Bits48)
}

pub(super) fn extent(base: u64, size: u64) -> Extent {
    Extent { base: va(base), size }
}

/// Runs `test` with a builder for `space` with `tables` tables and at most 8 regions.
pub(super) fn with_builder<T>(
    space: AddressSpace,
    tables: usize,
    test: impl FnOnce(ContextBuilder<'_, El2And0>) -> T,
) -> T {
    let mut tables: Vec<Table> = (0..tables).map(|_| Table::EMPTY).collect();
    let mut storage = RegionStorage::<8>::new();
    let pool = kit::xlat::pool(&mut tables, pa(POOL)).expect("a good pool");
    test(ContextBuilder::new(space, pool, storage.list()).expect("a good context"))
}

/// The number of tables for static `regions` in `space`.
pub(super) fn tables_for(space: AddressSpace, regions: &[Region]) -> usize {
    with_builder(space, 64, |mut builder| {
        for &region in regions {
            builder.add_static(region).expect("a good region");
        }
        let context = builder.init().expect("tables enough");
        context.pool().total() - context.pool().free()
    })
}

/// The leaves that the reference walker finds for static `regions` in `space`.
pub(super) fn leaves_of(space: AddressSpace, regions: &[Region]) -> Vec<Walked> {
    const TABLES: usize = 64;
    let mut tables: Vec<Table> = (0..TABLES).map(|_| Table::EMPTY).collect();
    let host_base = tables.as_ptr().addr();
    let mut storage = RegionStorage::<8>::new();
    // A table address in which all the bits are set that LPA2 moves.
    let base = max_pa(space.format()).get() + 1 - 128 * PAGE;
    let pool = kit::xlat::pool(&mut tables, pa(base)).expect("a good pool");
    let mut builder = ContextBuilder::<El2And0>::new(space, pool, storage.list()).expect("good");
    for &region in regions {
        builder.add_static(region).expect("a good region");
    }
    let (context, events) = record(|| builder.init().expect("tables enough"));
    let mut memory = vec![[0u64; 512]; TABLES];
    apply(&mut memory, &events, host_base);
    let pa_bits = space.format().address_bits();
    let setup = Setup { regime: RegimeKind::El2And0, space, pa_bits, pool: base };
    setup.walk(region_strategy::ttbr(&context)).leaves(|address| {
        let entry = usize::try_from((address - base) / 8).expect("small");
        memory[entry / 512][entry % 512]
    })
}

#[test]
fn constructors_say_what_they_are_given() {
    let data = Attributes::read_write();
    let region = Region::new(pa(0x1000), va(0x2000), 0x3000, data);
    assert_eq!(region.extent, extent(0x2000, 0x3000));
    assert_eq!(region.kind, RegionKind::Memory { base: pa(0x1000), attributes: data });
    assert_eq!(region.granularity, None);
    assert_eq!(
        Region::flat(pa(0x1000), 0x3000, data),
        Region::new(pa(0x1000), va(0x1000), 0x3000, data)
    );
    let fine = Region::flat_with_granularity(pa(0x1000), 0x3000, data, Granularity::Page);
    assert_eq!(fine.granularity, Some(Granularity::Page));
    assert_eq!(fine.kind, RegionKind::Memory { base: pa(0x1000), attributes: data });
    let transient = Region::transient(va(0x2000), 0x3000);
    assert_eq!((transient.extent, transient.kind), (extent(0x2000, 0x3000), RegionKind::Transient));
}

#[test]
fn regions_that_break_a_rule_by_themselves_are_refused_and_named() {
    let data = Attributes::read_write();
    let top = (1u64 << 48) - PAGE;
    type MakeError = fn(Extent) -> Error;
    let cases: [(Region, MakeError); 12] = [
        (Region::flat(pa(0x1000), 0, data), Error::Empty),
        (Region::flat(pa(0x1000), 0x1800, data), Error::Unaligned),
        (Region::new(pa(0x1000), va(0x2800), 0x1000, data), Error::Unaligned),
        (Region::new(pa(0x1800), va(0x2000), 0x1000, data), Error::Unaligned),
        (Region::new(pa(0x1000), va(top), 2 * PAGE, data), Error::OutsideAddressSpace),
        (Region::new(pa(0x1000), va(1 << 48), PAGE, data), Error::OutsideAddressSpace),
        (
            Region::new(pa(0x1000), va(0u64.wrapping_sub(PAGE)), PAGE, data),
            Error::OutsideAddressSpace,
        ),
        (
            Region::new(pa(0x1000), va(0x1000), 0u64.wrapping_sub(PAGE), data),
            Error::OutsideAddressSpace,
        ),
        (Region::new(pa(top), va(0), 2 * PAGE, data), |e| {
            Error::PhysicalAddress(e, pa((1 << 48) - PAGE))
        }),
        (Region::new(pa(1 << 48), va(0), PAGE, data), |e| Error::PhysicalAddress(e, pa(1 << 48))),
        (Region::new(pa(0u64.wrapping_sub(PAGE)), va(0), 2 * PAGE, data), |e| {
            Error::PhysicalAddress(e, pa(0u64.wrapping_sub(PAGE)))
        }),
        (
            Region::flat_with_granularity(pa(0), GIB, data, Granularity::Block512GiB),
            Error::GranularityNeedsLpa2,
        ),
    ];
    with_builder(low(48), 1, |mut builder| {
        for (region, error) in cases {
            assert_eq!(builder.try_add_static(region), Err(error(region.extent)), "{region:?}");
            assert_eq!(builder.add_dynamic(region), Err(error(region.extent)), "{region:?}");
        }
        let nonsense = Attributes { access: DataAccess::ReadWrite, ..Attributes::code() };
        let region = Region::flat(pa(0), PAGE, nonsense);
        let rule = AttributeRule::WritableAndExecutable;
        assert_eq!(builder.try_add_static(region), Err(Error::Attributes(region.extent, rule)));
        assert!(builder.regions().is_empty());
    });
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "a static region breaks a rule"))]
fn a_static_region_known_to_be_good_is_not_refused() {
    with_builder(low(48), 4, |mut builder| {
        let region = Region::flat(pa(0x1000), 0x1800, Attributes::read_write());
        assert_eq!(builder.add_static(region), Err(Error::Unaligned(region.extent)));
        assert!(builder.regions().is_empty());
    });
}

#[test]
fn a_region_can_be_as_large_as_the_address_space() {
    for (bits, format) in [(48, DescriptorFormat::Bits48), (52, DescriptorFormat::Lpa2)] {
        for range in [VaRange::Low, VaRange::High] {
            let space = space(range, bits, format);
            let region = Region::new(pa(0), space.base(), 1 << bits, Attributes::read_write());
            let coarse = if bits == 48 { Level::One } else { Level::Zero };
            with_builder(space, 1 + 512, |mut builder| {
                builder.add_static(region).expect("a good region");
                let context = builder.init().expect("tables enough");
                let last = VirtAddr::new(space.base().get() + ((1 << bits) - 1));
                let translation = context.translate(last).expect("mapped");
                assert_eq!(translation.pa, max_pa(format));
                assert_eq!(translation.level, coarse);
            });
        }
    }
}

#[test]
fn a_context_can_be_without_regions_and_maps_nothing() {
    with_builder(low(48), 1, |builder| {
        let context = builder.init().expect("one table");
        assert_eq!(context.translate(va(0)), Err(Error::NotMapped(extent(0, 1))));
        assert_eq!(context.added_regions().len(), 0);
    });
}

#[test]
fn regimes_without_el0_have_one_range_and_no_asid() {
    let high = space(VaRange::High, 48, DescriptorFormat::Bits48);
    let mut tables = [Table::EMPTY; 1];
    let mut storage = RegionStorage::<1>::new();
    let pool = kit::xlat::pool(&mut tables, pa(POOL)).expect("good");
    let refused = ContextBuilder::<El2>::new(high, pool, storage.list());
    assert_eq!(refused.map(|_| ()).unwrap_err(), Error::NoHighRange);
    let pool = kit::xlat::pool(&mut tables, pa(POOL)).expect("good");
    let refused = ContextBuilder::<El3>::new(low(48).with_asid(1), pool, storage.list());
    assert_eq!(refused.map(|_| ()).unwrap_err(), Error::NoAsid);
}

#[test]
fn tables_lie_where_the_context_may_map() {
    let space =
        AddressSpace::new(VaRange::Low, 32, pa(POOL - 1), DescriptorFormat::Bits48).expect("good");
    let mut tables = [Table::EMPTY; 1];
    let mut storage = RegionStorage::<1>::new();
    let pool = kit::xlat::pool(&mut tables, pa(POOL)).expect("good");
    let refused = ContextBuilder::<El2And0>::new(space, pool, storage.list());
    assert_eq!(refused.map(|_| ()).unwrap_err(), Error::TablePool(pa(POOL)));
}

#[test]
fn the_caller_s_regions_are_kept_as_given() {
    with_builder(space(VaRange::High, 39, DescriptorFormat::Bits48), 8, |mut builder| {
        let base = builder.space().base().get();
        let region = Region::new(pa(0x4000_0000), va(base + MIB2), MIB2, Attributes::read_only());
        builder.add_static(region).expect("good");
        let context = builder.init().expect("tables enough");
        assert_eq!(
            context.added_regions().iter().collect::<Vec<_>>(),
            [(&region, Lifetime::Static)]
        );
    });
}

#[test]
fn regions_may_come_in_any_order() {
    let data = Attributes::read_write();
    let regions = [
        Region::flat(pa(0x20_0000), 0x40_0000, data),
        Region::flat(pa(0x30_0000), 0x1000, Attributes::code()),
        Region::flat(pa(0x80_0000), 0x3000, Attributes::read_only()),
    ];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let leaves = orders.map(|order| leaves_of(low(32), &order.map(|index| regions[index])));
    for other in &leaves[1..] {
        assert_eq!(*other, leaves[0]);
    }
}

#[test]
fn too_few_tables_is_an_error_that_gives_the_builder_back() {
    with_builder(low(48), 3, |mut builder| {
        let page = Region::flat(pa(0x1000), PAGE, Attributes::read_write());
        builder.add_dynamic(page).expect("good");
        let failed = builder.init().expect_err("a page needs four tables");
        assert_eq!(failed.error, Error::OutOfTables(page.extent));
        let mut builder = failed.builder;
        builder.remove(page.extent.base, PAGE).expect("still there");
        builder.add_static(Region::flat(pa(0), GIB, Attributes::read_write())).expect("good");
        let mut context = builder.init().expect("a block needs two");
        assert_eq!(context.pool().free(), 1);
        // In use, it is an error too, and nothing changes.
        let far = Region::flat(pa(GIB512), PAGE, Attributes::read_write());
        let (result, events) = record(|| context.add(far));
        assert_eq!((result, events), (Err(Error::OutOfTables(far.extent)), vec![]));
        assert_eq!((context.pool().free(), context.added_regions().len()), (1, 1));
    });
}

#[test]
fn the_smallest_context_is_one_table() {
    let region = Region::flat(pa(0), 1 << 16, Attributes::read_write());
    assert_eq!(tables_for(low(16), &[region]), 1);
}

#[test]
fn every_initial_level_maps_pages_and_blocks() {
    for (bits, format, initial) in [
        (16, DescriptorFormat::Bits48, Level::Three),
        (21, DescriptorFormat::Lpa2, Level::Three),
        (22, DescriptorFormat::Bits48, Level::Two),
        (30, DescriptorFormat::Bits48, Level::Two),
        (31, DescriptorFormat::Lpa2, Level::One),
        (39, DescriptorFormat::Bits48, Level::One),
        (40, DescriptorFormat::Bits48, Level::Zero),
        (48, DescriptorFormat::Lpa2, Level::Zero),
        (49, DescriptorFormat::Lpa2, Level::MinusOne),
        (52, DescriptorFormat::Lpa2, Level::MinusOne),
    ] {
        let space = space(VaRange::Low, bits, format);
        assert_eq!(space.initial_level(), initial, "{bits} bits");
        for (level, size, needs) in [
            (Level::Three, PAGE, 16),
            (Level::Two, MIB2, 22),
            (Level::One, GIB, 31),
            (Level::Zero, GIB512, 40),
        ] {
            let no_block = level == Level::Zero && format == DescriptorFormat::Bits48;
            if bits < needs || no_block {
                continue;
            }
            with_builder(space, 5, |mut builder| {
                let last = (1 << bits) - size;
                builder
                    .add_static(Region::new(pa(0), va(last), size, Attributes::read_write()))
                    .expect("good");
                let context = builder.init().expect("a path of tables is enough");
                let found = context.translate(va(last + size - 1)).expect("mapped");
                assert_eq!((found.level, found.pa), (level, pa(size - 1)), "{bits} bits");
            });
        }
    }
}

#[test]
fn a_high_context_of_2_mib_is_one_table() {
    let space = space(VaRange::High, 21, DescriptorFormat::Bits48);
    let base = space.base().get();
    let regions = [
        Region::new(
            pa(0x8000_0000),
            va(base + 0x1000),
            0x5000,
            Attributes::read_write().non_global(),
        ),
        Region::transient(va(base + 0x10_0000), 0x10_0000),
    ];
    assert_eq!(tables_for(space, &regions), 1);
}

#[test]
fn a_region_takes_as_many_tables_as_its_bases_agree() {
    let data = Attributes::read_write();
    let region =
        |physical, virtual_base| [Region::new(pa(physical), va(virtual_base), 2 * MIB2, data)];
    let tables = |regions: &[Region]| tables_for(low(32), regions);
    // Both bases at a 2 MiB boundary: two blocks, in a table at level 2.
    assert_eq!(tables(&region(GIB, 16 * MIB2)), 2);
    // Both off it by the same amount: a block with pages before and after it.
    assert_eq!(tables(&region(GIB + PAGE, 16 * MIB2 + PAGE)), 4);
    // One of them off it, or both by different amounts: only pages.
    assert_eq!(tables(&region(GIB + PAGE, 16 * MIB2)), 4);
    assert_eq!(tables(&region(GIB, 16 * MIB2 + PAGE)), 5);
    assert_eq!(tables(&region(GIB + 2 * PAGE, 16 * MIB2 + PAGE)), 5);
}

#[test]
fn regions_of_one_table_share_it() {
    let data = Attributes::read_write();
    let pages = [0u64, 7, 100, 511].map(|page| Region::flat(pa(page * PAGE), PAGE, data));
    assert_eq!(tables_for(low(32), &pages), 3);
}

#[test]
fn a_region_that_needs_no_table_is_added_when_none_is_free() {
    let page = |page: u64| Region::flat(pa(page * PAGE), PAGE, Attributes::read_write());
    with_builder(low(32), 3, |mut builder| {
        builder.add_static(page(0)).expect("good");
        let mut context = builder.init().expect("tables enough");
        assert_eq!(context.pool().free(), 0);
        assert_eq!(context.add(page(511)), Ok(()));
        assert_eq!(context.add(page(512)), Err(Error::OutOfTables(extent(512 * PAGE, PAGE))));
    });
}

#[test]
fn the_dump_shows_what_is_mapped_first_once() {
    // All entries of its first table are used.
    with_builder(low(48), 4, |mut builder| {
        builder.add_static(Region::flat(pa(0), PAGE, Attributes::read_write())).expect("good");
        let context = builder.init().expect("tables enough");
        // The range, the page, and the number of tables.
        assert_eq!(context.to_string().lines().count(), 3, "{context}");
    });
}

#[test]
fn granularity_caps_every_unit() {
    let data = Attributes::read_write();
    let sizes = |granularity| {
        let region = Region::flat_with_granularity(pa(GIB), 2 * MIB2, data, granularity);
        let leaves = leaves_of(low(32), &[region]);
        let hints = leaves.iter().filter(|leaf| leaf.leaf.is_some_and(|(_, hint)| hint)).count();
        (leaves.len(), leaves[0].size, hints)
    };
    // Only pages; with the hint, 16 of them would be one 64 KiB unit.
    assert_eq!(sizes(Granularity::Page), (1024, PAGE, 0));
    assert_eq!(sizes(Granularity::Block2MiB), (2, MIB2, 0));
    assert_eq!(sizes(Granularity::Block1GiB), (2, MIB2, 0));
}

#[test]
fn the_contiguous_hint_is_on_whole_aligned_groups_and_on_no_others() {
    let hinted = |space, region| {
        let leaves = leaves_of(space, &[region]);
        let hinted: Vec<_> = leaves
            .iter()
            .filter(|leaf| leaf.leaf.is_some_and(|(_, hint)| hint))
            .map(|leaf| leaf.first / leaf.size)
            .collect();
        (hinted.len(), hinted.first().copied())
    };
    let data = Attributes::read_write();
    let pages = |first: u64, count| Region::flat(pa(first * PAGE), count * PAGE, data);
    assert_eq!(hinted(low(32), pages(16, 16)), (16, Some(16)));
    assert_eq!(hinted(low(32), pages(16, 15)), (0, None));
    assert_eq!(hinted(low(32), pages(15, 33)), (32, Some(16)));
    assert_eq!(hinted(low(32), pages(17, 16)), (0, None));
    // The page after the last group has no hint.
    assert_eq!(hinted(low(32), pages(16, 17)), (16, Some(16)));
    let misaligned = Region::new(pa(17 * PAGE), va(16 * PAGE), 16 * PAGE, data);
    assert_eq!(hinted(low(32), misaligned), (0, None));
    assert_eq!(hinted(low(32), Region::flat(pa(0), 16 * MIB2, data)), (16, Some(0)));
    assert_eq!(hinted(low(48), Region::flat(pa(0), 16 * GIB, data)), (16, Some(0)));
    // The smallest address space is one group.
    assert_eq!(hinted(low(16), pages(0, 16)), (16, Some(0)));
    // Level 0 has no Contiguous hint.
    let lpa2 = space(VaRange::Low, 52, DescriptorFormat::Lpa2);
    assert_eq!(hinted(lpa2, Region::flat(pa(0), 16 * GIB512, data)), (0, None));
}

#[test]
fn a_change_keeps_the_contiguous_hint_on_every_group_that_is_still_uniform() {
    with_builder(low(32), 8, |mut builder| {
        builder
            .add_static(Region::flat(pa(0), MIB2 + 48 * PAGE, Attributes::read_write()))
            .expect("good");
        let mut context = builder.init().expect("tables enough");
        // All of one group after the block, and a part of the next one.
        context.change_attributes(va(MIB2), 17 * PAGE, Attributes::read_only()).expect("mapped");
        // One page of the block, which becomes a table.
        context.change_attributes(va(20 * PAGE), PAGE, Attributes::read_only()).expect("mapped");
        let hint = |page: u64| context.translate(va(page * PAGE)).expect("mapped").contiguous;
        let groups: Vec<_> =
            (0..512 / 16 + 3).map(|group| (0..16).all(|page| hint(group * 16 + page))).collect();
        let none: Vec<_> = (0..512 / 16 + 3).filter(|&group| !groups[group as usize]).collect();
        assert_eq!(none, [1, 512 / 16 + 1]);
        assert!((16..32).chain(528..544).all(|page| !hint(page)));
    });
}

#[test]
fn with_lpa2_addresses_of_52_bits_go_through() {
    let space = space(VaRange::Low, 52, DescriptorFormat::Lpa2);
    let physical = 0xf_0000_0000_0000 - 0x1000;
    let virtual_base = 0xf_ffff_ffff_e000;
    let leaves = leaves_of(
        space,
        &[Region::new(pa(physical), va(virtual_base), 2 * PAGE, Attributes::read_write())],
    );
    let found: Vec<_> = leaves
        .iter()
        .filter_map(|leaf| leaf.leaf.map(|(output, _)| (leaf.first, output.pa)))
        .collect();
    assert_eq!(found, [(virtual_base, physical), (virtual_base + PAGE, physical + PAGE)]);
}

#[test]
fn a_nested_region_is_cut_out_of_the_one_around_it() {
    let regions = [
        Region::flat(pa(0), 2 * MIB2, Attributes::read_write()),
        Region::flat(pa(MIB2), PAGE, Attributes::code()),
    ];
    with_builder(low(32), 8, |mut builder| {
        for region in regions {
            builder.add_static(region).expect("nested");
        }
        let context = builder.init().expect("tables enough");
        let found = |address| {
            let found = context.translate(va(address)).expect("mapped");
            (found.pa.get(), found.attributes, found.level)
        };
        assert_eq!(found(0x1234), (0x1234, Attributes::read_write(), Level::Two));
        assert_eq!(found(MIB2 + 8), (MIB2 + 8, Attributes::code(), Level::Three));
        assert_eq!(found(MIB2 + PAGE), (MIB2 + PAGE, Attributes::read_write(), Level::Three));
    });
}

#[test]
fn pools_without_tables_or_beside_a_boundary_are_refused() {
    let mut tables = [Table::EMPTY; 2];
    for base in [POOL + 8, POOL + PAGE / 2, u64::MAX - PAGE + 1] {
        let refused = kit::xlat::pool(&mut tables, pa(base)).map(|_| ());
        assert_eq!(refused.unwrap_err(), Error::TablePool(pa(base)));
    }
    let refused = kit::xlat::pool(&mut [], pa(POOL)).map(|_| ());
    assert_eq!(refused.unwrap_err(), Error::TablePool(pa(POOL)));
}

#[test]
fn the_largest_storage_holds_as_many_regions_as_it_says() {
    const MOST: usize = 65_535;
    // It has megabytes, too many for a stack.
    static STORAGE: Mutex<RegionStorage<MOST>> = Mutex::new(RegionStorage::new());
    let mut storage = STORAGE.lock().expect("used once");
    let mut tables: Vec<Table> = (0..1).map(|_| Table::EMPTY).collect();
    let pool = kit::xlat::pool(&mut tables, pa(POOL)).expect("good");
    let mut builder = ContextBuilder::<El2And0>::new(low(40), pool, storage.list()).expect("good");
    let page = |number: u64| Region::flat(pa(number * PAGE), PAGE, Attributes::read_write());
    for number in 0..MOST as u64 {
        builder.add_dynamic(page(number)).expect("there is room");
    }
    let full = builder.add_dynamic(page(MOST as u64));
    assert_eq!(full, Err(Error::OutOfRegions(page(MOST as u64).extent)));
    builder.remove(va(7 * PAGE), PAGE).expect("it is there");
    builder.add_dynamic(page(MOST as u64)).expect("there is room again");
    let bases: Vec<u64> =
        builder.regions().iter().map(|(region, _)| region.extent.base.get()).collect();
    let expected: Vec<u64> = (0..=MOST as u64).filter(|number| *number != 7).collect();
    assert!(bases.iter().copied().eq(expected.iter().map(|number| number * PAGE)));
    // One initial table, one at level 1, one at level 2, and 128 tables of pages.
    assert_eq!(builder.tables_needed(), 1 + 1 + 1 + 128);
}

#[test]
fn el0_gets_mappings_only_where_the_configuration_has_them() {
    let region = Region::flat(pa(0), PAGE, Attributes::read_write().user());
    let refused = Error::Attributes(region.extent, AttributeRule::NoUserMappings);
    with_builder(low(32), 4, |mut builder| {
        assert_eq!(builder.try_add_static(region), Err(refused));
        builder.add_static(Region::flat(pa(0), PAGE, Attributes::read_write())).expect("good");
        let mut context = builder.init().expect("enough");
        assert_eq!(
            context.change_attributes(va(0), PAGE, Attributes::read_only().user()),
            Err(refused)
        );
    });
    with_builder(low(32).with_user_mappings(), 4, |mut builder| {
        assert_eq!(builder.try_add_static(region), Ok(()));
    });
}
