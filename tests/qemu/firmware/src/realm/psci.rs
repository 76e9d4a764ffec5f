// SPDX-License-Identifier: BSD-3-Clause
//! The PSCI calls of a Realm.

use rmm_abi::psci::function;

use crate::smc;

/// CPU_ON.
pub fn cpu_on(target: u64, entry: u64, context: u64) -> u64 {
    smc::call(function::CPU_ON_64, &[target, entry, context])[0]
}

/// AFFINITY_INFO.
pub fn affinity_info(target: u64) -> u64 {
    smc::call(function::AFFINITY_INFO_64, &[target, 0])[0]
}
