// SPDX-License-Identifier: BSD-3-Clause
//! The feature registers: what this RMM supports on this CPU. They claim only what is implemented.

use crate::address::PhysAddr;
use crate::cpu::{CpuFeatures, pmu, simd};
use crate::el3::version::Dialect;
use crate::realm::parameters::{FEWEST_DEBUG_REGISTERS, RealmLimits};
use crate::realm::rd::MAX_RECS_ORDER;
use crate::realm::rec::gic::GicFeatures;

/// Feature registers that are defined: 0 in RMI 1.0, 0 to 4 in 2.0.
const REGISTERS: usize = 5;

/// The features of this CPU as the commands report and check them, computed once.
#[derive(Debug)]
pub(super) struct Features {
    registers: [u64; REGISTERS],
    /// The first physical address that this CPU does not implement.
    physical_end: u64,
    realm_limits: RealmLimits,
}

/// Fields of feature register 0, the same in both dialects, and of register 1 (2.0).
mod field {
    pub(super) const S2SZ: u32 = 0;
    pub(super) const LPA2: u32 = 8;
    pub(super) const SVE_EN: u32 = 9;
    pub(super) const SVE_VL: u32 = 10;
    pub(super) const NUM_BPS: u32 = 14;
    pub(super) const NUM_WPS: u32 = 20;
    pub(super) const PMU_EN: u32 = 26;
    pub(super) const PMU_NUM_CTRS: u32 = 27;
    pub(super) const HASH_SHA_256: u32 = 32;
    pub(super) const HASH_SHA_512: u32 = 33;
    pub(super) const GICV3_NUM_LRS: u32 = 34;
    pub(super) const MAX_RECS_ORDER: u32 = 38;
    /// Register 1: 4 KiB RMI granules.
    pub(super) const GRAN_4K: u32 = 0;
    /// Register 1: SHA-256.
    pub(super) const SHA_256: u32 = 3;
    /// Register 1: SHA-512.
    pub(super) const SHA_512: u32 = 5;
    /// Register 1: MAX_RECS_ORDER. L0GPTSZ, bits 13:10, is 0: 1 GiB.
    pub(super) const RECS_ORDER: u32 = 6;
    /// Register 1: protected physical address size, encoded as PARange.
    pub(super) const PPS: u32 = 14;
}

impl Features {
    /// Computes them from the features of the CPUs.
    pub(super) fn new(cpu: &CpuFeatures, dialect: Dialect) -> Self {
        let physical_bits = cpu.physical_bits();
        let lpa2 = cpu.stage2_lpa2();
        // Without LPA2 a 4 KiB granule translates 48 bits at most.
        let ipa_bits = if lpa2 { physical_bits } else { physical_bits.min(48) };
        let limits = RealmLimits {
            ipa_bits,
            physical_bits,
            lpa2,
            sve_length: simd::greatest_length(),
            pmu_counters: cpu.has_pmu().then(pmu::event_counters),
            pmu_may_be_empty: cpu.hpmn0() != 0,
            breakpoints: cpu.breakpoints().min(FEWEST_DEBUG_REGISTERS),
            watchpoints: cpu.watchpoints().min(FEWEST_DEBUG_REGISTERS),
            vmid_bits: cpu.vmid_bits(),
            stage2: cpu.into(),
        };
        let both = u64::from(ipa_bits) << field::S2SZ
            | u64::from(lpa2) << field::LPA2
            | u64::from(limits.sve_length.is_some()) << field::SVE_EN
            | u64::from(limits.sve_length.unwrap_or(0)) << field::SVE_VL
            | u64::from(limits.pmu_counters.is_some()) << field::PMU_EN
            | u64::from(limits.pmu_counters.unwrap_or(0)) << field::PMU_NUM_CTRS
            | u64::from(limits.breakpoints) << field::NUM_BPS
            | u64::from(limits.watchpoints) << field::NUM_WPS;
        let (register0, register1) = match dialect {
            Dialect::V1_0 => {
                let hashes = 1 << field::HASH_SHA_256 | 1 << field::HASH_SHA_512;
                let list_registers = GicFeatures::read().list_registers() as u64 - 1;
                let recs = u64::from(MAX_RECS_ORDER) << field::MAX_RECS_ORDER;
                (both | hashes | list_registers << field::GICV3_NUM_LRS | recs, 0)
            }
            Dialect::V2_0 => {
                let hashes = 1 << field::SHA_256 | 1 << field::SHA_512;
                let recs = u64::from(MAX_RECS_ORDER) << field::RECS_ORDER;
                let range = u64::from(cpu.physical_range_code()) << field::PPS;
                (both, 1 << field::GRAN_4K | hashes | recs | range)
            }
        };
        Self {
            registers: [register0, register1, 0, 0, 0],
            physical_end: 1 << physical_bits,
            realm_limits: limits,
        }
    }

    /// The limits of a Realm's parameters.
    pub(super) fn realm_limits(&self) -> &RealmLimits {
        &self.realm_limits
    }

    /// Whether the range that ends at `end`, exclusive, is implemented.
    pub(super) fn has_physical_range_to(&self, end: PhysAddr) -> bool {
        end.get() <= self.physical_end
    }

    /// A register by its index; those not defined are 0 (RMM specification 1.0, RMI_FEATURES).
    pub(super) fn get(&self, index: u64) -> u64 {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.registers.get(index))
            .copied()
            .unwrap_or(0)
    }
}
