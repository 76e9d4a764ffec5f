// SPDX-License-Identifier: BSD-3-Clause
//! From the loop in `entry.S` to `rmi::handle`, with this CPU's context and the one state of the RMM.

use crate::arch::smc::Registers;
use crate::{mem::high_va, rmi};

/// One RMI call: x0-x7 in `registers`, replaced by the answer.
pub(super) extern "C" fn handle(registers: &mut Registers) {
    #[cfg(feature = "self-test")]
    if super::self_test::intercept(registers) {
        return;
    }
    let Some(rmm) = super::cold::rmm() else {
        // EL3 sends no call to an RMM that has not reported a finished boot.
        registers[0] = u64::MAX;
        return;
    };
    let cpu = high_va::this_cpu();
    #[cfg(feature = "self-test")]
    if super::self_test::slots::intercept(rmm, cpu, registers) {
        return;
    }
    rmi::handle(rmm, cpu, registers);
}
