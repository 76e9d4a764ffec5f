// SPDX-License-Identifier: BSD-3-Clause
//! System registers: those that the RMM uses, their names for the assembler, and their fields.
//!
//! Fields come from `aarch64-cpu` where that crate has the layout in force here (E2H = 1);
//! [`fields`] defines the others. Access is by the traits of `tock-registers`: on the target they
//! are MRS and MSR, on a host they access the recording register file of `src/host`.
//!
//! Reads and writes are compiler barriers. A write takes effect for later instructions after an
//! ISB, which the caller issues.

pub mod fields;

use tock_registers::interfaces::{Readable, Writeable};

/// Defines a zero-sized handle for each register. A register whose name the assembler does not know
/// is given by its encoding.
// `nomem`: as in the architecture, a barrier orders an access to a register with accesses to
// memory.
macro_rules! system_registers {
    ($($(#[$doc:meta])* $name:ident: $fields:ty = $encoding:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        #[allow(non_camel_case_types)]
        pub struct $name;

        impl Readable for $name {
            type T = u64;
            type R = $fields;

            fn get(&self) -> u64 {
                #[cfg(target_os = "none")]
                {
                    let value;
                    // SAFETY: reading one of the registers listed here has no side effect on memory
                    // or control flow.
                    unsafe {
                        core::arch::asm!(concat!("mrs {0}, ", $encoding), out(reg) value,
                            options(nomem, nostack, preserves_flags))
                    };
                    value
                }
                #[cfg(not(target_os = "none"))]
                crate::host::read_register(stringify!($name))
            }
        }

        impl Writeable for $name {
            type T = u64;
            type R = $fields;

            fn set(&self, value: u64) {
                #[cfg(target_os = "none")]
                // SAFETY: changes no memory by itself. Each caller justifies its value; those that
                // control translation come from tested functions of `boot`.
                unsafe {
                    core::arch::asm!(concat!("msr ", $encoding, ", {0}"), in(reg) value,
                        options(nomem, nostack, preserves_flags))
                };
                #[cfg(not(target_os = "none"))]
                crate::host::write_register(stringify!($name), value);
            }
        }
    )*};
}

pub mod debug;
pub mod el1;

system_registers! {
    /// Implementer, part and revision of the CPU.
    MIDR_EL1: () = "midr_el1";
    /// Current CPU's affinity. For reports only: the CPU index comes from EL3.
    MPIDR_EL1: aarch64_cpu::registers::MPIDR_EL1::Register = "mpidr_el1";
    /// Memory model features 0. The fields of ID registers are those of `cpu::CpuFeatures`.
    ID_AA64MMFR0_EL1: () = "id_aa64mmfr0_el1";
    /// Memory model features 1.
    ID_AA64MMFR1_EL1: () = "id_aa64mmfr1_el1";
    /// Memory model features 2.
    ID_AA64MMFR2_EL1: () = "id_aa64mmfr2_el1";
    /// Memory model features 3.
    ID_AA64MMFR3_EL1: () = "s3_0_c0_c7_3";
    /// Processor features 0.
    ID_AA64PFR0_EL1: () = "id_aa64pfr0_el1";
    /// Processor features 1.
    ID_AA64PFR1_EL1: () = "id_aa64pfr1_el1";
    /// Debug features 0: breakpoints, watchpoints, PMU.
    ID_AA64DFR0_EL1: () = "id_aa64dfr0_el1";
    /// Instruction set attributes 0.
    ID_AA64ISAR0_EL1: () = "id_aa64isar0_el1";
    /// Instruction set attributes 1.
    ID_AA64ISAR1_EL1: () = "id_aa64isar1_el1";
    /// Instruction set attributes 2.
    ID_AA64ISAR2_EL1: () = "s3_0_c0_c6_2";
    /// Cache type.
    CTR_EL0: () = "ctr_el0";
    /// Physical interrupts pending for this CPU.
    ISR_EL1: fields::ISR_EL1::Register = "isr_el1";
    /// Data cache zero: log2 of the block size in words, and whether DC ZVA is prohibited.
    DCZID_EL0: fields::DCZID_EL0::Register = "dczid_el0";
    /// Exception syndrome of the last exception to EL2.
    ESR_EL2: aarch64_cpu::registers::ESR_EL2::Register = "esr_el2";
    /// Faulting address of the last exception to EL2.
    FAR_EL2: () = "far_el2";
    /// Return address of the last exception to EL2.
    ELR_EL2: () = "elr_el2";
    /// Saved state of the last exception to EL2.
    SPSR_EL2: aarch64_cpu::registers::SPSR_EL2::Register = "spsr_el2";
    /// Hypervisor configuration.
    HCR_EL2: aarch64_cpu::registers::HCR_EL2::Register = "hcr_el2";
    /// The index of this CPU and the stage of its boot (`cpu`).
    TPIDR_EL2: () = "tpidr_el2";
    /// Table base of the High VA range (EL2&0 regime), ASID 63:48, CnP bit 0.
    TTBR1_EL2: () = "s3_4_c2_c0_1";
    /// Translation control, in the layout of E2H = 1.
    TCR_EL2: fields::TCR_EL2::Register = "tcr_el2";
    /// Stage-2 translation control of the EL1&0 regime. Its values are those of `realm::stage2`.
    VTCR_EL2: () = "vtcr_el2";
    /// Stage-2 table base of the EL1&0 regime, and the current VMID (63:48).
    VTTBR_EL2: () = "vttbr_el2";
}
