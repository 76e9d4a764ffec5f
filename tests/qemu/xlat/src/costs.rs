// SPDX-License-Identifier: BSD-3-Clause
//! Instructions of the library's operations on the target, by QEMU's instruction clock (`-icount
//! shift=0`), where the counter advances by one with each instruction. The context is of the RMM's
//! regime and kind: EL2&0, 48-bit format, in use while it changes.
//!
//! Each count is printed as a line `figure: SECTION | NAME | NUMBER`, which `make bench` collects.

use rmm::address::{PhysAddr, VirtAddr, native};
use rmm::xlat::mmu::{self, TableSharing};
use rmm::xlat::{
    AddressSpace, Attributes, Context, ContextBuilder, DescriptorFormat, El2And0, Error,
    Granularity, Maintenance, MaintenanceFeatures, Region, RegionStorage, Table, TablePool,
    VaRange,
};
use rmm_test_firmware::say;

use crate::exception_level::{ExceptionLevel, features, instruction_clock};
use crate::layout::{GIB, MIB_2, PAGE, add_image};

/// Regions of the largest context.
const MOST: usize = 10_000;
/// Tables for this many pages, each followed by an unmapped one, and for the image and the rest.
const TABLES: usize = 2 * MOST / 512 + 16;
/// The image, transient pages, and a region that is added and removed.
const OTHERS: usize = 5;
/// The number of regions in the context in use.
const USUAL: u64 = 100;
/// Physical and virtual base of the pages. The former is above the image.
const PAGES: (u64, u64) = (0x10_0000_0000, 0x20_0000_0000);
const SLOTS: VirtAddr = VirtAddr::new(0x80_0000_0000 - 16 * PAGE);

type Tables = [Table; TABLES];
type Storage = RegionStorage<{ MOST + OTHERS }>;

fn figure(name: impl core::fmt::Display, instructions: u64) {
    say!("figure: Translation tables | {name} | {instructions}");
}

/// Counts all operations. Runs at EL2.
pub fn run() -> Result<(), Error> {
    ExceptionLevel::El2And0.enter();
    for count in [10, 100, 1_000, MOST as u64] {
        for (name, step) in [("in ascending order", 1), ("in any order", 7919)] {
            // The step and each count have no common divisor, so every page comes once.
            let regions = (0..count).map(|number| region(number * step % count));
            let instructions = init(regions)?;
            figure(format_args!("init, {count} regions {name}"), instructions);
        }
    }
    many_pages("one TLBI of all", MaintenanceFeatures::default())?;
    many_pages("by range", MaintenanceFeatures { range: true, ..Default::default() })?;
    live()
}

fn region(number: u64) -> Region {
    let offset = 2 * PAGE * number;
    Region::new(
        PhysAddr::new(PAGES.0 + offset),
        VirtAddr::new(PAGES.1 + offset),
        PAGE,
        Attributes::read_write(),
    )
}

fn builder<'a>(
    tables: &'a mut Tables,
    storage: &'a mut Storage,
) -> Result<ContextBuilder<'a, El2And0>, Error> {
    builder_on(tables, storage, MaintenanceFeatures::default())
}

fn builder_on<'a>(
    tables: &'a mut Tables,
    storage: &'a mut Storage,
    maintenance: MaintenanceFeatures,
) -> Result<ContextBuilder<'a, El2And0>, Error> {
    let format = DescriptorFormat::Bits48;
    let space = AddressSpace::new(VaRange::Low, 39, features().max_pa(format), format)?;
    let space = space.with_maintenance_features(maintenance);
    let base = PhysAddr::new(tables.as_ptr().addr() as u64);
    // SAFETY: everything is mapped flat, and the ground is in force.
    let pool = unsafe { TablePool::new(tables, base) }?;
    ContextBuilder::new(space, pool, storage.list())
}

/// The instructions of `operation`, without those that read the clock.
fn counted<T>(operation: impl FnOnce() -> T) -> (u64, T) {
    let nothing = instruction_clock();
    let start = instruction_clock();
    let result = operation();
    let end = instruction_clock();
    ((end - start) - (start - nothing), result)
}

fn init(regions: impl Iterator<Item = Region>) -> Result<u64, Error> {
    let mut tables = [const { Table::EMPTY }; TABLES];
    let mut storage = Storage::new();
    let mut builder = builder(&mut tables, &mut storage)?;
    let (instructions, result) = counted(|| {
        for region in regions {
            builder.add_static(region)?;
        }
        builder.init().map_err(|failed| failed.error)
    });
    result.map(|_| instructions)
}

/// Operations on a context in use.
fn live() -> Result<(), Error> {
    let mut tables = [const { Table::EMPTY }; TABLES];
    let mut storage = Storage::new();
    let mut builder = builder(&mut tables, &mut storage)?;
    add_image(&mut builder, ExceptionLevel::El2And0)?;
    builder.add_static(Region::transient(SLOTS, 16 * PAGE))?;
    for number in 0..USUAL {
        builder.add_static(region(number))?;
    }
    let mut low = builder.init().map_err(|failed| failed.error)?;

    let features = features();
    let space = AddressSpace::new(VaRange::High, 21, low.space().max_pa(), low.space().format())?;
    let mut high_tables = [Table::EMPTY];
    let base = PhysAddr::new(high_tables.as_ptr().addr() as u64);
    let mut high_storage = RegionStorage::<1>::new();
    // SAFETY: as in `builder`.
    let pool = unsafe { TablePool::new(&mut high_tables, base) }?;
    let high = ContextBuilder::<El2And0>::new(space, pool, high_storage.list())?;
    let high = high.init().map_err(|failed| failed.error)?;
    let tcr = mmu::tcr(Some(low.space()), Some(high.space()), &features)?;
    let ttbr = |context| mmu::ttbr(context, TableSharing::Private, &features);
    // SAFETY: there is only one CPU.
    unsafe { low.activate(Maintenance::InnerShareable) }?;
    // SAFETY: the image is mapped flat.
    unsafe { ExceptionLevel::El2And0.put_in_force(tcr, ttbr(&low), ttbr(&high)) };

    let data = Attributes::read_write();
    let near = region(USUAL);
    // In a GiB that has no tables yet, above everything else.
    let far = Region::new(PhysAddr::new(0x30_0000_0000), VirtAddr::new(0x60_0000_0000), PAGE, data);
    let block = Region::new(
        PhysAddr::new(0x30_0020_0000),
        VirtAddr::new(PAGES.1 + GIB - MIB_2),
        MIB_2,
        data,
    );
    let both = dynamic(&mut low, "a page, in a table that is there", near)?;
    figure("map and unmap a page, in a table that is there", both);
    dynamic(&mut low, "a page, with two tables", far)?;
    dynamic(&mut low, "a block of 2 MiB", block)?;
    changes(&mut low, block)?;
    // SAFETY: there is only one CPU.
    unsafe { low.activate(Maintenance::Local) }?;
    transient(&low)
}

/// Maps and unmaps `region`, and counts both.
fn dynamic(context: &mut Context<'_, El2And0>, name: &str, region: Region) -> Result<u64, Error> {
    let (map, result) = counted(|| context.add(region));
    result?;
    figure(format_args!("map {name}"), map);
    let (unmap, result) = counted(|| context.remove(region.extent.base, region.extent.size));
    figure(format_args!("unmap {name}"), unmap);
    result.map(|()| map + unmap)
}

fn changes(context: &mut Context<'_, El2And0>, block: Region) -> Result<(), Error> {
    context.add(block)?;
    for name in ["a page of a block of 2 MiB, which is split", "a page"] {
        let (instructions, result) =
            counted(|| context.change_attributes(block.extent.base, PAGE, Attributes::read_only()));
        result?;
        figure(format_args!("change {name}"), instructions);
    }
    // For the whole table that has replaced the block.
    let permissions = Attributes::read_write().permissions();
    let (instructions, result) =
        counted(|| context.change_permissions(block.extent.base, MIB_2, permissions));
    result?;
    figure("change permissions of 512 pages", instructions);
    context.remove(block.extent.base, block.extent.size)
}

/// Counts the unmapping of a region of 513 pages on CPUs with `features`.
fn many_pages(name: &str, features: MaintenanceFeatures) -> Result<(), Error> {
    let mut tables = [const { Table::EMPTY }; TABLES];
    let mut storage = Storage::new();
    let builder = builder_on(&mut tables, &mut storage, features)?;
    let mut context = builder.init().map_err(|failed| failed.error)?;
    // SAFETY: no CPU walks them, which does not change the count.
    unsafe { context.activate(Maintenance::InnerShareable) }?;
    let (base, size) = (VirtAddr::new(PAGES.1), 513 * PAGE);
    let region = Region::new(PhysAddr::new(PAGES.0), base, size, Attributes::read_write());
    context.add(region.with_granularity(Granularity::Page))?;
    let (instructions, result) = counted(|| context.remove(base, size));
    figure(format_args!("unmap 513 pages, {name}"), instructions);
    result
}

fn transient(context: &Context<'_, El2And0>) -> Result<(), Error> {
    let slots = context.transient(SLOTS, native(16))?;
    let template = slots.template(Attributes::read_write())?;
    let slot = slots.page(3).ok_or(Error::NoSuchPage)?;
    let (map, mapped) = counted(|| slot.map(PhysAddr::new(0x9000_0000), template));
    let (unmap, unmapped) = counted(|| slot.unmap());
    mapped.and(unmapped)?;
    figure("map a transient page", map);
    figure("unmap a transient page", unmap);
    figure("map and unmap a transient page", map + unmap);
    let group = [0x9000_0000, 0x9000_1000, 0x9000_2000, 0x9000_3000].map(PhysAddr::new);
    let (map, mapped) = counted(|| slots.map_group(4, &group, template));
    let (unmap, unmapped) = counted(|| slots.unmap_group(4, group.len()));
    mapped.and(unmapped)?;
    figure("map 4 transient pages at once", map);
    figure("unmap 4 transient pages at once", unmap);
    Ok(())
}
