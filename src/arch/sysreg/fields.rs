// SPDX-License-Identifier: BSD-3-Clause
//! Register fields that `aarch64-cpu` lacks, or has in a layout other than that of E2H = 1.
//!
//! The types that the macro generates cannot carry doc comments: each register and field is
//! described in the macro's input.
#![allow(missing_docs, missing_debug_implementations)]

use tock_registers::register_bitfields;

register_bitfields! {u64,
    /// DCZID_EL0.
    pub DCZID_EL0 [
        /// log2 of the block size in 4-byte words.
        BS OFFSET(0) NUMBITS(4) [],
        /// DC ZVA is prohibited.
        DZP OFFSET(4) NUMBITS(1) []
    ],

    /// ID_AA64ISAR0_EL1.
    pub ID_AA64ISAR0 [
        /// 2 and more: TLB invalidation by range (FEAT_TLBIRANGE).
        TLB OFFSET(56) NUMBITS(4) []
    ],

    /// ISR_EL1: what is pending, masked in PSTATE or not.
    pub ISR_EL1 [
        /// FIQ.
        F OFFSET(6) NUMBITS(1) [],
        /// IRQ.
        I OFFSET(7) NUMBITS(1) [],
        /// SError.
        A OFFSET(8) NUMBITS(1) []
    ],

    /// MPAM2_EL2.
    pub MPAM2_EL2 [
        /// Accesses from EL1 to MPAM1_EL1 trap.
        TRAPMPAM1EL1 OFFSET(48) NUMBITS(1) [],
        /// Accesses from EL1 to MPAM0_EL1 trap.
        TRAPMPAM0EL1 OFFSET(49) NUMBITS(1) []
    ],

    /// The bits of PSTATE that have registers of their own.
    pub PSTATE [
        /// Timing of instructions does not depend on their data.
        DIT OFFSET(24) NUMBITS(1) []
    ],

    /// SCTLR_EL2 when HCR_EL2.E2H is 1.
    pub SCTLR_EL2 [
        /// MMU.
        M OFFSET(0) NUMBITS(1) [],
        /// Alignment of data accesses is checked.
        A OFFSET(1) NUMBITS(1) [],
        /// Data caches.
        C OFFSET(2) NUMBITS(1) [],
        /// Alignment of SP is checked.
        SA OFFSET(3) NUMBITS(1) [],
        /// Alignment of SP is checked at EL0.
        SA0 OFFSET(4) NUMBITS(1) [],
        /// Barriers of AArch32 at EL0.
        CP15BEN OFFSET(5) NUMBITS(1) [],
        /// An exception return synchronizes context.
        EOS OFFSET(11) NUMBITS(1) [],
        /// Instruction caches.
        I OFFSET(12) NUMBITS(1) [],
        /// WFI at EL0 does not trap.
        NTWI OFFSET(16) NUMBITS(1) [],
        /// WFE at EL0 does not trap.
        NTWE OFFSET(18) NUMBITS(1) [],
        /// Nothing writable is executable.
        WXN OFFSET(19) NUMBITS(1) [],
        /// Exceptions synchronize errors.
        IESB OFFSET(21) NUMBITS(1) [],
        /// An exception synchronizes context.
        EIS OFFSET(22) NUMBITS(1) [],
        /// An exception leaves PSTATE.PAN as it is.
        SPAN OFFSET(23) NUMBITS(1) [],
        /// Data accesses and walks are big-endian.
        EE OFFSET(25) NUMBITS(1) [],
        /// Load and store multiple of AArch32 to device memory do not trap.
        NTLSMD OFFSET(28) NUMBITS(1) [],
        /// Load and store multiple of AArch32: atomicity and order.
        LSMAOE OFFSET(29) NUMBITS(1) [],
        /// Instruction addresses are signed with key A.
        ENIA OFFSET(31) NUMBITS(1) [],
        /// PACIASP and PACIBSP are no landing pads for BR.
        BT OFFSET(36) NUMBITS(1) []
    ],

    /// TCR_EL2 when HCR_EL2.E2H is 1: that of TCR_EL1 with the EL2&0 names.
    pub TCR_EL2 [
        /// Low VA range covers 2^(64 - T0SZ) bytes.
        T0SZ OFFSET(0) NUMBITS(6) [],
        /// No walks by TTBR0 on a TLB miss.
        EPD0 OFFSET(7) NUMBITS(1) [],
        /// Inner cacheability of walks by TTBR0.
        IRGN0 OFFSET(8) NUMBITS(2) [NonCacheable = 0, WriteBackAllocate = 1],
        /// Outer cacheability of walks by TTBR0.
        ORGN0 OFFSET(10) NUMBITS(2) [NonCacheable = 0, WriteBackAllocate = 1],
        /// Shareability of walks by TTBR0 (and of its mappings when DS = 1).
        SH0 OFFSET(12) NUMBITS(2) [NonShareable = 0, Outer = 2, Inner = 3],
        /// Granule of the Low VA range.
        TG0 OFFSET(14) NUMBITS(2) [KiB4 = 0, KiB64 = 1, KiB16 = 2],
        /// High VA range covers 2^(64 - T1SZ) bytes.
        T1SZ OFFSET(16) NUMBITS(6) [],
        /// ASID is taken from TTBR1_EL2.
        A1 OFFSET(22) NUMBITS(1) [],
        /// No walks by TTBR1 on a TLB miss.
        EPD1 OFFSET(23) NUMBITS(1) [],
        /// Inner cacheability of walks by TTBR1.
        IRGN1 OFFSET(24) NUMBITS(2) [NonCacheable = 0, WriteBackAllocate = 1],
        /// Outer cacheability of walks by TTBR1.
        ORGN1 OFFSET(26) NUMBITS(2) [NonCacheable = 0, WriteBackAllocate = 1],
        /// Shareability of walks by TTBR1 (and of its mappings when DS = 1).
        SH1 OFFSET(28) NUMBITS(2) [NonShareable = 0, Outer = 2, Inner = 3],
        /// Granule of the High VA range. Its encoding is not that of TG0.
        TG1 OFFSET(30) NUMBITS(2) [KiB16 = 1, KiB4 = 2, KiB64 = 3],
        /// Physical address size: 0 32 bits, 1 36, 2 40, 3 42, 4 44, 5 48, 6 52.
        IPS OFFSET(32) NUMBITS(3) [],
        /// 16-bit ASIDs.
        AS OFFSET(36) NUMBITS(1) [],
        /// Top byte ignored, Low VA range.
        TBI0 OFFSET(37) NUMBITS(1) [],
        /// Top byte ignored, High VA range.
        TBI1 OFFSET(38) NUMBITS(1) [],
        /// Hardware access flag update.
        HA OFFSET(39) NUMBITS(1) [],
        /// Hardware dirty state.
        HD OFFSET(40) NUMBITS(1) [],
        /// Hierarchical permissions disabled, Low VA range.
        HPD0 OFFSET(41) NUMBITS(1) [],
        /// Hierarchical permissions disabled, High VA range.
        HPD1 OFFSET(42) NUMBITS(1) [],
        /// Unprivileged accesses to the Low VA range fault at level 0 of any walk.
        E0PD0 OFFSET(55) NUMBITS(1) [],
        /// Unprivileged accesses to the High VA range fault at level 0 of any walk.
        E0PD1 OFFSET(56) NUMBITS(1) [],
        /// 52-bit descriptors (LPA2).
        DS OFFSET(59) NUMBITS(1) []
    ],

    /// TCR_EL3, and TCR_EL2 when HCR_EL2.E2H is 0: of a regime with one VA range.
    pub TCR_ONE_RANGE [
        /// The VA range covers 2^(64 - T0SZ) bytes.
        T0SZ OFFSET(0) NUMBITS(6) [],
        /// Inner cacheability of walks.
        IRGN0 OFFSET(8) NUMBITS(2) [NonCacheable = 0, WriteBackAllocate = 1],
        /// Outer cacheability of walks.
        ORGN0 OFFSET(10) NUMBITS(2) [NonCacheable = 0, WriteBackAllocate = 1],
        /// Shareability of walks (and of mappings when DS = 1).
        SH0 OFFSET(12) NUMBITS(2) [NonShareable = 0, Outer = 2, Inner = 3],
        /// Granule.
        TG0 OFFSET(14) NUMBITS(2) [KiB4 = 0, KiB64 = 1, KiB16 = 2],
        /// Physical address size, as IPS.
        PS OFFSET(16) NUMBITS(3) [],
        RES1_23 OFFSET(23) NUMBITS(1) [],
        /// Hierarchical permissions disabled.
        HPD OFFSET(24) NUMBITS(1) [],
        RES1_31 OFFSET(31) NUMBITS(1) [],
        /// 52-bit descriptors (LPA2).
        DS OFFSET(32) NUMBITS(1) []
    ],

    /// CNTHCTL_EL2 when HCR_EL2.E2H is 1 (Arm ARM, CNTHCTL_EL2).
    pub CNTHCTL_EL2 [
        /// EL1 and EL0 read the physical counter without a trap.
        EL1PCTEN OFFSET(10) NUMBITS(1) [],
        /// EL1 and EL0 use the physical timer without a trap.
        EL1PTEN OFFSET(11) NUMBITS(1) [],
        /// CNTPOFF_EL2 applies.
        ECV OFFSET(12) NUMBITS(1) [],
        /// The virtual timer's interrupt is masked.
        CNTVMASK OFFSET(18) NUMBITS(1) [],
        /// The physical timer's interrupt is masked.
        CNTPMASK OFFSET(19) NUMBITS(1) []
    ],

    /// CPTR_EL2 when HCR_EL2.E2H is 1 (Arm ARM, CPTR_EL2).
    pub CPTR_EL2 [
        /// SVE: 0 traps at EL2 and below.
        ZEN OFFSET(16) NUMBITS(2) [Trap = 0, None = 3],
        /// Floating point and Advanced SIMD: 0 traps at EL2 and below.
        FPEN OFFSET(20) NUMBITS(2) [Trap = 0, None = 3],
        /// SME: 0 traps at EL2 and below.
        SMEN OFFSET(24) NUMBITS(2) [Trap = 0, None = 3],
        /// Trace registers trap.
        TTA OFFSET(28) NUMBITS(1) [],
        /// Activity monitors trap.
        TAM OFFSET(30) NUMBITS(1) []
    ],

    /// MDCR_EL2 (Arm ARM, MDCR_EL2).
    pub MDCR_EL2 [
        /// Number of event counters accessible from EL1 and EL0.
        HPMN OFFSET(0) NUMBITS(5) [],
        /// PMCR_EL0 traps.
        TPMCR OFFSET(5) NUMBITS(1) [],
        /// PMU registers trap.
        TPM OFFSET(6) NUMBITS(1) [],
        /// Debug registers trap.
        TDA OFFSET(9) NUMBITS(1) [],
        /// OS lock registers trap.
        TDOSA OFFSET(10) NUMBITS(1) [],
        /// Debug ROM registers trap.
        TDRA OFFSET(11) NUMBITS(1) [],
        /// Statistical profiling traps.
        TPMS OFFSET(14) NUMBITS(1) [],
        /// Event counters do not count at EL2.
        HPMD OFFSET(17) NUMBITS(1) [],
        /// Trace filter controls trap.
        TTRF OFFSET(19) NUMBITS(1) [],
        /// The cycle counter does not count at EL2.
        HCCD OFFSET(23) NUMBITS(1) [],
        /// Debug communications channel traps.
        TDCC OFFSET(27) NUMBITS(1) [],
        /// Counters of multi-threaded cores may count other threads.
        MTPME OFFSET(28) NUMBITS(1) []
    ],

    /// HCRX_EL2 (Arm ARM, HCRX_EL2).
    pub HCRX_EL2 [
        /// CPY* and SET* instructions work at EL1 and EL0.
        MSCEn OFFSET(11) NUMBITS(1) []
    ],

    /// VMPIDR_EL2.
    pub VMPIDR_EL2 [
        /// Always 1.
        RES1 OFFSET(31) NUMBITS(1) []
    ]
}
