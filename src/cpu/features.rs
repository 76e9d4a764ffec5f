// SPDX-License-Identifier: BSD-3-Clause
//! Features of the CPUs: the ID registers, read once in each boot of a CPU.
//!
//! The table below names every field that the RMM relies on. A CPU whose fields differ from those
//! of the first CPU is refused. A CPU whose registers are the same has the same features and
//! errata.

use tock_registers::interfaces::Readable;

use crate::address::physical_address_bits;
use crate::arch::sysreg;

/// Defines `CpuFeatures`: a word for each register, and a function for each of its fields.
macro_rules! cpu_features {
    ($($register:ident $encoding:literal {
        $($(#[$doc:meta])* $field:ident [$high:literal:$low:literal],)*
    })*) => {
        /// ID registers, as the CPU has them.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[allow(non_snake_case)]
        pub struct CpuFeatures {
            $($register: u64,)*
        }

        impl CpuFeatures {
            /// Those of the running CPU.
            pub fn read() -> Self {
                Self { $($register: sysreg::$register.get(),)* }
            }

            /// How many registers there are.
            pub const COUNT: usize = [$($encoding),*].len();

            /// The registers, in the order in which `compare_cpu_features` takes them.
            pub const fn registers(&self) -> [u64; Self::COUNT] {
                [$(self.$register),*]
            }

            /// The first register in which `other` differs in a field that the RMM relies on.
            pub fn difference(&self, other: &Self) -> Option<&'static str> {
                [$((
                    stringify!($register),
                    (self.$register ^ other.$register) & (0 $(| mask($high, $low))*),
                ),)*]
                    .into_iter()
                    .find_map(|(name, difference)| (difference != 0).then_some(name))
            }

            $($($(#[$doc])*
            pub const fn $field(&self) -> u8 {
                field(self.$register, $high, $low)
            })*)*
        }

        // Sets Z if the running CPU has the registers that x1 points to, bit by bit: most CPUs of a
        // machine do. Clobbers x0 to x2. `entry.S` calls it with the MMU off.
        #[cfg(target_os = "none")]
        core::arch::global_asm!(
            ".section .text.compare_cpu_features, \"ax\"",
            ".global compare_cpu_features",
            "compare_cpu_features:",
            "cmp x1, x1", // sets Z
            $(
                concat!("mrs x0, ", $encoding),
                "ldr x2, [x1], #8",
                "ccmp x0, x2, #0, eq",
            )*
            "ret",
        );
    };
}

cpu_features! {
    // Not a feature: errata are found by it.
    MIDR_EL1 "midr_el1" {}
    ID_AA64MMFR0_EL1 "id_aa64mmfr0_el1" {
        /// Physical address range, as a code.
        physical_range [3:0],
        /// ASIDs have 16 bits.
        asid_bits [7:4],
        /// Stage 1 with the 4 KiB granule; 1 is LPA2.
        tgran4 [31:28],
        /// Stage 2 with the 4 KiB granule; 0 is as stage 1, 3 is LPA2.
        tgran4_2 [43:40],
        /// Fine-grained traps: 2 is FEAT_FGT2.
        fgt [59:56],
        /// FEAT_ECV.
        ecv [63:60],
    }
    ID_AA64MMFR1_EL1 "id_aa64mmfr1_el1" {
        /// VMIDs have 16 bits.
        vmid_width [7:4],
        /// FEAT_HPDS.
        hpds [15:12],
        /// FEAT_HCX: HCRX_EL2.
        hcx [43:40],
    }
    ID_AA64MMFR2_EL1 "id_aa64mmfr2_el1" {
        /// FEAT_TTCNP.
        cnp [3:0],
        /// FEAT_IESB.
        iesb [15:12],
        /// FEAT_TTST.
        st [31:28],
        /// FEAT_S2FWB.
        fwb [43:40],
        /// FEAT_TTL: TLBI with a level.
        ttl [51:48],
        /// FEAT_E0PD.
        e0pd [63:60],
    }
    ID_AA64MMFR3_EL1 "s3_0_c0_c7_3" {
        /// FEAT_TCR2: TCR2_EL2.
        tcrx [3:0],
        /// FEAT_SCTLR2: SCTLR2_EL2.
        sctlrx [7:4],
        /// FEAT_S1PIE: PIR_EL2 and PIRE0_EL2.
        s1pie [11:8],
        /// FEAT_S1POE: POR_EL2.
        s1poe [19:16],
        /// FEAT_AIE: MAIR2_EL2 and AMAIR2_EL2.
        aie [27:24],
        /// FEAT_MEC: the MECIDs.
        mec [31:28],
    }
    ID_AA64PFR0_EL1 "id_aa64pfr0_el1" {
        /// FEAT_RAS.
        ras [31:28],
        /// FEAT_SVE.
        sve [35:32],
        /// The major part of the version of MPAM.
        mpam [43:40],
        /// FEAT_AMUv1.
        amu [47:44],
        /// FEAT_DIT.
        dit [51:48],
        /// 2 and more: FEAT_CSV2_2, SCXTNUM_EL2.
        csv2 [59:56],
    }
    ID_AA64PFR1_EL1 "id_aa64pfr1_el1" {
        /// FEAT_BTI.
        bt [3:0],
        /// FEAT_MTE2 and later: 2 and more.
        mte [11:8],
        /// The minor part of the version of MPAM.
        mpam_frac [19:16],
        /// FEAT_SME.
        sme [27:24],
        /// 2: SCXTNUM_EL2 with a `csv2` of 1 (FEAT_CSV2_1p2).
        csv2_frac [35:32],
        /// FEAT_GCS.
        gcs [47:44],
    }
    ID_AA64DFR0_EL1 "id_aa64dfr0_el1" {
        /// FEAT_PMUv3, by version; 15 is none.
        pmu [11:8],
        /// Breakpoints, less one.
        breakpoints [15:12],
        /// Watchpoints, less one.
        watchpoints [23:20],
        /// FEAT_SPE.
        spe [35:32],
        /// FEAT_TRF: TRFCR_EL2.
        trace_filter [43:40],
        /// FEAT_TRBE.
        trbe [47:44],
        /// FEAT_MTPMU; 15 is none.
        mtpmu [51:48],
        /// FEAT_BRBE.
        brbe [55:52],
        /// FEAT_HPMN0.
        hpmn0 [63:60],
    }
    ID_AA64ISAR0_EL1 "id_aa64isar0_el1" {
        /// FEAT_SHA256 and FEAT_SHA512.
        sha2 [15:12],
        /// FEAT_LSE.
        atomic [23:20],
        /// FEAT_RNG.
        rndr [63:60],
    }
    ID_AA64ISAR1_EL1 "id_aa64isar1_el1" {
        /// FEAT_PAuth, QARMA5.
        apa [7:4],
        /// FEAT_PAuth, an algorithm of the implementer.
        api [11:8],
        /// FEAT_SB.
        sb [39:36],
    }
    ID_AA64ISAR2_EL1 "s3_0_c0_c6_2" {
        /// FEAT_PAuth, QARMA3.
        apa3 [15:12],
    }
    CTR_EL0 "ctr_el0" {
        /// Instruction cache lines: log2 of the smallest, in words.
        instruction_line [3:0],
        /// Level 1 instruction cache policy.
        instruction_policy [15:14],
        /// Data cache lines: log2 of the smallest, in words.
        data_line [19:16],
        /// Data cleaning to the point of unification is not needed for instruction fetch.
        idc [28:28],
        /// Instruction cache invalidation is not needed either.
        dic [29:29],
    }
    DCZID_EL0 "dczid_el0" {
        /// log2 of the words that DC ZVA zeroes.
        zero_block [3:0],
        /// DC ZVA is prohibited.
        zero_prohibited [4:4],
    }
}

const fn mask(high: u32, low: u32) -> u64 {
    ((1 << (high - low + 1)) - 1) << low
}

#[expect(clippy::cast_possible_truncation, reason = "a field has at most 4 bits")]
const fn field(register: u64, high: u32, low: u32) -> u8 {
    ((register & mask(high, low)) >> low) as u8
}

impl CpuFeatures {
    /// The physical address range, as a code that TCR_EL2.IPS and VTCR_EL2.PS take, 52 bits at
    /// most. Larger ranges need 128-bit descriptors.
    pub const fn physical_range_code(&self) -> u8 {
        let code = self.physical_range();
        if code < 6 { code } else { 6 }
    }

    /// Bits of a physical address, 52 at most.
    pub const fn physical_bits(&self) -> u8 {
        physical_address_bits(self.physical_range_code() as u64)
    }

    /// Whether stage 1 has 52-bit descriptors for the 4 KiB granule. The field is signed.
    pub const fn stage1_lpa2(&self) -> bool {
        matches!(self.tgran4(), 1..8)
    }

    /// Whether stage 2 has 52-bit descriptors for the 4 KiB granule.
    pub const fn stage2_lpa2(&self) -> bool {
        match self.tgran4_2() {
            0 => self.stage1_lpa2(),
            stage2 => stage2 == 3,
        }
    }

    /// Bits of a VMID.
    pub const fn vmid_bits(&self) -> u8 {
        if self.vmid_width() == 2 { 16 } else { 8 }
    }

    /// Whether there is MPAM2_EL2.
    pub const fn has_mpam(&self) -> bool {
        self.mpam() != 0 || self.mpam_frac() != 0
    }

    /// Whether there is SCXTNUM_EL2.
    pub const fn has_scxtnum(&self) -> bool {
        self.csv2() >= 2 || (self.csv2() == 1 && self.csv2_frac() == 2)
    }

    /// Whether there is a PMU of the architecture.
    pub const fn has_pmu(&self) -> bool {
        !matches!(self.pmu(), 0 | 15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::preset_register;

    #[test]
    fn each_field_is_that_of_its_register_and_no_other() {
        preset_register("ID_AA64MMFR0_EL1", 3 << 40 | 2 << 56 | 5);
        preset_register("ID_AA64MMFR1_EL1", 2 << 4);
        preset_register("ID_AA64DFR0_EL1", 3 << 20 | 5 << 12 | 1 << 28);
        let features = CpuFeatures::read();
        assert_eq!((features.physical_bits(), features.vmid_bits()), (48, 16));
        assert_eq!((features.breakpoints(), features.watchpoints()), (5, 3));
        assert_eq!((features.fgt(), features.ecv(), features.hcx()), (2, 0, 0));
        assert!(features.stage2_lpa2() && !features.stage1_lpa2());
    }

    #[test]
    fn a_physical_range_is_never_more_than_52_bits() {
        let bits = [32, 36, 40, 42, 44, 48, 52, 52, 52];
        for (code, bits) in (0..).zip(bits) {
            preset_register("ID_AA64MMFR0_EL1", code);
            assert_eq!(CpuFeatures::read().physical_bits(), bits);
        }
    }

    #[test]
    fn a_field_that_is_relied_on_makes_two_cpus_differ_and_another_does_not() {
        let first = CpuFeatures::read();
        for (register, bits) in [
            ("ID_AA64MMFR0_EL1", 1 << 40),
            ("ID_AA64MMFR1_EL1", 1 << 5),
            ("ID_AA64DFR0_EL1", 1 << 12),
            ("ID_AA64DFR0_EL1", 1 << 20),
            ("CTR_EL0", 1 << 29),
            ("DCZID_EL0", 1 << 4),
        ] {
            preset_register(register, bits);
            assert_eq!(first.difference(&CpuFeatures::read()), Some(register));
            preset_register(register, 0);
        }
        // Memory tagging of Realms, and the CPU's revision, are not the RMM's.
        preset_register("ID_AA64DFR0_EL1", 7);
        assert_eq!(first.difference(&CpuFeatures::read()), None);
    }
}
