// SPDX-License-Identifier: BSD-3-Clause
//! The entries of the boot manifest's lists, decoded.
//!
//! Decoding cannot fail: an entry is a fixed number of words. The parser checks the values before
//! it gives an entry to any caller.

use super::error::Rule;
use super::page::{Page, Word};
use crate::address::{GRANULE_SIZE, PhysAddr};

/// A range of physical memory: a DRAM bank or a device memory region.
///
/// In a validated manifest it is not empty, its bounds are multiples of 4 KiB, and it ends within
/// the physical address range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRegion {
    base: PhysAddr,
    size: u64,
}

impl MemoryRegion {
    pub(super) const fn new(base: PhysAddr, size: u64) -> Self {
        Self { base, size }
    }

    pub(super) fn decode(&[base, size]: &[Word; 2]) -> Self {
        Self::new(address(base), u64::from_le_bytes(size))
    }

    /// Its first address.
    pub const fn base(&self) -> PhysAddr {
        self.base
    }

    /// Its length in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The first address after it.
    pub const fn end(&self) -> PhysAddr {
        // The sum does not wrap in a validated manifest. Before validation it saturates.
        PhysAddr::new(self.base.get().saturating_add(self.size))
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.base < other.end() && other.base < self.end()
    }

    /// Checks the rules for a single range of addresses.
    pub(super) fn check(&self, physical_limit: PhysAddr) -> Result<(), Rule> {
        let Self { base, size } = *self;
        if !base.is_aligned(GRANULE_SIZE) {
            return Err(Rule::BaseMisaligned(base));
        }
        if size == 0 {
            return Err(Rule::SizeZero(base));
        }
        if !size.is_multiple_of(GRANULE_SIZE) {
            return Err(Rule::SizeMisaligned(size));
        }
        let end = base.checked_add(size).ok_or(Rule::EndWraps(base, size))?;
        if end > physical_limit {
            return Err(Rule::BeyondPhysicalRange(end, physical_limit));
        }
        Ok(())
    }
}

/// A console for the RMM to print on. Its flags are reserved, and left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Console {
    /// Where its registers are; a multiple of 4 KiB.
    pub base: PhysAddr,
    /// How many pages of 4 KiB they take: 1 to [`Self::MAX_PAGES`].
    pub map_pages: u64,
    /// Name of its driver: at most 8 characters, padded with 0.
    pub name: [u8; 8],
    /// Its clock in Hz.
    pub clock_hz: u64,
    /// Its speed in baud.
    pub baud_rate: u64,
}

impl Console {
    /// The most pages that a console's registers may take: 64 KiB, the largest translation granule.
    /// Some machines align devices to it.
    pub const MAX_PAGES: u64 = 16;

    pub(super) fn decode(
        &[base, map_pages, name, clock_hz, baud_rate, _flags]: &[Word; 6],
    ) -> Self {
        Self {
            base: address(base),
            map_pages: u64::from_le_bytes(map_pages),
            name,
            clock_hz: u64::from_le_bytes(clock_hz),
            baud_rate: u64::from_le_bytes(baud_rate),
        }
    }

    /// The memory of its registers.
    pub const fn region(&self) -> MemoryRegion {
        // The parser has bounded the number of pages.
        MemoryRegion::new(self.base, self.map_pages.saturating_mul(GRANULE_SIZE))
    }

    pub(super) fn check(&self, physical_limit: PhysAddr) -> Result<(), Rule> {
        if self.map_pages > Self::MAX_PAGES {
            return Err(Rule::PageCount(self.map_pages, Self::MAX_PAGES));
        }
        self.region().check(physical_limit)
    }
}

/// An SMMU of the machine. Both addresses are multiples of 4 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Smmu {
    /// Where its register pages begin.
    pub base: PhysAddr,
    /// Where its Realm register pages begin.
    pub realm_base: PhysAddr,
}

impl Smmu {
    pub(super) fn decode(&[base, realm_base]: &[Word; 2]) -> Self {
        Self { base: address(base), realm_base: address(realm_base) }
    }

    /// Register pages that every SMMU has: one at each address. The manifest does not say how many
    /// follow.
    pub(super) const fn regions(&self) -> [MemoryRegion; 2] {
        [
            MemoryRegion::new(self.base, GRANULE_SIZE),
            MemoryRegion::new(self.realm_base, GRANULE_SIZE),
        ]
    }
}

/// A PCIe root complex.
#[derive(Clone, Copy, Debug)]
pub struct RootComplex<'a> {
    /// Where its configuration space (ECAM) begins; a multiple of 4 KiB.
    pub ecam: PhysAddr,
    /// Its PCIe segment.
    pub segment: u8,
    page: Page<'a>,
    root_ports: &'a [[Word; 2]],
}

impl<'a> RootComplex<'a> {
    pub(super) fn resolve(
        page: Page<'a>,
        &[ecam, middle, pointer]: &[Word; 3],
    ) -> Result<Self, Rule> {
        let [segment, _, _, _, count @ ..] = middle;
        let root_ports = page.array(address(pointer), u64::from(u32::from_le_bytes(count)))?;
        Ok(Self { ecam: address(ecam), segment, page, root_ports })
    }

    /// Its root ports.
    pub fn root_ports(&self) -> impl Iterator<Item = RootPort<'a>> + use<'a> {
        let page = self.page;
        // Validation has resolved each of them: the filter drops none.
        self.root_ports.iter().filter_map(move |words| RootPort::resolve(page, words).ok())
    }

    pub(super) const fn root_port_words(&self) -> &'a [[Word; 2]] {
        self.root_ports
    }
}

/// A root port of a PCIe root complex.
#[derive(Clone, Copy, Debug)]
pub struct RootPort<'a> {
    /// Its identifier in the root complex.
    pub id: u16,
    mappings: &'a [[Word; 1]],
}

impl<'a> RootPort<'a> {
    pub(super) fn resolve(page: Page<'a>, &[first, pointer]: &[Word; 2]) -> Result<Self, Rule> {
        let [id_low, id_high, _, _, count @ ..] = first;
        let mappings = page.array(address(pointer), u64::from(u32::from_le_bytes(count)))?;
        Ok(Self { id: u16::from_le_bytes([id_low, id_high]), mappings })
    }

    /// The mappings of requester identifiers behind it to stream identifiers of an SMMU.
    pub fn mappings(&self) -> impl Iterator<Item = BdfMapping> + Clone + use<'a> {
        self.mappings.iter().map(BdfMapping::decode)
    }

    pub(super) const fn mapping_words(&self) -> &'a [[Word; 1]] {
        self.mappings
    }
}

/// Maps a range of requester identifiers (bus, device, function) to stream identifiers of an SMMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BdfMapping {
    /// The first requester identifier.
    pub base: u16,
    /// The end of the range; not below `base`. EL3's documentation excludes it from the range,
    /// TF-RMM includes it.
    pub top: u16,
    /// Stream identifier minus requester identifier.
    pub offset: u16,
    /// Index of the SMMU in the list. Without meaning if the list is empty.
    pub smmu_index: u16,
}

impl BdfMapping {
    fn decode(&[word]: &[Word; 1]) -> Self {
        let [base_low, base_high, top_low, top_high, offset_low, offset_high, smmu_low, smmu_high] =
            word;
        Self {
            base: u16::from_le_bytes([base_low, base_high]),
            top: u16::from_le_bytes([top_low, top_high]),
            offset: u16::from_le_bytes([offset_low, offset_high]),
            smmu_index: u16::from_le_bytes([smmu_low, smmu_high]),
        }
    }

    /// Checks the rules for a single mapping on a machine with `smmus` SMMUs.
    pub(super) fn check(&self, smmus: usize) -> Result<(), Rule> {
        if self.base > self.top {
            return Err(Rule::MappingReversed(self.base, self.top));
        }
        if smmus != 0 && usize::from(self.smmu_index) >= smmus {
            return Err(Rule::SmmuIndex(self.smmu_index, smmus));
        }
        Ok(())
    }

    /// Whether the ranges overlap. That the top of one is the base of the other does not count: the
    /// top may be excluded.
    pub(super) const fn overlaps(&self, other: &Self) -> bool {
        self.base < other.top && other.base < self.top
    }
}

fn address(word: Word) -> PhysAddr {
    PhysAddr::new(u64::from_le_bytes(word))
}
