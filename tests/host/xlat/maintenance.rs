// SPDX-License-Identifier: BSD-3-Clause
//! The instructions of each operation, in order and with operands. The machine of `kit::xlat` finds
//! each of them necessary: a recorded sequence is wrong with an instruction removed, exchanged with
//! its neighbor, or with another operand. `sequences` shows that the sequence is sufficient.

use kit::xlat::machine::{Mapped, TlbMachine, apply};
use kit::xlat::model;
use kit::xlat::region_strategy::{self, Setup};
use kit::xlat::walker::RegimeKind;
use rmm::address::{PhysAddr, VirtAddr};
use rmm::host::{Event, record};
use rmm::xlat::{
    AddressSpace, Attributes, Context, ContextBuilder, DescriptorFormat, El2And0, Error, Extent,
    Granularity, Maintenance, MaintenanceFeatures, Region, RegionStorage, Table, VaRange,
};

pub(super) const BASE: u64 = 0xffff_ffff_8000_0000;
const SLOTS: u64 = BASE + 0x7ff0_0000;
/// In the same level-2 table as the slots, but not in a level-3 table of theirs.
pub(super) const NEAR: u64 = BASE + 0x7f40_0000;
pub(super) const ASID: u16 = 0x17;
const TABLES: usize = 8;
const POOL: u64 = 0x10_0000;

/// A run for the machine: address, bytes, physical address, attributes.
pub(super) type Mapping = (u64, u64, u64, Attributes);

/// An operation: what is mapped before and after it, and its events.
pub(super) struct Recorded {
    setup: Setup,
    ttbr: u64,
    host_base: usize,
    memory: Vec<[u64; 512]>,
    before: Mapped,
    after: Mapped,
    pub(super) events: Vec<Event>,
    maintenance: Maintenance,
}

fn mapped(mappings: &[Mapping]) -> Mapped {
    Mapped(
        mappings
            .iter()
            .map(|&(va, size, pa, attributes)| {
                let output = model::output(attributes, pa, RegimeKind::El2And0);
                (va - BASE, va - BASE + size - 1, output)
            })
            .collect(),
    )
}

pub(super) fn data() -> Attributes {
    Attributes::read_write().non_global()
}

/// As [`recorded_with`], on CPUs without maintenance features.
fn recorded(
    maintenance: Maintenance,
    prepare: fn(&mut Context<'_, El2And0>) -> Result<(), Error>,
    operation: fn(&mut Context<'_, El2And0>) -> Result<(), Error>,
    before: &[Mapping],
    after: &[Mapping],
) -> Recorded {
    let none = MaintenanceFeatures::default();
    recorded_with(none, maintenance, prepare, operation, before, after)
}

/// Records `operation` on a context after `prepare`: a High VA range of 2 GiB with 16 slots at its
/// top.
pub(super) fn recorded_with(
    features: MaintenanceFeatures,
    maintenance: Maintenance,
    prepare: fn(&mut Context<'_, El2And0>) -> Result<(), Error>,
    operation: fn(&mut Context<'_, El2And0>) -> Result<(), Error>,
    before: &[Mapping],
    after: &[Mapping],
) -> Recorded {
    let max_pa = PhysAddr::new((1 << 40) - 1);
    let space =
        AddressSpace::new(VaRange::High, 31, max_pa, DescriptorFormat::Bits48).expect("good");
    let space = space.with_asid(ASID).with_maintenance_features(features);
    let mut tables: Vec<Table> = (0..TABLES).map(|_| Table::EMPTY).collect();
    let host_base = tables.as_ptr().addr();
    let mut storage = RegionStorage::<8>::new();
    let pool = kit::xlat::pool(&mut tables, PhysAddr::new(POOL)).expect("good");
    let mut builder = ContextBuilder::new(space, pool, storage.list()).expect("good");
    builder.add_static(Region::transient(VirtAddr::new(SLOTS), 0x1_0000)).expect("good");
    let (context, built) = record(|| {
        let mut context = builder.init().expect("tables enough");
        kit::xlat::activate(&mut context, maintenance).expect("shareable");
        prepare(&mut context).expect("prepared");
        context
    });
    let mut context = context;
    let mut memory = vec![[0; 512]; TABLES];
    apply(&mut memory, &built, host_base);
    let (result, events) = record(|| operation(&mut context));
    assert_eq!(result, Ok(()));
    let setup = Setup { regime: RegimeKind::El2And0, space, pa_bits: 40, pool: POOL };
    let (before, after) = (mapped(before), mapped(after));
    Recorded {
        setup,
        ttbr: region_strategy::ttbr(&context),
        host_base,
        memory,
        before,
        after,
        events,
        maintenance,
    }
}

impl Recorded {
    /// The error that the machine finds with `events` instead of those recorded, if any.
    pub(super) fn fault(&self, events: &[Event]) -> Option<String> {
        let walk = self.setup.walk(self.ttbr);
        let memory = self.memory.clone();
        let bases = (self.host_base, POOL);
        let cpus = if self.maintenance == Maintenance::Local { 1 } else { 2 };
        let mut machine = TlbMachine::new(walk, ASID, bases, memory, cpus, self.before.clone());
        machine.features = self.setup.space.maintenance_features();
        machine.completes_early = self.maintenance == Maintenance::InnerShareableTwice;
        machine.expect(self.after.clone());
        for event in events {
            machine.event(event);
        }
        machine.settle();
        machine.fault
    }

    /// Each instruction with its operand. A stored descriptor is `store` with its value.
    pub(super) fn texts(&self) -> Vec<(&'static str, Option<u64>)> {
        self.events
            .iter()
            .map(|event| match event {
                Event::Instruction(text, operand) => (*text, *operand),
                Event::Descriptor(_, value) => ("store", Some(*value)),
                Event::Cleared(_) => ("clear", None),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    /// Asserts that the machine notices every change to the instructions.
    pub(super) fn is_tight(&self) {
        assert_eq!(self.fault(&self.events), None);
        let instruction = |event: &Event| matches!(event, Event::Instruction(..));
        // If TLBIs are repeated, the second one makes up for what is missing before the first.
        let twice = self.maintenance == Maintenance::InnerShareableTwice;
        let first = self.events.iter().position(is_tlbi).filter(|_| twice).unwrap_or(0);
        for index in (first..self.events.len()).filter(|&index| instruction(&self.events[index])) {
            let mut without = self.events.clone();
            let gone = without.remove(index);
            assert!(
                self.fault(&without).is_some(),
                "not missed: {gone:?} at {index} of {:?}",
                self.events
            );

            if index > 0
                && !(twice && index == first)
                && self.events[index - 1] != gone
                && !both_tlbi(&self.events[index - 1], &gone)
            {
                let mut swapped = self.events.clone();
                swapped.swap(index - 1, index);
                assert!(self.fault(&swapped).is_some(), "not missed: {gone:?} before its neighbor");
            }
            if let Event::Instruction(text, Some(operand)) = gone {
                // Another page, another ASID, and another TTL; of a range another granule.
                let last = if text.starts_with("tlbi r") { 1 << 46 } else { 1 << 44 };
                for other in [operand ^ 1 << 10, operand ^ 1 << 48, operand ^ last] {
                    let mut changed = self.events.clone();
                    changed[index] = Event::Instruction(text, Some(other));
                    assert!(self.fault(&changed).is_some(), "not missed: {text} {other:#x}");
                }
            }
            if let Event::Instruction(text, operand) = gone
                && let Some(local) = narrower(text)
            {
                let mut changed = self.events.clone();
                changed[index] = Event::Instruction(local, operand);
                assert!(self.fault(&changed).is_some(), "not missed: {local} for {text}");
            }
        }
    }
}

/// Whether both are TLBIs, whose order does not matter.
fn both_tlbi(a: &Event, b: &Event) -> bool {
    is_tlbi(a) && is_tlbi(b)
}

fn is_tlbi(event: &Event) -> bool {
    matches!(event, Event::Instruction(text, _) if text.starts_with("tlbi"))
}

/// The same instruction for this CPU only, or for stores only.
fn narrower(text: &str) -> Option<&'static str> {
    Some(match text {
        "dsb ishst" => "dsb nshst",
        "dsb ish" => "dsb ishst",
        "dsb nsh" => "dsb nshst",
        "tlbi vale2is" => "tlbi vale2",
        "tlbi vae2is" => "tlbi vae2",
        "tlbi rvale2is" => "tlbi rvale2",
        "tlbi rvae2is" => "tlbi rvae2",
        "tlbi alle2is" => "tlbi alle2",
        _ => return None,
    })
}

fn operand(va: u64) -> Option<u64> {
    Some(va >> 12 & 0xfff_ffff_ffff | u64::from(ASID) << 48)
}

const PAGE: Region = Region::new(
    PhysAddr::new(0x8000_0000),
    VirtAddr::new(NEAR),
    0x1000,
    Attributes::read_write().non_global(),
);
const PAGE_MAPPING: Mapping = (NEAR, 0x1000, 0x8000_0000, Attributes::read_write().non_global());

#[test]
fn a_slot_is_mapped_with_nothing_but_its_barriers() {
    let run = recorded(
        Maintenance::Local,
        |_| Ok(()),
        |context| {
            let slots = context.transient(VirtAddr::new(SLOTS), 16)?;
            let template = slots.template(data())?;
            slots.page(3).expect("there").map(PhysAddr::new(0x9000_0000), template)
        },
        &[],
        &[(SLOTS + 0x3000, 0x1000, 0x9000_0000, data())],
    );
    let texts: Vec<_> = run.texts().into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, ["store", "dsb nshst", "isb"]);
    run.is_tight();
}

#[test]
fn a_slot_is_unmapped_with_one_invalidation() {
    let local = ["store", "dsb nshst", "tlbi vale2", "dsb nsh", "isb"];
    let shared = ["store", "dsb ishst", "tlbi vale2is", "dsb ish", "isb"];
    let twice = [&shared[..4], &shared[2..]].concat();
    for (maintenance, expected) in [
        (Maintenance::Local, &local[..]),
        (Maintenance::InnerShareable, &shared),
        (Maintenance::InnerShareableTwice, &twice),
    ] {
        let run = recorded(
            maintenance,
            |context| {
                let slots = context.transient(VirtAddr::new(SLOTS), 16)?;
                let template = slots.template(data())?;
                slots.page(3).expect("there").map(PhysAddr::new(0x9000_0000), template)
            },
            |context| context.transient(VirtAddr::new(SLOTS), 16)?.page(3).expect("there").unmap(),
            &[(SLOTS + 0x3000, 0x1000, 0x9000_0000, data())],
            &[],
        );
        let texts = run.texts();
        assert_eq!(texts.iter().map(|(text, _)| *text).collect::<Vec<_>>(), expected);
        assert_eq!(texts[2].1, operand(SLOTS + 0x3000));
        run.is_tight();
    }
}

#[test]
fn a_slot_that_is_mapped_anew_is_broken_first_and_synchronized_once() {
    const OTHER: PhysAddr = PhysAddr::new(0x9000_1000);
    let run = recorded(
        Maintenance::Local,
        |context| {
            let slots = context.transient(VirtAddr::new(SLOTS), 16)?;
            let template = slots.template(data())?;
            slots.page(3).expect("there").map(PhysAddr::new(0x9000_0000), template)
        },
        |context| {
            let slots = context.transient(VirtAddr::new(SLOTS), 16)?;
            let template = slots.template(data())?;
            assert!(slots.page(4).expect("there").remap(OTHER, template).is_err());
            slots.page(3).expect("there").remap(OTHER, template)
        },
        &[(SLOTS + 0x3000, 0x1000, 0x9000_0000, data())],
        &[(SLOTS + 0x3000, 0x1000, 0x9000_1000, data())],
    );
    let texts = run.texts();
    assert_eq!(
        texts.iter().map(|(text, _)| *text).collect::<Vec<_>>(),
        ["store", "dsb nshst", "tlbi vale2", "dsb nsh", "store", "dsb nshst", "isb"]
    );
    assert_eq!(texts[2].1, operand(SLOTS + 0x3000));
    run.is_tight();
}

#[test]
fn an_added_region_needs_no_invalidation() {
    let run = recorded(
        Maintenance::InnerShareable,
        |_| Ok(()),
        |context| context.add(PAGE),
        &[],
        &[PAGE_MAPPING],
    );
    let texts: Vec<_> = run.texts().into_iter().map(|(text, _)| text).collect();
    // The page in a new table, then the table itself.
    assert_eq!(texts, ["clear", "store", "store", "dsb ishst", "isb"]);
    run.is_tight();
}

#[test]
fn a_removed_region_and_its_table_go_with_one_invalidation() {
    let run = recorded(
        Maintenance::InnerShareable,
        |context| context.add(PAGE),
        |context| context.remove(PAGE.extent.base, PAGE.extent.size),
        &[PAGE_MAPPING],
        &[],
    );
    let texts = run.texts();
    let expected =
        ["store", "store", "dsb ishst", "tlbi vae2is", "dsb ish", "isb", "store", "store"];
    assert_eq!(texts.iter().map(|(text, _)| *text).collect::<Vec<_>>(), expected);
    assert_eq!(texts[3].1, operand(PAGE.extent.base.get()));
    run.is_tight();
    // The table was cached, so a TLBI for only the leaf is not enough.
    let mut leaf_only = run.events.clone();
    leaf_only[3] = Event::Instruction("tlbi vale2is", texts[3].1);
    assert!(run.fault(&leaf_only).is_some());
}

#[test]
fn where_a_tlbi_may_complete_early_the_last_one_and_its_dsb_are_repeated() {
    const THREE_PAGES: Region = Region { extent: Extent { size: 0x3000, ..PAGE.extent }, ..PAGE };
    const TWICE: [&str; 5] = ["tlbi", "dsb ish", "tlbi", "dsb ish", "isb"];
    let mapping = |attributes| (PAGE_MAPPING.0, 0x3000, PAGE_MAPPING.2, attributes);
    let read_only = Attributes::read_only().non_global();
    let changed = recorded(
        Maintenance::InnerShareableTwice,
        |context| context.add(THREE_PAGES),
        |context| {
            let read_only = Attributes::read_only().non_global();
            context.change_attributes(PAGE.extent.base, 0x3000, read_only)
        },
        &[mapping(data())],
        &[mapping(read_only)],
    );
    let removed = recorded(
        Maintenance::InnerShareableTwice,
        |context| context.add(THREE_PAGES),
        |context| context.remove(PAGE.extent.base, 0x3000),
        &[mapping(data())],
        &[],
    );
    for run in [changed, removed] {
        let instructions = run.texts().into_iter().filter(|(text, _)| !text.starts_with("store"));
        let (texts, operands): (Vec<_>, Vec<_>) = instructions.unzip();
        let at = texts.iter().position(|text| text.starts_with("tlbi")).expect("there is one");
        let kinds: Vec<_> = texts[at + 2..][..4]
            .iter()
            .map(|text| match *text {
                "tlbi vale2is" | "tlbi vae2is" => "tlbi",
                other => other,
            })
            .collect();
        assert_eq!(kinds, TWICE[..4]);
        assert_eq!((texts[at + 2], operands[at + 2]), (texts[at + 4], operands[at + 4]));
        run.is_tight();
    }
}

#[test]
fn permissions_change_in_place_so_that_what_is_in_use_can_be_tightened() {
    let run = recorded(
        Maintenance::InnerShareable,
        |context| context.add(PAGE),
        |context| {
            context.change_attributes(
                PAGE.extent.base,
                0x1000,
                Attributes::read_only().non_global(),
            )
        },
        &[PAGE_MAPPING],
        &[(PAGE_MAPPING.0, 0x1000, PAGE_MAPPING.2, Attributes::read_only().non_global())],
    );
    let texts = run.texts();
    let expected = ["store", "dsb ishst", "tlbi vale2is", "dsb ish", "isb"];
    assert_eq!(texts.iter().map(|(text, _)| *text).collect::<Vec<_>>(), expected);
    assert_eq!(texts[0].1.map(|value| value & 1), Some(1));
    run.is_tight();
}

#[test]
fn a_change_to_global_is_broken_before_it_is_made() {
    let run = recorded(
        Maintenance::InnerShareable,
        |context| context.add(PAGE),
        |context| context.change_attributes(PAGE.extent.base, 0x1000, Attributes::read_only()),
        &[PAGE_MAPPING],
        &[(PAGE_MAPPING.0, 0x1000, PAGE_MAPPING.2, Attributes::read_only())],
    );
    let expected = ["store", "dsb ishst", "tlbi vale2is", "dsb ish", "store", "dsb ishst", "isb"];
    let texts = run.texts();
    assert_eq!(texts.iter().map(|(text, _)| *text).collect::<Vec<_>>(), expected);
    assert_eq!(texts[0].1.map(|value| value & 1), Some(0));
    run.is_tight();
}

/// A region of `size` bytes at [`NEAR`].
fn region(size: u64) -> Region {
    Region::new(PhysAddr::new(0x8000_0000), VirtAddr::new(NEAR), size, data())
}

#[test]
fn of_a_contiguous_group_all_are_broken() {
    let group = NEAR;
    let run = recorded(
        Maintenance::Local,
        |context| context.add(region(0x1_0000)),
        |context| {
            let one = VirtAddr::new(NEAR + 0x5000);
            context.change_attributes(one, 0x1000, Attributes::read_only().non_global())
        },
        &[(group, 0x1_0000, 0x8000_0000, data())],
        &[
            (group, 0x5000, 0x8000_0000, data()),
            (group + 0x5000, 0x1000, 0x8000_5000, Attributes::read_only().non_global()),
            (group + 0x6000, 0xa000, 0x8000_6000, data()),
        ],
    );
    let texts = run.texts();
    let count = |wanted| texts.iter().filter(|(text, _)| *text == wanted).count();
    assert_eq!((count("store"), count("tlbi vale2"), count("dsb nshst")), (32, 16, 2));
    let hint = 1u64 << 52;
    let stored = |text: &(&str, Option<u64>)| (text.0 == "store").then_some(text.1).flatten();
    let values: Vec<_> = texts.iter().filter_map(stored).collect();
    assert!(values[..16].iter().all(|value| value & 1 == 0 && value & hint != 0));
    assert!(values[16..].iter().all(|value| value & 1 == 1 && value & hint == 0));
    assert_eq!(run.fault(&run.events), None);
}

#[test]
fn of_pages_without_the_hint_only_those_that_change_are_invalidated() {
    let read_only = Attributes::read_only().non_global();
    let run = recorded(
        Maintenance::Local,
        |context| context.add(region(0x1_0000).with_granularity(Granularity::Page)),
        |context| {
            context.change_attributes(
                VirtAddr::new(NEAR + 0x5000),
                0x2000,
                Attributes::read_only().non_global(),
            )
        },
        &[(NEAR, 0x1_0000, 0x8000_0000, data())],
        &[
            (NEAR, 0x5000, 0x8000_0000, data()),
            (NEAR + 0x5000, 0x2000, 0x8000_5000, read_only),
            (NEAR + 0x7000, 0x9000, 0x8000_7000, data()),
        ],
    );
    let texts: Vec<_> = run.texts().iter().map(|(text, _)| *text).collect();
    let expected = ["store", "store", "dsb nshst", "tlbi vale2", "tlbi vale2", "dsb nsh", "isb"];
    assert_eq!(texts, expected);
    run.is_tight();
}

#[test]
fn a_block_changed_in_part_is_broken_once() {
    let block = NEAR;
    let run = recorded(
        Maintenance::Local,
        |context| context.add(region(0x20_0000)),
        |context| {
            let one = VirtAddr::new(NEAR);
            context.change_attributes(one, 0x1000, Attributes::read_only().non_global())
        },
        &[(block, 0x20_0000, 0x8000_0000, data())],
        &[
            (block, 0x1000, 0x8000_0000, Attributes::read_only().non_global()),
            (block + 0x1000, 0x1f_f000, 0x8000_1000, data()),
        ],
    );
    let texts = run.texts();
    let instructions: Vec<_> = texts
        .iter()
        .filter(|(text, _)| !["store", "clear"].contains(text))
        .map(|(text, _)| *text)
        .collect();
    assert_eq!(instructions, ["dsb nshst", "tlbi vale2", "dsb nsh", "dsb nshst", "isb"]);
    run.is_tight();
}

#[test]
fn nothing_is_maintained_before_the_mmu_is_on() {
    let run = recorded(
        Maintenance::None,
        |context| context.add(PAGE),
        |context| {
            context.change_attributes(PAGE.extent.base, 0x1000, Attributes::read_only())?;
            context.remove(PAGE.extent.base, PAGE.extent.size)
        },
        &[PAGE_MAPPING],
        &[],
    );
    assert!(run.texts().iter().all(|(text, _)| *text == "store"));
}
