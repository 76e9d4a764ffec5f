// SPDX-License-Identifier: BSD-3-Clause
//! Descriptors: the only place that knows their bits (Arm ARM D8.3, VMSAv8-64 with the 4 KiB
//! granule).
//!
//! An invalid descriptor is ignored by the walker in all but bit 0, and that is used: a *transient*
//! entry without a page is marked, so that it differs from one that was never valid; and a *parked*
//! one keeps its content over a break-before-make, so that none needs memory elsewhere.

use super::attributes::{
    Attributes, DataAccess, MemoryType, PhysicalAddressSpace, Privilege, Shareability,
};
use super::error::AttributeRule;
use super::level::Level;
use super::regime::Regime;
use crate::address::PhysAddr;

pub(crate) const VALID: u64 = 1 << 0;
/// With VALID: a table at levels -1 to 2, a page at level 3. Without it: a block.
pub(crate) const TABLE_OR_PAGE: u64 = 1 << 1;
const ATTRIBUTE_INDEX: u32 = 2;
/// Non-secure; with NSE of the EL3 regime also Realm.
pub(super) const NS: u64 = 1 << 5;
/// AP\[1\]: EL0 may access. Of regimes without an EL0 it is RES1.
const UNPRIVILEGED: u64 = 1 << 6;
/// AP\[2\].
const READ_ONLY: u64 = 1 << 7;
/// SH\[1:0\]; with LPA2 the place of output address bits 51:50.
pub(crate) const SHAREABILITY: u32 = 8;
pub(crate) const ACCESS_FLAG: u64 = 1 << 10;
/// nG, of regimes with ASIDs.
const NON_GLOBAL: u64 = 1 << 11;
/// NSE, of the EL3 regime, in the place of nG.
pub(super) const NSE: u64 = 1 << 11;
/// GP: guarded page (FEAT_BTI).
const GUARDED: u64 = 1 << 50;
pub(super) const CONTIGUOUS: u64 = 1 << 52;
/// PXN, of regimes with an EL0.
const PRIVILEGED_EXECUTE_NEVER: u64 = 1 << 53;
/// UXN of regimes with an EL0, XN of the others.
const EXECUTE_NEVER: u64 = 1 << 54;
/// Software bit: a page of a transient region, valid or not.
pub(super) const TRANSIENT: u64 = 1 << 55;
/// Software bit, with VALID clear: the rest is as it was, or will be, with VALID set.
const PARKED: u64 = 1 << 56;

/// Output or table address bits 49:12 in their own place.
const ADDRESS: u64 = 0x0003_ffff_ffff_f000;
/// Where address bits 51:50 go with LPA2.
const ADDRESS_HIGH: u64 = 0x300;
const ADDRESS_HIGH_SHIFT: u32 = 42;

/// The transient entry without a page.
pub(super) const TRANSIENT_UNMAPPED: u64 = TRANSIENT;
pub(super) const EMPTY: u64 = 0;

/// How addresses are laid out in descriptors, which goes with TCR.DS. It is chosen before the MMU
/// is on.
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

    /// Whether a leaf (block or page) may stand at `level` (Arm ARM D8.3.1).
    pub(super) const fn leaf_at(self, level: Level) -> bool {
        match level {
            Level::MinusOne => false,
            Level::Zero => matches!(self, Self::Lpa2),
            Level::One | Level::Two | Level::Three => true,
        }
    }
}

/// Whether the Contiguous hint may be given at `level` (Arm ARM D8.7.1).
pub(super) const fn contiguous_at(level: Level) -> bool {
    matches!(level, Level::One | Level::Two | Level::Three)
}

/// An address in a descriptor. Right for both formats, since without LPA2 no address has bits
/// 51:48.
pub(crate) const fn encode_address(pa: u64) -> u64 {
    pa & ADDRESS | (pa >> ADDRESS_HIGH_SHIFT) & ADDRESS_HIGH
}

/// The address that `raw` holds. Its own bits 11:0 and those of other fields are left out.
pub(crate) const fn decode_address(raw: u64, format: DescriptorFormat) -> u64 {
    match format {
        DescriptorFormat::Bits48 => raw & ADDRESS,
        DescriptorFormat::Lpa2 => raw & ADDRESS | (raw & ADDRESS_HIGH) << ADDRESS_HIGH_SHIFT,
    }
}

/// The descriptor of a table at `pa`, a multiple of 4 KiB.
pub(super) const fn table(pa: PhysAddr) -> u64 {
    encode_address(pa.get()) | TABLE_OR_PAGE | VALID
}

/// The descriptor of a leaf at `level` with output address `pa`, a multiple of what the level maps.
pub(super) const fn leaf(bits: LeafBits, pa: PhysAddr, level: Level) -> u64 {
    let kind = match level {
        Level::Three => TABLE_OR_PAGE,
        _ => 0,
    };
    encode_address(pa.get()) | bits.0 | kind | VALID
}

/// `raw` made invalid with its content kept.
pub(super) const fn park(raw: u64) -> u64 {
    raw & !VALID | PARKED
}

/// The bits of a leaf that come from attributes: no address, kind or hint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LeafBits(u64);

impl LeafBits {
    /// Encodes `attributes` for regime `R`.
    ///
    /// `walks` is the shareability in TCR, which with LPA2 is that of write-back mappings as well.
    pub(super) fn new<R: Regime>(
        attributes: Attributes,
        format: DescriptorFormat,
        walks: Shareability,
    ) -> Result<Self, AttributeRule> {
        attributes.check()?;
        let user = matches!(attributes.privilege, Privilege::User);
        if user && !R::UNPRIVILEGED {
            return Err(AttributeRule::NoUnprivilegedAccess);
        }
        if !attributes.global && !R::UNPRIVILEGED {
            return Err(AttributeRule::NoNonGlobal);
        }
        let write_back = matches!(attributes.memory, MemoryType::NormalWriteBack);
        let lpa2 = matches!(format, DescriptorFormat::Lpa2);
        if lpa2 && write_back && attributes.shareability != walks {
            return Err(AttributeRule::ShareabilityFixedByLpa2);
        }
        let pas = R::PAS_BITS.get(attributes.pas).ok_or(AttributeRule::PhysicalAddressSpace)?;
        if attributes.executable && attributes.pas != R::OWN_PAS {
            return Err(AttributeRule::ExecutableElsewhere);
        }

        let set = |bit: u64, condition: bool| if condition { bit } else { 0 };
        let execute_never = if R::UNPRIVILEGED {
            // Executable at EL0 or at the privileged level, never at both.
            set(EXECUTE_NEVER, !(attributes.executable && user))
                | set(PRIVILEGED_EXECUTE_NEVER, !attributes.executable || user)
        } else {
            set(EXECUTE_NEVER, !attributes.executable)
        };
        let shareability =
            if lpa2 { 0 } else { shareability_bits(attributes.shareability) << SHAREABILITY };
        Ok(Self(
            attribute_index(attributes.memory) << ATTRIBUTE_INDEX
                | pas
                | set(UNPRIVILEGED, user || !R::UNPRIVILEGED)
                | set(READ_ONLY, matches!(attributes.access, DataAccess::ReadOnly))
                | shareability
                | ACCESS_FLAG
                | set(NON_GLOBAL, !attributes.global)
                | set(GUARDED, attributes.guarded)
                | execute_never,
        ))
    }

    /// The same, for pages of a transient region.
    pub(super) const fn transient_page(self) -> PageBits {
        PageBits(self.0 | TRANSIENT | TABLE_OR_PAGE | VALID)
    }
}

/// All bits of a page of a transient region but its address, so that a map has as little as
/// possible left to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PageBits(u64);

impl PageBits {
    /// The descriptor of a page with output address `pa`, a multiple of 4 KiB.
    pub(super) const fn at(self, pa: PhysAddr) -> u64 {
        encode_address(pa.get()) | self.0
    }
}

/// The index in MAIR of a memory type. `mmu::MAIR` is built from it.
pub(super) const fn attribute_index(memory: MemoryType) -> u64 {
    match memory {
        MemoryType::NormalWriteBack => 0,
        MemoryType::Device => 1,
        MemoryType::NormalNonCacheable => 2,
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
    /// Output address of its first byte.
    pub(super) const fn pa(self, format: DescriptorFormat) -> PhysAddr {
        PhysAddr::new(decode_address(self.0, format))
    }

    /// What [`leaf`] was given.
    pub(super) const fn bits(self, format: DescriptorFormat) -> LeafBits {
        let address = match format {
            DescriptorFormat::Bits48 => ADDRESS,
            DescriptorFormat::Lpa2 => ADDRESS | ADDRESS_HIGH,
        };
        LeafBits(self.0 & !(address | CONTIGUOUS | TABLE_OR_PAGE | VALID))
    }

    /// The descriptor itself, valid.
    pub(super) const fn raw(self) -> u64 {
        self.0
    }

    pub(super) const fn is_contiguous(self) -> bool {
        self.0 & CONTIGUOUS != 0
    }

    pub(super) const fn is_transient(self) -> bool {
        self.0 & TRANSIENT != 0
    }

    /// The attributes that [`LeafBits::new`] made it from, with the same `format` and `walks`.
    pub(super) fn attributes<R: Regime>(
        self,
        format: DescriptorFormat,
        walks: Shareability,
    ) -> Attributes {
        let is_set = |bit: u64| self.0 & bit != 0;
        let memory = match (self.0 >> ATTRIBUTE_INDEX) & 0b111 {
            0 => MemoryType::NormalWriteBack,
            1 => MemoryType::Device,
            _ => MemoryType::NormalNonCacheable,
        };
        let pas_bits = if R::UNPRIVILEGED { NS } else { NS | NSE };
        let pas = [
            PhysicalAddressSpace::Realm,
            PhysicalAddressSpace::NonSecure,
            PhysicalAddressSpace::Root,
            PhysicalAddressSpace::Secure,
        ]
        .into_iter()
        .find(|&pas| R::PAS_BITS.get(pas) == Some(self.0 & pas_bits))
        .unwrap_or(PhysicalAddressSpace::Realm);
        let user = R::UNPRIVILEGED && is_set(UNPRIVILEGED);
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
            access: if is_set(READ_ONLY) { DataAccess::ReadOnly } else { DataAccess::ReadWrite },
            executable: !is_set(if R::UNPRIVILEGED && !user {
                PRIVILEGED_EXECUTE_NEVER
            } else {
                EXECUTE_NEVER
            }),
            guarded: is_set(GUARDED),
            privilege: if user { Privilege::User } else { Privilege::Privileged },
            pas,
            shareability,
            global: !R::UNPRIVILEGED || !is_set(NON_GLOBAL),
        }
    }
}

/// What an entry of a table says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Descriptor {
    /// Never mapped, or removed.
    Empty,
    /// Of a transient region, without a page.
    Transient,
    /// A table of the next level.
    Table(PhysAddr),
    /// A block or page.
    Leaf(LeafDescriptor),
    /// A table that is being taken away.
    ParkedTable(PhysAddr),
    /// A block or page that is being changed.
    ParkedLeaf(LeafDescriptor),
}

impl Descriptor {
    pub(super) const fn decode(raw: u64, level: Level, format: DescriptorFormat) -> Self {
        let points_to_table = !matches!(level, Level::Three) && raw & TABLE_OR_PAGE != 0;
        let address = PhysAddr::new(decode_address(raw, format));
        if raw & VALID != 0 {
            if points_to_table { Self::Table(address) } else { Self::Leaf(LeafDescriptor(raw)) }
        } else if raw & PARKED != 0 {
            if points_to_table {
                Self::ParkedTable(address)
            } else {
                Self::ParkedLeaf(LeafDescriptor(raw & !PARKED | VALID))
            }
        } else if raw == TRANSIENT_UNMAPPED {
            Self::Transient
        } else {
            Self::Empty
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{El1And0, El2, El2And0, El3};
    use super::*;

    const WALKS: Shareability = Shareability::Inner;

    fn page<R: Regime>(attributes: Attributes, format: DescriptorFormat) -> u64 {
        let bits = LeafBits::new::<R>(attributes, format, WALKS).expect("good attributes");
        leaf(bits, PhysAddr::new(0x8000_0000), Level::Three)
    }

    /// Every combination that makes sense in regime `R`.
    fn all<R: Regime>(format: DescriptorFormat) -> Vec<Attributes> {
        use PhysicalAddressSpace::{NonSecure, Realm, Root, Secure};
        let mut all = Vec::new();
        for memory in
            [MemoryType::NormalWriteBack, MemoryType::Device, MemoryType::NormalNonCacheable]
        {
            for (access, executable, guarded) in [
                (DataAccess::ReadOnly, false, false),
                (DataAccess::ReadWrite, false, false),
                (DataAccess::ReadOnly, true, false),
                (DataAccess::ReadOnly, true, true),
            ] {
                for privilege in [Privilege::Privileged, Privilege::User] {
                    for pas in [Secure, NonSecure, Root, Realm] {
                        for shareability in
                            [Shareability::Non, Shareability::Outer, Shareability::Inner]
                        {
                            for global in [false, true] {
                                all.push(Attributes {
                                    memory,
                                    access,
                                    executable,
                                    guarded,
                                    privilege,
                                    pas,
                                    shareability,
                                    global,
                                });
                            }
                        }
                    }
                }
            }
        }
        all.retain(|&attributes| LeafBits::new::<R>(attributes, format, WALKS).is_ok());
        all
    }

    fn round_trips<R: Regime>() {
        for format in [DescriptorFormat::Bits48, DescriptorFormat::Lpa2] {
            let all = all::<R>(format);
            assert!(all.len() > 10, "{}", R::NAME);
            for attributes in all {
                let bits = LeafBits::new::<R>(attributes, format, WALKS).expect("good attributes");
                for level in [Level::One, Level::Two, Level::Three] {
                    let address = match format {
                        DescriptorFormat::Bits48 => PhysAddr::new(0xffff_c000_0000),
                        DescriptorFormat::Lpa2 => PhysAddr::new(0xf_ffff_c000_0000),
                    };
                    let raw = leaf(bits, address, level) | CONTIGUOUS;
                    let Descriptor::Leaf(leaf) = Descriptor::decode(raw, level, format) else {
                        panic!("{raw:#x} is no leaf")
                    };
                    assert_eq!(leaf.pa(format), address);
                    assert_eq!(leaf.bits(format), bits);
                    assert_eq!(leaf.attributes::<R>(format, WALKS), attributes);
                    assert_eq!(
                        Descriptor::decode(park(raw), level, format),
                        Descriptor::ParkedLeaf(leaf)
                    );
                }
            }
        }
    }

    #[test]
    fn attributes_survive_encoding_in_every_regime() {
        round_trips::<El1And0>();
        round_trips::<El2>();
        round_trips::<El2And0>();
        round_trips::<El3>();
    }

    #[test]
    fn each_regime_has_its_own_bits() {
        let code = Attributes::code().guarded();
        let format = DescriptorFormat::Bits48;
        // Common: AF, inner shareable, read-only, index 0, page, GP.
        let common = 0x0004_0000_8000_0783;
        assert_eq!(page::<El2And0>(code, format), common | EXECUTE_NEVER);
        assert_eq!(page::<El1And0>(code, format), common | EXECUTE_NEVER);
        assert_eq!(page::<El2>(code, format), common | UNPRIVILEGED);
        let root = code.in_pas(PhysicalAddressSpace::Root);
        assert_eq!(page::<El3>(root, format), common | UNPRIVILEGED | NSE);
        let user = common | PRIVILEGED_EXECUTE_NEVER | UNPRIVILEGED;
        assert_eq!(page::<El2And0>(code.user(), format), user);
        let never = Attributes::read_write();
        assert_eq!(
            page::<El2And0>(never, format) & (EXECUTE_NEVER | PRIVILEGED_EXECUTE_NEVER),
            EXECUTE_NEVER | PRIVILEGED_EXECUTE_NEVER
        );
        assert_eq!(
            page::<El3>(never, format) & (EXECUTE_NEVER | PRIVILEGED_EXECUTE_NEVER),
            EXECUTE_NEVER
        );
    }

    #[test]
    fn el3_selects_each_physical_address_space_by_nse_and_ns() {
        for (pas, bits) in [
            (PhysicalAddressSpace::Secure, 0),
            (PhysicalAddressSpace::NonSecure, NS),
            (PhysicalAddressSpace::Root, NSE),
            (PhysicalAddressSpace::Realm, NSE | NS),
        ] {
            let raw = page::<El3>(Attributes::read_write().in_pas(pas), DescriptorFormat::Bits48);
            assert_eq!(raw & (NSE | NS), bits, "{pas}");
        }
    }

    #[test]
    fn lpa2_puts_address_bits_where_shareability_was() {
        let bits =
            LeafBits::new::<El2And0>(Attributes::read_write(), DescriptorFormat::Lpa2, WALKS);
        let bits = bits.expect("good attributes");
        let raw = leaf(bits, PhysAddr::new(0xf_0000_0000_1000), Level::Three);
        assert_eq!(raw & 0x0003_ffff_ffff_f300, 0x0003_0000_0000_1300);
        assert_eq!(table(PhysAddr::new(0xc_0000_0000_1000)), 0x1303);
        let decoded = Descriptor::decode(0x1303, Level::Two, DescriptorFormat::Lpa2);
        assert_eq!(decoded, Descriptor::Table(PhysAddr::new(0xc_0000_0000_1000)));
    }

    #[test]
    fn what_a_regime_or_format_cannot_say_is_refused() {
        let new = |attributes| {
            LeafBits::new::<El2>(attributes, DescriptorFormat::Lpa2, WALKS).map(|_| ())
        };
        let data = Attributes::read_write();
        assert_eq!(new(data.user()), Err(AttributeRule::NoUnprivilegedAccess));
        assert_eq!(new(data.non_global()), Err(AttributeRule::NoNonGlobal));
        assert_eq!(
            new(data.in_pas(PhysicalAddressSpace::Root)),
            Err(AttributeRule::PhysicalAddressSpace)
        );
        assert_eq!(
            new(data.shareable(Shareability::Non)),
            Err(AttributeRule::ShareabilityFixedByLpa2)
        );
        let non_secure = data.in_pas(PhysicalAddressSpace::NonSecure);
        let elsewhere = Attributes::code().in_pas(PhysicalAddressSpace::NonSecure);
        assert_eq!(new(elsewhere), Err(AttributeRule::ExecutableElsewhere));
        let realm_el3 = LeafBits::new::<El3>(Attributes::code(), DescriptorFormat::Bits48, WALKS);
        assert_eq!(realm_el3, Err(AttributeRule::ExecutableElsewhere));
        let realm_el1 = LeafBits::new::<El1And0>(non_secure, DescriptorFormat::Bits48, WALKS);
        assert_eq!(realm_el1, Err(AttributeRule::PhysicalAddressSpace));
    }

    #[test]
    fn invalid_entries_differ_by_why_they_are() {
        let decode = |raw| Descriptor::decode(raw, Level::Three, DescriptorFormat::Bits48);
        assert_eq!(decode(EMPTY), Descriptor::Empty);
        assert_eq!(decode(TRANSIENT_UNMAPPED), Descriptor::Transient);
        let table = PhysAddr::new(0x5000);
        let parked =
            Descriptor::decode(park(super::table(table)), Level::Two, DescriptorFormat::Bits48);
        assert_eq!(parked, Descriptor::ParkedTable(table));
        assert_eq!(park(super::table(table)) & VALID, 0);
    }
}
