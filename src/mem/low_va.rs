// SPDX-License-Identifier: BSD-3-Clause
//! The Low VA map: the RMM itself, the page shared with EL3, and the consoles; flat, global, the same for all CPUs.
//!
//! Built once, by cold boot, under the early map. Its tables are mapped read-only in it, so that nothing changes it afterwards.

use core::cell::UnsafeCell;
use core::ops::Range;

use super::layout;
use crate::address::{GRANULE_SIZE, PhysAddr};
use crate::el3::manifest::Console;
use crate::xlat::{
    AddressSpace, Attributes, Context, ContextBuilder, DescriptorFormat, El2And0, Error,
    PhysicalAddressSpace, Region, RegionStorage, Table, TablePool, VaRange,
};

/// The format of the RMM's own tables, Low and High: memory of the RMM lies below 2^48.
pub const FORMAT: DescriptorFormat = DescriptorFormat::Bits48;

/// Tables: the initial one, and for image, shared page and consoles up to three levels below each.
const TABLES: usize = 32;
/// Sections of the image, the shared page, and up to 11 consoles.
const REGIONS: usize = 16;

#[repr(C, align(4096))]
struct Tables(UnsafeCell<[Table; TABLES]>);

// SAFETY: cold boot alone touches them, once; then they are read-only memory.
unsafe impl Sync for Tables {}

#[unsafe(link_section = ".low_tables")]
static TABLES_MEMORY: Tables = Tables(UnsafeCell::new([Table::EMPTY; TABLES]));

/// Room for the list of regions while the map is built.
pub fn storage() -> RegionStorage<REGIONS> {
    RegionStorage::new()
}

/// Builds the map. To be called once.
///
/// # Errors
///
/// What `xlat` refuses: too many consoles, or ones that overlap something.
pub fn build(
    storage: &mut RegionStorage<REGIONS>,
    shared: PhysAddr,
    consoles: impl Iterator<Item = Console> + Clone,
    max_pa: PhysAddr,
) -> Result<Context<'_, El2And0>, Error> {
    let code = if cfg!(hardened) { Attributes::code().guarded() } else { Attributes::code() };
    let image = layout::image();
    let highest = consoles
        .clone()
        .map(|console| console.region().end())
        .chain([image.end, PhysAddr::new(shared.get() + GRANULE_SIZE)])
        .max()
        .unwrap_or(image.end);
    // TxSZ fits the highest mapping; 2^25 is the least without FEAT_TTST.
    let bits = (u64::BITS - (highest.get() - 1).leading_zeros()).max(25);
    let space = AddressSpace::new(VaRange::Low, bits, max_pa, FORMAT)?;
    // SAFETY: called once, so this is the only reference; the memory is zeroed by the pool as tables are taken.
    let tables = unsafe { &mut *TABLES_MEMORY.0.get() };
    let pool = TablePool::new(tables, layout::low_tables().start)?;
    let mut builder = ContextBuilder::<El2And0>::new(space, pool, storage.list())?;
    builder.add_static(flat(layout::code(), code))?;
    builder.add_static(flat(layout::read_only(), Attributes::read_only()))?;
    builder.add_static(flat(layout::read_write(), Attributes::read_write()))?;
    builder.add_static(flat(layout::low_tables(), Attributes::read_only()))?;
    builder.add_static(Region::flat(shared, GRANULE_SIZE, Attributes::read_write()))?;
    for console in consoles {
        let region = console.region();
        // The host has it too, as Non-secure; every machine so far answers to both, and the host's view is the one that cannot be refused.
        let device = Attributes::device().in_pas(PhysicalAddressSpace::NonSecure);
        builder.add_static(Region::flat(region.base(), region.size(), device))?;
    }
    builder.init().map_err(|failed| failed.error)
}

fn flat(range: Range<PhysAddr>, attributes: Attributes) -> Region {
    Region::flat(range.start, range.end.get() - range.start.get(), attributes)
}
