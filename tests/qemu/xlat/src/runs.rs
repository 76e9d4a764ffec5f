// SPDX-License-Identifier: BSD-3-Clause
//! The contexts that are put in force: every regime, both formats, and VA sizes from one table to
//! five levels.

use rmm::address::PhysAddr;
use rmm::xlat::mmu::{self, MmuFeatures, TableSharing};
use rmm::xlat::{
    AddressSpace, Attributes, Context, ContextBuilder, DescriptorFormat, El1And0, El2, El2And0,
    El3, Error, Maintenance, MaintenanceFeatures, Regime, Region, RegionStorage, Table, TablePool,
    VaRange,
};
use rmm_test_firmware::say;

use crate::check::Every;
use crate::exception_level::{ExceptionLevel, features, maintenance_features};
use crate::in_use;
use crate::layout::{PAGE, add_image, add_tested, below_top, page, plant};
use crate::probe::{Outcome, load};
use crate::session::Session;

/// The tables of a tested context.
const TABLES: usize = 32;
/// The regions of a tested context: the image, the tested regions, and some more.
const REGIONS: usize = 20;

const FORMATS: [DescriptorFormat; 2] = [DescriptorFormat::Bits48, DescriptorFormat::Lpa2];

/// Runs all tests.
pub fn run() -> Result<(), Error> {
    let features = features();
    let mut every = Every::new("the CPU has LPA2 and 52-bit physical addresses");
    every.equal("features", (features.lpa2, features.physical_range), (true, 6));
    let MaintenanceFeatures { range, level_hint, resize_in_place } = maintenance_features();
    every.equal("in maintenance", (range, level_hint, resize_in_place), (true, true, true));
    drop(every);

    // The caller has entered this level.
    for format in FORMATS {
        one_range::<El3>(ExceptionLevel::El3, format, &features)?;
    }
    in_use::run::<El3>(ExceptionLevel::El3)?;
    ExceptionLevel::El2And0.enter();
    two_ranges::<El2And0>(ExceptionLevel::El2And0, &features)?;
    in_use::run::<El2And0>(ExceptionLevel::El2And0)?;
    ExceptionLevel::El2.enter();
    for format in FORMATS {
        one_range::<El2>(ExceptionLevel::El2, format, &features)?;
    }
    in_use::run::<El2>(ExceptionLevel::El2)?;
    ExceptionLevel::El1And0.enter();
    two_ranges::<El1And0>(ExceptionLevel::El1And0, &features)?;
    in_use::run::<El1And0>(ExceptionLevel::El1And0)
}

fn space(
    range: VaRange,
    bits: u32,
    format: DescriptorFormat,
    features: &MmuFeatures,
) -> Result<AddressSpace, Error> {
    let space = AddressSpace::new(range, bits, features.max_pa(format), format)?;
    // Some contexts are maintained as on CPUs without any of the features.
    let all = matches!(bits, 21 | 39 | 49 | 52);
    let features = if all { maintenance_features() } else { MaintenanceFeatures::default() };
    Ok(space.with_maintenance_features(features))
}

fn pool(tables: &mut [Table]) -> Result<TablePool<'_>, Error> {
    // The ground, and every context here, maps the tables flat.
    let base = PhysAddr::new(tables.as_ptr().addr() as u64);
    // SAFETY: as said; the ground is in force until the context is.
    unsafe { TablePool::new(tables, base) }
}

fn announce<R: Regime>(context: &Context<'_, R>) {
    let space = context.space();
    let (range, bits, format) = (space.range(), space.address_bits(), space.format());
    say!(
        "-- {} {range:?} VA range of {bits} bits, {format:?}, from level {}",
        R::NAME,
        space.initial_level()
    );
}

/// A regime with one VA range, so the image and the tested regions share a context.
fn one_range<R: Regime>(
    level: ExceptionLevel,
    format: DescriptorFormat,
    features: &MmuFeatures,
) -> Result<(), Error> {
    let sizes = match format {
        DescriptorFormat::Bits48 => [39, 48],
        DescriptorFormat::Lpa2 => [44, 52],
    };
    for bits in sizes {
        plant();
        let mut tables = [const { Table::EMPTY }; TABLES];
        let mut storage = RegionStorage::<REGIONS>::new();
        let space = space(VaRange::Low, bits, format, features)?;
        let mut builder = ContextBuilder::<R>::new(space, pool(&mut tables)?, storage.list())?;
        add_image(&mut builder, level)?;
        add_tested(&mut builder, level)?;
        let mut context = builder.init().map_err(|failed| failed.error)?;
        announce(&context);
        let tcr = mmu::tcr_one_range(context.space(), features)?;
        let ttbr = mmu::ttbr(&context, TableSharing::Private, features);
        // SAFETY: there is only one CPU.
        unsafe { context.activate(Maintenance::Local) }?;
        // SAFETY: the image is mapped flat.
        unsafe { level.put_in_force(tcr, ttbr, 0) };
        Session { level, context: &mut context }.run()?;
        out_of_force(level, &mut context, tcr, ttbr, 0)?;
    }
    Ok(())
}

/// The sizes of the Low and of the High VA range, and the one that is tested.
const PAIRS: [(DescriptorFormat, u32, u32, VaRange); 9] = [
    (DescriptorFormat::Bits48, 39, 21, VaRange::Low),
    (DescriptorFormat::Bits48, 48, 39, VaRange::Low),
    (DescriptorFormat::Bits48, 39, 21, VaRange::High),
    (DescriptorFormat::Bits48, 39, 30, VaRange::High),
    (DescriptorFormat::Bits48, 46, 48, VaRange::High),
    (DescriptorFormat::Lpa2, 52, 21, VaRange::Low),
    (DescriptorFormat::Lpa2, 49, 52, VaRange::Low),
    (DescriptorFormat::Lpa2, 39, 52, VaRange::High),
    (DescriptorFormat::Lpa2, 52, 48, VaRange::High),
];

/// A regime with two VA ranges. The image is in the Low one.
fn two_ranges<R: Regime>(level: ExceptionLevel, features: &MmuFeatures) -> Result<(), Error> {
    const ASID: u16 = 0x5a5a;
    for (format, low_bits, high_bits, tested) in PAIRS {
        plant();
        let (mut low_tables, mut high_tables) =
            ([const { Table::EMPTY }; TABLES], [const { Table::EMPTY }; TABLES]);
        let (mut low_storage, mut high_storage) =
            (RegionStorage::<REGIONS>::new(), RegionStorage::<REGIONS>::new());
        let low = space(VaRange::Low, low_bits, format, features)?.with_asid(ASID);
        let high = space(VaRange::High, high_bits, format, features)?.with_asid(ASID);
        let (low, high) = (low.with_user_mappings(), high.with_user_mappings());
        let tcr = mmu::tcr(Some(&low), Some(&high), features)?;
        let mut low = ContextBuilder::<R>::new(low, pool(&mut low_tables)?, low_storage.list())?;
        let mut high =
            ContextBuilder::<R>::new(high, pool(&mut high_tables)?, high_storage.list())?;
        add_image(&mut low, level)?;
        match tested {
            VaRange::Low => add_tested(&mut low, level)?,
            VaRange::High => add_tested(&mut high, level)?,
        }
        let mut low = low.init().map_err(|failed| failed.error)?;
        let mut high = high.init().map_err(|failed| failed.error)?;
        let ttbr0 = mmu::ttbr(&low, TableSharing::Common, features);
        let ttbr1 = mmu::ttbr(&high, TableSharing::Private, features);
        // SAFETY: there is only one CPU.
        unsafe { low.activate(Maintenance::InnerShareable) }?;
        // SAFETY: there is only one CPU.
        unsafe { high.activate(Maintenance::Local) }?;
        let context = match tested {
            VaRange::Low => &mut low,
            VaRange::High => &mut high,
        };
        announce(context);
        // SAFETY: the image is mapped flat.
        unsafe { level.put_in_force(tcr, ttbr0, ttbr1) };
        Session { level, context }.run()?;
        out_of_force(level, context, tcr, ttbr0, ttbr1)?;
    }
    Ok(())
}

/// Regions are added and removed while no CPU walks the tables. Later walks find exactly the
/// regions that were added.
fn out_of_force<R: Regime>(
    level: ExceptionLevel,
    context: &mut Context<'_, R>,
    tcr: u64,
    ttbr0: u64,
    ttbr1: u64,
) -> Result<(), Error> {
    let mut every = Every::new("changes made with the MMU elsewhere hold when it is back");
    let va = below_top(context.space(), PAGE);
    let number = 0x19;
    for there in [true, false] {
        level.ground();
        // SAFETY: there is only one CPU.
        unsafe { context.activate(Maintenance::None) }?;
        if there {
            context.add(Region::new(
                page(number),
                va,
                PAGE,
                Attributes::read_write().in_pas(level.own_pas()),
            ))?;
        } else {
            context.remove(va, PAGE)?;
        }
        // SAFETY: there is only one CPU.
        unsafe { context.activate(Maintenance::Local) }?;
        // SAFETY: the image is still mapped flat.
        unsafe { level.put_in_force(tcr, ttbr0, ttbr1) };
        let expected = if there {
            Outcome::Done(crate::layout::content(page(number)))
        } else {
            Outcome::Translation(3)
        };
        every.equal(if there { "added" } else { "removed" }, load(va.get()), expected);
    }
    level.ground();
    Ok(())
}
