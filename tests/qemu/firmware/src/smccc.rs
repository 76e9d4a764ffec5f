// SPDX-License-Identifier: BSD-3-Clause
//! SMC function identifiers and result values used on both sides of the normal-world interface of
//! EL3.

/// The answer to an unknown or unavailable function (SMCCC "not supported").
pub const UNKNOWN: u64 = u64::MAX;
/// FID bit 16: the caller has no live SVE state (SMCCC 1.3).
pub const SVE_HINT: u64 = 1 << 16;

/// PSCI functions and results (PSCI 1.1).
pub mod psci {
    /// PSCI_VERSION.
    pub const VERSION: u64 = 0x8400_0000;
    /// CPU_OFF.
    pub const CPU_OFF: u64 = 0x8400_0002;
    /// CPU_ON, SMC64: x1 target affinity, x2 entry point, x3 context.
    pub const CPU_ON: u64 = 0xC400_0003;
    /// AFFINITY_INFO, SMC64: x1 target affinity, x2 lowest affinity level.
    pub const AFFINITY_INFO: u64 = 0xC400_0004;
    /// SYSTEM_OFF.
    pub const SYSTEM_OFF: u64 = 0x8400_0008;

    /// What PSCI_VERSION answers: 1.1.
    pub const VERSION_1_1: u64 = 0x1_0001;
    /// Success.
    pub const SUCCESS: u64 = 0;
    /// Invalid parameters.
    pub const INVALID_PARAMETERS: u64 = 0u64.wrapping_sub(2);
    /// The CPU is already on.
    pub const ALREADY_ON: u64 = 0u64.wrapping_sub(4);
    /// A CPU_ON for this CPU is under way.
    pub const ON_PENDING: u64 = 0u64.wrapping_sub(5);

    /// AFFINITY_INFO: the CPU is on.
    pub const AFFINITY_ON: u64 = 0;
    /// AFFINITY_INFO: the CPU is off.
    pub const AFFINITY_OFF: u64 = 1;
    /// AFFINITY_INFO: the CPU is on its way.
    pub const AFFINITY_ON_PENDING: u64 = 2;
}

/// Services of this test monitor that TF-A does not have. For the host only.
pub mod test_service {
    /// Instructions the calling CPU spent inside the RMM: returns x0 = in the last visit, x1 = in
    /// the cold boot (0 on CPUs that had none), x2 = in this CPU's last warm boot, x3 = services
    /// the RMM asked EL3 for in the last visit. Exact only with QEMU's `-icount shift=0,sleep=off`.
    pub const VISIT: u64 = 0xC700_0000;
    /// How the RMM booted: returns x0 = code of the last BOOT_COMPLETE on the calling CPU, x1 = 1
    /// when EL3 has given the RMM up.
    pub const BOOT_STATUS: u64 = 0xC700_0001;
    /// The Granule Protection Information of physical address x1: returns x0 = GPI, or
    /// [`super::UNKNOWN`] when the address is outside the Granule Protection Table.
    pub const GRANULE_GPI: u64 = 0xC700_0002;
}
