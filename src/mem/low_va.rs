// SPDX-License-Identifier: BSD-3-Clause
//! The Low VA map: the RMM itself, the memory that EL3 reserved for it, the page shared with EL3, and the consoles; flat, global, the
//! same for all CPUs.
//!
//! Built once, by cold boot, under the early map. Its tables are mapped read-only in it, so that nothing changes it afterwards.

use core::ops::Range;

use crate::address::{GRANULE_SIZE, PhysAddr};
use crate::el3::manifest::Console;
use crate::granule::MemoryRange;
use crate::xlat::{
    AddressSpace, Attributes, Context, ContextBuilder, DescriptorFormat, El2And0, Error,
    PhysicalAddressSpace, Region, RegionStorage, Table, TablePool, VaRange,
};

/// The format of the RMM's own tables, Low and High: memory of the RMM lies below 2^48.
pub const FORMAT: DescriptorFormat = DescriptorFormat::Bits48;

/// Tables: the initial one, and for image, reserved memory, shared page and consoles up to three levels below each.
pub const TABLES: usize = 40;
/// Sections of the image, two reservations, the shared page, and up to 10 consoles.
pub const REGIONS: usize = 20;

/// The sections of the image.
#[derive(Clone, Debug)]
pub struct Sections<const GUARDS: usize> {
    /// Code.
    pub code: Range<PhysAddr>,
    /// Read-only data and what relocation wrote.
    pub read_only: Range<PhysAddr>,
    /// Data, zeroed memory, stacks, memory to be given out.
    pub read_write: Range<PhysAddr>,
    /// Pages of the data that stay unmapped, ascending.
    pub guards: [PhysAddr; GUARDS],
    /// Tables of the Low VA map.
    pub low_tables: Range<PhysAddr>,
}

/// Builds the map, in `tables`, which are the section for them.
///
/// # Errors
///
/// What `xlat` refuses: too many consoles, or something that overlaps something else.
pub fn build<'a, const GUARDS: usize>(
    tables: &'a mut [Table],
    storage: &'a mut RegionStorage<REGIONS>,
    sections: &Sections<GUARDS>,
    reserved: impl Iterator<Item = MemoryRange> + Clone,
    shared: PhysAddr,
    consoles: impl Iterator<Item = Console> + Clone,
    max_pa: PhysAddr,
) -> Result<Context<'a, El2And0>, Error> {
    let code = if cfg!(hardened) { Attributes::code().guarded() } else { Attributes::code() };
    let devices = consoles.map(|console| (console.region().base(), console.region().size()));
    let image_end = sections.low_tables.end;
    let highest = devices
        .clone()
        .chain(reserved.clone())
        .chain([(shared, GRANULE_SIZE)])
        .map(|(base, size)| PhysAddr::new(base.get().saturating_add(size)))
        .chain([image_end])
        .max()
        .unwrap_or(image_end);
    // TxSZ fits the highest mapping; 2^25 is the least without FEAT_TTST.
    let bits = (u64::BITS - (highest.get() - 1).leading_zeros()).max(25);
    let space = AddressSpace::new(VaRange::Low, bits, max_pa, FORMAT)?;
    let pool = TablePool::new(tables, sections.low_tables.start)?;
    let mut builder = ContextBuilder::<El2And0>::new(space, pool, storage.list())?;
    builder.add_static(flat(sections.code.clone(), code))?;
    builder.add_static(flat(sections.read_only.clone(), Attributes::read_only()))?;
    let mut start = sections.read_write.start;
    for guard in sections.guards {
        builder.add_static(flat(start..guard, Attributes::read_write()))?;
        start = PhysAddr::new(guard.get() + GRANULE_SIZE);
    }
    builder.add_static(flat(start..sections.read_write.end, Attributes::read_write()))?;
    builder.add_static(flat(sections.low_tables.clone(), Attributes::read_only()))?;
    for (base, size) in reserved.chain([(shared, GRANULE_SIZE)]) {
        builder.try_add_static(Region::flat(base, size, Attributes::read_write()))?;
    }
    for (base, size) in devices {
        // The host has it too, as Non-secure; every machine so far answers to both, and the host's view is the one that cannot be refused.
        let device = Attributes::device().in_pas(PhysicalAddressSpace::NonSecure);
        builder.try_add_static(Region::flat(base, size, device))?;
    }
    builder.init().map_err(|failed| failed.error)
}

fn flat(range: Range<PhysAddr>, attributes: Attributes) -> Region {
    Region::flat(range.start, range.end.get() - range.start.get(), attributes)
}
