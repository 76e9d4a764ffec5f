// SPDX-License-Identifier: BSD-3-Clause
//! Registers that the RMM switches between the host and a Realm, or that control a Realm.
//!
//! With HCR_EL2.E2H = 1 the names that end in `_EL12` and `_EL02` reach the registers of EL1 and
//! EL0 that the plain names no longer do (Arm ARM (DDI 0487 L.a) D8.13.1).

use tock_registers::interfaces::{Readable, Writeable};

system_registers! {
    /// Stack pointer of EL1.
    SP_EL1: () = "sp_el1";
    /// Return address of the last exception to EL1.
    ELR_EL12: () = "elr_el12";
    /// Saved state of the last exception to EL1.
    SPSR_EL12: () = "spsr_el12";
    /// Software thread identifier, readable at EL0.
    TPIDRRO_EL0: () = "tpidrro_el0";
    /// Software thread identifier of EL0.
    TPIDR_EL0: () = "tpidr_el0";
    /// Software thread identifier of EL1.
    TPIDR_EL1: () = "tpidr_el1";
    /// Cache size selection.
    CSSELR_EL1: () = "csselr_el1";
    /// System control.
    SCTLR_EL12: () = "sctlr_el12";
    /// Access to floating point, SVE and trace at EL1 and EL0.
    CPACR_EL12: () = "cpacr_el12";
    /// Table base of the low range.
    TTBR0_EL12: () = "ttbr0_el12";
    /// Table base of the high range.
    TTBR1_EL12: () = "ttbr1_el12";
    /// Translation control.
    TCR_EL12: () = "tcr_el12";
    /// Exception syndrome.
    ESR_EL12: () = "esr_el12";
    /// Auxiliary fault status 0.
    AFSR0_EL12: () = "afsr0_el12";
    /// Auxiliary fault status 1.
    AFSR1_EL12: () = "afsr1_el12";
    /// Faulting address.
    FAR_EL12: () = "far_el12";
    /// Memory attributes.
    MAIR_EL12: () = "mair_el12";
    /// Auxiliary memory attributes.
    AMAIR_EL12: () = "amair_el12";
    /// Vector base.
    VBAR_EL12: () = "vbar_el12";
    /// Context identifier.
    CONTEXTIDR_EL12: () = "contextidr_el12";
    /// Access to counters and timers at EL0.
    CNTKCTL_EL12: () = "cntkctl_el12";
    /// Result of address translation instructions.
    PAR_EL1: () = "par_el1";
    /// Debug control.
    MDSCR_EL1: () = "mdscr_el1";
    /// Debug communications channel interrupts.
    MDCCINT_EL1: () = "mdccint_el1";

    /// EL1 physical timer: control.
    CNTP_CTL_EL02: () = "cntp_ctl_el02";
    /// EL1 physical timer: compare value.
    CNTP_CVAL_EL02: () = "cntp_cval_el02";
    /// EL1 virtual timer: control.
    CNTV_CTL_EL02: () = "cntv_ctl_el02";
    /// EL1 virtual timer: compare value.
    CNTV_CVAL_EL02: () = "cntv_cval_el02";
    /// The counter.
    CNTPCT_EL0: () = "cntpct_el0";
    /// Offset of the virtual counter.
    CNTVOFF_EL2: () = "cntvoff_el2";
    /// Counters and timers of lower levels, in the layout of E2H = 1.
    CNTHCTL_EL2: super::fields::CNTHCTL_EL2::Register = "cnthctl_el2";

    /// Faulting IPA of the last stage-2 fault.
    HPFAR_EL2: () = "hpfar_el2";
    /// What a virtual SError reports.
    VSESR_EL2: () = "s3_4_c5_c2_3";
    /// A virtual SError that an ESB deferred.
    VDISR_EL2: () = "s3_4_c12_c1_1";
    /// What MPIDR_EL1 reads as at EL1.
    VMPIDR_EL2: () = "vmpidr_el2";
    /// What MIDR_EL1 reads as at EL1.
    VPIDR_EL2: () = "vpidr_el2";
    /// Traps of floating point, SVE, SME, trace and activity monitors, in the layout of E2H = 1.
    CPTR_EL2: super::fields::CPTR_EL2::Register = "cptr_el2";
    /// Traps of debug, trace and the PMU.
    MDCR_EL2: super::fields::MDCR_EL2::Register = "mdcr_el2";
    /// Traps of AArch32 registers by CRn.
    HSTR_EL2: () = "hstr_el2";
    /// Extended hypervisor configuration.
    HCRX_EL2: super::fields::HCRX_EL2::Register = "s3_4_c1_c2_2";
    /// Fine-grained traps of register reads.
    HFGRTR_EL2: () = "s3_4_c1_c1_4";
    /// Fine-grained traps of register writes.
    HFGWTR_EL2: () = "s3_4_c1_c1_5";
    /// Fine-grained traps of instructions.
    HFGITR_EL2: () = "s3_4_c1_c1_6";
    /// Fine-grained traps of reads of debug, trace and PMU registers.
    HDFGRTR_EL2: () = "s3_4_c3_c1_4";
    /// Fine-grained traps of writes of debug, trace and PMU registers.
    HDFGWTR_EL2: () = "s3_4_c3_c1_5";

    /// PMU control.
    PMCR_EL0: () = "pmcr_el0";
    /// Counters that are enabled.
    PMCNTENSET_EL0: () = "pmcntenset_el0";
    /// The same, to be cleared.
    PMCNTENCLR_EL0: () = "pmcntenclr_el0";
    /// Counters whose overflow interrupts.
    PMINTENSET_EL1: () = "pmintenset_el1";
    /// The same, to be cleared.
    PMINTENCLR_EL1: () = "pmintenclr_el1";
    /// Counters that have overflowed.
    PMOVSSET_EL0: () = "pmovsset_el0";
    /// The same, to be cleared.
    PMOVSCLR_EL0: () = "pmovsclr_el0";
    /// Selection of an event counter.
    PMSELR_EL0: () = "pmselr_el0";
    /// Access to the PMU at EL0.
    PMUSERENR_EL0: () = "pmuserenr_el0";
    /// Cycle counter.
    PMCCNTR_EL0: () = "pmccntr_el0";
    /// Filter of the cycle counter.
    PMCCFILTR_EL0: () = "pmccfiltr_el0";
    /// Event counter 0.
    PMEVCNTR0_EL0: () = "s3_3_c14_c8_0";
    /// Event counter 1.
    PMEVCNTR1_EL0: () = "s3_3_c14_c8_1";
    /// Event counter 2.
    PMEVCNTR2_EL0: () = "s3_3_c14_c8_2";
    /// Event counter 3.
    PMEVCNTR3_EL0: () = "s3_3_c14_c8_3";
    /// Event counter 4.
    PMEVCNTR4_EL0: () = "s3_3_c14_c8_4";
    /// Event counter 5.
    PMEVCNTR5_EL0: () = "s3_3_c14_c8_5";
    /// Event counter 6.
    PMEVCNTR6_EL0: () = "s3_3_c14_c8_6";
    /// Event counter 7.
    PMEVCNTR7_EL0: () = "s3_3_c14_c8_7";
    /// Event counter 8.
    PMEVCNTR8_EL0: () = "s3_3_c14_c9_0";
    /// Event counter 9.
    PMEVCNTR9_EL0: () = "s3_3_c14_c9_1";
    /// Event counter 10.
    PMEVCNTR10_EL0: () = "s3_3_c14_c9_2";
    /// Event counter 11.
    PMEVCNTR11_EL0: () = "s3_3_c14_c9_3";
    /// Event counter 12.
    PMEVCNTR12_EL0: () = "s3_3_c14_c9_4";
    /// Event counter 13.
    PMEVCNTR13_EL0: () = "s3_3_c14_c9_5";
    /// Event counter 14.
    PMEVCNTR14_EL0: () = "s3_3_c14_c9_6";
    /// Event counter 15.
    PMEVCNTR15_EL0: () = "s3_3_c14_c9_7";
    /// Event counter 16.
    PMEVCNTR16_EL0: () = "s3_3_c14_c10_0";
    /// Event counter 17.
    PMEVCNTR17_EL0: () = "s3_3_c14_c10_1";
    /// Event counter 18.
    PMEVCNTR18_EL0: () = "s3_3_c14_c10_2";
    /// Event counter 19.
    PMEVCNTR19_EL0: () = "s3_3_c14_c10_3";
    /// Event counter 20.
    PMEVCNTR20_EL0: () = "s3_3_c14_c10_4";
    /// Event counter 21.
    PMEVCNTR21_EL0: () = "s3_3_c14_c10_5";
    /// Event counter 22.
    PMEVCNTR22_EL0: () = "s3_3_c14_c10_6";
    /// Event counter 23.
    PMEVCNTR23_EL0: () = "s3_3_c14_c10_7";
    /// Event counter 24.
    PMEVCNTR24_EL0: () = "s3_3_c14_c11_0";
    /// Event counter 25.
    PMEVCNTR25_EL0: () = "s3_3_c14_c11_1";
    /// Event counter 26.
    PMEVCNTR26_EL0: () = "s3_3_c14_c11_2";
    /// Event counter 27.
    PMEVCNTR27_EL0: () = "s3_3_c14_c11_3";
    /// Event counter 28.
    PMEVCNTR28_EL0: () = "s3_3_c14_c11_4";
    /// Event counter 29.
    PMEVCNTR29_EL0: () = "s3_3_c14_c11_5";
    /// Event counter 30.
    PMEVCNTR30_EL0: () = "s3_3_c14_c11_6";
    /// What event counter 0 counts.
    PMEVTYPER0_EL0: () = "s3_3_c14_c12_0";
    /// What event counter 1 counts.
    PMEVTYPER1_EL0: () = "s3_3_c14_c12_1";
    /// What event counter 2 counts.
    PMEVTYPER2_EL0: () = "s3_3_c14_c12_2";
    /// What event counter 3 counts.
    PMEVTYPER3_EL0: () = "s3_3_c14_c12_3";
    /// What event counter 4 counts.
    PMEVTYPER4_EL0: () = "s3_3_c14_c12_4";
    /// What event counter 5 counts.
    PMEVTYPER5_EL0: () = "s3_3_c14_c12_5";
    /// What event counter 6 counts.
    PMEVTYPER6_EL0: () = "s3_3_c14_c12_6";
    /// What event counter 7 counts.
    PMEVTYPER7_EL0: () = "s3_3_c14_c12_7";
    /// What event counter 8 counts.
    PMEVTYPER8_EL0: () = "s3_3_c14_c13_0";
    /// What event counter 9 counts.
    PMEVTYPER9_EL0: () = "s3_3_c14_c13_1";
    /// What event counter 10 counts.
    PMEVTYPER10_EL0: () = "s3_3_c14_c13_2";
    /// What event counter 11 counts.
    PMEVTYPER11_EL0: () = "s3_3_c14_c13_3";
    /// What event counter 12 counts.
    PMEVTYPER12_EL0: () = "s3_3_c14_c13_4";
    /// What event counter 13 counts.
    PMEVTYPER13_EL0: () = "s3_3_c14_c13_5";
    /// What event counter 14 counts.
    PMEVTYPER14_EL0: () = "s3_3_c14_c13_6";
    /// What event counter 15 counts.
    PMEVTYPER15_EL0: () = "s3_3_c14_c13_7";
    /// What event counter 16 counts.
    PMEVTYPER16_EL0: () = "s3_3_c14_c14_0";
    /// What event counter 17 counts.
    PMEVTYPER17_EL0: () = "s3_3_c14_c14_1";
    /// What event counter 18 counts.
    PMEVTYPER18_EL0: () = "s3_3_c14_c14_2";
    /// What event counter 19 counts.
    PMEVTYPER19_EL0: () = "s3_3_c14_c14_3";
    /// What event counter 20 counts.
    PMEVTYPER20_EL0: () = "s3_3_c14_c14_4";
    /// What event counter 21 counts.
    PMEVTYPER21_EL0: () = "s3_3_c14_c14_5";
    /// What event counter 22 counts.
    PMEVTYPER22_EL0: () = "s3_3_c14_c14_6";
    /// What event counter 23 counts.
    PMEVTYPER23_EL0: () = "s3_3_c14_c14_7";
    /// What event counter 24 counts.
    PMEVTYPER24_EL0: () = "s3_3_c14_c15_0";
    /// What event counter 25 counts.
    PMEVTYPER25_EL0: () = "s3_3_c14_c15_1";
    /// What event counter 26 counts.
    PMEVTYPER26_EL0: () = "s3_3_c14_c15_2";
    /// What event counter 27 counts.
    PMEVTYPER27_EL0: () = "s3_3_c14_c15_3";
    /// What event counter 28 counts.
    PMEVTYPER28_EL0: () = "s3_3_c14_c15_4";
    /// What event counter 29 counts.
    PMEVTYPER29_EL0: () = "s3_3_c14_c15_5";
    /// What event counter 30 counts.
    PMEVTYPER30_EL0: () = "s3_3_c14_c15_6";

    /// Virtual interrupts: control.
    ICH_HCR_EL2: () = "s3_4_c12_c11_0";
    /// Virtual interrupts: what is implemented.
    ICH_VTR_EL2: () = "s3_4_c12_c11_1";
    /// Virtual interrupts: why a maintenance interrupt is pending.
    ICH_MISR_EL2: () = "s3_4_c12_c11_2";
    /// Virtual interrupts: virtual CPU interface.
    ICH_VMCR_EL2: () = "s3_4_c12_c11_7";
    /// Virtual interrupts: active priorities, group 0.
    ICH_AP0R0_EL2: () = "s3_4_c12_c8_0";
    /// Virtual interrupts: active priorities, group 0.
    ICH_AP0R1_EL2: () = "s3_4_c12_c8_1";
    /// Virtual interrupts: active priorities, group 0.
    ICH_AP0R2_EL2: () = "s3_4_c12_c8_2";
    /// Virtual interrupts: active priorities, group 0.
    ICH_AP0R3_EL2: () = "s3_4_c12_c8_3";
    /// Virtual interrupts: active priorities, group 1.
    ICH_AP1R0_EL2: () = "s3_4_c12_c9_0";
    /// Virtual interrupts: active priorities, group 1.
    ICH_AP1R1_EL2: () = "s3_4_c12_c9_1";
    /// Virtual interrupts: active priorities, group 1.
    ICH_AP1R2_EL2: () = "s3_4_c12_c9_2";
    /// Virtual interrupts: active priorities, group 1.
    ICH_AP1R3_EL2: () = "s3_4_c12_c9_3";
    /// List register 0.
    ICH_LR0_EL2: () = "s3_4_c12_c12_0";
    /// List register 1.
    ICH_LR1_EL2: () = "s3_4_c12_c12_1";
    /// List register 2.
    ICH_LR2_EL2: () = "s3_4_c12_c12_2";
    /// List register 3.
    ICH_LR3_EL2: () = "s3_4_c12_c12_3";
    /// List register 4.
    ICH_LR4_EL2: () = "s3_4_c12_c12_4";
    /// List register 5.
    ICH_LR5_EL2: () = "s3_4_c12_c12_5";
    /// List register 6.
    ICH_LR6_EL2: () = "s3_4_c12_c12_6";
    /// List register 7.
    ICH_LR7_EL2: () = "s3_4_c12_c12_7";
    /// List register 8.
    ICH_LR8_EL2: () = "s3_4_c12_c13_0";
    /// List register 9.
    ICH_LR9_EL2: () = "s3_4_c12_c13_1";
    /// List register 10.
    ICH_LR10_EL2: () = "s3_4_c12_c13_2";
    /// List register 11.
    ICH_LR11_EL2: () = "s3_4_c12_c13_3";
    /// List register 12.
    ICH_LR12_EL2: () = "s3_4_c12_c13_4";
    /// List register 13.
    ICH_LR13_EL2: () = "s3_4_c12_c13_5";
    /// List register 14.
    ICH_LR14_EL2: () = "s3_4_c12_c13_6";
    /// List register 15.
    ICH_LR15_EL2: () = "s3_4_c12_c13_7";
    /// The physical interrupt of highest priority that is pending, group 1.
    ICC_HPPIR1_EL1: () = "s3_0_c12_c12_2";
    /// CPU interface control.
    ICC_CTLR_EL1: () = "s3_0_c12_c12_4";

    /// Floating point status.
    FPSR: () = "s3_3_c4_c4_1";
    /// Floating point control.
    FPCR: () = "s3_3_c4_c4_0";
    /// Floating point mode (FEAT_FPMR).
    FPMR: () = "s3_3_c4_c4_2";
    /// Streaming mode and ZA (SME).
    SVCR: () = "s3_3_c4_c2_2";
    /// SVE vector length at EL2 and below.
    ZCR_EL2: () = "s3_4_c1_c2_0";
    /// SVE vector length at EL1 and EL0.
    ZCR_EL12: () = "s3_5_c1_c2_0";
    /// Streaming SVE vector length at EL2 and below.
    SMCR_EL2: () = "s3_4_c1_c2_6";

    /// Processor features 0.
    ID_AA64PFR0_EL1: () = "id_aa64pfr0_el1";
    /// Processor features 1.
    ID_AA64PFR1_EL1: () = "id_aa64pfr1_el1";
    /// Processor features 2.
    ID_AA64PFR2_EL1: () = "s3_0_c0_c4_2";
    /// SVE features.
    ID_AA64ZFR0_EL1: () = "s3_0_c0_c4_4";
    /// SME features.
    ID_AA64SMFR0_EL1: () = "s3_0_c0_c4_5";
    /// Instruction set attributes 0.
    ID_AA64ISAR0_EL1: () = "id_aa64isar0_el1";
    /// Instruction set attributes 2.
    ID_AA64ISAR2_EL1: () = "s3_0_c0_c6_2";
    /// Memory model features 4.
    ID_AA64MMFR4_EL1: () = "s3_0_c0_c7_4";
}
