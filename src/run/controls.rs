// SPDX-License-Identifier: BSD-3-Clause
//! The EL2 controls while a Realm runs, as pure functions.

use aarch64_cpu::registers::HCR_EL2 as HCR;
use tock_registers::fields::FieldValue;

use crate::arch::sysreg::fields::{CNTHCTL_EL2, CPTR_EL2, MDCR_EL2};

/// Traps that the host requests with an entry, and what is pending for the Realm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HcrInputs {
    /// WFI traps to the RMM, and the REC exits.
    pub trap_wfi: bool,
    /// WFE traps to the RMM, and the REC exits.
    pub trap_wfe: bool,
    /// A virtual SError is pending.
    pub serror: bool,
}

fn flag<R: tock_registers::RegisterLongName>(condition: bool, field: FieldValue<u64, R>) -> u64 {
    if condition { field.value } else { 0 }
}

/// HCR_EL2.
///
/// EL1 registers that are not switched trap: ACTLR_EL1 (TACR), implementation defined registers
/// (TIDCP), error records (TERR), LORegions (TLOR), SCXTNUM (EnSCXT = 0), tags (ATA = 0). So do ID
/// registers (TID3).
pub fn hcr(inputs: HcrInputs) -> u64 {
    let fixed = (HCR::VM::Enable
        + HCR::SWIO::SET
        + HCR::PTW::SET
        + HCR::FMO::EnableVirtualFIQ
        + HCR::IMO::EnableVirtualIRQ
        + HCR::AMO::SET
        + HCR::FB::SET
        + HCR::BSU::InnerShareable
        + HCR::TID3::SET
        + HCR::TSC::EnableTrapEl1SmcToEl2
        + HCR::TIDCP::SET
        + HCR::TACR::SET
        + HCR::RW::EL1IsAarch64
        + HCR::E2H::EnableOsAtEl2
        + HCR::TLOR::SET
        + HCR::TERR::SET
        + HCR::TEA::SET
        + HCR::APK::SET
        + HCR::API::SET
        + HCR::FWB::Enabled)
        .value;
    fixed
        | flag(inputs.trap_wfi, HCR::TWI::SET)
        | flag(inputs.trap_wfe, HCR::TWE::SET)
        | flag(inputs.serror, HCR::VSE::SET)
}

/// HCR_EL2 of the RMM itself.
pub fn hcr_of_rmm() -> u64 {
    (HCR::RW::EL1IsAarch64 + HCR::E2H::EnableOsAtEl2 + HCR::APK::SET + HCR::API::SET).value
}

/// The SIMD registers that a REC can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenSimd {
    /// None: they are the host's.
    None,
    /// V0 to V31: floating point and Advanced SIMD.
    Vectors,
    /// Those of SVE too.
    Sve,
}

/// CPTR_EL2: SME, trace, activity monitors and SIMD registers that are not `open` trap.
pub fn cptr(open: OpenSimd) -> u64 {
    (CPTR_EL2::TTA::SET + CPTR_EL2::TAM::SET).value
        | flag(open != OpenSimd::None, CPTR_EL2::FPEN::None)
        | flag(open == OpenSimd::Sve, CPTR_EL2::ZEN::None)
}

/// MDCR_EL2: debug, trace and profiling registers trap, and PMU registers unless the REC `has_pmu`.
/// Nothing is counted at EL2.
///
/// EL1 has `counters` event counters. The CPU's others belong to EL2 and do not count (HPME = 0).
pub fn mdcr(counters: u64, has_pmu: bool) -> u64 {
    let traps = (MDCR_EL2::TPMCR::SET + MDCR_EL2::TPM::SET).value;
    let fixed = (MDCR_EL2::HPMN.val(counters)
        + MDCR_EL2::TDA::SET
        + MDCR_EL2::TDOSA::SET
        + MDCR_EL2::TDRA::SET
        + MDCR_EL2::TPMS::SET
        + MDCR_EL2::HPMD::SET
        + MDCR_EL2::TTRF::SET
        + MDCR_EL2::HCCD::SET
        + MDCR_EL2::TDCC::SET
        + MDCR_EL2::MTPME::SET)
        .value;
    fixed | if has_pmu { 0 } else { traps }
}

/// CNTHCTL_EL2: the Realm has both counters and timers; an asserted timer is masked.
pub fn cnthctl([physical, virtual_]: [bool; 2]) -> u64 {
    (CNTHCTL_EL2::EL1PCTEN::SET + CNTHCTL_EL2::EL1PTEN::SET).value
        | flag(physical, CNTHCTL_EL2::CNTPMASK::SET)
        | flag(virtual_, CNTHCTL_EL2::CNTVMASK::SET)
}

/// VMPIDR_EL2 of the REC that RMI names by `mpidr`: Aff3 moves from bits 31:24 to 39:32.
pub const fn vmpidr(mpidr: u32) -> u64 {
    const RES1: u64 = 1 << 31;
    let mpidr = mpidr as u64;
    RES1 | mpidr & 0xff_ffff | (mpidr >> 24) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hcr_is_what_the_architecture_calls_these_bits() {
        let base = hcr(HcrInputs::default());
        let expected = [0, 1, 2, 3, 4, 5, 9, 10, 18, 19, 20, 21, 31, 34, 35, 36, 37, 40, 41, 46];
        assert_eq!(base, expected.iter().fold(0, |bits, bit| bits | 1 << bit));
        let with = |inputs| hcr(inputs) ^ base;
        assert_eq!(with(HcrInputs { trap_wfi: true, ..HcrInputs::default() }), 1 << 13);
        assert_eq!(with(HcrInputs { trap_wfe: true, ..HcrInputs::default() }), 1 << 14);
        assert_eq!(with(HcrInputs { serror: true, ..HcrInputs::default() }), 1 << 8);
        assert_eq!(hcr_of_rmm(), 1 << 31 | 1 << 34 | 1 << 40 | 1 << 41);
    }

    #[test]
    fn the_other_controls_are_what_the_architecture_calls_these_bits() {
        assert_eq!(cptr(OpenSimd::None), 0x5000_0000);
        assert_eq!(cptr(OpenSimd::Vectors), 0x5030_0000);
        assert_eq!(cptr(OpenSimd::Sve), 0x5033_0000);
        let traps = [5, 6, 9, 10, 11, 14, 17, 19, 23, 27, 28];
        assert_eq!(mdcr(6, false), traps.iter().fold(6, |bits, bit| bits | 1 << bit));
        assert_eq!(mdcr(6, true), mdcr(6, false) & !(1 << 5 | 1 << 6));
        assert_eq!(cnthctl([false, false]), 0xc00);
        assert_eq!(cnthctl([true, false]), 0x8_0c00);
        assert_eq!(cnthctl([false, true]), 0x4_0c00);
        assert_eq!(vmpidr(0x1203_040f), 0x12_8003_040f);
    }
}
