// SPDX-License-Identifier: BSD-3-Clause
//! The parameters of a Realm (RmiRealmParams): copied from the host's memory once, then checked.
//!
//! [`RealmParameters`] has only legal values. Reserved fields are neither read nor measured.

use core::mem::offset_of;

use zerocopy::FromZeros;

use super::features::RealmFeatures;
use super::measurement::{HashAlgorithm, MeasuredRealmParameters};
use super::stage2::{Stage2, Stage2Features};
use super::vmid::{Vmid, VmidChoice};
use crate::abi::rmi_v1::{RealmAttributes, RealmFlags, RealmStage2, RmiRealmParams};
use crate::address::{GRANULE_SIZE, PhysAddr};
use crate::cpu::debug::OF_REALM;
use crate::granule::GranuleAddress;
use crate::mem::words_of;
use crate::xlat::Level;

/// The least IPA width of a Realm.
const MIN_IPA_BITS: u8 = 32;
/// The most bits of an address, virtual or physical, without LPA2.
const MAX_BITS_WITHOUT_LPA2: u8 = 48;
/// The least physical address size with which a walk can start at level 0 (Arm ARM (DDI 0487 L.a)
/// D8.2.7).
const MIN_PHYSICAL_BITS_FOR_LEVEL_0: u8 = 44;

/// Limits of this RMM and these CPUs for a Realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealmLimits {
    /// The most bits of an IPA.
    pub ipa_bits: u8,
    /// Bits of a physical address that the CPUs implement.
    pub physical_bits: u8,
    /// Whether stage 2 has 52-bit descriptors.
    pub lpa2: bool,
    /// The greatest vector length of SVE, encoded as in ZCR_EL2.LEN; `None` without SVE.
    pub sve_length: Option<u8>,
    /// Event counters of the PMU; `None` without one.
    pub pmu_counters: Option<u8>,
    /// Whether a PMU may have no event counter (FEAT_HPMN0).
    pub pmu_may_be_empty: bool,
    /// Breakpoints, less one.
    pub breakpoints: u8,
    /// Watchpoints, less one.
    pub watchpoints: u8,
    /// Bits of a VMID: 8 or 16.
    pub vmid_bits: u8,
    /// What the registers of stage 2 depend on.
    pub stage2: Stage2Features,
}

/// Which parameter is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealmParametersError {
    /// A flag for a feature that this RMM or CPU does not have, or an undefined flag.
    Flags,
    /// The IPA width is less than 32, or too large.
    IpaBits,
    /// The vector length is more than the CPUs have.
    SveLength,
    /// The PMU has fewer event counters, or none were requested and it must have one.
    PmuCounters,
    /// Breakpoints are 0, which is reserved, or too many.
    Breakpoints,
    /// Watchpoints are 0, which is reserved, or too many.
    Watchpoints,
    /// The hash algorithm is not supported.
    Algorithm,
    /// A walk cannot start at the level of the root tables.
    StartLevel,
    /// A walk from this level does not translate this IPA width.
    IpaBitsFromStartLevel,
    /// The number of root tables does not follow from IPA width and level.
    RootCount,
    /// The root tables are not aligned to their size together, or beyond what descriptors reach.
    Root,
    /// The VMID has too many bits.
    Vmid,
}

/// The fields of RmiRealmParams that the RMM reads, as the host wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostRealmParameters {
    attributes: RealmAttributes,
    rpv: [u64; 8],
    stage2: RealmStage2,
}

/// Rules for the parameters that differ between the dialects of the RMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterRules {
    /// Flags that are legal and have no effect. They are measured.
    pub inert_flags: u64,
    /// Whether 0 breakpoints or watchpoints are legal. They mean the fewest that there are.
    pub zero_debug_registers: bool,
    /// Whether the host chooses the VMID.
    pub host_chooses_vmid: bool,
}

/// The fewest breakpoints or watchpoints, less one (Arm ARM (DDI 0487 L.a), ID_AA64DFR0_EL1.BRPs).
/// A Realm has no more.
pub const FEWEST_DEBUG_REGISTERS: u8 = 1;

static_assertions::const_assert!(FEWEST_DEBUG_REGISTERS as usize + 1 == OF_REALM);

/// Whether a number of breakpoints or watchpoints, less one, is legal: 1 to `most`.
fn are_debug_registers(number: u32, most: u8, rules: &ParameterRules) -> bool {
    (number == 0 && rules.zero_debug_registers) || (1..=u32::from(most)).contains(&number)
}

impl HostRealmParameters {
    /// Reads the fields, each once, with `read`, which fills words from a byte offset of the page.
    ///
    /// # Errors
    ///
    /// The first that `read` gives.
    pub fn read<E>(mut read: impl FnMut(usize, &mut [u64]) -> Result<(), E>) -> Result<Self, E> {
        let mut fields = Self {
            attributes: RealmAttributes::new_zeroed(),
            rpv: [0; 8],
            stage2: RealmStage2::new_zeroed(),
        };
        read(offset_of!(RmiRealmParams, attributes), words_of(&mut fields.attributes))?;
        read(offset_of!(RmiRealmParams, rpv), &mut fields.rpv)?;
        read(offset_of!(RmiRealmParams, stage2), words_of(&mut fields.stage2))?;
        Ok(fields)
    }

    /// Checks every field against RMM specification 1.0 (RmiRealmParams), the `rules` of the
    /// dialect, and `limits`.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub fn validate(
        &self,
        limits: &RealmLimits,
        rules: &ParameterRules,
    ) -> Result<RealmParameters, RealmParametersError> {
        let host = &self.attributes;
        let mut supported = RealmFlags::empty();
        supported.set(RealmFlags::LPA2, limits.lpa2);
        supported.set(RealmFlags::SVE, limits.sve_length.is_some());
        supported.set(RealmFlags::PMU, limits.pmu_counters.is_some());
        let flags = RealmFlags::from_bits(host.flags & !rules.inert_flags)
            .filter(|flags| supported.contains(*flags))
            .ok_or(RealmParametersError::Flags)?;
        let sve_length = match limits.sve_length {
            Some(most) if flags.contains(RealmFlags::SVE) => u8::try_from(host.sve_vl)
                .ok()
                .filter(|length| *length <= most)
                .ok_or(RealmParametersError::SveLength)?,
            _ => 0,
        };
        let pmu_counters = match limits.pmu_counters {
            Some(most) if flags.contains(RealmFlags::PMU) => u8::try_from(host.pmu_num_ctrs)
                .ok()
                .filter(|counters| *counters <= most)
                .filter(|counters| *counters > 0 || limits.pmu_may_be_empty)
                .ok_or(RealmParametersError::PmuCounters)?,
            _ => 0,
        };
        if !are_debug_registers(host.num_bps, limits.breakpoints, rules) {
            return Err(RealmParametersError::Breakpoints);
        }
        if !are_debug_registers(host.num_wps, limits.watchpoints, rules) {
            return Err(RealmParametersError::Watchpoints);
        }
        let algorithm =
            HashAlgorithm::from_number(host.algorithm).ok_or(RealmParametersError::Algorithm)?;
        let measured = MeasuredRealmParameters {
            flags: host.flags,
            s2sz: host.s2sz,
            sve_vl: host.sve_vl,
            num_bps: host.num_bps,
            num_wps: host.num_wps,
            pmu_num_ctrs: host.pmu_num_ctrs,
            algorithm,
        };
        let stage2 = self.stage2(flags.contains(RealmFlags::LPA2), limits)?;
        let vmid = if rules.host_chooses_vmid {
            if u32::from(self.stage2.vmid) >> limits.vmid_bits != 0 {
                return Err(RealmParametersError::Vmid);
            }
            VmidChoice::Named(Vmid::new(self.stage2.vmid))
        } else {
            VmidChoice::Any(limits.vmid_bits)
        };
        Ok(RealmParameters {
            measured,
            stage2,
            vmid,
            personalization: self.rpv,
            features: RealmFeatures {
                has_sve: flags.contains(RealmFlags::SVE),
                sve_length,
                has_pmu: flags.contains(RealmFlags::PMU),
                pmu_counters,
            },
        })
    }

    /// The stage-2 translation that the parameters request.
    fn stage2(&self, lpa2: bool, limits: &RealmLimits) -> Result<Stage2, RealmParametersError> {
        let RealmStage2 { rtt_base, rtt_level_start, rtt_num_start, .. } = self.stage2;
        let most_bits =
            if lpa2 { limits.ipa_bits } else { limits.ipa_bits.min(MAX_BITS_WITHOUT_LPA2) };
        let ipa_bits = u8::try_from(self.attributes.s2sz)
            .ok()
            .filter(|bits| (MIN_IPA_BITS..=most_bits).contains(bits))
            .ok_or(RealmParametersError::IpaBits)?;
        let start_level = Level::from_number(rtt_level_start)
            .filter(|level| match level {
                Level::MinusOne => lpa2,
                Level::Zero => limits.physical_bits >= MIN_PHYSICAL_BITS_FOR_LEVEL_0,
                Level::One | Level::Two | Level::Three => true,
            })
            .ok_or(RealmParametersError::StartLevel)?;
        let root_count = root_count(ipa_bits, start_level, lpa2)
            .ok_or(RealmParametersError::IpaBitsFromStartLevel)?;
        if rtt_num_start != u32::from(root_count) {
            return Err(RealmParametersError::RootCount);
        }
        let size = u64::from(root_count) * GRANULE_SIZE;
        let root = PhysAddr::new(rtt_base);
        let address_bits = if lpa2 {
            limits.physical_bits
        } else {
            limits.physical_bits.min(MAX_BITS_WITHOUT_LPA2)
        };
        // Aligned to their size, the tables do not wrap, and all are below the limit if the first
        // is.
        let reachable = rtt_base.checked_shr(u32::from(address_bits)) == Some(0);
        let root = GranuleAddress::new(root)
            .filter(|_| root.is_aligned(size) && reachable)
            .ok_or(RealmParametersError::Root)?;
        Ok(Stage2 {
            ipa_bits,
            start_level,
            root_count,
            lpa2,
            vmid: Vmid::NONE,
            root,
            features: limits.stage2,
        })
    }
}

/// How many root tables at level `start` translate `ipa_bits`; `None` if no number does (Arm ARM
/// (DDI 0487 L.a) D8.2.2, D8.2.7).
const fn root_count(ipa_bits: u8, start: Level, lpa2: bool) -> Option<u8> {
    // Bits that one table at this level translates, and how many more 16 concatenated tables do.
    let (single, more) = match start {
        Level::Three => (21, 4),
        Level::Two => (30, 4),
        Level::One => (39, 4),
        Level::Zero => (48, if lpa2 { 4 } else { 0 }),
        // A table of 16 entries.
        Level::MinusOne => (52, 0),
    };
    // With fewer bits the walk starts one level down.
    let least = if matches!(start, Level::MinusOne) { 49 } else { single - 8 };
    if ipa_bits < least || ipa_bits > single + more {
        None
    } else if ipa_bits <= single {
        Some(1)
    } else {
        Some(1 << (ipa_bits - single))
    }
}

/// A valid set of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealmParameters {
    /// The parameters that are measured.
    pub measured: MeasuredRealmParameters,
    /// The stage-2 translation, without a VMID. Its root tables may be in use.
    pub stage2: Stage2,
    /// Its VMID, which may be in use.
    pub vmid: VmidChoice,
    /// The Realm Personalization Value.
    pub personalization: [u64; 8],
    /// The optional features of the CPU that the Realm gets.
    pub features: RealmFeatures,
}
