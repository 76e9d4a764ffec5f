// SPDX-License-Identifier: BSD-3-Clause
//! The ID registers as a Realm sees them: they name only features that it can use.
//!
//! HCR_EL2.TID3 traps all of them (Op0 3, Op1 0, CRn 0, CRm 1 to 7). A field that is zeroed here
//! belongs to a feature that traps, or that means nothing to a Realm.

use tock_registers::interfaces::Readable;

use crate::arch::sysreg::el1::*;
use crate::arch::sysreg::{
    ID_AA64DFR0_EL1, ID_AA64ISAR1_EL1, ID_AA64MMFR0_EL1, ID_AA64MMFR1_EL1, ID_AA64MMFR2_EL1,
};
use crate::realm::features::RealmFeatures;
use crate::realm::parameters::FEWEST_DEBUG_REGISTERS;

/// A field of four bits.
const fn field(low: u32) -> u64 {
    0xf << low
}

/// Several fields, by their lowest bits.
const fn fields<const N: usize>(low: [u32; N]) -> u64 {
    let (mut mask, mut index) = (0, 0);
    while index < N {
        mask |= field(low[index]);
        index += 1;
    }
    mask
}

/// What a Realm sees of the register with this CRm and Op2.
pub fn read(crm: u64, op2: u64, realm: RealmFeatures) -> u64 {
    let hardware = match (crm, op2) {
        (4, 0) => ID_AA64PFR0_EL1.get(),
        (4, 1) => ID_AA64PFR1_EL1.get(),
        (4, 4) => ID_AA64ZFR0_EL1.get(),
        (5, 0) => ID_AA64DFR0_EL1.get(),
        (6, 0) => ID_AA64ISAR0_EL1.get(),
        (6, 1) => ID_AA64ISAR1_EL1.get(),
        (6, 2) => ID_AA64ISAR2_EL1.get(),
        (7, 0) => ID_AA64MMFR0_EL1.get(),
        (7, 1) => ID_AA64MMFR1_EL1.get(),
        (7, 2) => ID_AA64MMFR2_EL1.get(),
        (7, 4) => ID_AA64MMFR4_EL1.get(),
        _ => 0,
    };
    visible(crm, op2, hardware, realm)
}

/// What a Realm sees of a register that holds `hardware`.
fn visible(crm: u64, op2: u64, hardware: u64, realm: RealmFeatures) -> u64 {
    match (crm, op2) {
        (4, 0) => pfr0(hardware, realm.has_sve),
        // BT, SSBS, RAS_frac, CSV2_frac, NMI. Hidden: MTE, MPAM_frac, SME, RNDR_trap, MTE_frac,
        // GCS, THE, MTEX, DF2, PFAR.
        (4, 1) => hardware & fields([0, 4, 12, 32, 36]),
        (4, 4) if realm.has_sve => hardware,
        (5, 0) => dfr0(hardware, realm.has_pmu),
        (6, 0) => hardware,
        // LS64 traps.
        (6, 1) => hardware & !field(60),
        // WFxT, GPA3, APA3, MOPS, PAC_frac.
        (6, 2) => hardware & fields([0, 8, 12, 16, 24]),
        (7, 0) => hardware,
        // HCX, ETS, TWED, XNX and VH mean nothing here but do no harm.
        (7, 1 | 2) => hardware,
        // ASID2, TCR2 and the like of MMFR3 trap; of MMFR4 only what has no register of its own.
        (7, 4) => hardware & field(4),
        _ => 0,
    }
}

/// ID_AA64PFR0_EL1: EL0 and EL1 in AArch64 only; no MPAM, AMU or RME; CSV2 without SCXTNUM; SVE if
/// the Realm has it. EL2 and EL3 are those of the CPU, as in TF-RMM.
fn pfr0(hardware: u64, has_sve: bool) -> u64 {
    const SVE: u32 = 32;
    const EL0: u32 = 0;
    const EL1: u32 = 4;
    const CSV2: u32 = 56;
    const AARCH64_ONLY: u64 = 1;
    let csv2 = (hardware >> CSV2 & 0xf).min(1);
    let hidden = fields([EL0, EL1, 40, 44, 52, CSV2]) | if has_sve { 0 } else { field(SVE) };
    hardware & !hidden | AARCH64_ONLY << EL0 | AARCH64_ONLY << EL1 | csv2 << CSV2
}

/// ID_AA64DFR0_EL1: DebugVer at most FEAT_Debugv8p8; two breakpoints, one of them context-aware,
/// and two watchpoints, the fewest that the architecture allows; no OS double lock; if the Realm
/// has a PMU, at most PMUv3p8, since what PMUv3p9 added traps.
fn dfr0(hardware: u64, has_pmu: bool) -> u64 {
    const FEWEST: u64 = FEWEST_DEBUG_REGISTERS as u64;
    const PMU: u32 = 8;
    const PMU_V3P8: u64 = 8;
    const DEBUG_V8P8: u64 = 10;
    const NO_DOUBLE_LOCK: u64 = field(36);
    let version = if has_pmu { (hardware >> PMU & 0xf).min(PMU_V3P8) } else { 0 };
    let debug = (hardware & field(0)).min(DEBUG_V8P8);
    debug | version << PMU | FEWEST << 12 | FEWEST << 20 | NO_DOUBLE_LOCK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_sees_no_feature_that_traps() {
        let seen = |crm, op2| visible(crm, op2, u64::MAX, RealmFeatures::default());
        let pfr0 = seen(4, 0);
        for (name, low, expected) in [
            ("EL0", 0, 1),
            ("EL1", 4, 1),
            ("FP", 16, 0xf),
            ("GIC", 24, 0xf),
            ("SVE", 32, 0),
            ("MPAM", 40, 0),
            ("AMU", 44, 0),
            ("RME", 52, 0),
            ("CSV2", 56, 1),
        ] {
            assert_eq!(pfr0 >> low & 0xf, expected, "{name}");
        }
        assert_eq!(visible(4, 0, 0, RealmFeatures::default()) >> 56, 0, "CSV2 is not made up");
        for (name, low) in
            [("MTE", 8), ("MPAM_frac", 16), ("SME", 24), ("RNDR_trap", 28), ("MTE_frac", 40)]
        {
            assert_eq!(seen(4, 1) >> low & 0xf, 0, "{name}");
        }
        assert_eq!(seen(5, 0), 10 | 1 << 12 | 1 << 20 | 0xf << 36);
        assert_eq!(seen(6, 1) >> 60, 0, "LS64");
        assert_eq!(seen(6, 2), 0x0f0f_ff0f & !(0xf << 20));
    }

    #[test]
    fn a_realm_with_sve_sees_what_the_cpu_has_of_it() {
        let realm = RealmFeatures { has_sve: true, ..RealmFeatures::default() };
        assert_eq!(visible(4, 0, u64::MAX, realm) >> 32 & 0xf, 0xf);
        assert_eq!(visible(4, 4, 0x1234, realm), 0x1234);
    }

    #[test]
    fn every_other_register_of_the_space_reads_as_zero() {
        let known =
            [(4, 0), (4, 1), (5, 0), (6, 0), (6, 1), (6, 2), (7, 0), (7, 1), (7, 2), (7, 4)];
        for crm in 0..16 {
            for op2 in 0..8 {
                if !known.contains(&(crm, op2)) {
                    assert_eq!(
                        visible(crm, op2, u64::MAX, RealmFeatures::default()),
                        0,
                        "{crm} {op2}"
                    );
                }
            }
        }
    }
}
