// SPDX-License-Identifier: BSD-3-Clause
//! Descriptors: encoding and decoding (Arm ARM (DDI 0487 L.a) D8.3, VMSAv8-64 with the 4 KiB
//! granule).
//!
//! The walker looks at bit 0 of an invalid descriptor and ignores the rest. The rest marks a
//! *transient* entry that is not mapped, and keeps the content of a *parked* one during a
//! break-before-make sequence, which then needs no memory elsewhere.

#[cfg(test)]
mod tests;

use super::attributes::{
    Attributes, DataAccess, MemoryType, PhysicalAddressSpace, Privilege, Shareability,
};
use super::descriptor_flags::DescriptorFlags;
use super::error::AttributeRule;
use super::level::Level;
use super::regime::Regime;
use crate::address::PhysAddr;

/// Low bit of AttrIndx\[2:0\].
const ATTRIBUTE_INDEX: u32 = 2;
/// Low bit of SH\[1:0\]. With LPA2, output address bits 51:50 are here.
pub(crate) const SHAREABILITY: u32 = 8;

/// Address bits 49:12, in place.
const ADDRESS: u64 = 0x0003_ffff_ffff_f000;
/// Where address bits 51:50 go with LPA2.
const ADDRESS_HIGH: u64 = 0x300;
const ADDRESS_HIGH_SHIFT: u32 = 42;

/// An entry of a transient region that is not mapped.
pub(super) const TRANSIENT_UNMAPPED: u64 = DescriptorFlags::TRANSIENT.bits();
/// An entry never mapped, or removed.
pub(super) const EMPTY: u64 = 0;

/// The layout of addresses in descriptors (TCR_ELx.DS), chosen before the MMU is enabled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum DescriptorFormat {
    /// 48-bit virtual and physical addresses, shareability in each descriptor.
    Bits48,
    /// FEAT_LPA2: 52-bit virtual and physical addresses, blocks at level 0, shareability in TCR.
    Lpa2,
}

impl DescriptorFormat {
    /// Bits in the largest virtual or physical address.
    pub const fn address_bits(self) -> u32 {
        match self {
            Self::Bits48 => 48,
            Self::Lpa2 => 52,
        }
    }

    /// Whether `level` may hold blocks or pages.
    pub(super) const fn leaf_at(self, level: Level) -> bool {
        match level {
            Level::MinusOne => false,
            Level::Zero => matches!(self, Self::Lpa2),
            Level::One | Level::Two | Level::Three => true,
        }
    }
}

/// Whether `level` may hold the Contiguous hint (Arm ARM (DDI 0487 L.a) D8.7.1).
pub(super) const fn contiguous_at(level: Level) -> bool {
    matches!(level, Level::One | Level::Two | Level::Three)
}

/// Encodes an address, for either format: without LPA2 no address has bits 51:48.
pub(crate) const fn encode_address(pa: u64) -> u64 {
    pa & ADDRESS | (pa >> ADDRESS_HIGH_SHIFT) & ADDRESS_HIGH
}

/// The address in `raw`.
pub(crate) const fn decode_address(raw: u64, format: DescriptorFormat) -> u64 {
    match format {
        DescriptorFormat::Bits48 => raw & ADDRESS,
        DescriptorFormat::Lpa2 => raw & ADDRESS | (raw & ADDRESS_HIGH) << ADDRESS_HIGH_SHIFT,
    }
}

/// The descriptor that points to the table at `pa`.
pub(super) const fn table(pa: PhysAddr) -> u64 {
    let flags = DescriptorFlags::VALID.union(DescriptorFlags::TABLE_OR_PAGE);
    encode_address(pa.get()) | flags.bits()
}

/// The block or page descriptor at `level` with output address `pa`, aligned to what it maps.
pub(super) const fn leaf(bits: LeafBits, pa: PhysAddr, level: Level) -> u64 {
    let kind = match level {
        Level::Three => DescriptorFlags::VALID.union(DescriptorFlags::TABLE_OR_PAGE),
        _ => DescriptorFlags::VALID,
    };
    encode_address(pa.get()) | bits.0 | kind.bits()
}

/// `raw` made invalid, its content kept.
pub(super) const fn park(raw: u64) -> u64 {
    raw & !DescriptorFlags::VALID.bits() | DescriptorFlags::PARKED.bits()
}

/// The attribute fields of a block or page descriptor: no address, kind or hint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LeafBits(u64);

impl LeafBits {
    /// Those of no mapping.
    pub(super) const NONE: Self = Self(0);

    /// Every field.
    pub(super) const ALL: Self = Self(u64::MAX);

    /// The fields of permissions in regime `R`.
    pub(super) const fn permissions<R: Regime>() -> Self {
        let fields = DescriptorFlags::READ_ONLY
            .union(DescriptorFlags::EXECUTE_NEVER)
            .union(DescriptorFlags::GUARDED);
        let of_el0 = DescriptorFlags::UNPRIVILEGED.union(DescriptorFlags::PRIVILEGED_EXECUTE_NEVER);
        Self(if R::UNPRIVILEGED { fields.union(of_el0) } else { fields }.bits())
    }

    /// These fields, those of `mask` replaced with those of `new`.
    pub(super) const fn replaced(self, mask: Self, new: Self) -> Self {
        Self(self.0 & !mask.0 | new.0 & mask.0)
    }

    /// Whether `other` has the same memory type, shareability and physical address space in regime
    /// `R`.
    pub(super) fn same_memory<R: Regime>(self, other: Self) -> bool {
        let mut pas = DescriptorFlags::NS;
        if !R::UNPRIVILEGED {
            pas |= DescriptorFlags::NSE;
        }
        let mask = 0b111 << ATTRIBUTE_INDEX | 0b11 << SHAREABILITY | pas.bits();
        (self.0 ^ other.0) & mask == 0
    }

    /// Whether `other` is global as this is, in regimes with ASIDs.
    pub(super) const fn same_globality(self, other: Self) -> bool {
        (self.0 ^ other.0) & DescriptorFlags::NON_GLOBAL.bits() == 0
    }

    /// Encodes `attributes` for regime `R`.
    ///
    /// `walks` is the shareability in TCR, which with LPA2 applies to write-back memory as well.
    pub(super) fn new<R: Regime>(
        attributes: Attributes,
        format: DescriptorFormat,
        walks: Shareability,
    ) -> Result<Self, AttributeRule> {
        attributes.check()?;
        let user = attributes.privilege == Privilege::User;
        if user && !R::UNPRIVILEGED {
            return Err(AttributeRule::NoUnprivilegedAccess);
        }
        if !attributes.global && !R::UNPRIVILEGED {
            return Err(AttributeRule::NoNonGlobal);
        }
        let lpa2 = format == DescriptorFormat::Lpa2;
        let write_back = attributes.memory == MemoryType::NormalWriteBack;
        if lpa2 && write_back && attributes.shareability != walks {
            return Err(AttributeRule::ShareabilityFixedByLpa2);
        }
        let pas = R::pas_flags(attributes.pas).ok_or(AttributeRule::PhysicalAddressSpace)?;
        if attributes.executable && attributes.pas != R::OWN_PAS {
            return Err(AttributeRule::ExecutableElsewhere);
        }

        let execute_never = if R::UNPRIVILEGED {
            // Executable at EL0 or at the privileged level, never at both.
            DescriptorFlags::EXECUTE_NEVER.when(!(attributes.executable && user))
                | DescriptorFlags::PRIVILEGED_EXECUTE_NEVER.when(!attributes.executable || user)
        } else {
            DescriptorFlags::EXECUTE_NEVER.when(!attributes.executable)
        };
        let flags = DescriptorFlags::ACCESS_FLAG
            | pas
            | execute_never
            | DescriptorFlags::UNPRIVILEGED.when(user || !R::UNPRIVILEGED)
            | DescriptorFlags::READ_ONLY.when(attributes.access == DataAccess::ReadOnly)
            | DescriptorFlags::NON_GLOBAL.when(!attributes.global)
            | DescriptorFlags::GUARDED.when(attributes.guarded);
        let shareability =
            if lpa2 { 0 } else { shareability_bits(attributes.shareability) << SHAREABILITY };
        Ok(Self(
            flags.bits() | attribute_index(attributes.memory) << ATTRIBUTE_INDEX | shareability,
        ))
    }

    /// The page descriptor for a transient page with these attributes, without its address.
    pub(super) const fn transient_page(self) -> PageBits {
        let flags = DescriptorFlags::TRANSIENT
            .union(DescriptorFlags::TABLE_OR_PAGE)
            .union(DescriptorFlags::VALID);
        PageBits(self.0 | flags.bits())
    }
}

/// The descriptor of a transient page, without its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PageBits(u64);

impl PageBits {
    /// The descriptor with output address `pa`.
    pub(super) const fn at(self, pa: PhysAddr) -> u64 {
        encode_address(pa.get()) | self.0
    }
}

/// The index of a memory type in MAIR (`mmu::MAIR`).
pub(super) const fn attribute_index(memory: MemoryType) -> u64 {
    match memory {
        MemoryType::NormalWriteBack => 0,
        MemoryType::Device => 1,
        MemoryType::NormalNonCacheable => 2,
        MemoryType::DeviceNGnRnE => 3,
    }
}

/// The encoding of a shareability domain, in descriptors and in TCR.
pub(super) const fn shareability_bits(shareability: Shareability) -> u64 {
    match shareability {
        Shareability::Non => 0b00,
        Shareability::Outer => 0b10,
        Shareability::Inner => 0b11,
    }
}

/// A valid block or page descriptor, or the content of a parked one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LeafDescriptor(u64);

impl LeafDescriptor {
    /// The output address of its first byte.
    pub(super) const fn pa(self, format: DescriptorFormat) -> PhysAddr {
        PhysAddr::new(decode_address(self.0, format))
    }

    /// The attribute fields that [`leaf`] was given.
    pub(super) const fn bits(self, format: DescriptorFormat) -> LeafBits {
        let address = match format {
            DescriptorFormat::Bits48 => ADDRESS,
            DescriptorFormat::Lpa2 => ADDRESS | ADDRESS_HIGH,
        };
        let others = DescriptorFlags::CONTIGUOUS
            .union(DescriptorFlags::TABLE_OR_PAGE)
            .union(DescriptorFlags::VALID);
        LeafBits(self.0 & !(address | others.bits()))
    }

    /// The same leaf with other attribute fields.
    pub(super) const fn with_bits(self, bits: LeafBits, format: DescriptorFormat) -> Self {
        Self(self.0 ^ self.bits(format).0 ^ bits.0)
    }

    /// The descriptor, valid.
    pub(super) const fn raw(self) -> u64 {
        self.0
    }

    pub(super) const fn is_contiguous(self) -> bool {
        self.flags().contains(DescriptorFlags::CONTIGUOUS)
    }

    pub(super) const fn is_transient(self) -> bool {
        self.flags().contains(DescriptorFlags::TRANSIENT)
    }

    const fn flags(self) -> DescriptorFlags {
        DescriptorFlags::from_bits_truncate(self.0)
    }

    /// The attributes that [`LeafBits::new`] encoded with the same `format` and `walks`.
    pub(super) fn attributes<R: Regime>(
        self,
        format: DescriptorFormat,
        walks: Shareability,
    ) -> Attributes {
        let flags = self.flags();
        let memory = match (self.0 >> ATTRIBUTE_INDEX) & 0b111 {
            0 => MemoryType::NormalWriteBack,
            1 => MemoryType::Device,
            3 => MemoryType::DeviceNGnRnE,
            _ => MemoryType::NormalNonCacheable,
        };
        let mut pas_mask = DescriptorFlags::NS;
        if !R::UNPRIVILEGED {
            pas_mask |= DescriptorFlags::NSE;
        }
        let pas = PhysicalAddressSpace::ALL
            .into_iter()
            .find(|&pas| R::pas_flags(pas) == Some(flags & pas_mask))
            .unwrap_or(R::OWN_PAS);
        let user = R::UNPRIVILEGED && flags.contains(DescriptorFlags::UNPRIVILEGED);
        let execute_never = if R::UNPRIVILEGED && !user {
            DescriptorFlags::PRIVILEGED_EXECUTE_NEVER
        } else {
            DescriptorFlags::EXECUTE_NEVER
        };
        let shareability = match (format, memory) {
            (DescriptorFormat::Lpa2, MemoryType::NormalWriteBack) => walks,
            (DescriptorFormat::Lpa2, _) => Shareability::Outer,
            (DescriptorFormat::Bits48, _) => match (self.0 >> SHAREABILITY) & 0b11 {
                0b11 => Shareability::Inner,
                0b10 => Shareability::Outer,
                _ => Shareability::Non,
            },
        };
        Attributes {
            memory,
            access: if flags.contains(DescriptorFlags::READ_ONLY) {
                DataAccess::ReadOnly
            } else {
                DataAccess::ReadWrite
            },
            executable: !flags.contains(execute_never),
            guarded: flags.contains(DescriptorFlags::GUARDED),
            privilege: if user { Privilege::User } else { Privilege::Privileged },
            pas,
            shareability,
            global: !R::UNPRIVILEGED || !flags.contains(DescriptorFlags::NON_GLOBAL),
        }
    }
}

/// A decoded descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Descriptor {
    /// Never mapped, or removed.
    Empty,
    /// Of a transient region, not mapped.
    Transient,
    /// A table of the next level.
    Table(PhysAddr),
    /// A block or page.
    Leaf(LeafDescriptor),
    /// A table that is being removed.
    ParkedTable(PhysAddr),
    /// A block or page that is being changed.
    ParkedLeaf(LeafDescriptor),
}

impl Descriptor {
    pub(super) const fn decode(raw: u64, level: Level, format: DescriptorFormat) -> Self {
        let flags = DescriptorFlags::from_bits_truncate(raw);
        let is_table =
            !matches!(level, Level::Three) && flags.contains(DescriptorFlags::TABLE_OR_PAGE);
        let address = PhysAddr::new(decode_address(raw, format));
        if flags.contains(DescriptorFlags::VALID) {
            if is_table { Self::Table(address) } else { Self::Leaf(LeafDescriptor(raw)) }
        } else if flags.contains(DescriptorFlags::PARKED) {
            let content = raw & !DescriptorFlags::PARKED.bits() | DescriptorFlags::VALID.bits();
            if is_table {
                Self::ParkedTable(address)
            } else {
                Self::ParkedLeaf(LeafDescriptor(content))
            }
        } else if raw == TRANSIENT_UNMAPPED {
            Self::Transient
        } else {
            Self::Empty
        }
    }
}
