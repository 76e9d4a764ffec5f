// SPDX-License-Identifier: BSD-3-Clause
//! The syndrome of an exception from a Realm, and which of its fields the host may see.

use tock_registers::interfaces::Readable;

use super::debug::DebugRegister;
use crate::address::{Ipa, native};
use crate::arch::sysreg::{ESR_EL2, FAR_EL2, el1::HPFAR_EL2};
use crate::cpu::debug::OF_REALM;

/// Which of the four vectors the CPU took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vector {
    /// Synchronous.
    Synchronous,
    /// IRQ.
    Irq,
    /// FIQ.
    Fiq,
    /// SError.
    SError,
}

/// ESR_EL2.EC (Arm ARM, ESR_EL2), of exceptions that a Realm can cause.
pub mod class {
    /// WFI, WFE, WFIT, WFET.
    pub const WFX: u64 = 0x01;
    /// Floating point or Advanced SIMD.
    pub const SIMD: u64 = 0x07;
    /// HVC.
    pub const HVC: u64 = 0x16;
    /// SMC.
    pub const SMC: u64 = 0x17;
    /// MSR, MRS or a system instruction.
    pub const SYSTEM_REGISTER: u64 = 0x18;
    /// SVE.
    pub const SVE: u64 = 0x19;
    /// SME.
    pub const SME: u64 = 0x1d;
    /// Instruction abort from a lower level.
    pub const INSTRUCTION_ABORT: u64 = 0x20;
    /// Data abort from a lower level.
    pub const DATA_ABORT: u64 = 0x24;
}

/// ESR_EL2.EC.
const CLASS: u32 = 26;
/// IL: a 32-bit instruction.
pub const IL: u64 = 1 << 25;
/// ISV: the fields SAS, SSE, SRT, SF are valid.
pub const ISV: u64 = 1 << 24;
/// EA: of an External abort.
pub const EA: u64 = 1 << 9;
/// WnR: a write.
pub const WNR: u64 = 1 << 6;
/// DFSC or IFSC.
pub const FAULT_STATUS: u64 = 0x3f;

/// ESR fields that the host sees of an abort that it cannot emulate: EC, SET, FnV, EA, DFSC.
pub const NOT_EMULATABLE: u64 = 0xfc00_1e3f;
/// Those of an abort that it can emulate: ISV, SAS, SF and WnR as well. It never sees SRT and SSE.
pub const EMULATABLE: u64 = NOT_EMULATABLE | ISV | 3 << 22 | 1 << 15 | WNR;
/// ESR fields that the host sees of an SError: EC, IDS, AET, EA, DFSC.
pub const SERROR: u64 = 0xfd00_1e3f;

/// The exception registers as the CPU left them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Syndrome {
    /// ESR_EL2.
    pub esr: u64,
    /// FAR_EL2.
    pub far: u64,
    /// HPFAR_EL2.
    pub hpfar: u64,
}

impl Syndrome {
    /// Reads the registers of this CPU.
    pub fn read() -> Self {
        Self { esr: ESR_EL2.get(), far: FAR_EL2.get(), hpfar: HPFAR_EL2.get() }
    }

    /// ESR.EC.
    pub const fn class(&self) -> u64 {
        self.esr >> CLASS & 0x3f
    }

    /// DFSC or IFSC.
    pub const fn fault_status(&self) -> u64 {
        self.esr & FAULT_STATUS
    }

    /// The page of the IPA that HPFAR names.
    pub const fn ipa(&self) -> Ipa {
        /// FIPA, bits 43:4, is IPA\[51:12\].
        const FIPA: u64 = 0xff_ffff_ffff << 4;
        Ipa::new((self.hpfar & FIPA) << 8)
    }

    /// Whether it is an External abort, of the access or of a walk for it.
    pub const fn is_external_abort(&self) -> bool {
        matches!(self.fault_status(), 0x10 | 0x13..=0x17)
    }

    /// Whether it is a translation fault.
    pub const fn is_translation_fault(&self) -> bool {
        matches!(self.fault_status(), 0x04..=0x07 | 0x2b)
    }

    /// HPFAR as reported to the host: FIPA only, without NS and the other bits.
    pub const fn reported_hpfar(&self) -> u64 {
        self.ipa().get() >> 8
    }

    /// The access, if it can be emulated (ISV).
    pub const fn access(&self) -> Access {
        Access {
            size: self.esr >> 22 & 3,
            sign_extend: self.esr >> 21 & 1 != 0,
            register: native(self.esr >> 16 & 0x1f),
            is_64_bit: self.esr >> 15 & 1 != 0,
            is_write: self.esr & WNR != 0,
        }
    }

    /// The register that MSR or MRS names.
    pub const fn system_register(&self) -> SystemAccess {
        SystemAccess {
            encoding: self.esr & SystemAccess::ENCODING,
            register: native(self.esr >> 5 & 0x1f),
            is_read: self.esr & 1 != 0,
        }
    }
}

/// A load or store that the syndrome describes (ESR.ISV).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// SAS: log2 of the bytes.
    size: u64,
    sign_extend: bool,
    register: usize,
    is_64_bit: bool,
    /// Whether it is a store.
    pub is_write: bool,
}

impl Access {
    /// The register that is stored or loaded; 31 is XZR.
    pub const fn register(&self) -> usize {
        self.register
    }

    /// `value` as a store of this size writes it.
    pub const fn truncate(&self, value: u64) -> u64 {
        value & (u64::MAX >> (64 - (8 << self.size)))
    }

    /// The value of the register after a load of `value`.
    pub const fn loaded(&self, value: u64) -> u64 {
        let value = self.truncate(value);
        if !self.sign_extend {
            return value;
        }
        let unused = 64 - (8 << self.size);
        let extended = ((value << unused).cast_signed() >> unused).cast_unsigned();
        if self.is_64_bit { extended } else { extended & 0xffff_ffff }
    }
}

/// MSR, MRS or a system instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemAccess {
    encoding: u64,
    register: usize,
    is_read: bool,
}

impl SystemAccess {
    /// Op0 21:20, Op2 19:17, Op1 16:14, CRn 13:10, CRm 4:1.
    const ENCODING: u64 = 0x3f_fc1e;

    /// The encoding of a register in the syndrome.
    pub const fn encode(op0: u64, op1: u64, crn: u64, crm: u64, op2: u64) -> u64 {
        op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | crm << 1
    }

    /// Whether the register is in the block that these fields name, whatever its CRm and Op2.
    const fn is_in(self, op0: u64, op1: u64, crn: u64) -> bool {
        const BLOCK: u64 = SystemAccess::encode(3, 7, 0xf, 0, 0);
        self.encoding & BLOCK == Self::encode(op0, op1, crn, 0, 0)
    }

    const fn crm(self) -> u64 {
        self.encoding >> 1 & 0xf
    }

    const fn op2(self) -> u64 {
        self.encoding >> 17 & 7
    }

    /// The general register; 31 is XZR.
    pub const fn register(self) -> usize {
        self.register
    }

    /// Whether it is a read.
    pub const fn is_read(self) -> bool {
        self.is_read
    }

    /// CRm and Op2 of an ID register of AArch64 or AArch32 (Op0 3, Op1 0, CRn 0).
    pub const fn id_register(self) -> Option<(u64, u64)> {
        if self.is_in(3, 0, 0) { Some((self.crm(), self.op2())) } else { None }
    }

    /// Whether the host emulates it: the interrupt controller's CPU interface, and ICC_PMR_EL1.
    pub const fn is_interrupt_controller(self) -> bool {
        (self.is_in(3, 0, 12) && self.crm() >= 8) || self.encoding == Self::encode(3, 0, 4, 6, 0)
    }

    /// Whether it is a register of the PMU that MDCR_EL2.TPM traps.
    pub const fn is_pmu(self) -> bool {
        let control = self.is_in(3, 3, 9) && matches!(self.crm(), 12..=14);
        let counter = self.is_in(3, 3, 14) && self.crm() >= 8;
        control || counter || (self.is_in(3, 0, 9) && self.crm() == 14)
    }

    /// The debug register, if it is one that a Realm has: MDSCR_EL1, the OS lock, breakpoints and
    /// watchpoints.
    pub fn debug_register(self) -> Option<DebugRegister> {
        let (index, is_first) = (native(self.crm()), self.is_in(2, 0, 0));
        match self.op2() {
            2 if is_first && index == 2 => Some(DebugRegister::Control),
            op2 @ 4..=7 if is_first && index < OF_REALM => Some(DebugRegister::Pair {
                is_watchpoint: op2 >= 6,
                is_control: op2 % 2 != 0,
                index,
            }),
            // OSLAR_EL1 is only written, OSLSR_EL1 only read.
            4 if self.is_in(2, 0, 1) && self.crm() == u64::from(self.is_read) => {
                Some(DebugRegister::OsLock)
            }
            _ => None,
        }
    }

    /// Whether it belongs to a feature that Realms do not have: branch record buffer, MPAM, and
    /// stage-2 overlays.
    pub const fn is_hidden(self) -> bool {
        let mpam = self.is_in(3, 0, 10) && matches!(self.crm(), 4 | 5);
        let brbe = self.is_in(2, 1, 8) || self.is_in(2, 1, 9);
        mpam || brbe || self.encoding == Self::encode(3, 0, 10, 2, 5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(size: u64, sign: u64, wide: u64) -> Access {
        Syndrome { esr: size << 22 | sign << 21 | wide << 15 | 7 << 16, far: 0, hpfar: 0 }.access()
    }

    #[test]
    fn a_loaded_value_is_cut_to_its_size_and_extended_as_the_instruction_says() {
        let value = 0xfedc_ba98_8765_4381;
        let loaded = |size, sign, wide| access(size, sign, wide).loaded(value);
        assert_eq!(loaded(0, 0, 1), 0x81);
        assert_eq!(loaded(1, 0, 0), 0x4381);
        assert_eq!(loaded(2, 0, 0), 0x8765_4381);
        assert_eq!(loaded(3, 0, 1), value);
        assert_eq!(loaded(0, 1, 1), 0xffff_ffff_ffff_ff81);
        assert_eq!(loaded(0, 1, 0), 0xffff_ff81);
        assert_eq!(loaded(1, 1, 1), 0x4381);
        assert_eq!(loaded(2, 1, 1), 0xffff_ffff_8765_4381);
        assert_eq!(access(0, 0, 0).register(), 7);
    }

    #[test]
    fn the_ipa_is_that_of_the_page_and_nothing_else_of_hpfar_counts() {
        let syndrome = Syndrome { esr: 0, far: 0, hpfar: u64::MAX };
        assert_eq!(syndrome.ipa().get(), 0x000f_ffff_ffff_f000);
        assert_eq!(syndrome.reported_hpfar(), 0x0000_0fff_ffff_fff0);
    }

    #[test]
    fn system_registers_are_told_by_their_encoding() {
        let named = |op0, op1, crn, crm, op2| {
            let esr = SystemAccess::encode(op0, op1, crn, crm, op2);
            Syndrome { esr, far: 0, hpfar: 0 }.system_register()
        };
        // ICC_SGI1R_EL1, ICC_DIR_EL1, ICC_PMR_EL1; and VBAR_EL1, which is beside them.
        assert!(named(3, 0, 12, 11, 5).is_interrupt_controller());
        assert!(named(3, 0, 12, 11, 1).is_interrupt_controller());
        assert!(named(3, 0, 4, 6, 0).is_interrupt_controller());
        assert!(!named(3, 0, 12, 0, 0).is_interrupt_controller());
        // MPAM0_EL1, BRBCR_EL1, BRBINF0_EL1, S2POR_EL1; and MAIR_EL1.
        assert!(named(3, 0, 10, 5, 1).is_hidden());
        assert!(named(2, 1, 9, 0, 0).is_hidden());
        assert!(named(2, 1, 8, 0, 0).is_hidden());
        assert!(named(3, 0, 10, 2, 5).is_hidden());
        assert!(!named(3, 0, 10, 2, 0).is_hidden());
        // PMCR_EL0, PMOVSSET_EL0, PMINTENCLR_EL1, PMEVCNTR0_EL0, PMCCFILTR_EL0; and CNTKCTL_EL1 and
        // CNTFRQ_EL0.
        assert!(named(3, 3, 9, 12, 0).is_pmu());
        assert!(named(3, 3, 9, 14, 3).is_pmu());
        assert!(named(3, 0, 9, 14, 2).is_pmu());
        assert!(named(3, 3, 14, 8, 0).is_pmu());
        assert!(named(3, 3, 14, 15, 7).is_pmu());
        assert!(!named(3, 0, 14, 1, 0).is_pmu() && !named(3, 3, 14, 0, 0).is_pmu());
        assert_eq!(named(3, 0, 0, 4, 1).id_register(), Some((4, 1)));
        assert_eq!(named(3, 1, 0, 0, 1).id_register(), None);
    }
}
