// SPDX-License-Identifier: BSD-3-Clause
//! Instructions that operations of `xlat` take on the host, counted by valgrind: the same number at every run.
//!
//! `cargo bench --bench xlat` prints a table; valgrind must be installed. Each line is a run of this program by itself
//! under callgrind, which counts in `measured` only. The host's recording of each store and instruction is in the
//! numbers (some 40 each), so they say how an operation grows, and how two of them compare; not what it costs
//! on the target, where a store is one instruction.

use std::hint::black_box;
use std::process::{Command, ExitCode};

use rmm::address::{PhysAddr, VirtAddr};
use rmm::xlat::{
    AddressSpace, Attributes, Context, ContextBuilder, DescriptorFormat, El2And0, Error, Maintenance, Region,
    RegionStorage, Table, TablePool, VaRange,
};

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

/// What callgrind counts.
#[inline(never)]
fn measured<T>(operation: impl FnOnce() -> T) -> T {
    black_box(operation())
}

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

/// The instructions that case `index` takes.
fn count(index: usize) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured*"])
        .arg(program)
        .arg(index.to_string())
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.filter(|_| output.status.success()).ok_or_else(|| report.into_owned())
}

/// Runs the one case named by its number, prints the table for `cargo bench`, or (`cargo test --benches`) tries every case once.
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let case = arguments.iter().find_map(|argument| argument.parse::<usize>().ok());
    let result = match case.and_then(|index| CASES.get(index)) {
        Some((name, regions)) => run(name, *regions).map_err(|error| format!("{name}: {error:?}")),
        None if arguments.iter().any(|argument| argument == "--bench") => print_table(),
        None => CASES.iter().try_for_each(|(name, regions)| {
            run(name, *regions).map_err(|error| format!("{name}: {error:?}"))
        }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print_table() -> Result<(), String> {
    println!("{:<40} {:>8} {:>12} {:>10}", "operation", "regions", "instructions", "a region");
    for (index, (name, regions)) in CASES.into_iter().enumerate() {
        let instructions = count(index)?;
        print!("{name:<40} {regions:>8} {instructions:>12}");
        if name.starts_with("init") {
            print!(" {:>10}", instructions / u64::try_from(regions).unwrap_or(1));
        }
        println!();
    }
    Ok(())
}
