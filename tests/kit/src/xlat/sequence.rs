// SPDX-License-Identifier: BSD-3-Clause
//! Sequences of operations on a live context. After each, a simple model is compared: what each
//! address translates to, that no table is lost or kept without need, and that a refused operation
//! has changed nothing.
//!
//! Meanwhile a [`TlbMachine`] watches each store and instruction: no CPU may find a translation
//! that was mapped neither before nor after the operation, nor a stale one after it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use proptest::prelude::*;
use rmm::address::{PhysAddr, VirtAddr};
use rmm::host::{Event, observe, record};
use rmm::xlat::{
    Attributes, Context, ContextBuilder, Error, Lifetime, Maintenance, PhysicalAddressSpace,
    Regime, Region, RegionKind, RegionStorage, Shareability, Table,
};

use super::machine::{Mapped, TlbMachine, apply, only_stores};
use super::model::{self, MappedRun, Regions};
use super::region_strategy::{self, AttributeDraft, RegionDraft, Setup};
use super::walker;

/// Tables in the pool.
pub const TABLES: usize = 24;
/// The most regions a context can have.
const REGIONS: usize = 8;
const PAGE: u64 = 4096;

/// An operation on a live context.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    Add(RegionDraft),
    /// Which region, and whether with a wrong size.
    Remove(u8, bool),
    /// Which region, the first page, how many pages (perhaps beyond the region), the attributes,
    /// and whether they replace all of the former ones.
    Change {
        which: u8,
        from: u64,
        pages: u64,
        attributes: AttributeDraft,
        new: bool,
        /// Whether only permissions change.
        permissions: bool,
    },
    /// The first transient page, how many, and the physical address.
    Map {
        page: u16,
        count: u8,
        pa: u64,
        attributes: AttributeDraft,
    },
    Unmap {
        page: u16,
        count: u8,
    },
}

/// What is mapped, in runs, and the transient pages.
#[derive(Clone, Default)]
struct ContextModel {
    regions: Regions,
    runs: Vec<MappedRun>,
    pages: BTreeMap<u64, (u64, Attributes)>,
}

impl ContextModel {
    fn mapped(&self, setup: &Setup) -> Mapped {
        let mut mapped: Vec<_> = self
            .runs
            .iter()
            .map(|run| (run.first, run.last, model::output(run.attributes, run.pa, setup.regime)))
            .collect();
        mapped.extend(self.pages.iter().map(|(&first, &(pa, attributes))| {
            (first, first + PAGE - 1, model::output(attributes, pa, setup.regime))
        }));
        mapped.sort_by_key(|&(first, ..)| first);
        Mapped(mapped)
    }

    /// Gives the part of every run from `first` to `last` other attributes, or unmaps it.
    fn set(&mut self, first: u64, last: u64, new: Option<&dyn Fn(Attributes) -> Attributes>) {
        let mut runs = Vec::new();
        for run in &self.runs {
            let part = |from: u64, to: u64, attributes| MappedRun {
                first: from,
                last: to,
                pa: run.pa + (from - run.first),
                attributes,
                ..*run
            };
            if run.last < first || last < run.first {
                runs.push(*run);
                continue;
            }
            if run.first < first {
                runs.push(part(run.first, first - 1, run.attributes));
            }
            if let Some(new) = new {
                let attributes = new(run.attributes);
                runs.push(part(run.first.max(first), run.last.min(last), attributes));
            }
            if last < run.last {
                runs.push(part(last + 1, run.last, run.attributes));
            }
        }
        self.runs = runs;
    }

    fn run_at(&self, offset: u64) -> Option<&MappedRun> {
        self.runs.iter().find(|run| run.first <= offset && offset <= run.last)
    }
}

/// The expected end of an operation: what is mapped if it succeeds, and the errors it may give.
struct Verdict {
    after: ContextModel,
    errors: Vec<fn(Error) -> bool>,
}

macro_rules! is {
    ($pattern:pat) => {
        |error| matches!(error, $pattern)
    };
}

struct Case<'a, 't, R> {
    setup: Setup,
    context: &'a mut Context<'t, R>,
    machine: Rc<RefCell<TlbMachine>>,
    model: ContextModel,
    /// Whether attributes have changed, so that there may be more tables than needed.
    changed: bool,
}

impl<R: Regime> Case<'_, '_, R> {
    fn free(&self) -> usize {
        self.context.pool().free()
    }

    fn run(&mut self, op: Op) -> Result<bool, TestCaseError> {
        match op {
            Op::Add(draft) => {
                let Some((region, offset)) = draft.build(&self.setup, &self.model.regions) else {
                    return Ok(false);
                };
                let verdict = self.adding(region, offset);
                self.check(verdict, |context| context.add(region))
            }
            Op::Remove(which, wrong) => {
                let Some((region, base, size)) = self.pick(which) else { return Ok(false) };
                let size = if wrong { size + PAGE } else { size };
                if !self.inside(base, size) {
                    return Ok(false);
                }
                let verdict = self.removing(&region, size);
                self.check(verdict, |context| context.remove(region.extent.base, size))
            }
            Op::Change { which, from, pages, attributes, new, permissions } => {
                let Some((region, base, size)) = self.pick(which) else { return Ok(false) };
                let from = from % (size / PAGE);
                let first = base + from * PAGE;
                // Often up to the end of the region, sometimes beyond it.
                let rest = size / PAGE - from;
                let count = match pages % 8 {
                    0 => rest,
                    1 => rest + pages / 8 % 3,
                    2..=4 => pages / 8 % rest.min(40) + 1,
                    _ => pages / 8 % rest + 1,
                };
                let drawn = attributes.build(&self.setup);
                let attributes = match self.model.run_at(first).map(|run| run.attributes) {
                    Some(old) if !new => {
                        let same = old.memory == drawn.memory && old.pas == drawn.pas;
                        Attributes {
                            memory: old.memory,
                            pas: old.pas,
                            shareability: old.shareability,
                            executable: drawn.executable && same,
                            guarded: drawn.guarded && same,
                            ..drawn
                        }
                    }
                    _ => drawn,
                };
                if !self.inside(first, count * PAGE) {
                    return Ok(false);
                }
                let va = VirtAddr::new(region.extent.base.get() + (first - base));
                self.changed = true;
                if permissions {
                    let permissions = drawn.permissions();
                    let verdict =
                        self.changing(first, count * PAGE, |old| old.with_permissions(permissions));
                    return self.check(verdict, |context| {
                        context.change_permissions(va, count * PAGE, permissions)
                    });
                }
                let verdict = self.changing(first, count * PAGE, |_| attributes);
                self.check(verdict, |context| {
                    context.change_attributes(va, count * PAGE, attributes)
                })
            }
            Op::Map { page, count, pa, attributes } => {
                let Some((first, count)) = self.pick_pages(page, count) else { return Ok(false) };
                let attributes = attributes.build(&self.setup);
                let pa_pages = (1u64 << self.setup.pa_bits) / PAGE;
                let addresses: Vec<_> =
                    (0..count).map(|n| (pa.wrapping_add(n * 0x1_2345) % pa_pages) * PAGE).collect();
                let mut after = self.model.clone();
                let mut errors: Vec<fn(Error) -> bool> = Vec::new();
                for (n, &pa) in (0..).zip(&addresses) {
                    if after.pages.insert(first + n * PAGE, (pa, attributes)).is_some() {
                        errors.push(is!(Error::AlreadyMapped(_)));
                    }
                }
                let va = self.address(first);
                self.check(Verdict { after, errors }, |context| {
                    let range = context.transient(va, addresses.len())?;
                    let template = range.template(attributes)?;
                    let addresses: Vec<_> = addresses.iter().copied().map(PhysAddr::new).collect();
                    match *addresses {
                        [pa] => range.page(0).ok_or(Error::NoSuchPage)?.map(pa, template),
                        _ => range.map_group(0, &addresses, template),
                    }
                })
            }
            Op::Unmap { page, count } => {
                let Some((first, count)) = self.pick_pages(page, count) else { return Ok(false) };
                let mut after = self.model.clone();
                let mut errors: Vec<fn(Error) -> bool> = Vec::new();
                for n in 0..count {
                    if after.pages.remove(&(first + n * PAGE)).is_none() {
                        errors.push(is!(Error::Unmapped(_)));
                    }
                }
                let va = self.address(first);
                let count = usize::try_from(count).expect("small");
                self.check(Verdict { after, errors }, |context| {
                    let range = context.transient(va, count)?;
                    match count {
                        1 => range.page(0).ok_or(Error::NoSuchPage)?.unmap(),
                        _ => range.unmap_group(0, count),
                    }
                })
            }
        }
    }

    fn address(&self, offset: u64) -> VirtAddr {
        VirtAddr::new(self.setup.space.base().get() + offset)
    }

    fn inside(&self, first: u64, size: u64) -> bool {
        first + size <= 1 << self.setup.space.address_bits()
    }

    fn own_pas(&self) -> PhysicalAddressSpace {
        match self.setup.regime {
            walker::RegimeKind::El3 => PhysicalAddressSpace::Root,
            _ => PhysicalAddressSpace::Realm,
        }
    }

    fn pick(&self, which: u8) -> Option<(Region, u64, u64)> {
        let count = self.model.regions.0.len();
        let (region, _, at) = self.model.regions.0.get(usize::from(which).checked_rem(count)?)?;
        Some((*region, *at, region.extent.size))
    }

    /// Consecutive transient pages with their entries in one table.
    fn pick_pages(&self, page: u16, count: u8) -> Option<(u64, u64)> {
        let pages = self.model.regions.transient_pages();
        let first = *pages.get(usize::from(page).checked_rem(pages.len())?)?;
        let one_table = |&offset: &u64| offset >> 21 == first >> 21;
        let follows =
            |n: u64| Some(first + n * PAGE).filter(|next| pages.contains(next)).filter(one_table);
        let count = (0..u64::from(count)).take_while(|&n| follows(n).is_some()).count();
        Some((first, u64::try_from(count).ok()?))
    }

    fn adding(&self, region: Region, offset: u64) -> Verdict {
        let mut after = self.model.clone();
        let mut errors: Vec<fn(Error) -> bool> = Vec::new();
        for refusal in self.model.regions.broken_rules(&region, Lifetime::Dynamic, offset) {
            errors.push(match refusal {
                model::RegionRule::Overlap => is!(Error::Overlap(_)),
                model::RegionRule::NestedElsewhere => is!(Error::NestedElsewhere(_)),
                model::RegionRule::PhysicalOverlap => is!(Error::PhysicalOverlap(_)),
            });
        }
        let new = Regions(vec![(region, Lifetime::Dynamic, offset)]);
        if errors.is_empty() {
            if self.model.regions.0.len() == REGIONS {
                errors.push(is!(Error::OutOfRegions(_)));
            }
            let bits = self.setup.space.address_bits();
            let leaves = model::leaves(&new.runs(), self.setup.space.format(), bits, true);
            let pages = new.transient_pages().into_iter().map(|first| (first, PAGE));
            let needed = model::tables(
                leaves.iter().map(|&(first, size, _)| (first, size)).chain(pages),
                bits,
            );
            let there: BTreeSet<_> = self
                .machine
                .borrow()
                .tables()
                .iter()
                .map(|table| (walker::index_shift(table.level), table.first))
                .collect();
            if needed.difference(&there).count() > self.free() {
                errors.push(is!(Error::OutOfTables(_)));
            }
        }
        after.runs.extend(new.runs());
        after.regions.0.extend(new.0);
        Verdict { after, errors }
    }

    fn removing(&self, region: &Region, size: u64) -> Verdict {
        let mut after = self.model.clone();
        let mut errors: Vec<fn(Error) -> bool> = Vec::new();
        let exactly = |(other, ..): &(Region, Lifetime, u64)| {
            other.extent.base == region.extent.base && other.extent.size == size
        };
        match self.model.regions.0.iter().position(exactly) {
            None => errors.push(is!(Error::NoSuchRegion(_))),
            Some(place) => {
                let (region, lifetime, at) = after.regions.0.remove(place);
                let last = at + region.extent.size - 1;
                if lifetime == Lifetime::Static {
                    errors.push(is!(Error::Static(_)));
                } else if region.kind == RegionKind::Transient
                    && after.pages.range(at..=last).next().is_some()
                {
                    errors.push(is!(Error::StillMapped(_)));
                }
                if region.kind != RegionKind::Transient {
                    after.set(at, last, None);
                }
            }
        }
        Verdict { after, errors }
    }

    /// `new` gives the new attributes for former ones.
    fn changing(&self, first: u64, size: u64, new: impl Fn(Attributes) -> Attributes) -> Verdict {
        let last = first + size - 1;
        let mut after = self.model.clone();
        let mut errors: Vec<fn(Error) -> bool> = Vec::new();
        let transient: BTreeSet<_> = self.model.regions.transient_pages().into_iter().collect();
        let mut at = first;
        while at <= last {
            if transient.contains(&at) {
                errors.push(is!(Error::Transient(_)));
                at += PAGE;
            } else if let Some(run) = self.model.run_at(at) {
                let fixed = |a: Attributes| (a.memory, a.pas, a.shareability);
                let new = new(run.attributes);
                if fixed(run.attributes) != fixed(new) {
                    errors.push(is!(Error::FixedAttribute(_)));
                }
                if new.check().is_err() || new.executable && new.pas != self.own_pas() {
                    errors.push(is!(Error::Attributes(..)));
                }
                at = run.last + 1;
            } else {
                errors.push(is!(Error::NotMapped(_)));
                at += PAGE;
            }
        }
        if errors.is_empty() && self.tables_to_split(first, last, &new) > self.free() {
            errors.push(is!(Error::OutOfTables(_)));
        }
        after.set(first, last, Some(&new));
        Verdict { after, errors }
    }

    /// The windows below a leaf, at each level, that become tables since only a part of them
    /// changes.
    fn tables_to_split(
        &self,
        first: u64,
        last: u64,
        new: impl Fn(Attributes) -> Attributes,
    ) -> usize {
        let mut windows = BTreeSet::new();
        for edge in [first, last] {
            let walked = self.machine.borrow().walk(edge);
            let Some((output, _)) = walked.leaf else { continue };
            let Some(run) = self.model.run_at(edge) else { continue };
            if model::output(new(run.attributes), output.pa, self.setup.regime) == output {
                continue;
            }
            let mut size = walked.size;
            while size > PAGE {
                let start = edge / size * size;
                if start < first || start + size - 1 > last {
                    windows.insert((size, start));
                }
                size /= 512;
            }
        }
        windows.len()
    }

    /// Runs `operation` and compares the result with `verdict`. Gives whether it succeeded.
    fn check(
        &mut self,
        verdict: Verdict,
        operation: impl FnOnce(&mut Context<'_, R>) -> Result<(), Error>,
    ) -> Result<bool, TestCaseError> {
        let succeeds = verdict.errors.is_empty();
        if succeeds {
            self.machine.borrow_mut().expect(verdict.after.mapped(&self.setup));
        }
        let (result, events) = record(|| operation(self.context));
        match result {
            Ok(()) => {
                prop_assert!(succeeds, "succeeded, but should not have");
                self.model = verdict.after;
            }
            Err(error) => {
                prop_assert!(
                    verdict.errors.iter().any(|matches| matches(error)),
                    "refused with {:?}",
                    error
                );
                prop_assert_eq!(events, Vec::<Event>::new(), "refused, but not without effect");
            }
        }
        self.check_state()?;
        Ok(result.is_ok())
    }

    fn check_state(&self) -> Result<(), TestCaseError> {
        let mut machine = self.machine.borrow_mut();
        machine.settle();
        prop_assert_eq!(machine.fault.as_deref(), None);
        // Every address translates as in the model, and no other address does.
        let mut mapped = self.model.mapped(&self.setup).0.into_iter();
        let mut at: Option<(u64, u64, walker::Output)> = None;
        for walked in machine.leaves() {
            let (mut first, end) = (walked.first, walked.first + walked.size);
            let Some((mut output, joined)) = walked.leaf else { continue };
            prop_assert!(!joined || self.setup.space.has_contiguous_hint(), "{:x?}", walked);
            while first < end {
                let run = match at.take().or_else(|| mapped.next()) {
                    Some(run) => run,
                    None => return Err(TestCaseError::fail(format!("{walked:x?} is mapped"))),
                };
                prop_assert_eq!(
                    first,
                    run.0,
                    "{:x?} is mapped, or something before it is not",
                    walked
                );
                prop_assert_eq!(output, run.2);
                let next = end.min(run.1 + 1);
                output.pa += next - first;
                if next <= run.1 {
                    at = Some((
                        next,
                        run.1,
                        walker::Output { pa: run.2.pa + (next - first), ..run.2 },
                    ));
                }
                first = next;
            }
        }
        prop_assert_eq!(at.or_else(|| mapped.next()), None, "not mapped");

        let in_use = machine.reachable();
        let distinct: BTreeSet<_> = in_use.iter().collect();
        prop_assert_eq!(distinct.len(), in_use.len(), "a table with two pointers to it");
        prop_assert_eq!(in_use.len(), TABLES - self.free(), "a table is lost");
        prop_assert!(machine.no_table_is_empty(), "an empty table is kept");
        if !self.changed {
            let bits = self.setup.space.address_bits();
            let leaves = model::leaves(&self.model.runs, self.setup.space.format(), bits, true);
            let pages = self.model.regions.transient_pages().into_iter().map(|first| (first, PAGE));
            let units = leaves.iter().map(|&(first, size, _)| (first, size)).chain(pages);
            prop_assert_eq!(
                in_use.len(),
                1 + model::tables(units, bits).len(),
                "more tables than needed"
            );
        }
        prop_assert_eq!(self.context.added_regions().len(), self.model.regions.0.len());
        Ok(())
    }
}

/// Runs one case. Gives how many operations succeeded.
pub fn check_case<R: Regime>(
    setup: &Setup,
    drafts: &[(RegionDraft, Lifetime)],
    maintenance: Maintenance,
    ops: &[Op],
) -> Result<u64, TestCaseError> {
    let mut tables: Vec<Table> = (0..TABLES).map(|_| Table::EMPTY).collect();
    let host_base = tables.as_ptr().addr();
    let mut storage = RegionStorage::<REGIONS>::new();
    let pool = super::pool(&mut tables, PhysAddr::new(setup.pool)).expect("a good pool");
    let mut builder =
        ContextBuilder::<R>::new(setup.space, pool, storage.list()).expect("a good context");
    let mut regions = Regions::default();
    for (draft, lifetime) in drafts {
        let Some((region, offset)) = draft.build(setup, &regions) else { continue };
        let added = match lifetime {
            Lifetime::Static => builder.try_add_static(region),
            Lifetime::Dynamic => builder.add_dynamic(region),
        };
        if added.is_ok() {
            regions.0.push((region, *lifetime, offset));
        }
    }
    let (context, events) = record(|| builder.init().ok());
    let Some(mut context) = context else { return Ok(0) };
    let shareable = super::activate(&mut context, maintenance);
    if setup.space.walks() == Shareability::Non
        && !matches!(maintenance, Maintenance::None | Maintenance::Local)
    {
        prop_assert_eq!(shareable, Err(Error::NonShareableWalks));
        return Ok(0);
    }
    prop_assert_eq!(shareable, Ok(()));
    prop_assert!(only_stores(&events), "maintenance before anybody walks");
    let mut memory = vec![[0; 512]; TABLES];
    apply(&mut memory, &events, host_base);
    let runs = regions.runs();
    let model = ContextModel { regions, runs, pages: BTreeMap::new() };
    let cpus = match maintenance {
        Maintenance::None => 0,
        Maintenance::Local => 1,
        Maintenance::InnerShareable | Maintenance::InnerShareableTwice => 2,
    };
    let machine = Rc::new(RefCell::new(TlbMachine::new(
        setup.walk(region_strategy::ttbr(&context)),
        setup.space.asid(),
        (host_base, setup.pool),
        memory,
        cpus,
        model.mapped(setup),
    )));
    machine.borrow_mut().any_asid = setup.space.is_for_any_asid();
    machine.borrow_mut().features = setup.space.maintenance_features();
    machine.borrow_mut().completes_early = maintenance == Maintenance::InnerShareableTwice;
    let watching = Rc::clone(&machine);
    observe(Some(Box::new(move |event| watching.borrow_mut().event(event))));
    let mut case = Case { setup: *setup, context: &mut context, machine, model, changed: false };
    let mut succeeded = 0;
    let result = ops.iter().try_for_each(|&op| {
        let done = case.run(op).map_err(|error| TestCaseError::fail(format!("{op:?}: {error}")))?;
        succeeded += u64::from(done);
        Ok(())
    });
    observe(None);
    result.map(|()| succeeded)
}
