// SPDX-License-Identifier: BSD-3-Clause
//! Injection of an exception into a Realm's EL1 (Arm ARM (DDI 0487 L.a) D1.3.1, pseudocode
//! `AArch64.TakeException`).

use super::decide::Injected;
use crate::realm::rec::Registers;
use crate::realm::rec::syndrome::{EA, IL, class};

/// PSTATE as SPSR_EL2 holds it.
mod pstate {
    pub(super) const MODE: u64 = 0x1f;
    pub(super) const EL1H: u64 = 0x5;
    pub(super) const DAIF: u64 = 0xf << 6;
    pub(super) const SSBS: u64 = 1 << 12;
    pub(super) const ALLINT: u64 = 1 << 13;
    pub(super) const PAN: u64 = 1 << 22;
    pub(super) const DIT: u64 = 1 << 24;
    pub(super) const TCO: u64 = 1 << 25;
    pub(super) const NZCV: u64 = 0xf << 28;
}

/// SCTLR_EL1.
mod sctlr {
    pub(super) const SPAN: u64 = 1 << 23;
    pub(super) const DSSBS: u64 = 1 << 44;
    pub(super) const SPINTMASK: u64 = 1 << 62;
}

/// CPU features that decide bits of PSTATE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PstateFeatures {
    /// FEAT_SSBS.
    pub ssbs: bool,
    /// FEAT_NMI.
    pub nmi: bool,
    /// FEAT_MTE2.
    pub mte2: bool,
}

impl PstateFeatures {
    /// From ID_AA64PFR1_EL1.
    pub const fn new(pfr1: u64) -> Self {
        Self { ssbs: pfr1 >> 4 & 0xf != 0, nmi: pfr1 >> 36 & 0xf != 0, mte2: pfr1 >> 8 & 0xf >= 2 }
    }
}

/// The offset from VBAR_EL1 of the synchronous exception taken from `from`.
const fn vector_offset(from: u64) -> u64 {
    match from & pstate::MODE {
        0b0_0100 => 0x000,
        0b0_0101 => 0x200,
        0b0_0000 => 0x400,
        _ => 0x600,
    }
}

/// PSTATE after an exception taken from `from`.
const fn pstate_after(from: u64, sctlr: u64, features: PstateFeatures) -> u64 {
    let kept = from & (pstate::NZCV | pstate::DIT | pstate::PAN);
    let mut to = kept | pstate::DAIF | pstate::EL1H;
    // BTYPE, SS, IL, UAO and the rest are 0.
    if sctlr & sctlr::SPAN == 0 {
        to |= pstate::PAN;
    }
    if features.ssbs && sctlr & sctlr::DSSBS != 0 {
        to |= pstate::SSBS;
    }
    if features.nmi && sctlr & sctlr::SPINTMASK == 0 {
        to |= pstate::ALLINT;
    }
    if features.mte2 {
        to |= pstate::TCO;
    }
    to
}

/// Has the Realm take `exception` instead of the instruction at its PC. Its EL1 registers are in
/// `registers`, not in the CPU.
pub fn inject(exception: Injected, registers: &mut Registers, features: PstateFeatures) {
    let from = registers.pstate;
    let esr = match exception {
        Injected::Undefined => IL,
        Injected::ExternalAbort(syndrome) => {
            /// Added to the class of an abort that is taken from the same level.
            const SAME_LEVEL: u64 = 1;
            const EXTERNAL_ABORT: u64 = 0x10;
            /// What an External abort reports of the stage-2 fault: IL, CM and WnR. ISV is 0.
            const KEPT: u64 = IL | 1 << 8 | 1 << 6;
            registers.el1.far = syndrome.far;
            let is_el1 = from & pstate::MODE & 0b1100 == 0b0100 && from & 1 << 4 == 0;
            let class = match syndrome.class() {
                class::INSTRUCTION_ABORT => class::INSTRUCTION_ABORT,
                _ => class::DATA_ABORT,
            } | if is_el1 { SAME_LEVEL } else { 0 };
            class << 26 | syndrome.esr & KEPT | EA | EXTERNAL_ABORT
        }
    };
    registers.el1.esr = esr;
    registers.el1.elr = registers.pc;
    registers.el1.spsr = from;
    registers.pc = registers.el1.vbar.wrapping_add(vector_offset(from));
    registers.pstate = pstate_after(from, registers.el1.sctlr, features);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realm::rec::syndrome::Syndrome;

    const ALL: PstateFeatures = PstateFeatures { ssbs: true, nmi: true, mte2: true };

    fn realm(pstate: u64, sctlr: u64) -> Registers {
        let mut registers = Registers::at_reset(0x1234, &[]);
        registers.pstate = pstate;
        registers.el1.sctlr = sctlr;
        registers.el1.vbar = 0xffff_0000_0000_0800;
        registers.el1.far = 77;
        registers
    }

    #[test]
    fn an_undefined_instruction_is_taken_from_each_mode_through_its_vector() {
        for (mode, offset) in [(0x4, 0), (0x5, 0x200), (0x0, 0x400), (0x10, 0x600), (0x1f, 0x600)] {
            let mut registers = realm(mode, 0);
            inject(Injected::Undefined, &mut registers, PstateFeatures::default());
            assert_eq!(registers.pc, 0xffff_0000_0000_0800 + offset, "{mode:#x}");
            assert_eq!(registers.el1.elr, 0x1234);
            assert_eq!(registers.el1.spsr, mode);
            assert_eq!(registers.el1.esr, 0x0200_0000);
            assert_eq!(registers.el1.far, 77, "an undefined instruction has no address");
        }
    }

    #[test]
    fn pstate_is_what_the_architecture_makes_of_it() {
        let taken = |from, sctlr, features| {
            let mut registers = realm(from, sctlr);
            inject(Injected::Undefined, &mut registers, features);
            registers.pstate
        };
        let none = PstateFeatures::default();
        assert_eq!(taken(0x5, 0, none), 0x3c5 | 1 << 22, "PAN is set when SPAN is clear");
        assert_eq!(taken(0x5, 1 << 23, none), 0x3c5, "and kept when SPAN is set");
        assert_eq!(taken(0x5 | 1 << 22, 1 << 23, none), 0x3c5 | 1 << 22);
        // NZCV and DIT stay; BTYPE, SS, IL, UAO, SSBS, ALLINT, TCO and all else go.
        assert_eq!(taken(u64::MAX, 1 << 23, none), 0x3c5 | 0xf << 28 | 1 << 24 | 1 << 22);
        assert_eq!(taken(0x5, 1 << 23, ALL), 0x3c5 | 1 << 13 | 1 << 25);
        assert_eq!(taken(0x5, 1 << 23 | 1 << 44 | 1 << 62, ALL), 0x3c5 | 1 << 12 | 1 << 25);
    }

    #[test]
    fn an_external_abort_says_what_failed_and_hides_how() {
        for (class, level) in [(0x20, 0x5), (0x20, 0x0), (0x24, 0x4), (0x24, 0x10)] {
            let mut registers = realm(level, 0);
            let esr = class << 26 | 0x03ff_ffff;
            let syndrome = Syndrome { esr, far: 0xabc, hpfar: 0x123 };
            inject(Injected::ExternalAbort(syndrome), &mut registers, ALL);
            let same = u64::from(matches!(level, 4 | 5));
            let expected = (class + same) << 26 | 1 << 25 | 1 << 9 | 1 << 8 | 1 << 6 | 0x10;
            assert_eq!(registers.el1.esr, expected, "{class:#x} from {level:#x}");
            assert_eq!(registers.el1.far, 0xabc);
        }
    }
}
