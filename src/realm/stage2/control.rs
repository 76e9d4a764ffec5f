// SPDX-License-Identifier: BSD-3-Clause
//! The parameters of a Realm's stage 2, and its registers VTCR_EL2 and VTTBR_EL2.
//!
//! A [`Stage2`] is made once, from validated Realm parameters. The RD holds it; it never changes.

use crate::cpu::CpuFeatures;
use crate::granule::GranuleAddress;
use crate::realm::vmid::Vmid;
use crate::xlat::{DescriptorFormat, Level};

/// The greatest number of concatenated root tables (Arm ARM (DDI 0487 L.a) D8.2.2).
pub const MAX_ROOT_TABLES: u8 = 16;

/// The stage-2 translation of one Realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage2 {
    /// Bits of an IPA. The lower half of the IPA space is protected.
    pub ipa_bits: u8,
    /// The level of the root tables.
    pub start_level: Level,
    /// The number of root tables, concatenated: 1 to [`MAX_ROOT_TABLES`].
    pub root_count: u8,
    /// Whether descriptors are those of LPA2, with 52-bit addresses.
    pub lpa2: bool,
    /// VMID.
    pub vmid: Vmid,
    /// The first root table; the others follow it.
    pub root: GranuleAddress,
    /// The features of the CPUs that its registers depend on.
    pub features: Stage2Features,
}

/// The features of the CPUs that the registers of stage 2 depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage2Features {
    /// The physical address range, as the code that VTCR_EL2.PS takes.
    pub physical_range: u8,
    /// VMIDs have 16 bits (FEAT_VMID16).
    pub vmid_16: bool,
}

impl From<&CpuFeatures> for Stage2Features {
    fn from(features: &CpuFeatures) -> Self {
        Self { physical_range: features.physical_range_code(), vmid_16: features.vmid_bits() == 16 }
    }
}

impl Stage2 {
    /// How its descriptors hold addresses.
    pub const fn format(&self) -> DescriptorFormat {
        if self.lpa2 { DescriptorFormat::Lpa2 } else { DescriptorFormat::Bits48 }
    }

    /// The value of VTCR_EL2: Write-Back Write-Allocate and Inner Shareable walks, 4 KiB granule.
    #[inline(always)]
    pub const fn vtcr(&self) -> u64 {
        const RES1: u64 = 1 << 31;
        const IRGN0_WRITE_BACK: u64 = 1 << 8;
        const ORGN0_WRITE_BACK: u64 = 1 << 10;
        const SH0_INNER: u64 = 3 << 12;
        const SL0: u32 = 6;
        const PS: u32 = 16;
        const VS: u32 = 19;
        const DS: u32 = 32;
        const SL2: u32 = 33;
        /// PARange codes for 48 and 52 bits. PS is at most what the descriptor format can hold.
        const BITS_48: u8 = 5;
        const BITS_52: u8 = 6;

        let t0sz = 64 - self.ipa_bits as u64;
        let (sl2, sl0) = match self.start_level {
            Level::MinusOne => (1, 0),
            Level::Zero => (0, 2),
            Level::One => (0, 1),
            Level::Two => (0, 0),
            Level::Three => (0, 3),
        };
        let limit = if self.lpa2 { BITS_52 } else { BITS_48 };
        let Stage2Features { physical_range, vmid_16 } = self.features;
        let range = if physical_range < limit { physical_range } else { limit };
        t0sz | sl0 << SL0
            | IRGN0_WRITE_BACK
            | ORGN0_WRITE_BACK
            | SH0_INNER
            | (range as u64) << PS
            | (vmid_16 as u64) << VS
            | RES1
            | (self.lpa2 as u64) << DS
            | sl2 << SL2
    }

    /// The value of VTTBR_EL2: VMID, root, not common to CPUs (CnP is 0).
    pub const fn vttbr(&self) -> u64 {
        const VMID: u32 = 48;
        /// BADDR: address bits 47:5 in place.
        const LOW: u64 = (1 << VMID) - 1;
        /// The lowest bit of address bits 51:48, with 52-bit addresses.
        const HIGH: u32 = 2;
        let root = self.root.get().get();
        (self.vmid.get() as u64) << VMID | root & LOW | (root >> VMID) << HIGH
    }
}
