// SPDX-License-Identifier: BSD-3-Clause
//! PSCI 1.1 for the RECs of a Realm, and SMCCC_VERSION.
//!
//! CPU_ON of another REC, and in RMI 1.0 AFFINITY_INFO, pends until the host completes it by
//! RMI_PSCI_COMPLETE. The RMM answers all other calls itself.

mod call;
mod complete;
mod request;

use crate::command::{Command, Dispatch, commands};

pub use call::Serve;
pub use complete::{PsciError, complete_call, complete_named_call};

/// The functions with 32-bit arguments or none.
pub mod smc32 {
    use super::{call, commands, request};

    commands! {
        call(caller):
        VERSION() -> [version] = request::version;
        CPU_SUSPEND(power_state: u32, entry: u32, context: u32) = request::cpu_suspend;
        CPU_OFF() = request::cpu_off;
        CPU_ON(target: u32, entry: u32, context: u32) = request::cpu_on;
        AFFINITY_INFO(target: u32, level: u32) -> [state] = request::affinity_info;
        SYSTEM_OFF() = request::system_off;
        SYSTEM_RESET() = request::system_off;
        FEATURES(function: u32) -> [flags] = request::features;
    }
}

/// The functions with 64-bit arguments.
pub mod smc64 {
    use super::{call, commands, request};

    commands! {
        call(caller):
        CPU_SUSPEND_64(power_state: u64, entry: u64, context: u64) = request::cpu_suspend;
        CPU_ON_64(target: u64, entry: u64, context: u64) = request::cpu_on;
        AFFINITY_INFO_64(target: u64, level: u64) -> [state] = request::affinity_info;
    }
}

/// The functions of the SMC Calling Convention.
pub mod smccc {
    use super::call::smccc as call;
    use super::{commands, request};

    commands! {
        call(caller):
        VERSION() -> [version] = request::smccc_version;
    }
}

static SMC32: Dispatch<Serve, 0x8400_0000, 16> = Dispatch::new(smc32::COMMANDS);
static SMC64: Dispatch<Serve, 0xC400_0000, 8> = Dispatch::new(smc64::COMMANDS);
static SMCCC: Dispatch<Serve, 0x8000_0000, 1> = Dispatch::new(smccc::COMMANDS);

/// What serves a function; `None` if there is no such function.
pub fn find(function: u32) -> Option<Serve> {
    SMC64.find(function).or_else(|| SMC32.find(function)).or_else(|| SMCCC.find(function))
}

/// The tables.
pub const TABLES: [&[Command<Serve>]; 3] = [smc32::COMMANDS, smc64::COMMANDS, smccc::COMMANDS];
