// SPDX-License-Identifier: BSD-3-Clause
//! The RSI calls of a Realm: one typed function per command.

use rmm_abi::rsi::{RsiRealmConfig, function};

use crate::smc;

/// RsiHostCall.
#[repr(C, align(256))]
pub struct HostCall {
    immediate: u64,
    /// X0 to X30, for the host and from it.
    pub gprs: [u64; 31],
}

impl HostCall {
    /// All zero.
    pub const NEW: Self = Self { immediate: 0, gprs: [0; 31] };
}

/// RSI_HOST_CALL: the status.
pub fn host_call(call: &mut HostCall, immediate: u16) -> u64 {
    call.immediate = u64::from(immediate);
    smc::call(function::HOST_CALL, &[(&raw mut *call).addr() as u64])[0]
}

/// RSI_HOST_CALL `count` times, with as few instructions in between as possible.
pub fn host_calls(call: &mut HostCall, immediate: u16, count: u64) {
    call.immediate = u64::from(immediate);
    for _ in 0..count {
        // SAFETY: the RMM and the host access only the structure. Results are at most X0 to X3.
        unsafe {
            core::arch::asm!(
                "smc #0",
                inout("x0") u64::from(function::HOST_CALL) => _,
                inout("x1") &raw mut *call => _,
                out("x2") _, out("x3") _,
                options(nostack)
            );
        }
    }
}

/// RSI_REALM_CONFIG: the status.
pub fn realm_config(config: &mut RsiRealmConfig) -> u64 {
    smc::call(function::REALM_CONFIG, &[(&raw mut *config).addr() as u64])[0]
}

/// RSI_IPA_STATE_SET: status, new base, response.
pub fn ipa_state_set(base: u64, top: u64, ripas: u64, flags: u64) -> (u64, u64, u64) {
    let [status, base, response, ..] =
        smc::call(function::IPA_STATE_SET, &[base, top, ripas, flags]);
    (status, base, response)
}

/// RSI_IPA_STATE_GET: status, end of the range, RIPAS.
pub fn ipa_state_get(base: u64, top: u64) -> (u64, u64, u64) {
    let [status, top, ripas, ..] = smc::call(function::IPA_STATE_GET, &[base, top]);
    (status, top, ripas)
}
