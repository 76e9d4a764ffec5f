// SPDX-License-Identifier: BSD-3-Clause
//! Instructions that operations of `xlat` take on the host, counted by valgrind: the same number at every run.
//!
//! `cargo bench --bench xlat` prints them; valgrind must be installed. The host's recording of each store and instruction is in the
//! numbers (some 40 each), so they say how an operation grows, and how two of them compare; not what it costs
//! on the target, where a store is one instruction.

mod callgrind;

use std::process::ExitCode;

use rmm::address::{PhysAddr, VirtAddr};
use rmm::xlat::{
    AddressSpace, Attributes, Context, ContextBuilder, DescriptorFormat, El2And0, Error, Maintenance, Region,
    RegionStorage, Table, TablePool, VaRange,
};

use callgrind::measured;

const PAGE: u64 = 4096;
const MOST: usize = 10_000;
/// Enough for the most pages, each with an unmapped one after it: 2 GiB at most.
const TABLES: usize = 3 + 2 * MOST / 512 + 1;
const SLOTS: u64 = 0x80_0000_0000 - 16 * PAGE;

/// Name, and how many regions the context has.
const CASES: [(&str, usize); 15] = [
    ("init, regions in ascending order", 10),
    ("init, regions in ascending order", 100),
    ("init, regions in ascending order", 1_000),
    ("init, regions in ascending order", MOST),
    ("init, regions in any order", 10),
    ("init, regions in any order", 100),
    ("init, regions in any order", 1_000),
    ("init, regions in any order", MOST),
    ("add a page, in a table that is there", 100),
    ("add a page, with its table", 100),
    ("remove a page", 100),
    ("remove a page, with its table", 100),
    ("add a 2 MiB block", 100),
    ("remove a 2 MiB block", 100),
    ("map and unmap a transient page", 100),
];

fn page(number: u64) -> Region {
    Region::flat(PhysAddr::new(number * 2 * PAGE), PAGE, Attributes::read_write())
}

/// Pages with a gap after each, in ascending order or in one that jumps about (by a step that is prime to any count here).
fn regions(count: usize, ascending: bool) -> Vec<Region> {
    let count = u64::try_from(count).expect("small");
    (0..count).map(|n| page(if ascending { n } else { n * 7919 % count })).collect()
}

fn builder<'a>(
    tables: &'a mut [Table],
    storage: &'a mut RegionStorage<{ MOST + 3 }>,
) -> Result<ContextBuilder<'a, El2And0>, Error> {
    let max_pa = PhysAddr::new((1 << 40) - 1);
    let space = AddressSpace::new(VaRange::Low, 39, max_pa, DescriptorFormat::Bits48)?;
    ContextBuilder::new(space, TablePool::new(tables, PhysAddr::new(1 << 39))?, storage.list())
}

fn build<'a>(
    mut builder: ContextBuilder<'a, El2And0>,
    regions: &[Region],
) -> Result<Context<'a, El2And0>, Error> {
    for &region in regions {
        builder.add_static(region)?;
    }
    builder.init().map_err(|failed| failed.error)
}

fn run(name: &str, count: usize) -> Result<(), Error> {
    let mut tables: Vec<Table> = (0..TABLES).map(|_| Table::EMPTY).collect();
    let mut storage = Box::new(RegionStorage::new());
    let mut builder = builder(&mut tables, &mut storage)?;
    let regions = regions(count, name != "init, regions in any order");
    if name.starts_with("init") {
        return measured(|| build(builder, &regions)).map(|_| ());
    }
    builder.add_static(Region::transient(VirtAddr::new(SLOTS), 16 * PAGE))?;
    let mut context = build(builder, &regions)?;
    context.activate(Maintenance::InnerShareable);
    let near = page(200);
    let far = Region::flat(PhysAddr::new(0x40_0000_0000), PAGE, Attributes::read_write());
    let block = Region::flat(PhysAddr::new(0x3fe0_0000), 0x20_0000, Attributes::read_write());
    let (region, add) = match name {
        "add a page, in a table that is there" => (near, true),
        "add a page, with its table" => (far, true),
        "remove a page" => (near, false),
        "remove a page, with its table" => (far, false),
        "add a 2 MiB block" => (block, true),
        "remove a 2 MiB block" => (block, false),
        _ => {
            context.activate(Maintenance::Local);
            let slots = context.transient(VirtAddr::new(SLOTS), 16)?;
            let template = slots.template(Attributes::read_write())?;
            let slot = slots.page(3).ok_or(Error::NoSuchPage)?;
            return measured(|| slot.map(PhysAddr::new(0x9000_0000), template).and_then(|()| slot.unmap()));
        }
    };
    if add {
        return measured(|| context.add(region));
    }
    context.add(region)?;
    measured(|| context.remove(region.extent.base, region.extent.size))
}

fn main() -> ExitCode {
    let names = CASES.map(|(name, regions)| format!("{name}, {regions} regions"));
    callgrind::main("Translation tables, on the host", &names, |index| {
        CASES.get(index).map_or(Ok(()), |(name, regions)| run(name, *regions))
    })
}
