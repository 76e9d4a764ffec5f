// SPDX-License-Identifier: BSD-3-Clause
//! Regions: ranges of virtual addresses, and what to map there.

use super::attributes::Attributes;
use super::descriptor::DescriptorFormat;
use super::error::{Error, Extent};
use super::level::Level;
use crate::address::{GRANULE_SIZE, PhysAddr, VirtAddr};

/// The largest page, block or Contiguous group that may map a region.
///
/// A finer granularity costs tables, and makes later changes of parts cheap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Granularity {
    /// 4 KiB pages.
    Page,
    /// Blocks of 2 MiB.
    Block2MiB,
    /// Blocks of 1 GiB.
    Block1GiB,
    /// Blocks of 512 GiB, with LPA2 only.
    Block512GiB,
}

impl Granularity {
    /// Bytes.
    pub const fn size(self) -> u64 {
        match self {
            Self::Page => Level::Three.entry_size(),
            Self::Block2MiB => Level::Two.entry_size(),
            Self::Block1GiB => Level::One.entry_size(),
            Self::Block512GiB => Level::Zero.entry_size(),
        }
    }
}

/// What a region maps to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegionKind {
    /// Consecutive physical addresses.
    Memory {
        /// The first of them.
        base: PhysAddr,
        /// The attributes of the mapping.
        attributes: Attributes,
    },
    /// Pages that `TransientRange` maps and unmaps. None is mapped at first.
    Transient,
}

/// A range of virtual addresses, and what it maps to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// Base and size.
    pub extent: Extent,
    /// What it maps to.
    pub kind: RegionKind,
    /// The largest unit to map with. `None` is no limit.
    pub granularity: Option<Granularity>,
}

impl Region {
    /// `size` bytes at `va`, mapped to `pa`.
    pub const fn new(pa: PhysAddr, va: VirtAddr, size: u64, attributes: Attributes) -> Self {
        Self {
            extent: Extent { base: va, size },
            kind: RegionKind::Memory { base: pa, attributes },
            granularity: None,
        }
    }

    /// `size` bytes at `pa`, mapped to the same virtual addresses.
    pub const fn flat(pa: PhysAddr, size: u64, attributes: Attributes) -> Self {
        Self::new(pa, VirtAddr::new(pa.get()), size, attributes)
    }

    /// [`Region::flat`], mapped with units of at most `granularity`.
    pub const fn flat_with_granularity(
        pa: PhysAddr,
        size: u64,
        attributes: Attributes,
        granularity: Granularity,
    ) -> Self {
        Self::flat(pa, size, attributes).with_granularity(granularity)
    }

    /// `size` bytes of transient pages at `va`.
    pub const fn transient(va: VirtAddr, size: u64) -> Self {
        Self { extent: Extent { base: va, size }, kind: RegionKind::Transient, granularity: None }
    }

    /// This region, mapped with units of at most `granularity`.
    pub const fn with_granularity(self, granularity: Granularity) -> Self {
        Self { granularity: Some(granularity), ..self }
    }

    /// Its physical base, if it has one.
    pub(super) const fn pa(&self) -> Option<PhysAddr> {
        match self.kind {
            RegionKind::Memory { base, .. } => Some(base),
            RegionKind::Transient => None,
        }
    }

    /// The largest unit in bytes.
    pub(super) const fn largest_unit(&self) -> u64 {
        match self.granularity {
            Some(granularity) => granularity.size(),
            None => u64::MAX,
        }
    }

    /// Checks physical addresses and granularity.
    pub(super) fn check(&self, max_pa: PhysAddr, format: DescriptorFormat) -> Result<(), Error> {
        if self.granularity == Some(Granularity::Block512GiB) && format != DescriptorFormat::Lpa2 {
            return Err(Error::GranularityNeedsLpa2(self.extent));
        }
        if let Some(pa) = self.pa() {
            if !pa.is_aligned(GRANULE_SIZE) {
                return Err(Error::Unaligned(self.extent));
            }
            match pa.checked_add(self.extent.size - 1) {
                Some(last) if last <= max_pa => {}
                _ => return Err(Error::PhysicalAddress(self.extent, pa)),
            }
        }
        Ok(())
    }
}
