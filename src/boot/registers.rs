// SPDX-License-Identifier: BSD-3-Clause
//! Values of the control registers of EL2, in the layout of E2H = 1.
//!
//! The table at the end is written on every boot of every CPU, before the MMU is on, whatever EL3
//! has left in them. `SCTLR_EL2`, `MAIR_EL2`, `TCR_EL2`, `TTBR0_EL2`, `TTBR1_EL2`, `VBAR_EL2` and
//! the stack pointers follow in `entry.S`, `TPIDR_EL2` is `cpu`'s.
//!
//! EL3 switches these registers between worlds. What it does not switch belongs to the host and
//! stays as it is: the EL2 timers, `ZCR_EL2`, `SMCR_EL2`, `PMSCR_EL2`, debug registers and PMU.

use aarch64_cpu::registers::{HCR_EL2, MDCR_EL2, VTCR_EL2};

use crate::arch::sysreg::fields::{HCRX_EL2, MPAM2_EL2, PSTATE, SCTLR_EL2, TCR_EL2, VMPIDR_EL2};

/// EL1 is AArch64, no traps of pointer authentication; every other trap and route is off.
pub const HCR: u64 = HCR_EL2::E2H::EnableOsAtEl2.value
    | HCR_EL2::RW::EL1IsAarch64.value
    | HCR_EL2::API::SET.value
    | HCR_EL2::APK::SET.value;

/// No counter counts at EL2, and no lower level has debug, trace, profiling or PMU registers.
const MDCR: u64 = MDCR_EL2::MTPME::SET.value
    | MDCR_EL2::TDCC::SET.value
    | MDCR_EL2::HCCD::SET.value
    | MDCR_EL2::TTRF::SET.value
    | MDCR_EL2::HPMD::SET.value
    | MDCR_EL2::TPMS::SET.value
    | MDCR_EL2::TDRA::SET.value
    | MDCR_EL2::TDOSA::SET.value
    | MDCR_EL2::TDA::SET.value
    | MDCR_EL2::TPM::SET.value
    | MDCR_EL2::TPMCR::SET.value;

/// SCTLR_EL2 of the early identity map: MMU and caches on, alignment of the stack checked,
/// exceptions synchronize context and errors. WXN is off, since this map is writable and
/// executable. A is off, since compiled code copies bytes by words that need not be aligned.
pub const SCTLR_EARLY: u64 = SCTLR_EL2::M::SET.value
    | SCTLR_EL2::C::SET.value
    | SCTLR_EL2::SA::SET.value
    | SCTLR_EL2::I::SET.value
    | SCTLR_EL2::EOS::SET.value
    | SCTLR_EL2::EIS::SET.value
    | SCTLR_EL2::IESB::SET.value
    | SCTLR_EL2::SPAN::SET.value
    // These concern EL0 under EL2, where nothing runs: as at reset.
    | SCTLR_EL2::SA0::SET.value
    | SCTLR_EL2::CP15BEN::SET.value
    | SCTLR_EL2::NTWI::SET.value
    | SCTLR_EL2::NTWE::SET.value
    | SCTLR_EL2::NTLSMD::SET.value
    | SCTLR_EL2::LSMAOE::SET.value;

/// SCTLR_EL2 with the Low and High VA maps: nothing writable is executable. Where code signs return
/// addresses, signing is on and `PACIASP` is no landing pad for `BR`.
pub const SCTLR: u64 = SCTLR_EARLY
    | SCTLR_EL2::WXN::SET.value
    | if cfg!(hardened) { SCTLR_EL2::ENIA::SET.value | SCTLR_EL2::BT::SET.value } else { 0 };

/// No High VA range yet.
pub const TCR_NO_HIGH_RANGE: u64 = TCR_EL2::EPD1::SET.value;

/// TCR_EL2 of the early map, less IPS: 48 bits, 4 KiB granule, write-back inner-shareable walks.
/// The fields of the High VA range, which is off, hold no reserved value.
pub const TCR_EARLY: u64 = TCR_NO_HIGH_RANGE
    | 16
    | TCR_EL2::IRGN0::WriteBackAllocate.value
    | TCR_EL2::ORGN0::WriteBackAllocate.value
    | TCR_EL2::SH0::Inner.value
    | TCR_EL2::TG0::KiB4.value
    | 16 << 16
    | TCR_EL2::TG1::KiB4.value;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlRegister {
    /// The name in the architecture.
    pub name: &'static str,
    /// What it holds from the boot of a CPU on. The bits of `kept` are as EL3 left them.
    pub value: u64,
    /// Bits that are kept.
    pub kept: u64,
    /// The field of an ID register that says that it exists, and the field's least value; `None` if
    /// it always does.
    pub feature: Option<(&'static str, u32, u64)>,
    /// Why this value.
    pub reason: &'static str,
}

/// Makes the table, and two functions for `entry.S`. `find_control_registers` leaves in x1 which of
/// the optional registers this CPU has, a bit for each group of them; `write_control_registers`
/// takes that from x1. Both clobber x0 and x2. The caller issues the ISB.
macro_rules! control_registers {
    (
        first { $first:ident $first_name:literal = $first_value:expr, $first_reason:literal; }
        keep { $keep:ident $keep_name:literal $kept:literal = $keep_value:expr, $keep_reason:literal; }
        always { $($register:ident $name:literal = $value:expr, $reason:literal;)* }
        $($id:ident $id_name:literal {$(
            [$lsb:literal] >= $least:literal {
                $($optional:ident $optional_name:literal = $optional_value:expr,
                    $optional_reason:literal;)*
            }
        )*})*
    ) => {
        /// Every control register that boot writes before the MMU is on, in this order.
        pub const CONTROL_REGISTERS: &[ControlRegister] = &[
            ControlRegister {
                name: stringify!($first), value: $first_value, kept: 0, feature: None,
                reason: $first_reason,
            },
            ControlRegister {
                name: stringify!($keep), value: $keep_value, kept: $kept, feature: None,
                reason: $keep_reason,
            },
            $(ControlRegister {
                name: stringify!($register), value: $value, kept: 0, feature: None,
                reason: $reason,
            },)*
            $($($(ControlRegister {
                name: stringify!($optional), value: $optional_value, kept: 0,
                feature: Some((stringify!($id), $lsb, $least)), reason: $optional_reason,
            },)*)*)*
        ];

        #[cfg(target_os = "none")]
        core::arch::global_asm!(
            ".section .text.write_control_registers, \"ax\"",
            ".global find_control_registers",
            "find_control_registers:",
            "mov x1, xzr",
            ".set group, 0",
            $(
                concat!("mrs x0, ", $id_name),
                $(
                    // The least value is a power of 2, so the field reaches it if one of these bits
                    // is set.
                    concat!("tst x0, #((16 - ", $least, ") << ", $lsb, ")"),
                    "cset x2, ne",
                    "orr x1, x1, x2, lsl #group",
                    ".set group, group + 1",
                )*
            )*
            "ret",
            ".macro control_register name, value",
            ".if \\value == 0",
            "msr \\name, xzr",
            ".else",
            "ldr x0, =\\value",
            "msr \\name, x0",
            ".endif",
            ".endm",
            ".global write_control_registers",
            "write_control_registers:",
            concat!("control_register ", $first_name, ", {}"),
            "isb",
            concat!("mrs x2, ", $keep_name),
            concat!("and x2, x2, #", $kept),
            "ldr x0, ={}",
            "orr x0, x0, x2",
            concat!("msr ", $keep_name, ", x0"),
            $(concat!("control_register ", $name, ", {}"),)*
            ".set group, 0",
            $($(
                "tbz x1, #group, 77f",
                $(concat!("control_register ", $optional_name, ", {}"),)*
                "77:",
                ".set group, group + 1",
            )*)*
            "ret",
            ".ltorg",
            const $first_value,
            const $keep_value,
            $(const $value,)*
            $($($(const $optional_value,)*)*)*
        );
    };
}

control_registers! {
    first {
        HCR_EL2 "hcr_el2" = HCR, "E2H gives the other registers their layout; EL1 is AArch64";
    }
    keep {
        MDCR_EL2 "mdcr_el2" 0x1f = MDCR,
            "the host's counters stop at EL2; debug, trace and PMU registers trap; HPMN is kept";
    }
    always {
        CPTR_EL2 "cptr_el2" = 0, "floating point, SVE and SME trap but where the RMM opens them";
        HSTR_EL2 "hstr_el2" = 0, "nothing of AArch32 traps";
        HACR_EL2 "hacr_el2" = 0, "no traps that the implementation defines";
        CNTHCTL_EL2 "cnthctl_el2" = 0, "EL1 has no physical counter and timer, no event stream";
        CNTVOFF_EL2 "cntvoff_el2" = 0, "virtual time is physical time";
        CONTEXTIDR_EL2 "s3_4_c13_c0_1" = 0, "not used";
        AMAIR_EL2 "amair_el2" = 0, "no memory attributes that the implementation defines";
        VTCR_EL2 "vtcr_el2" = VTCR_EL2::RES1::SET.value, "a Realm's only while it is invalidated or runs";
        VTTBR_EL2 "vttbr_el2" = 0, "as VTCR_EL2";
        VPIDR_EL2 "vpidr_el2" = 0, "a Realm's only while it runs";
        VMPIDR_EL2 "vmpidr_el2" = VMPIDR_EL2::RES1::SET.value, "as VPIDR_EL2";
    }
    ID_AA64MMFR0_EL1 "id_aa64mmfr0_el1" {
        [56] >= 1 {
            HFGRTR_EL2 "s3_4_c1_c1_4" = 0, "traps of EL1 in their safe state";
            HFGWTR_EL2 "s3_4_c1_c1_5" = 0, "as HFGRTR_EL2";
            HFGITR_EL2 "s3_4_c1_c1_6" = 0, "as HFGRTR_EL2";
            HDFGRTR_EL2 "s3_4_c3_c1_4" = 0, "as HFGRTR_EL2";
            HDFGWTR_EL2 "s3_4_c3_c1_5" = 0, "as HFGRTR_EL2";
        }
        [56] >= 2 {
            HFGRTR2_EL2 "s3_4_c3_c1_2" = 0, "as HFGRTR_EL2";
            HFGWTR2_EL2 "s3_4_c3_c1_3" = 0, "as HFGRTR_EL2";
            HFGITR2_EL2 "s3_4_c3_c1_7" = 0, "as HFGRTR_EL2";
            HDFGRTR2_EL2 "s3_4_c3_c1_0" = 0, "as HFGRTR_EL2";
            HDFGWTR2_EL2 "s3_4_c3_c1_1" = 0, "as HFGRTR_EL2";
        }
        [60] >= 2 {
            CNTPOFF_EL2 "s3_4_c14_c0_6" = 0, "physical time has no offset";
        }
    }
    ID_AA64MMFR1_EL1 "id_aa64mmfr1_el1" {
        [40] >= 1 {
            HCRX_EL2 "s3_4_c1_c2_2" = HCRX_EL2::MSCEn::SET.value,
                "optional features of EL1 off, but for instructions that copy and set memory";
        }
    }
    ID_AA64MMFR3_EL1 "s3_0_c0_c7_3" {
        [0] >= 1 {
            TCR2_EL2 "s3_4_c2_c0_3" = 0, "descriptors as the tables have them: no indirection, no MEC";
        }
        [4] >= 1 {
            SCTLR2_EL2 "s3_4_c1_c0_3" = 0, "as SCTLR_EL2 alone says";
        }
        [8] >= 1 {
            PIR_EL2 "s3_4_c10_c2_3" = 0, "not used: TCR2_EL2.PIE is 0";
            PIRE0_EL2 "s3_4_c10_c2_2" = 0, "as PIR_EL2";
        }
        [16] >= 1 {
            POR_EL2 "s3_4_c10_c2_4" = 0, "not used: TCR2_EL2.POE is 0";
        }
        [24] >= 1 {
            MAIR2_EL2 "s3_4_c10_c1_1" = 0, "not used: TCR2_EL2.AIE is 0";
            AMAIR2_EL2 "s3_4_c10_c3_1" = 0, "as AMAIR_EL2";
        }
        [28] >= 1 {
            MECID_P0_EL2 "s3_4_c10_c8_0" = 0, "one memory encryption context for all";
            MECID_A0_EL2 "s3_4_c10_c8_1" = 0, "as MECID_P0_EL2";
            MECID_P1_EL2 "s3_4_c10_c8_2" = 0, "as MECID_P0_EL2";
            MECID_A1_EL2 "s3_4_c10_c8_3" = 0, "as MECID_P0_EL2";
            VMECID_P_EL2 "s3_4_c10_c9_0" = 0, "as MECID_P0_EL2";
            VMECID_A_EL2 "s3_4_c10_c9_1" = 0, "as MECID_P0_EL2";
        }
    }
    ID_AA64PFR0_EL1 "id_aa64pfr0_el1" {
        [28] >= 1 {
            VSESR_EL2 "s3_4_c5_c2_3" = 0, "no virtual SError";
            VDISR_EL2 "s3_4_c12_c1_1" = 0, "as VSESR_EL2";
        }
        [40] >= 1 {
            MPAM2_EL2 "s3_4_c10_c5_0" =
                MPAM2_EL2::TRAPMPAM1EL1::SET.value | MPAM2_EL2::TRAPMPAM0EL1::SET.value,
                "the default partition; EL1 and EL0 have no MPAM registers";
        }
        [48] >= 1 {
            DIT "s3_3_c4_c2_5" = PSTATE::DIT::SET.value,
                "timing that does not depend on data, in all of the RMM";
        }
        [56] >= 2 {
            SCXTNUM_EL2 "s3_4_c13_c0_7" = 0, "one software context number";
        }
    }
    ID_AA64PFR1_EL1 "id_aa64pfr1_el1" {
        [4] >= 2 {
            SSBS "s3_3_c4_c2_6" = 0, "no speculative store bypass in the RMM";
        }
        [8] >= 2 {
            TFSR_EL2 "s3_4_c5_c6_0" = 0, "no tag check fault";
        }
        [44] >= 1 {
            GCSCR_EL2 "s3_4_c2_c5_0" = 0, "no guarded control stack";
        }
    }
    ID_AA64DFR0_EL1 "id_aa64dfr0_el1" {
        [40] >= 1 {
            TRFCR_EL2 "s3_4_c1_c2_1" = 0, "no trace of EL2";
        }
        [52] >= 1 {
            BRBCR_EL2 "s2_4_c9_c0_0" = 0, "no branch record of EL2";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_known() {
        let value = |name| {
            CONTROL_REGISTERS.iter().find(|row| row.name == name).map(|row| (row.value, row.kept))
        };
        assert_eq!(value("HCR_EL2"), Some((0x0000_0304_8000_0000 & !(1 << 9), 0)));
        assert_eq!(value("MDCR_EL2"), Some((0x188a_4e60, 0x1f)));
        assert_eq!(value("VTCR_EL2"), Some((0x8000_0000, 0)));
        assert_eq!(value("DIT"), Some((1 << 24, 0)));
        assert_eq!(SCTLR_EARLY, 0x30e5_183d);
        assert_eq!(TCR_EARLY, 0x8090_3510);
    }

    #[test]
    fn the_assembly_can_test_every_feature() {
        for row in CONTROL_REGISTERS {
            let Some((register, lsb, least)) = row.feature else { continue };
            assert!(least.is_power_of_two() && lsb % 4 == 0, "{}", row.name);
            // Its upper half is passed over.
            assert!(register != "ID_AA64MMFR3_EL1" || lsb < 32, "{}", row.name);
        }
    }

    #[test]
    fn no_register_has_two_values() {
        for (index, row) in CONTROL_REGISTERS.iter().enumerate() {
            assert!(CONTROL_REGISTERS[..index].iter().all(|other| other.name != row.name));
            assert_eq!(row.value & row.kept, 0, "{}", row.name);
        }
    }

    /// The rows as the page on boot has them.
    fn rows() -> String {
        let row = |row: &ControlRegister| {
            let when = row.feature.map_or("always".to_owned(), |(register, lsb, least)| {
                format!("{register}[{}:{lsb}] >= {least}", lsb + 3)
            });
            format!("| {} | {:#x} | {when} | {} |\n", row.name, row.value, row.reason)
        };
        CONTROL_REGISTERS.iter().map(row).collect()
    }

    #[test]
    fn the_page_on_boot_has_the_table() {
        let page = include_str!("../../docs/design/boot.md");
        assert!(page.contains(&rows()), "docs/design/boot.md needs these rows:\n{}", rows());
    }
}
