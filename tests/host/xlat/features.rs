// SPDX-License-Identifier: BSD-3-Clause
//! What operations do on CPUs with additional features for table maintenance: the number of TLBIs
//! for a range, the level in their operands, and changes without a break. Also changes of
//! permissions alone.

use kit::with_regime;
use kit::xlat::walker::RegimeKind;
use rmm::address::{PhysAddr, VirtAddr};
use rmm::host::{Event, record};
use rmm::xlat::{
    AddressSpace, AttributeRule, Attributes, Context, ContextBuilder, DataAccess, DescriptorFormat,
    El2And0, Error, Extent, Granularity, Maintenance, MaintenanceFeatures, MemoryType, Permissions,
    PhysicalAddressSpace, Regime, Region, RegionStorage, Table, VaRange,
};

use super::maintenance::{ASID, Mapping, NEAR, data, recorded_with};

const NONE: MaintenanceFeatures =
    MaintenanceFeatures { range: false, level_hint: false, resize_in_place: false };
const RANGE: MaintenanceFeatures = MaintenanceFeatures { range: true, ..NONE };
const LEVEL: MaintenanceFeatures = MaintenanceFeatures { level_hint: true, ..NONE };
const RESIZE: MaintenanceFeatures = MaintenanceFeatures { resize_in_place: true, ..NONE };
const ALL: MaintenanceFeatures =
    MaintenanceFeatures { range: true, level_hint: true, resize_in_place: true };

const PAGE: u64 = 0x1000;
const MIB2: u64 = 0x20_0000;
const PA: u64 = 0x8000_0000;

fn read_only() -> Attributes {
    Attributes::read_only().non_global()
}

fn region(va: u64, size: u64) -> Region {
    Region::new(PhysAddr::new(PA), VirtAddr::new(va), size, data())
}

/// The TLBIs in `events`, by name.
fn tlbis(events: &[Event]) -> Vec<(&'static str, Option<u64>)> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Instruction(text, operand) if text.starts_with("tlbi ") => {
                Some((&text["tlbi ".len()..], *operand))
            }
            _ => None,
        })
        .collect()
}

/// The events when `pages` pages are removed from page `first` of 2 MiB on, in a context of regime
/// `R` for `space`.
fn removed<R: Regime>(
    space: AddressSpace,
    (first, pages): (u64, u64),
    maintenance: Maintenance,
) -> Vec<Event> {
    let mut tables: Vec<Table> = (0..16).map(|_| Table::EMPTY).collect();
    let mut storage = RegionStorage::<4>::new();
    let pool = kit::xlat::pool(&mut tables, PhysAddr::new(0x10_0000)).expect("good");
    let builder = ContextBuilder::<R>::new(space, pool, storage.list()).expect("good");
    let mut context = builder.init().expect("one table");
    kit::xlat::activate(&mut context, maintenance).expect("shareable");
    let (at, attributes) = (16 * MIB2 + first * PAGE, Attributes::read_write().in_pas(R::OWN_PAS));
    let at = VirtAddr::new(at);
    let region = Region::new(PhysAddr::new(PA), at, pages * PAGE, attributes);
    context.add(region.with_granularity(Granularity::Page)).expect("good");
    let (result, events) = record(|| context.remove(at, pages * PAGE));
    assert_eq!(result, Ok(()));
    events
}

fn space(format: DescriptorFormat, features: MaintenanceFeatures) -> AddressSpace {
    let max_pa = PhysAddr::new((1 << 40) - 1);
    AddressSpace::new(VaRange::Low, 39, max_pa, format)
        .expect("good")
        .with_maintenance_features(features)
}

#[test]
fn a_removal_takes_as_few_invalidations_as_the_cpus_can_do_with() {
    use DescriptorFormat::{Bits48, Lpa2};
    let one_by_one = |count| vec!["vae2is"; count];
    for (features, format, pages, expected) in [
        (NONE, Bits48, (0, 1), one_by_one(1)),
        (NONE, Bits48, (0, 512), one_by_one(512)),
        // One page more than a table has entries.
        (NONE, Bits48, (0, 513), vec!["alle2is"]),
        (NONE, Bits48, (0, 5_000), vec!["alle2is"]),
        (LEVEL, Bits48, (0, 513), vec!["alle2is"]),
        (RANGE, Bits48, (0, 1), one_by_one(1)),
        (RANGE, Bits48, (0, 2), vec!["rvae2is"]),
        (RANGE, Bits48, (13, 3), vec!["rvae2is", "vae2is"]),
        (RANGE, Bits48, (0, 512), vec!["rvae2is"]),
        (RANGE, Bits48, (0, 513), vec!["rvae2is", "vae2is"]),
        // 2 * 2^11 + 14 * 2^6 + 4 * 2.
        (RANGE, Bits48, (0, 5_000), vec!["rvae2is"; 3]),
        (RANGE, Lpa2, (0, 5_000), vec!["rvae2is"; 3]),
        // With 52-bit addresses ranges begin at 64 KiB.
        (RANGE, Bits48, (13, 3 + 64), vec!["rvae2is", "rvae2is", "vae2is"]),
        (RANGE, Lpa2, (13, 3 + 64), vec!["vae2is", "vae2is", "vae2is", "rvae2is"]),
    ] {
        let events =
            removed::<El2And0>(space(format, features), pages, Maintenance::InnerShareable);
        let names: Vec<_> = tlbis(&events).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, expected, "{features:?} {format:?} {pages:?}");
    }
}

#[test]
fn every_regime_has_its_own_ranges_and_its_own_invalidation_of_all() {
    for (kind, any_asid, range, page, all) in [
        (RegimeKind::El1And0, false, "rvae1", "vae1", "vmalle1"),
        (RegimeKind::El1And0, true, "rvaae1", "vaae1", "vmalle1"),
        (RegimeKind::El2, false, "rvae2", "vae2", "alle2"),
        (RegimeKind::El2And0, false, "rvae2", "vae2", "alle2"),
        (RegimeKind::El3, false, "rvae3", "vae3", "alle3"),
    ] {
        for (maintenance, suffix) in [(Maintenance::Local, ""), (Maintenance::InnerShareable, "is")]
        {
            let space = |features| {
                let space = space(DescriptorFormat::Bits48, features);
                if any_asid { space.for_any_asid() } else { space }
            };
            let names = |features, pages| {
                let events =
                    with_regime!(kind, R => removed::<R>(space(features), (0, pages), maintenance));
                tlbis(&events).into_iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
            };
            let expected = [range, page].map(|name| format!("{name}{suffix}"));
            assert_eq!(names(RANGE, 33), expected, "{kind:?}");
            assert_eq!(names(NONE, 600), [format!("{all}{suffix}")], "{kind:?}");
        }
    }
}

#[test]
fn with_ranges_and_all_at_once_no_translation_survives() {
    const PAGES: u64 = 513;
    for (features, maintenance, expected) in [
        (RANGE, Maintenance::InnerShareable, &["rvae2is", "vae2is"][..]),
        (ALL, Maintenance::Local, &["rvae2", "vae2"]),
        (RANGE, Maintenance::InnerShareableTwice, &["rvae2is", "vae2is", "vae2is"]),
        (NONE, Maintenance::InnerShareable, &["alle2is"]),
        (LEVEL, Maintenance::Local, &["alle2"]),
        (NONE, Maintenance::InnerShareableTwice, &["alle2is", "alle2is"]),
    ] {
        let run = recorded_with(
            features,
            maintenance,
            |context| context.add(region(NEAR, PAGES * PAGE).with_granularity(Granularity::Page)),
            |context| context.remove(VirtAddr::new(NEAR), PAGES * PAGE),
            &[(NEAR, PAGES * PAGE, PA, data())],
            &[],
        );
        let names: Vec<_> = tlbis(&run.events).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, expected);
        run.is_tight();
    }
}

#[test]
fn a_leaf_s_level_is_named_where_leaves_alone_go() {
    // Two pages beside another one, which keeps their table in use.
    fn pages(context: &mut Context<'_, El2And0>) -> Result<(), Error> {
        context.add(region(NEAR, 2 * PAGE))?;
        let other =
            Region::new(PhysAddr::new(0x9000_0000), VirtAddr::new(NEAR + 8 * PAGE), PAGE, data());
        context.add(other)
    }
    let beside: Mapping = (NEAR + 8 * PAGE, PAGE, 0x9000_0000, data());
    let two: Mapping = (NEAR, 2 * PAGE, PA, data());
    let asid = u64::from(ASID) << 48;
    let page = NEAR >> 12 & 0xfff_ffff_ffff | asid;
    for (features, expected) in [
        (NONE, vec![("vale2is", Some(page)), ("vale2is", Some(page + 1))]),
        // TTL in bits 47:44: the 4 KiB granule, level 3.
        (LEVEL, [0, 1].map(|n| ("vale2is", Some((page + n) | 0b0111 << 44))).to_vec()),
        // VA[48:12] in bits 36:0; TTL in 38:37, NUM and SCALE 0, TG 1.
        (RANGE, vec![("rvale2is", Some(NEAR >> 12 & 0x1f_ffff_ffff | asid | 1 << 46))]),
        (ALL, vec![("rvale2is", Some(NEAR >> 12 & 0x1f_ffff_ffff | asid | 1 << 46 | 3 << 37))]),
    ] {
        let run = recorded_with(
            features,
            Maintenance::InnerShareable,
            pages,
            |context| context.remove(VirtAddr::new(NEAR), 2 * PAGE),
            &[two, beside],
            &[beside],
        );
        assert_eq!(tlbis(&run.events), expected, "{features:?}");
        run.is_tight();
    }
    // A block and a page, each with its own level.
    let size = MIB2 + PAGE;
    let run = recorded_with(
        LEVEL,
        Maintenance::InnerShareable,
        |context| context.add(region(NEAR, MIB2 + PAGE)),
        |context| context.change_attributes(VirtAddr::new(NEAR), MIB2 + PAGE, read_only()),
        &[(NEAR, size, PA, data())],
        &[(NEAR, size, PA, read_only())],
    );
    let operands = [page | 0b0110 << 44, (page + 0x200) | 0b0111 << 44];
    assert_eq!(tlbis(&run.events), operands.map(|operand| ("vale2is", Some(operand))));
    run.is_tight();
    // As one range they have no level.
    let run = recorded_with(
        ALL,
        Maintenance::InnerShareable,
        |context| context.add(region(NEAR, MIB2 + 2 * PAGE)),
        |context| context.change_attributes(VirtAddr::new(NEAR), MIB2 + 2 * PAGE, read_only()),
        &[(NEAR, MIB2 + 2 * PAGE, PA, data())],
        &[(NEAR, MIB2 + 2 * PAGE, PA, read_only())],
    );
    let base = NEAR >> 12 & 0x1f_ffff_ffff | asid | 1 << 46;
    // 8 * 2^6 granules, then 2.
    let operands = [base | 7 << 39 | 1 << 44, base + 0x200];
    assert_eq!(tlbis(&run.events), operands.map(|operand| ("rvale2is", Some(operand))));
    run.is_tight();
}

#[test]
fn the_base_of_a_range_is_in_units_of_64_kib_with_52_bit_addresses() {
    let events = removed::<El2And0>(
        space(DescriptorFormat::Lpa2, RANGE),
        (0, 64),
        Maintenance::InnerShareable,
    );
    // NUM 0, SCALE 1, TG 1.
    assert_eq!(tlbis(&events), [("rvae2is", Some((16 * MIB2) >> 16 | 1 << 44 | 1 << 46))]);
}

/// Whether every descriptor that `events` store is valid, so that nothing is broken first.
fn is_never_broken(events: &[Event]) -> bool {
    events.iter().all(|event| !matches!(event, Event::Descriptor(_, value) if value & 1 == 0))
}

#[test]
fn a_page_of_a_block_that_is_in_use_is_tightened_without_a_break_where_cpus_can_do_that() {
    let one: Mapping = (NEAR, PAGE, PA, read_only());
    let rest: Mapping = (NEAR + PAGE, MIB2 - PAGE, PA + PAGE, data());
    for features in [RESIZE, ALL] {
        let run = recorded_with(
            features,
            Maintenance::InnerShareable,
            |context| context.add(region(NEAR, MIB2)),
            |context| context.change_attributes(VirtAddr::new(NEAR), PAGE, read_only()),
            &[(NEAR, MIB2, PA, data())],
            &[one, rest],
        );
        let texts = run.texts().into_iter().map(|(text, _)| text);
        let instructions: Vec<_> =
            texts.filter(|text| !["store", "clear"].contains(text)).collect();
        let retire = ["dsb ishst", "tlbi vale2is", "dsb ish"];
        assert_eq!(instructions, [&retire[..], &retire, &["isb"]].concat());
        assert!(is_never_broken(&run.events));
        run.is_tight();
    }
}

#[test]
fn a_page_of_a_contiguous_group_that_is_in_use_is_tightened_without_a_break() {
    let run = recorded_with(
        RESIZE,
        Maintenance::Local,
        |context| context.add(region(NEAR, 0x1_0000)),
        |context| context.change_attributes(VirtAddr::new(NEAR + 5 * PAGE), PAGE, read_only()),
        &[(NEAR, 0x1_0000, PA, data())],
        &[
            (NEAR, 5 * PAGE, PA, data()),
            (NEAR + 5 * PAGE, PAGE, PA + 5 * PAGE, read_only()),
            (NEAR + 6 * PAGE, 10 * PAGE, PA + 6 * PAGE, data()),
        ],
    );
    assert!(is_never_broken(&run.events));
    let count = |wanted| run.texts().iter().filter(|(text, _)| *text == wanted).count();
    assert_eq!((count("store"), count("tlbi vale2"), count("dsb nsh")), (17, 17, 2));
    assert_eq!(run.fault(&run.events), None);
    // Without the first sixteen TLBIs, a TLB holds a page and its group with different attributes.
    let tlbi = |event: &Event| matches!(event, Event::Instruction("tlbi vale2", _));
    let first = run.events.iter().position(tlbi).expect("there are some");
    let mut without = run.events.clone();
    without.drain(first..first + 16);
    assert!(run.fault(&without).is_some());
}

#[test]
fn a_block_that_becomes_global_in_part_is_broken_whatever_cpus_can_do() {
    let run = recorded_with(
        ALL,
        Maintenance::InnerShareable,
        |context| context.add(region(NEAR, MIB2)),
        |context| context.change_attributes(VirtAddr::new(NEAR), PAGE, Attributes::read_only()),
        &[(NEAR, MIB2, PA, data())],
        &[(NEAR, PAGE, PA, Attributes::read_only()), (NEAR + PAGE, MIB2 - PAGE, PA + PAGE, data())],
    );
    assert!(!is_never_broken(&run.events));
    run.is_tight();
}

#[test]
fn without_the_feature_a_block_changed_in_part_is_broken() {
    let run = recorded_with(
        MaintenanceFeatures { resize_in_place: false, ..ALL },
        Maintenance::InnerShareable,
        |context| context.add(region(NEAR, MIB2)),
        |context| context.change_attributes(VirtAddr::new(NEAR), PAGE, read_only()),
        &[(NEAR, MIB2, PA, data())],
        &[(NEAR, PAGE, PA, read_only()), (NEAR + PAGE, MIB2 - PAGE, PA + PAGE, data())],
    );
    assert!(!is_never_broken(&run.events));
    run.is_tight();
}

/// Memory of three types and of two physical address spaces.
fn kinds() -> [Attributes; 4] {
    [
        data(),
        Attributes::device().non_global(),
        Attributes::non_cacheable().non_global(),
        data().in_pas(PhysicalAddressSpace::NonSecure),
    ]
}

/// The mapping of a page of each kind.
fn kind_mappings() -> Vec<Mapping> {
    let page = |number| (NEAR + number * PAGE, PAGE, PA + number * PAGE);
    (0..).map(page).zip(kinds()).map(|((va, size, pa), kind)| (va, size, pa, kind)).collect()
}

/// Adds a page of each of [`kinds`].
fn add_kinds(context: &mut Context<'_, El2And0>) -> Result<(), Error> {
    (0..).zip(kinds()).try_for_each(|(number, attributes)| {
        let (va, pa) = (NEAR + number * PAGE, PA + number * PAGE);
        context.add(Region::new(PhysAddr::new(pa), VirtAddr::new(va), PAGE, attributes))
    })
}

#[test]
fn permissions_alone_change_over_memory_of_several_types() {
    let before = kind_mappings();
    let permissions = Attributes::read_only().permissions();
    let after: Vec<Mapping> = before
        .iter()
        .map(|&(va, size, pa, attributes)| (va, size, pa, attributes.with_permissions(permissions)))
        .collect();
    let run = recorded_with(
        NONE,
        Maintenance::InnerShareable,
        add_kinds,
        |context| {
            let at = VirtAddr::new(NEAR);
            // Attributes that also change a memory type are refused: the second page has another
            // one.
            let second = Extent { base: VirtAddr::new(NEAR + PAGE), size: PAGE };
            let refused = context.change_attributes(at, 4 * PAGE, read_only());
            assert_eq!(refused, Err(Error::FixedAttribute(second)));
            let all = Attributes::read_only().permissions();
            context.change_permissions(at, 4 * PAGE, all)?;
            let types = [0, 1, 2, 3].map(|number| {
                let at = VirtAddr::new(NEAR + number * PAGE);
                context.translate(at).map(|found| found.attributes.memory)
            });
            use MemoryType::{Device, NormalNonCacheable, NormalWriteBack};
            let kept = [NormalWriteBack, Device, NormalNonCacheable, NormalWriteBack];
            assert_eq!(types, kept.map(Ok));
            Ok(())
        },
        &before,
        &after,
    );
    assert_eq!(run.texts().iter().filter(|(text, _)| *text == "store").count(), 4);
    assert!(is_never_broken(&run.events));
    run.is_tight();
}

#[test]
fn memory_in_a_range_that_cannot_have_the_permissions_has_the_whole_change_refused() {
    let before = kind_mappings();
    let mut after = before.clone();
    after[0].3 = Attributes::code().non_global();
    let run = recorded_with(
        NONE,
        Maintenance::InnerShareable,
        add_kinds,
        |context| {
            let code = Attributes::code().permissions();
            let page = |number| Extent { base: VirtAddr::new(NEAR + number * PAGE), size: PAGE };
            for (first, pages, refused, rule) in [
                (0, 2, 1, AttributeRule::ExecutableDevice),
                (1, 1, 1, AttributeRule::ExecutableDevice),
                (2, 2, 3, AttributeRule::ExecutableElsewhere),
                (3, 1, 3, AttributeRule::ExecutableElsewhere),
            ] {
                let result = context.change_permissions(page(first).base, pages * PAGE, code);
                assert_eq!(result, Err(Error::Attributes(page(refused), rule)));
            }
            let both = Permissions { access: DataAccess::ReadWrite, ..code };
            let whole = Extent { size: 2 * PAGE, ..page(0) };
            let rule = AttributeRule::WritableAndExecutable;
            let result = context.change_permissions(page(0).base, 2 * PAGE, both);
            assert_eq!(result, Err(Error::Attributes(whole, rule)));
            let read_only = Attributes::read_only().permissions();
            let result = context.change_permissions(page(0).base, 5 * PAGE, read_only);
            assert_eq!(result, Err(Error::NotMapped(page(4))));
            // The page alone can be changed.
            context.change_permissions(page(0).base, PAGE, code)
        },
        &before,
        &after,
    );
    assert_eq!(run.texts().iter().filter(|(text, _)| *text == "store").count(), 1);
    assert_eq!(run.fault(&run.events), None);
}

#[test]
fn features_are_read_from_their_fields() {
    let read = MaintenanceFeatures::from_id_registers;
    assert_eq!(read(0, 0), NONE);
    assert_eq!(read(2 << 56, 0), RANGE);
    // The value for TLBIs of the Outer Shareable domain does not include ranges.
    assert_eq!(read(1 << 56, 0), NONE);
    assert_eq!(read(0, 1 << 48), LEVEL);
    assert_eq!(read(0, 2 << 52), RESIZE);
    // FEAT_BBM level 1: entries with nT may fault instead of a break.
    assert_eq!(read(0, 1 << 52), NONE);
}
