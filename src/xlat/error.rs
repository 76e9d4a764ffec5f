// SPDX-License-Identifier: BSD-3-Clause
//! Errors of `xlat`. A call that fails has changed nothing.

use core::fmt;

use crate::address::{PhysAddr, VirtAddr};

/// A range of virtual addresses: base, and size in bytes, as the caller gave them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// First address.
    pub base: VirtAddr,
    /// Bytes.
    pub size: u64,
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} bytes at {}", self.size, self.base)
    }
}

/// A rule about attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant has its text")]
pub enum AttributeRule {
    #[error("memory is not both writable and executable")]
    WritableAndExecutable,
    #[error("device memory is not executable")]
    ExecutableDevice,
    #[error("instructions are fetched from the regime's own physical address space only")]
    ExecutableElsewhere,
    #[error("only executable pages are guarded")]
    GuardedButNotExecutable,
    #[error("Device and Non-cacheable memory is Outer Shareable")]
    ShareabilityFixedByMemoryType,
    #[error("with LPA2, write-back memory has the shareability of the table walks")]
    ShareabilityFixedByLpa2,
    #[error("the VA configuration has no mappings for EL0")]
    NoUserMappings,
    #[error("the regime has no EL0")]
    NoUnprivilegedAccess,
    #[error("the regime has no ASIDs: all its mappings are global")]
    NoNonGlobal,
    #[error("the regime cannot access this physical address space")]
    PhysicalAddressSpace,
}

/// Why a call failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant has its text")]
pub enum Error {
    #[error("the descriptor format has no address space of {0} bits")]
    AddressBits(u32),
    #[error("{0} cannot be the highest physical address")]
    MaxPhysicalAddress(PhysAddr),
    #[error("the regime has no High VA range")]
    NoHighRange,
    #[error("the regime or the CPU does not have this ASID")]
    NoAsid,
    #[error("CPUs cannot share tables whose walks are Non-shareable")]
    NonShareableWalks,
    #[error("no table pool can be at {0}")]
    TablePool(PhysAddr),
    #[error("{0}: no bytes")]
    Empty(Extent),
    #[error("{0}: not a multiple of 4 KiB")]
    Unaligned(Extent),
    #[error("{0}: outside the VA range")]
    OutsideAddressSpace(Extent),
    #[error("{0}: to {1}, beyond the highest physical address")]
    PhysicalAddress(Extent, PhysAddr),
    #[error("{0}: blocks of 512 GiB need LPA2")]
    GranularityNeedsLpa2(Extent),
    #[error("{0}: {1}")]
    Attributes(Extent, AttributeRule),
    #[error("{0}: overlaps a region, and is not a static region nested with it")]
    Overlap(Extent),
    #[error("{0}: nested with a region that maps to other physical addresses")]
    NestedElsewhere(Extent),
    #[error("{0}: another region maps these physical addresses")]
    PhysicalOverlap(Extent),
    #[error("{0}: no room for another region")]
    OutOfRegions(Extent),
    #[error("{0}: not enough free tables")]
    OutOfTables(Extent),
    #[error("{0}: not a region")]
    NoSuchRegion(Extent),
    #[error("{0}: a static region")]
    Static(Extent),
    #[error("{0}: a transient page is mapped")]
    StillMapped(Extent),
    #[error("{0}: not mapped")]
    NotMapped(Extent),
    #[error("{0}: memory type, physical address space and shareability cannot change")]
    FixedAttribute(Extent),
    #[error("{0}: transient")]
    Transient(Extent),
    #[error("{0}: not transient")]
    NotTransient(Extent),
    #[error("{0}: in more than one table")]
    SeveralTables(Extent),
    #[error("the transient page at {0} is mapped")]
    AlreadyMapped(VirtAddr),
    #[error("the transient page at {0} is not mapped")]
    Unmapped(VirtAddr),
    #[error("a page cannot be mapped to {0}")]
    PageAddress(PhysAddr),
    #[error("no such page in the range")]
    NoSuchPage,
    #[error("the template is for another descriptor format")]
    Template,
    #[error("the CPU does not support the 4 KiB granule")]
    NoGranule4KiB,
    #[error("the CPU does not support LPA2")]
    NoLpa2,
    #[error("the CPU does not support an address space of {0} bits (FEAT_TTST)")]
    NoSmallTables(u32),
    #[error("the contexts of the regime differ in what TCR holds once")]
    Mismatch,
}
