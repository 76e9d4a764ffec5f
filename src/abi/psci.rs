// SPDX-License-Identifier: BSD-3-Clause
//! Power State Coordination Interface (DEN0022): functions and return codes.

/// PSCI_VERSION returns 1.1.
pub const VERSION_1_1: u64 = 0x1_0001;

/// Function identifiers, without the SVE hint. Those of SMC64 end in 64.
pub mod function {
    functions! {
        /// PSCI_VERSION.
        VERSION = 0x8400_0000;
        /// CPU_SUSPEND.
        CPU_SUSPEND = 0x8400_0001;
        /// CPU_OFF.
        CPU_OFF = 0x8400_0002;
        /// CPU_ON: x1 target affinity, x2 entry point, x3 context.
        CPU_ON = 0x8400_0003;
        /// AFFINITY_INFO: x1 target affinity, x2 lowest affinity level.
        AFFINITY_INFO = 0x8400_0004;
        /// SYSTEM_OFF.
        SYSTEM_OFF = 0x8400_0008;
        /// SYSTEM_RESET.
        SYSTEM_RESET = 0x8400_0009;
        /// PSCI_FEATURES.
        FEATURES = 0x8400_000A;
        /// CPU_SUSPEND, SMC64.
        CPU_SUSPEND_64 = 0xC400_0001;
        /// CPU_ON, SMC64.
        CPU_ON_64 = 0xC400_0003;
        /// AFFINITY_INFO, SMC64.
        AFFINITY_INFO_64 = 0xC400_0004;
    }
}

/// SUCCESS.
pub const SUCCESS: u64 = 0;
/// NOT_SUPPORTED.
pub const NOT_SUPPORTED: u64 = 1_u64.wrapping_neg();
/// INVALID_PARAMETERS.
pub const INVALID_PARAMETERS: u64 = 2_u64.wrapping_neg();
/// DENIED.
pub const DENIED: u64 = 3_u64.wrapping_neg();
/// ALREADY_ON.
pub const ALREADY_ON: u64 = 4_u64.wrapping_neg();
/// ON_PENDING: a CPU_ON for this CPU is under way.
pub const ON_PENDING: u64 = 5_u64.wrapping_neg();
/// INVALID_ADDRESS.
pub const INVALID_ADDRESS: u64 = 9_u64.wrapping_neg();

/// AFFINITY_INFO: the CPU is on.
pub const AFFINITY_ON: u64 = 0;
/// AFFINITY_INFO: the CPU is off.
pub const AFFINITY_OFF: u64 = 1;
/// AFFINITY_INFO: a CPU_ON for this CPU is under way.
pub const AFFINITY_ON_PENDING: u64 = 2;
