// SPDX-License-Identifier: BSD-3-Clause
//! What `xlat` refuses, and why. A refused call has changed nothing.

use crate::address::{PhysAddr, VirtAddr};

/// A range of virtual addresses that an error speaks of: base, and size in bytes, as the caller
/// gave them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// First address.
    pub base: VirtAddr,
    /// Bytes.
    pub size: u64,
}

/// A rule about attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttributeRule {
    /// Memory must not be writable and executable.
    WritableAndExecutable,
    /// Device memory must not be executable.
    ExecutableDevice,
    /// Instructions are fetched from the physical address space of the regime's own Security state
    /// only.
    ExecutableElsewhere,
    /// The BTI guard is of executable pages.
    GuardedButNotExecutable,
    /// Device and Non-cacheable memory is Outer Shareable.
    ShareabilityFixedByMemoryType,
    /// With LPA2 the shareability of write-back memory is that of the table walks, for the whole
    /// context.
    ShareabilityFixedByLpa2,
    /// The regime has no EL0.
    NoUnprivilegedAccess,
    /// The regime has no ASIDs, so everything is global.
    NoNonGlobal,
    /// The regime cannot name that physical address space.
    PhysicalAddressSpace,
}

/// Why a call was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The address size in bits is not one that the descriptor format allows.
    AddressBits(u32),
    /// The highest physical address is beyond what the descriptor format holds.
    MaxPhysicalAddress(PhysAddr),
    /// The regime has no High VA range.
    NoHighRange,
    /// The regime has no ASIDs.
    NoAsid,
    /// The table pool is empty, is not aligned to a granule, or lies beyond the highest physical
    /// address.
    TablePool(PhysAddr),
    /// The size is zero.
    Empty(Extent),
    /// An address or the size is not a multiple of 4 KiB.
    Unaligned(Extent),
    /// Not inside the VA range of the context.
    OutsideAddressSpace(Extent),
    /// The physical addresses pass the highest one of the context.
    PhysicalAddress(Extent, PhysAddr),
    /// A granularity of 512 GiB needs LPA2.
    GranularityNeedsLpa2(Extent),
    /// The attributes break a rule.
    Attributes(Extent, AttributeRule),
    /// It overlaps another region in a way that is not allowed: dynamic regions with none; static
    /// ones must be nested.
    Overlap(Extent),
    /// A static region inside another must map to the same physical addresses as that one would.
    NestedElsewhere(Extent),
    /// Its physical addresses are mapped by another region already, at other virtual addresses.
    PhysicalOverlap(Extent),
    /// No room for another region.
    OutOfRegions(Extent),
    /// Not enough free tables.
    OutOfTables(Extent),
    /// No dynamic region has exactly this base and size.
    NoSuchRegion(Extent),
    /// The region is static: it stays.
    Static(Extent),
    /// A transient region with a page still mapped.
    StillMapped(Extent),
    /// Something in it is not mapped.
    NotMapped(Extent),
    /// Memory type, physical address space and shareability stay as they are while mapped.
    FixedAttribute(Extent),
    /// Transient pages are mapped, unmapped and given attributes one by one.
    Transient(Extent),
    /// Not (all) transient pages.
    NotTransient(Extent),
    /// The pages lie in more than one table.
    SeveralTables(Extent),
    /// The transient page is mapped already.
    AlreadyMapped(VirtAddr),
    /// The transient page is not mapped.
    Unmapped(VirtAddr),
    /// The physical address of a transient page is unaligned or beyond the highest one of the
    /// context.
    PageAddress(PhysAddr),
    /// No page of that number in the range.
    NoSuchPage,
    /// The template was made for another descriptor format.
    Template,
    /// The CPU does not support the 4 KiB granule.
    NoGranule4KiB,
    /// The CPU does not support LPA2.
    NoLpa2,
    /// The CPU does not support so small an address space (FEAT_TTST).
    NoSmallTables(u32),
    /// The two contexts of a regime differ in what TCR holds once.
    Mismatch,
}
