// SPDX-License-Identifier: BSD-3-Clause
//! From the loop in `entry.S` to `rmi::handle`, with this CPU's context and the one state of the RMM.
//!
//! What is the same for all calls is found once, when a CPU has booted ([`service`]), and handed to each call by the loop.

use crate::arch::smc::Registers;
use crate::mem::high_va;
use crate::rmi::{self, Dialect, Rmm};

/// One RMI call: x0-x7 in `registers`, replaced by the answer.
type Handler = extern "C" fn(registers: &mut Registers, rmm: &'static Rmm<'static>);

/// What serves the calls of a CPU: in x0 and x1 for `entry.S`, which keeps it. Zero in x0: nothing does.
#[repr(C)]
pub(super) struct Service {
    handler: Option<Handler>,
    rmm: Option<&'static Rmm<'static>>,
}

/// The service of the RMM, which cold boot has made.
pub(super) extern "C" fn service() -> Service {
    let rmm = super::cold::rmm();
    let handler = rmm.map(|rmm| -> Handler {
        match rmm.dialect() {
            Dialect::V1_0 => handle_1_0,
            Dialect::V2_0 => handle_2_0,
        }
    });
    Service { handler, rmm }
}

extern "C" fn handle_1_0(registers: &mut Registers, rmm: &'static Rmm<'static>) {
    handle(Dialect::V1_0, registers, rmm);
}

extern "C" fn handle_2_0(registers: &mut Registers, rmm: &'static Rmm<'static>) {
    handle(Dialect::V2_0, registers, rmm);
}

#[inline(always)]
fn handle(dialect: Dialect, registers: &mut Registers, rmm: &Rmm<'static>) {
    #[cfg(feature = "self-test")]
    if super::self_test::intercept(registers) {
        return;
    }
    let cpu = high_va::this_cpu();
    #[cfg(feature = "self-test")]
    if super::self_test::slots::intercept(rmm, cpu, registers) {
        return;
    }
    rmi::handle(dialect, rmm, cpu, registers);
}
