// SPDX-License-Identifier: BSD-3-Clause
//! The VA configuration of a context, which does not change: range, size, highest physical address,
//! descriptor format, ASID.

use aarch64_cpu::registers::{ID_AA64MMFR2_EL1 as MMFR2, ID_AA64MMFR2_EL1::Register as Mmfr2};
use tock_registers::LocalRegisterCopy;

use super::attributes::{Attributes, Privilege, Shareability};
use super::descriptor::{DescriptorFormat, LeafBits};
use super::error::{AttributeRule, Error, Extent};
use super::invalidation::{Invalidation, WalkPart};
use super::level::{Level, Span};
use super::regime::Regime;
use crate::address::{GRANULE_SHIFT, GRANULE_SIZE, PhysAddr, VirtAddr};
use crate::arch::sysreg::fields::ID_AA64ISAR0;
use crate::arch::tlbi_range;

/// The smallest VA size in bits, with FEAT_TTST.
pub const MIN_ADDRESS_BITS: u32 = 16;

/// A VA range of a regime.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum VaRange {
    /// From address 0 up (TTBR0).
    Low,
    /// Up to the highest 64-bit address (TTBR1).
    High,
}

/// Features for TLB maintenance that every CPU has that walks the tables of a context. By default
/// none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MaintenanceFeatures {
    /// TLBIs of ranges (FEAT_TLBIRANGE).
    pub range: bool,
    /// TLBIs by address take the level of the leaf as a hint (FEAT_TTL).
    pub level_hint: bool,
    /// A block may be replaced with a table that maps the same, and a Contiguous hint be changed,
    /// without a break (FEAT_BBM, level 2). A CPU may take a TLB Conflict abort meanwhile: unless
    /// it is known to take none, its handler has to invalidate and return.
    pub resize_in_place: bool,
}

impl MaintenanceFeatures {
    /// Decodes ID_AA64ISAR0_EL1 and ID_AA64MMFR2_EL1.
    pub fn from_id_registers(isar0: u64, mmfr2: u64) -> Self {
        let mmfr2 = LocalRegisterCopy::<u64, Mmfr2>::new(mmfr2);
        Self {
            range: ID_AA64ISAR0::TLB.read(isar0) >= 2,
            level_hint: mmfr2.read(MMFR2::TTL) != 0,
            resize_in_place: mmfr2.read(MMFR2::BBM) >= 2,
        }
    }
}

/// The VA configuration of a context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressSpace {
    range: VaRange,
    address_bits: u32,
    max_pa: PhysAddr,
    format: DescriptorFormat,
    asid: u16,
    walks: Shareability,
    contiguous_hint: bool,
    any_asid: bool,
    user_mappings: bool,
    maintenance_features: MaintenanceFeatures,
}

impl AddressSpace {
    /// A range of 2^`address_bits` bytes for physical addresses up to `max_pa`, inclusive, with
    /// ASID 0 and Inner Shareable walks.
    ///
    /// # Errors
    /// [`Error::AddressBits`] unless 16 to 48, or 52 with LPA2; [`Error::MaxPhysicalAddress`] if
    /// `max_pa` is not the last byte of a granule or has more bits than the format.
    pub const fn new(
        range: VaRange,
        address_bits: u32,
        max_pa: PhysAddr,
        format: DescriptorFormat,
    ) -> Result<Self, Error> {
        if address_bits < MIN_ADDRESS_BITS || address_bits > format.address_bits() {
            return Err(Error::AddressBits(address_bits));
        }
        if max_pa.get() >> format.address_bits() != 0
            || max_pa.get() & (GRANULE_SIZE - 1) != GRANULE_SIZE - 1
        {
            return Err(Error::MaxPhysicalAddress(max_pa));
        }
        let (asid, walks) = (0, Shareability::Inner);
        let (contiguous_hint, any_asid, user_mappings) = (true, false, false);
        Ok(Self {
            range,
            address_bits,
            max_pa,
            format,
            asid,
            walks,
            contiguous_hint,
            any_asid,
            user_mappings,
            maintenance_features: MaintenanceFeatures {
                range: false,
                level_hint: false,
                resize_in_place: false,
            },
        })
    }

    /// This configuration, with the ASID that tags its non-global translations.
    pub const fn with_asid(self, asid: u16) -> Self {
        Self { asid, ..self }
    }

    /// This configuration, for tables that run under several ASIDs: maintenance is for every ASID.
    /// EL1&0 only.
    pub const fn for_any_asid(self) -> Self {
        Self { asid: 0, any_asid: true, ..self }
    }

    /// This configuration, for mappings that EL0 may access as well. Without them TCR can have
    /// accesses of EL0 fault before any walk (FEAT_E0PD).
    pub const fn with_user_mappings(self) -> Self {
        Self { user_mappings: true, ..self }
    }

    /// This configuration, with another shareability of table walks (TCR.SHx). With LPA2,
    /// write-back mappings have it as well.
    pub const fn with_walks(self, walks: Shareability) -> Self {
        Self { walks, ..self }
    }

    /// This configuration, without the Contiguous hint: for machines whose CPUs have errata with it
    /// (`docs/security/errata.md`).
    pub const fn without_contiguous_hint(self) -> Self {
        Self { contiguous_hint: false, ..self }
    }

    /// This configuration, for CPUs that all have these features for TLB maintenance.
    pub const fn with_maintenance_features(self, features: MaintenanceFeatures) -> Self {
        Self { maintenance_features: features, ..self }
    }

    /// The range.
    pub const fn range(&self) -> VaRange {
        self.range
    }

    /// log2 of its size in bytes.
    pub const fn address_bits(&self) -> u32 {
        self.address_bits
    }

    /// TCR.TxSZ.
    pub const fn txsz(&self) -> u32 {
        64 - self.address_bits
    }

    /// The highest physical address that it may map.
    pub const fn max_pa(&self) -> PhysAddr {
        self.max_pa
    }

    /// The descriptor format.
    pub const fn format(&self) -> DescriptorFormat {
        self.format
    }

    /// The ASID.
    pub const fn asid(&self) -> u16 {
        self.asid
    }

    /// The shareability of its table walks.
    pub const fn walks(&self) -> Shareability {
        self.walks
    }

    /// Whether groups of leaves have the Contiguous hint.
    pub const fn has_contiguous_hint(&self) -> bool {
        self.contiguous_hint
    }

    /// Whether the tables run under several ASIDs.
    pub const fn is_for_any_asid(&self) -> bool {
        self.any_asid
    }

    /// Whether there may be mappings for EL0.
    pub const fn has_user_mappings(&self) -> bool {
        self.user_mappings
    }

    /// The encoding of `attributes` in leaves of regime `R`.
    pub(super) fn leaf_bits<R: Regime>(
        &self,
        attributes: Attributes,
    ) -> Result<LeafBits, AttributeRule> {
        if attributes.privilege == Privilege::User && R::UNPRIVILEGED && !self.user_mappings {
            return Err(AttributeRule::NoUserMappings);
        }
        LeafBits::new::<R>(attributes, self.format, self.walks)
    }

    /// The features for TLB maintenance.
    pub const fn maintenance_features(&self) -> MaintenanceFeatures {
        self.maintenance_features
    }

    /// The invalidation of TLB entries of `part` of the walk for the page at `va`, whose leaf is at
    /// `level` if that is known.
    pub(super) const fn invalidation(
        &self,
        va: VirtAddr,
        part: WalkPart,
        level: Option<Level>,
    ) -> Invalidation {
        match part {
            WalkPart::Leaf => {
                let operand = self.leaf_operand(va, level);
                if self.any_asid {
                    Invalidation::LeafAnyAsid(operand)
                } else {
                    Invalidation::Leaf(operand)
                }
            }
            // No hint: it would name one level, and the walk has an entry at each.
            WalkPart::All => {
                let operand = tlbi_operand(va, self.asid);
                if self.any_asid {
                    Invalidation::WalkAnyAsid(operand)
                } else {
                    Invalidation::Walk(operand)
                }
            }
        }
    }

    /// The operand of a TLBI of the last level for the page at `va`, whose leaf is at `level`.
    pub(super) const fn leaf_operand(&self, va: VirtAddr, level: Option<Level>) -> u64 {
        let operand = tlbi_operand(va, self.asid);
        match self.level_hint(level) {
            0 => operand,
            // TTL[3:2]: the 4 KiB granule.
            level => operand | (0b0100 | level) << 44,
        }
    }

    /// TTL\[1:0\] for a leaf at `level`. 0 means any level.
    const fn level_hint(&self, level: Option<Level>) -> u64 {
        match level {
            Some(Level::One) if self.maintenance_features.level_hint => 1,
            Some(Level::Two) if self.maintenance_features.level_hint => 2,
            Some(Level::Three) if self.maintenance_features.level_hint => 3,
            _ => 0,
        }
    }

    /// As [`Self::invalidation`], for a range from `va` on. `fields` are those of the operand that
    /// encode its size.
    pub(super) const fn range_invalidation(
        &self,
        va: VirtAddr,
        fields: u64,
        part: WalkPart,
        level: Option<Level>,
    ) -> Invalidation {
        let units = va.get() >> (GRANULE_SHIFT + self.range_base_alignment().ilog2());
        let operand = units & tlbi_range::BASE_MASK | fields | (self.asid as u64) << 48;
        match part {
            WalkPart::Leaf => {
                let operand = operand | self.level_hint(level) << tlbi_range::TTL_SHIFT;
                if self.any_asid {
                    Invalidation::LeafRangeAnyAsid(operand)
                } else {
                    Invalidation::LeafRange(operand)
                }
            }
            WalkPart::All if self.any_asid => Invalidation::WalkRangeAnyAsid(operand),
            WalkPart::All => Invalidation::WalkRange(operand),
        }
    }

    /// Granules that the base of a range in a TLBI is a multiple of: with 52-bit addresses 64 KiB.
    pub(super) const fn range_base_alignment(&self) -> u64 {
        match self.format {
            DescriptorFormat::Bits48 => 1,
            DescriptorFormat::Lpa2 => 16,
        }
    }

    /// The first address of the range.
    pub const fn base(&self) -> VirtAddr {
        match self.range {
            VaRange::Low => VirtAddr::new(0),
            VaRange::High => VirtAddr::new(u64::MAX << self.address_bits),
        }
    }

    /// The level of the initial table.
    pub const fn initial_level(&self) -> Level {
        Level::initial(self.address_bits)
    }

    /// Bytes of the initial table that a walk uses, a power of two.
    pub const fn initial_table_size(&self) -> u64 {
        8 << (self.address_bits - self.initial_level().shift())
    }

    /// The address at `offset` of the range.
    pub(super) const fn address(&self, offset: u64) -> VirtAddr {
        VirtAddr::new(self.base().get() + offset)
    }

    /// The offset of `va`; `None` outside the range.
    pub(super) const fn offset(&self, va: VirtAddr) -> Option<u64> {
        match va.checked_sub(self.base()) {
            Some(offset) if offset >> self.address_bits == 0 => Some(offset),
            _ => None,
        }
    }

    /// The offsets of `size` bytes at `base`: whole granules inside the range.
    pub(super) const fn span(&self, base: VirtAddr, size: u64) -> Result<Span, Error> {
        let extent = Extent { base, size };
        if size == 0 {
            return Err(Error::Empty(extent));
        }
        if !base.is_aligned(GRANULE_SIZE) || size & (GRANULE_SIZE - 1) != 0 {
            return Err(Error::Unaligned(extent));
        }
        let Some(first) = self.offset(base) else {
            return Err(Error::OutsideAddressSpace(extent));
        };
        match first.checked_add(size - 1) {
            Some(last) if last >> self.address_bits == 0 => Ok(Span { first, last }),
            _ => Err(Error::OutsideAddressSpace(extent)),
        }
    }

    /// `span` as virtual addresses.
    pub(super) const fn extent(&self, span: Span) -> Extent {
        Extent { base: self.address(span.first), size: span.last - span.first + 1 }
    }
}

/// The operand of a TLB invalidate by address for the page at `va`: VA\[55:12\] in bits 43:0, ASID
/// in 63:48.
///
/// The mask keeps the sign extension of a High VA out of the ASID and out of TTL (bits 47:44),
/// which would restrict the invalidation to one level.
pub(super) const fn tlbi_operand(va: VirtAddr, asid: u16) -> u64 {
    (va.get() >> GRANULE_SHIFT) & ((1 << 44) - 1) | (asid as u64) << 48
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_48: PhysAddr = PhysAddr::new((1 << 48) - 1);
    const MAX_52: PhysAddr = PhysAddr::new((1 << 52) - 1);

    fn space(range: VaRange, bits: u32) -> AddressSpace {
        AddressSpace::new(range, bits, MAX_48, DescriptorFormat::Bits48)
            .expect("a good configuration")
    }

    #[test]
    fn address_sizes_are_those_of_the_architecture() {
        for (bits, format, good) in [
            (15, DescriptorFormat::Bits48, false),
            (16, DescriptorFormat::Bits48, true),
            (48, DescriptorFormat::Bits48, true),
            (49, DescriptorFormat::Bits48, false),
            (52, DescriptorFormat::Lpa2, true),
            (53, DescriptorFormat::Lpa2, false),
            (u32::MAX, DescriptorFormat::Lpa2, false),
        ] {
            let made = AddressSpace::new(VaRange::Low, bits, MAX_48, format);
            assert_eq!(made.is_ok(), good, "{bits} bits, {format:?}");
            assert!(good || made == Err(Error::AddressBits(bits)));
        }
    }

    #[test]
    fn asid_and_walks_are_as_they_are_set() {
        let plain = space(VaRange::Low, 48);
        assert_eq!((plain.asid(), plain.walks()), (0, Shareability::Inner));
        let set = plain.with_asid(7).with_walks(Shareability::Outer);
        assert_eq!((set.asid(), set.walks()), (7, Shareability::Outer));
    }

    #[test]
    fn the_highest_physical_address_fits_the_format_and_ends_a_granule() {
        let new = |max_pa, format| AddressSpace::new(VaRange::Low, 48, max_pa, format);
        assert_eq!(new(MAX_52, DescriptorFormat::Bits48), Err(Error::MaxPhysicalAddress(MAX_52)));
        assert!(new(MAX_52, DescriptorFormat::Lpa2).is_ok());
        let unaligned = PhysAddr::new(0x4000_0000);
        assert_eq!(
            new(unaligned, DescriptorFormat::Lpa2),
            Err(Error::MaxPhysicalAddress(unaligned))
        );
    }

    #[test]
    fn a_high_range_ends_at_the_highest_address() {
        let space = space(VaRange::High, 21);
        assert_eq!(space.base(), VirtAddr::new(0xffff_ffff_ffe0_0000));
        assert_eq!(space.txsz(), 43);
        assert_eq!(space.initial_level(), Level::Three);
        assert_eq!(space.initial_table_size(), 4096);
        let top = VirtAddr::new(0u64.wrapping_sub(0x1000));
        assert_eq!(space.span(top, 0x1000), Ok(Span { first: 0x1f_f000, last: 0x1f_ffff }));
        let beyond = Extent { base: top, size: 0x2000 };
        assert_eq!(space.span(top, 0x2000), Err(Error::OutsideAddressSpace(beyond)));
    }

    #[test]
    fn spans_outside_unaligned_or_empty_are_refused() {
        let space = space(VaRange::Low, 30);
        let cases = [
            (0x4000_0000, 0x1000, Error::OutsideAddressSpace as fn(Extent) -> Error),
            (0x3fff_f000, 0x2000, Error::OutsideAddressSpace),
            (0xffff_ffff_ffff_f000, 0x1000, Error::OutsideAddressSpace),
            (0x1000, !0xfff, Error::OutsideAddressSpace),
            (0x1000, 0, Error::Empty),
            (0x1008, 0x1000, Error::Unaligned),
            (0x1000, 0x1008, Error::Unaligned),
        ];
        for (base, size, error) in cases {
            let extent = Extent { base: VirtAddr::new(base), size };
            assert_eq!(space.span(extent.base, size), Err(error(extent)));
        }
    }

    #[test]
    fn an_address_outside_the_range_has_no_offset() {
        let (low, high) = (space(VaRange::Low, 30), space(VaRange::High, 30));
        assert_eq!(low.offset(VirtAddr::new(0x3fff_ffff)), Some(0x3fff_ffff));
        assert_eq!(low.offset(VirtAddr::new(0x4000_0000)), None);
        assert_eq!(high.offset(VirtAddr::new(0xffff_ffff_c000_0000)), Some(0));
        assert_eq!(high.offset(VirtAddr::new(0xffff_ffff_bfff_ffff)), None);
    }

    #[test]
    fn the_tlbi_operand_of_a_high_address_has_a_clean_ttl() {
        assert_eq!(
            tlbi_operand(VirtAddr::new(0xffff_ffff_ffff_f000), 0xa5a5),
            0xa5a5_0fff_ffff_ffff
        );
        assert_eq!(tlbi_operand(VirtAddr::new(0xffff_ffff_ffe0_0000), 0), 0x0000_0fff_ffff_fe00);
    }
}
