// SPDX-License-Identifier: BSD-3-Clause
//! Random static and dynamic regions, built into tables and compared with the reference walker:
//! every address translates as the list of regions says, with the fewest tables and the largest
//! units, and nothing else is mapped.

use std::cell::Cell;

use kit::with_regime;
use kit::xlat::machine::{apply, only_stores};
use kit::xlat::model::{self, MappedRun, RegionRule, Regions};
use kit::xlat::region_strategy::{self, RegionDraft, Setup};
use proptest::prelude::*;
use rmm::address::{PhysAddr, VirtAddr};
use rmm::host::record;
use rmm::xlat::{
    Context, ContextBuilder, DescriptorFormat, Error, Lifetime, Regime, Region, RegionStorage,
    Table, VaRange,
};

const TABLES: usize = 64;
const REGIONS: usize = 12;

/// Adds the region of every draft. Each is accepted or refused as in the model.
fn add_all<R: Regime>(
    builder: &mut ContextBuilder<'_, R>,
    setup: &Setup,
    drafts: &[(RegionDraft, Lifetime)],
) -> Result<Regions, TestCaseError> {
    let mut regions = Regions::default();
    for (draft, lifetime) in drafts {
        let Some((region, offset)) = draft.build(setup, &regions) else { continue };
        let before: Vec<_> = builder.regions().iter().map(|(region, _)| *region).collect();
        let result = match lifetime {
            Lifetime::Static => builder.try_add_static(region),
            Lifetime::Dynamic => builder.add_dynamic(region),
        };
        let broken_rules = regions.broken_rules(&region, *lifetime, offset);
        check_verdict(&region, result, &broken_rules)?;
        if result.is_ok() {
            regions.0.push((region, *lifetime, offset));
        } else {
            let after: Vec<_> = builder.regions().iter().map(|(region, _)| *region).collect();
            prop_assert_eq!(before, after, "a refused region changed the list");
        }
    }
    Ok(regions)
}

fn check_verdict(
    region: &Region,
    result: Result<(), Error>,
    broken_rules: &[RegionRule],
) -> Result<(), TestCaseError> {
    let named = match result {
        Ok(()) => None,
        Err(Error::Overlap(extent)) => Some((RegionRule::Overlap, extent)),
        Err(Error::NestedElsewhere(extent)) => Some((RegionRule::NestedElsewhere, extent)),
        Err(Error::PhysicalOverlap(extent)) => Some((RegionRule::PhysicalOverlap, extent)),
        Err(other) => return Err(TestCaseError::fail(format!("{region:?}: {other:?}"))),
    };
    match named {
        None => {
            prop_assert!(
                broken_rules.is_empty(),
                "{:?} was taken in spite of {:?}",
                region,
                broken_rules
            )
        }
        Some((rule, extent)) => {
            prop_assert!(
                broken_rules.contains(&rule),
                "{:?}: {:?} and not {:?}",
                region,
                rule,
                broken_rules
            );
            prop_assert_eq!(extent, region.extent);
        }
    }
    Ok(())
}

/// Builds the context of one case and checks it. Gives whether there were enough tables.
fn check_case<R: Regime>(
    setup: &Setup,
    drafts: &[(RegionDraft, Lifetime)],
) -> Result<bool, TestCaseError> {
    let mut tables: Vec<Table> = (0..TABLES).map(|_| Table::EMPTY).collect();
    let host_base = tables.as_ptr().addr();
    let mut storage = RegionStorage::<REGIONS>::new();
    let pool = kit::xlat::pool(&mut tables, PhysAddr::new(setup.pool)).expect("a good pool");
    let (builder, made) = record(|| {
        ContextBuilder::<R>::new(setup.space, pool, storage.list()).expect("a good context")
    });
    let mut builder = builder;
    let regions = add_all(&mut builder, setup, drafts)?;
    let runs = regions.runs();
    let leaves = model::leaves(
        &runs,
        setup.space.format(),
        setup.space.address_bits(),
        setup.space.has_contiguous_hint(),
    );
    let transient = regions.transient_pages();
    let units = leaves.iter().map(|&(first, size, _)| (first, size));
    let needed = 1 + model::tables(
        units.chain(transient.iter().map(|&first| (first, 4096))),
        setup.space.address_bits(),
    )
    .len();

    prop_assert_eq!(builder.tables_needed(), needed, "counted before any is taken");
    #[expect(clippy::result_large_err, reason = "the error gives the builder back")]
    let (context, events) = record(|| builder.init());
    let context = match context {
        Ok(context) => context,
        Err(failed) => {
            prop_assert!(needed > TABLES, "{:?}, but {} tables are enough", failed.error, needed);
            let is_ours = |extent| regions.0.iter().any(|(region, ..)| region.extent == extent);
            prop_assert!(matches!(failed.error, Error::OutOfTables(extent) if is_ours(extent)));
            prop_assert_eq!(failed.builder.regions().len(), regions.0.len());
            return Ok(false);
        }
    };
    let events = [made, events].concat();
    prop_assert!(only_stores(&events), "maintenance before anybody walks");
    // A table that is not cleared first must not be walked.
    let mut memory = vec![[u64::MAX; 512]; TABLES];
    apply(&mut memory, &events, host_base);
    let read = |pa: u64| {
        let table = usize::try_from((pa - setup.pool) / 4096).expect("small");
        memory[table][usize::try_from(pa % 4096 / 8).expect("small")]
    };
    let walk = setup.walk(region_strategy::ttbr(&context));

    // The leaves that a walker finds are those of the model, in size, hint and output.
    let found = walk.leaves(read);
    prop_assert_eq!(found.len(), leaves.len());
    let mut run = runs.iter();
    let mut at: Option<&MappedRun> = None;
    for (walked, &(first, size, hint)) in found.iter().zip(&leaves) {
        while at.is_none_or(|at| at.last < first) {
            at = run.next();
        }
        let at = at.expect("every leaf is of a run");
        let output = model::output(at.attributes, at.pa + (first - at.first), setup.regime);
        prop_assert_eq!((walked.first, walked.size), (first, size));
        prop_assert_eq!(walked.leaf, Some((output, hint)));
    }
    prop_assert_eq!(walk.tables(read).len(), needed);
    prop_assert_eq!(context.pool().total() - context.pool().free(), needed);
    check_queries(&context, setup, &regions, &runs)?;
    check_dump(&context, setup, &runs, &transient)?;
    Ok(true)
}

/// Compares the library's own walk at the ends of every region and run.
fn check_queries<R: Regime>(
    context: &Context<'_, R>,
    setup: &Setup,
    regions: &Regions,
    runs: &[MappedRun],
) -> Result<(), TestCaseError> {
    let space_size = 1u64 << setup.space.address_bits();
    let edges = regions.0.iter().flat_map(|(region, _, at)| {
        [*at, at + region.extent.size - 1, at.wrapping_sub(1), at + region.extent.size, at + 0x123]
    });
    let transient = regions.transient_pages();
    for offset in edges.chain([0, space_size - 1]).filter(|&offset| offset < space_size) {
        let va = VirtAddr::new(setup.space.base().get() + offset);
        let translation = context.translate(va);
        match runs.iter().find(|run| run.first <= offset && offset <= run.last) {
            Some(run) => {
                let translation =
                    translation.map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
                prop_assert_eq!(translation.pa.get(), run.pa + (offset - run.first));
                prop_assert_eq!(translation.attributes, run.attributes);
                prop_assert!(!translation.transient);
            }
            None if transient.contains(&(offset & !0xfff)) => {
                prop_assert_eq!(translation, Err(Error::Unmapped(va)));
            }
            None => prop_assert!(matches!(translation, Err(Error::NotMapped(_)))),
        }
    }
    let beyond = match setup.space.range() {
        VaRange::Low => VirtAddr::new(space_size),
        VaRange::High => VirtAddr::new(setup.space.base().get() - 1),
    };
    prop_assert!(matches!(context.translate(beyond), Err(Error::OutsideAddressSpace(_))));
    Ok(())
}

/// The dump shows each run once, and runs that continue each other in one line.
fn check_dump<R: Regime>(
    context: &Context<'_, R>,
    setup: &Setup,
    runs: &[MappedRun],
    transient: &[u64],
) -> Result<(), TestCaseError> {
    let mut told: Vec<_> =
        runs.iter().map(|run| (run.first, run.last, Some((run.pa, run.attributes)))).collect();
    told.extend(transient.iter().map(|&first| (first, first + 4095, None)));
    told.sort_by_key(|&(first, ..)| first);
    told.dedup_by(|next, run| {
        let goes_on = match (run.2, next.2) {
            (Some((pa, attributes)), Some(next)) => (pa + (run.1 - run.0 + 1), attributes) == next,
            (None, None) => true,
            _ => false,
        };
        let joined = goes_on && run.1 + 1 == next.0;
        if joined {
            run.1 = next.1;
        }
        joined
    });
    let base = setup.space.base().get();
    let lines: Vec<String> = told
        .iter()
        .map(|(first, last, mapped)| {
            let what = match mapped {
                Some((pa, attributes)) => format!("-> {pa:#018x} {attributes}"),
                None => "transient, not mapped".to_owned(),
            };
            format!("{:#018x}-{:#018x} {what}", base + first, base + last)
        })
        .collect();
    let dump = context.to_string();
    let dumped: Vec<_> = dump.lines().filter(|line| line.starts_with("0x")).collect();
    prop_assert_eq!(dumped, lines);
    Ok(())
}

#[test]
fn tables_say_what_the_regions_say() {
    const WANTED: usize = 10_000;
    let drafts = prop::collection::vec(
        (
            region_strategy::region(),
            prop_oneof![3 => Just(Lifetime::Static), 1 => Just(Lifetime::Dynamic)],
        ),
        1..REGIONS,
    );
    let built = Cell::new(0u32);
    let lpa2 = Cell::new(0u32);
    let mut runner = kit::xlat::runner(WANTED + WANTED / 20);
    let cases = runner.config().cases;
    runner
        .run(&(region_strategy::setup(TABLES as u64), drafts), |(setup, drafts)| {
            if with_regime!(setup.regime, R => check_case::<R>(&setup, &drafts))? {
                built.set(built.get() + 1);
                lpa2.set(lpa2.get() + u32::from(setup.space.format() == DescriptorFormat::Lpa2));
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    println!("{} region sets built and walked, {} of them with LPA2", built.get(), lpa2.get());
    assert!(
        built.get() >= cases / 21 * 20,
        "too many region sets needed more tables than there are"
    );
}
