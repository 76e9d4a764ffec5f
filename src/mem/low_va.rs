// SPDX-License-Identifier: BSD-3-Clause
//! The Low VA map: the RMM itself, the memory that EL3 reserved for it, the page shared with EL3,
//! and the consoles. It is flat, global and the same for all CPUs.
//!
//! Cold boot builds it once, under the early map. It maps its own tables read-only: it never
//! changes afterwards.

use core::fmt;
use core::ops::Range;

use crate::address::{GRANULE_SIZE, PhysAddr};
use crate::el3::manifest::Console;
use crate::granule::MemoryRange;
use crate::xlat::{
    AddressSpace, Attributes, Context, ContextBuilder, DescriptorFormat, El2And0, Error,
    PhysicalAddressSpace, Region, RegionStorage, TablePool, VaRange,
};

/// The descriptor format of the RMM's own tables, Low and High: the RMM lies below 2^48.
pub const FORMAT: DescriptorFormat = DescriptorFormat::Bits48;

/// Tables of the map: the initial one, and up to three levels below it for each of image, reserved
/// memory, shared page and consoles.
pub const TABLES: usize = 40;
/// Regions of the map: sections of the image, two reservations, the shared page, and up to 10
/// consoles.
pub const REGIONS: usize = 20;

/// The fewest address bits of the range: with fewer FEAT_TTST would be needed.
pub const LEAST_ADDRESS_BITS: u32 = 25;

/// A kind of memory in the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowVaPart {
    /// Code of the image.
    Code,
    /// Read-only data of the image, including relocated addresses.
    ReadOnly,
    /// All other data of the image.
    ReadWrite,
    /// Tables of this map, in the image.
    LowTables,
    /// Memory that EL3 reserved.
    Reserved,
    /// The page shared with EL3.
    Shared,
    /// The registers of a console.
    Console,
}

impl LowVaPart {
    /// Every kind. Those of the image are in its order.
    pub const ALL: [Self; 7] = [
        Self::Code,
        Self::ReadOnly,
        Self::ReadWrite,
        Self::LowTables,
        Self::Reserved,
        Self::Shared,
        Self::Console,
    ];

    /// The attributes of the mapping. The code of a `hardened` image is guarded (BTI).
    pub const fn attributes(self, hardened: bool) -> Attributes {
        match self {
            Self::Code if hardened => Attributes::code().guarded(),
            Self::Code => Attributes::code(),
            Self::ReadOnly | Self::LowTables => Attributes::read_only(),
            Self::ReadWrite | Self::Reserved | Self::Shared => Attributes::read_write(),
            // Non-secure, as the host maps it, too: an access in the Non-secure PAS cannot fault.
            Self::Console => Attributes::device().in_pas(PhysicalAddressSpace::NonSecure),
        }
    }

    /// The flat region of this kind at `base`, `size` bytes.
    const fn region(self, base: PhysAddr, size: u64) -> Region {
        Region::flat(base, size, self.attributes(cfg!(hardened)))
    }

    /// The flat region of this kind that covers `range`.
    const fn at(self, range: &Range<PhysAddr>) -> Region {
        self.region(range.start, range.end.get() - range.start.get())
    }
}

impl fmt::Display for LowVaPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code => "the RMM's code",
            Self::ReadOnly => "the RMM's read-only data",
            Self::ReadWrite => "the RMM's data",
            Self::LowTables => "the tables of the Low VA map",
            Self::Reserved => "memory that EL3 reserved",
            Self::Shared => "the page shared with EL3",
            Self::Console => "a console",
        })
    }
}

/// The sections of the image.
#[derive(Clone, Debug)]
pub struct Sections<const GUARDS: usize> {
    /// Code.
    pub code: Range<PhysAddr>,
    /// Read-only data, including relocated addresses.
    pub read_only: Range<PhysAddr>,
    /// Data, zeroed memory, stacks, and the memory that boot allocates from.
    pub read_write: Range<PhysAddr>,
    /// Pages of the data that stay unmapped, ascending.
    pub guards: [PhysAddr; GUARDS],
    /// Tables of the Low VA map.
    pub low_tables: Range<PhysAddr>,
}

/// Builds the map with the tables of `pool`, which is the section `low_tables`.
///
/// # Errors
///
/// The error of `xlat`: too many consoles, or overlapping memory.
pub fn build<'a, const GUARDS: usize>(
    pool: TablePool<'a>,
    storage: &'a mut RegionStorage<REGIONS>,
    sections: &Sections<GUARDS>,
    reserved: impl Iterator<Item = MemoryRange> + Clone,
    shared: PhysAddr,
    consoles: impl Iterator<Item = Console> + Clone,
    max_pa: PhysAddr,
) -> Result<Context<'a, El2And0>, Error> {
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
    // The smallest range that holds the highest mapping.
    let bits = (u64::BITS - (highest.get() - 1).leading_zeros()).max(LEAST_ADDRESS_BITS);
    let space = AddressSpace::new(VaRange::Low, bits, max_pa, FORMAT)?;
    // A CPU that boots later may have an erratum with the contiguous hint, and the tables do not
    // change again.
    let space = space.without_contiguous_hint();
    // Dynamic regions: unlike static ones, `xlat` refuses those that overlap.
    let mut builder = ContextBuilder::<El2And0>::new(space, pool, storage.list())?;
    builder.add_dynamic(LowVaPart::Code.at(&sections.code))?;
    builder.add_dynamic(LowVaPart::ReadOnly.at(&sections.read_only))?;
    let mut start = sections.read_write.start;
    for guard in sections.guards {
        builder.add_dynamic(LowVaPart::ReadWrite.at(&(start..guard)))?;
        start = PhysAddr::new(guard.get() + GRANULE_SIZE);
    }
    builder.add_dynamic(LowVaPart::ReadWrite.at(&(start..sections.read_write.end)))?;
    builder.add_dynamic(LowVaPart::LowTables.at(&sections.low_tables))?;
    for (base, size) in reserved {
        builder.add_dynamic(LowVaPart::Reserved.region(base, size))?;
    }
    builder.add_dynamic(LowVaPart::Shared.region(shared, GRANULE_SIZE))?;
    for (base, size) in devices {
        builder.add_dynamic(LowVaPart::Console.region(base, size))?;
    }
    builder.init().map_err(|failed| failed.error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::VirtAddr;
    use crate::xlat::{Table, Translation};

    const MAX_PA: PhysAddr = PhysAddr::new((1 << 40) - 1);
    const SHARED: PhysAddr = PhysAddr::new(0x418f_f000);
    const RESERVED: [MemoryRange; 2] =
        [(PhysAddr::new(0x4100_0000), 0x5000), (PhysAddr::new(0x40_0000_0000), 0x20_0000)];

    /// An image at `base`, its guards in the middle of its data.
    fn sections(base: u64) -> Sections<2> {
        let range = |first, end| PhysAddr::new(base + first)..PhysAddr::new(base + end);
        Sections {
            code: range(0, 0x4000),
            read_only: range(0x4000, 0x6000),
            read_write: range(0x6000, 0x50_0000),
            guards: [PhysAddr::new(base + 0x9000), PhysAddr::new(base + 0xb000)],
            low_tables: range(0x50_0000, 0x52_8000),
        }
    }

    fn pool<'a>(tables: &'a mut [Table], sections: &Sections<2>) -> TablePool<'a> {
        // SAFETY: no CPU will ever walk the tables.
        unsafe { TablePool::new(tables, sections.low_tables.start) }.unwrap()
    }

    /// What `va` translates to in the map of an image at `base` with these reservations.
    fn with_map<R>(
        base: u64,
        reserved: &[MemoryRange],
        body: impl FnOnce(&Context<'_, El2And0>) -> R,
    ) -> R {
        let mut tables: Vec<_> = (0..TABLES).map(|_| Table::EMPTY).collect();
        let mut storage = RegionStorage::new();
        let sections = sections(base);
        let none = core::iter::empty();
        let reserved = reserved.iter().copied();
        body(
            &build(
                pool(&mut tables, &sections),
                &mut storage,
                &sections,
                reserved,
                SHARED,
                none,
                MAX_PA,
            )
            .unwrap(),
        )
    }

    #[test]
    fn each_section_is_mapped_flat_with_its_permissions_and_guards_are_not() {
        let base = 0x4010_0000;
        with_map(base, &RESERVED, |map| {
            let read_write = Attributes::read_write();
            for (address, attributes) in [
                (base, Some(Attributes::code())),
                (base + 0x3fff, Some(Attributes::code())),
                (base + 0x4000, Some(Attributes::read_only())),
                (base + 0x6000, Some(read_write)),
                (base + 0x8fff, Some(read_write)),
                (base + 0x9000, None),
                (base + 0x9fff, None),
                (base + 0xa000, Some(read_write)),
                (base + 0xb000, None),
                (base + 0xc000, Some(read_write)),
                (base + 0x4f_ffff, Some(read_write)),
                (base + 0x50_0000, Some(Attributes::read_only())),
                (base + 0x52_7fff, Some(Attributes::read_only())),
                (base + 0x52_8000, None),
                (base - 1, None),
                (SHARED.get(), Some(read_write)),
                (SHARED.get() + GRANULE_SIZE, None),
                (RESERVED[0].0.get(), Some(read_write)),
                (RESERVED[0].0.get() + 0x5000, None),
                (RESERVED[1].0.get() + 0x1f_ffff, Some(read_write)),
                (0, None),
            ] {
                let found = map.translate(VirtAddr::new(address)).ok();
                let found = found.map(|Translation { pa, attributes, .. }| (pa, attributes));
                assert_eq!(
                    found,
                    attributes.map(|attributes| (PhysAddr::new(address), attributes)),
                    "{address:#x}"
                );
            }
        });
    }

    #[test]
    fn code_is_guarded_in_a_hardened_image_and_nothing_else_differs() {
        for part in LowVaPart::ALL {
            let plain = part.attributes(false);
            let expected = if part == LowVaPart::Code { plain.guarded() } else { plain };
            assert_eq!(part.attributes(true), expected, "{part}");
        }
    }

    #[test]
    fn the_range_is_as_large_as_its_highest_mapping_needs() {
        let bits =
            |base, reserved: &[_]| with_map(base, reserved, |map| map.space().address_bits());
        assert_eq!(bits(0x4010_0000, &[]), 31);
        assert_eq!(bits(0x1_4000_7000, &[]), 33);
        assert_eq!(bits(0x4010_0000, &RESERVED), 39);
    }

    #[test]
    fn what_overlaps_the_image_is_refused() {
        let mut tables: Vec<_> = (0..TABLES).map(|_| Table::EMPTY).collect();
        let mut storage = RegionStorage::new();
        let sections = sections(0x4010_0000);
        let reserved = [(PhysAddr::new(0x4010_9000), 0x2000)].into_iter();
        let none = core::iter::empty();
        assert!(
            build(
                pool(&mut tables, &sections),
                &mut storage,
                &sections,
                reserved,
                SHARED,
                none,
                MAX_PA
            )
            .is_err()
        );
    }
}
