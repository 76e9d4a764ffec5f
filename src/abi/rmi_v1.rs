// SPDX-License-Identifier: BSD-3-Clause
//! RMI 1.0: structures in the host's memory, and values of arguments and outputs.
//!
//! A structure fills a page, with reserved bytes between groups of fields. The groups that the RMM
//! reads or writes by themselves are structures of their own.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Auxiliary granules that a REC can have at most.
pub const MAX_REC_AUX: usize = 16;
/// List registers in a run page.
pub const MAX_LRS: usize = 16;
/// X0 to X30.
pub const GPRS: usize = 31;

/// RmiRttEntryState: UNASSIGNED.
pub const RTTE_UNASSIGNED: u64 = 0;
/// RmiRttEntryState: ASSIGNED.
pub const RTTE_ASSIGNED: u64 = 1;
/// RmiRttEntryState: TABLE.
pub const RTTE_TABLE: u64 = 2;

bitflags! {
    /// RmiRealmFlags.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RealmFlags: u64 {
        /// 52-bit addresses.
        const LPA2 = 1 << 0;
        /// SVE.
        const SVE = 1 << 1;
        /// Performance Monitors.
        const PMU = 1 << 2;
    }

    /// RmiRecFlags.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RecFlags: u64 {
        /// The REC is runnable at first.
        const RUNNABLE = 1 << 0;
    }

    /// RmiDataFlags.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DataFlags: u64 {
        /// The content is measured.
        const MEASURE_CONTENT = 1 << 0;
    }

    /// RmiRecEnterFlags.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RecEnterFlags: u64 {
        /// The host has emulated an access to unprotected memory.
        const EMUL_MMIO = 1 << 0;
        /// The REC takes a Synchronous External abort.
        const INJECT_SEA = 1 << 1;
        /// WFI is trapped.
        const TRAP_WFI = 1 << 2;
        /// WFE is trapped.
        const TRAP_WFE = 1 << 3;
        /// The host rejects the change of RIPAS.
        const RIPAS_RESPONSE = 1 << 4;
    }
}

/// RmiRealmParams 0x0 to 0x37: the fields that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RealmAttributes {
    /// [`RealmFlags`].
    pub flags: u64,
    /// Bits of an IPA.
    pub s2sz: u32,
    _reserved0: u32,
    /// SVE vector length.
    pub sve_vl: u32,
    _reserved1: u32,
    /// Breakpoints, less one.
    pub num_bps: u32,
    _reserved2: u32,
    /// Watchpoints, less one.
    pub num_wps: u32,
    _reserved3: u32,
    /// PMU counters.
    pub pmu_num_ctrs: u32,
    _reserved4: u32,
    /// RmiHashAlgorithm.
    pub algorithm: u8,
    _reserved5: [u8; 7],
}

layout!(RealmAttributes: 0x38 {
    flags: 0x0, s2sz: 0x8, sve_vl: 0x10, num_bps: 0x18, num_wps: 0x20, pmu_num_ctrs: 0x28,
    algorithm: 0x30,
});

/// RmiRealmParams 0x800 to 0x81f: VMID and root tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RealmStage2 {
    /// VMID.
    pub vmid: u16,
    _reserved0: [u8; 6],
    /// Address of the first root table.
    pub rtt_base: u64,
    /// Level of the root tables.
    pub rtt_level_start: i64,
    /// Number of root tables.
    pub rtt_num_start: u32,
    _reserved1: u32,
}

layout!(RealmStage2: 0x20 { vmid: 0x0, rtt_base: 0x8, rtt_level_start: 0x10, rtt_num_start: 0x18 });

/// RmiRealmParams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RmiRealmParams {
    /// What is measured.
    pub attributes: RealmAttributes,
    _reserved0: [u8; 0x400 - 0x38],
    /// Realm Personalization Value.
    pub rpv: [u64; 8],
    _reserved1: [u8; 0x800 - 0x440],
    /// VMID and root tables.
    pub stage2: RealmStage2,
    _reserved2: [u8; 0x1000 - 0x820],
}

layout!(RmiRealmParams: 0x1000 { attributes: 0x0, rpv: 0x400, stage2: 0x800 });

/// RmiRecParams 0x800 to 0x887: the auxiliary granules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RecAuxiliary {
    /// How many addresses are used.
    pub count: u64,
    /// Their addresses.
    pub granules: [u64; MAX_REC_AUX],
}

layout!(RecAuxiliary: 0x88 { count: 0x0, granules: 0x8 });

/// RmiRecParams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RmiRecParams {
    /// [`RecFlags`].
    pub flags: u64,
    _reserved0: [u8; 0x100 - 0x8],
    /// RmiRecMpidr.
    pub mpidr: u64,
    _reserved1: [u8; 0x200 - 0x108],
    /// Where the REC begins to execute.
    pub pc: u64,
    _reserved2: [u8; 0x300 - 0x208],
    /// X0 to X7.
    pub gprs: [u64; 8],
    _reserved3: [u8; 0x800 - 0x340],
    /// Auxiliary granules.
    pub aux: RecAuxiliary,
    _reserved4: [u8; 0x1000 - 0x888],
}

layout!(RmiRecParams: 0x1000 { flags: 0x0, mpidr: 0x100, pc: 0x200, gprs: 0x300, aux: 0x800 });

/// RmiRecEnter: what the host passes to RMI_REC_ENTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RecEnter {
    /// [`RecEnterFlags`].
    pub flags: u64,
    _reserved0: [u8; 0x200 - 0x8],
    /// X0 to X30.
    pub gprs: [u64; GPRS],
    _reserved1: u64,
    /// ICH_HCR_EL2.
    pub gicv3_hcr: u64,
    /// ICH_LRn_EL2.
    pub gicv3_lrs: [u64; MAX_LRS],
    _reserved2: [u8; 0x800 - 0x388],
}

layout!(RecEnter: 0x800 { flags: 0x0, gprs: 0x200, gicv3_hcr: 0x300, gicv3_lrs: 0x308 });

/// RmiRecExit: what the RMM reports to the host when the REC exits.
///
/// Each field narrower than 64 bits is a `u64` here: the bytes above it are reserved, and 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RecExit {
    /// RmiRecExitReason.
    pub exit_reason: u64,
    _reserved0: [u8; 0x100 - 0x8],
    /// ESR_EL2, as far as the host may see it.
    pub esr: u64,
    /// FAR_EL2, as far as the host may see it.
    pub far: u64,
    /// HPFAR_EL2, as far as the host may see it.
    pub hpfar: u64,
    _reserved1: [u8; 0x200 - 0x118],
    /// X0 to X30.
    pub gprs: [u64; GPRS],
    _reserved2: u64,
    /// ICH_HCR_EL2.
    pub gicv3_hcr: u64,
    /// ICH_LRn_EL2.
    pub gicv3_lrs: [u64; MAX_LRS],
    /// ICH_MISR_EL2.
    pub gicv3_misr: u64,
    /// ICH_VMCR_EL2.
    pub gicv3_vmcr: u64,
    _reserved3: [u8; 0x400 - 0x398],
    /// CNTP_CTL_EL0.
    pub cntp_ctl: u64,
    /// CNTP_CVAL_EL0.
    pub cntp_cval: u64,
    /// CNTV_CTL_EL0.
    pub cntv_ctl: u64,
    /// CNTV_CVAL_EL0.
    pub cntv_cval: u64,
    _reserved4: [u8; 0x500 - 0x420],
    /// Base of a pending change of RIPAS.
    pub ripas_base: u64,
    /// Top of a pending change of RIPAS.
    pub ripas_top: u64,
    /// RmiRipas that the Realm asks for (8 bits).
    pub ripas_value: u64,
    _reserved5: [u8; 0x600 - 0x518],
    /// Immediate of a host call (16 bits).
    pub imm: u64,
    _reserved6: [u8; 0x700 - 0x608],
    /// RmiPmuOverflowStatus (8 bits).
    pub pmu_ovf_status: u64,
    _reserved7: [u8; 0x800 - 0x708],
}

layout!(RecExit: 0x800 {
    exit_reason: 0x0, esr: 0x100, far: 0x108, hpfar: 0x110, gprs: 0x200, gicv3_hcr: 0x300,
    gicv3_lrs: 0x308, gicv3_misr: 0x388, gicv3_vmcr: 0x390, cntp_ctl: 0x400, cntp_cval: 0x408,
    cntv_ctl: 0x410, cntv_cval: 0x418, ripas_base: 0x500, ripas_top: 0x508, ripas_value: 0x510,
    imm: 0x600, pmu_ovf_status: 0x700,
});

/// RmiRecRun: the page that RMI_REC_ENTER reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RmiRecRun {
    /// Read by the RMM.
    pub enter: RecEnter,
    /// Written by the RMM.
    pub exit: RecExit,
}

layout!(RmiRecRun: 0x1000 { enter: 0x0, exit: 0x800 });
