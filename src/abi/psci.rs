// SPDX-License-Identifier: BSD-3-Clause
//! Power State Coordination Interface (DEN0022): functions and return codes.

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

/// PSCI_VERSION returns 1.1.
pub const VERSION_1_1: u64 = 0x1_0001;

/// SUCCESS.
pub const SUCCESS: u64 = 0;
/// INVALID_PARAMETERS.
pub const INVALID_PARAMETERS: u64 = 2_u64.wrapping_neg();
/// DENIED.
pub const DENIED: u64 = 3_u64.wrapping_neg();
/// ALREADY_ON.
pub const ALREADY_ON: u64 = 4_u64.wrapping_neg();
/// ON_PENDING: a CPU_ON for this CPU is under way.
pub const ON_PENDING: u64 = 5_u64.wrapping_neg();

/// AFFINITY_INFO: the CPU is on.
pub const AFFINITY_ON: u64 = 0;
/// AFFINITY_INFO: the CPU is off.
pub const AFFINITY_OFF: u64 = 1;
/// AFFINITY_INFO: a CPU_ON for this CPU is under way.
pub const AFFINITY_ON_PENDING: u64 = 2;
