// SPDX-License-Identifier: BSD-3-Clause
//! RTT entries. Only this file knows the bits of a stage-2 descriptor (Arm ARM (DDI 0487 L.a) D8.3;
//! RMM specification 1.0, RTT entry).
//!
//! An [`Entry`] has a state for the host (HIPAS) and one for the Realm (RIPAS). Only ASSIGNED with
//! RIPAS RAM, ASSIGNED_NS and TABLE are valid descriptors. The walker ignores all bits of an
//! invalid descriptor except bit 0. The RMM uses them:
//!
//! | 49:12, 9:8 | 5:4 | 2 | 0 |
//! | --- | --- | --- | --- |
//! | address, if ASSIGNED | RIPAS | ASSIGNED | 0 |
//!
//! So zero is UNASSIGNED with RIPAS EMPTY, and an entry is live if bit 0 or bit 2 is set
//! ([`is_live`]). UNASSIGNED_NS of the specification is zero as well: the IPA tells the two apart.
//!
//! Memory types are those of FEAT_S2FWB: HCR_EL2.FWB is 1 while a Realm runs.

use crate::address::PhysAddr;
use crate::granule::GranuleAddress;
use crate::xlat::{
    DescriptorFlags, DescriptorFormat, Level, SHAREABILITY, decode_address, encode_address,
};

const VALID: u64 = DescriptorFlags::VALID.bits();
const TABLE_OR_PAGE: u64 = DescriptorFlags::TABLE_OR_PAGE.bits();
const ACCESS_FLAG: u64 = DescriptorFlags::ACCESS_FLAG.bits();

/// In an invalid descriptor: HIPAS is ASSIGNED.
const ASSIGNED: u64 = 1 << 2;
/// In an invalid descriptor: the lowest bit of RIPAS.
const RIPAS: u32 = 4;

/// MemAttr\[3:0\] in bits 5:2 with FWB; bit 5 is 0 in every value used here.
const MEMORY_ATTRIBUTES: u64 = 0x7 << 2;
/// MemAttr of memory that is Normal Write-Back for any stage 1 attributes.
const NORMAL_WRITE_BACK: u64 = 0x6 << 2;
/// A value of MemAttr that is reserved with FWB.
const RESERVED_MEMORY_ATTRIBUTES: u64 = 0x4 << 2;
/// S2AP: read and write.
const READ_WRITE: u64 = 0x3 << 6;
/// SH, in the format without LPA2.
const INNER_SHAREABLE: u64 = 0x3 << SHAREABILITY;
/// XN: at EL1 and EL0.
const EXECUTE_NEVER: u64 = 0x2 << 53;
/// NS: the output address is in Non-secure PAS.
const NON_SECURE: u64 = 1 << 55;

/// Realm IPA state (RMM specification 1.0, RmiRipas), with the numbers of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ripas {
    /// No memory, as the Realm sees it.
    Empty = 0,
    /// Private memory of the Realm.
    Ram = 1,
    /// Was private memory until the host took it away.
    Destroyed = 2,
}

/// The part of an unprotected mapping that the host chooses: output address and attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnprotectedMapping {
    output: PhysAddr,
    /// MemAttr and S2AP, in their places.
    attributes: u64,
}

impl UnprotectedMapping {
    /// Decodes a descriptor of the host for an entry at `level` (RMI_RTT_MAP_UNPROTECTED).
    ///
    /// `None` if it sets bits that the host does not control, if its output address is not aligned
    /// to what the entry maps, or if its memory attributes are reserved.
    pub fn new(descriptor: u64, level: Level, format: DescriptorFormat) -> Option<Self> {
        const ATTRIBUTES: u64 = MEMORY_ATTRIBUTES | READ_WRITE;
        let output = PhysAddr::new(decode_address(descriptor, format));
        let host_controlled = encode_address(output.get()) | descriptor & ATTRIBUTES;
        let implemented = output.get() >> format.address_bits() == 0;
        let aligned = output.is_aligned(level.entry_size());
        let reserved = descriptor & MEMORY_ATTRIBUTES == RESERVED_MEMORY_ATTRIBUTES;
        (descriptor == host_controlled && implemented && aligned && !reserved)
            .then_some(Self { output, attributes: descriptor & ATTRIBUTES })
    }

    /// The output address, in Non-secure PAS.
    pub fn output(self) -> PhysAddr {
        self.output
    }

    /// The descriptor as the host gave it.
    pub fn descriptor(self) -> u64 {
        encode_address(self.output.get()) | self.attributes
    }
}

/// A decoded RTT entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Without memory. In the unprotected half RIPAS is EMPTY.
    Unassigned(Ripas),
    /// Protected, with Data granules of the Realm: from this address up, as many as the entry maps.
    Assigned(Ripas, PhysAddr),
    /// Unprotected, mapped as the host chose.
    AssignedNs(UnprotectedMapping),
    /// The table of the next level.
    Table(GranuleAddress),
}

impl Entry {
    /// The descriptor of this entry in a table at `level`.
    ///
    /// Addresses are multiples of what the entry maps and fit `format`. Level 3 has no tables, and
    /// only levels 1 and 2 have blocks.
    pub fn encode(self, level: Level, format: DescriptorFormat) -> u64 {
        let leaf = match level {
            Level::Three => TABLE_OR_PAGE,
            _ => 0,
        } | match format {
            DescriptorFormat::Bits48 => INNER_SHAREABLE,
            DescriptorFormat::Lpa2 => 0,
        } | ACCESS_FLAG
            | VALID;
        match self {
            Self::Unassigned(ripas) => (ripas as u64) << RIPAS,
            Self::Assigned(Ripas::Ram, memory) => {
                encode_address(memory.get()) | NORMAL_WRITE_BACK | READ_WRITE | leaf
            }
            Self::Assigned(ripas, memory) => {
                encode_address(memory.get()) | (ripas as u64) << RIPAS | ASSIGNED
            }
            Self::AssignedNs(mapping) => mapping.descriptor() | NON_SECURE | EXECUTE_NEVER | leaf,
            Self::Table(table) => encode_address(table.get().get()) | TABLE_OR_PAGE | VALID,
        }
    }

    /// Decodes `raw`, made by [`encode`](Self::encode), in a table at `level`.
    pub fn decode(raw: u64, level: Level, format: DescriptorFormat) -> Self {
        let address = PhysAddr::new(decode_address(raw, format));
        if raw & VALID == 0 {
            let ripas = match (raw >> RIPAS) & 3 {
                0 => Ripas::Empty,
                1 => Ripas::Ram,
                _ => Ripas::Destroyed,
            };
            return if raw & ASSIGNED == 0 {
                Self::Unassigned(ripas)
            } else {
                Self::Assigned(ripas, address)
            };
        }
        if level != Level::Three
            && let Some(table) = table_address(raw, format)
        {
            return Self::Table(table);
        }
        if raw & NON_SECURE != 0 {
            let attributes = raw & (MEMORY_ATTRIBUTES | READ_WRITE);
            return Self::AssignedNs(UnprotectedMapping { output: address, attributes });
        }
        Self::Assigned(Ripas::Ram, address)
    }

    /// Whether it is a valid page or block descriptor, so that TLBs may hold it.
    pub fn is_mapping(self) -> bool {
        matches!(self, Self::Assigned(Ripas::Ram, _) | Self::AssignedNs(_))
    }

    /// The RIPAS of a protected entry that is not a TABLE.
    pub fn ripas(self) -> Option<Ripas> {
        match self {
            Self::Unassigned(ripas) | Self::Assigned(ripas, _) => Some(ripas),
            Self::AssignedNs(_) | Self::Table(_) => None,
        }
    }

    /// Whether it is live: it has memory or a table. The references of its table count live
    /// entries.
    pub fn is_live(self) -> bool {
        !matches!(self, Self::Unassigned(_))
    }
}

/// Whether a protected entry has this RIPAS; a TABLE has none.
pub(super) fn has_ripas(raw: u64, level: Level, ripas: Ripas) -> bool {
    if raw & VALID == 0 {
        return (raw >> RIPAS) & 3 == ripas as u64;
    }
    let is_table = level != Level::Three && raw & TABLE_OR_PAGE != 0;
    ripas == Ripas::Ram && !is_table
}

/// The table that a descriptor points to, in a table that is not at level 3.
pub(super) fn table_address(raw: u64, format: DescriptorFormat) -> Option<GranuleAddress> {
    const TABLE: u64 = VALID | TABLE_OR_PAGE;
    let address = PhysAddr::new(decode_address(raw, format));
    (raw & TABLE == TABLE).then(|| GranuleAddress::containing(address))
}

/// Whether any of several descriptors, or-ed together, is live: those that are not have neither
/// bit.
pub(super) fn is_live(raw: u64) -> bool {
    raw & (VALID | ASSIGNED) != 0
}
