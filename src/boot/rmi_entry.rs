// SPDX-License-Identifier: BSD-3-Clause
//! From the loop in `entry.S` to `rmi::handle`, with this CPU's context and the state of the RMM.
//!
//! [`service`] finds the arguments that are the same for all calls once, when a CPU has booted. The
//! loop passes them to each call.

use core::mem::MaybeUninit;

use super::handover::{self, Booted};
#[cfg(feature = "self-test")]
use super::self_test::{self, Moment};
use crate::abi::smccc::NOT_SUPPORTED;
use crate::arch::smc::Registers;
use crate::percpu::{self, Cpu};
use crate::rmi::{self, Dialect, Rmm};

/// One RMI call: x0-x7 in `registers`, replaced by the answer.
type Handler = extern "C" fn(rmm: &'static Rmm<'static>, cpu: &mut Cpu, registers: &mut Registers);

/// What serves the calls of a CPU, as `entry.S` keeps it: the arguments that are the same for all
/// calls, and the handler. Commands take the arguments in this order, and find them in their
/// registers.
#[repr(C)]
pub(super) struct Service {
    rmm: &'static Rmm<'static>,
    cpu: &'static mut Cpu,
    handler: Handler,
}

/// Writes `service`. Returns false, and writes nothing, if cold boot has not completed.
pub(super) extern "C" fn service(service: &mut MaybeUninit<Service>) -> bool {
    let Some(Booted { rmm, .. }) = handover::booted() else { return false };
    let handler = match rmm.dialect() {
        Dialect::V1_0 => handle_1_0,
        Dialect::V2_0 => handle_2_0,
    };
    service.write(Service { rmm, cpu: percpu::this_cpu(), handler });
    true
}

extern "C" fn handle_1_0(rmm: &'static Rmm<'static>, cpu: &mut Cpu, registers: &mut Registers) {
    handle(Dialect::V1_0, rmm, cpu, registers);
}

extern "C" fn handle_2_0(rmm: &'static Rmm<'static>, cpu: &mut Cpu, registers: &mut Registers) {
    handle(Dialect::V2_0, rmm, cpu, registers);
}

/// Serves a call. Once a CPU has died, every call returns -1, as an unknown function does.
fn handle(dialect: Dialect, rmm: &'static Rmm<'static>, cpu: &mut Cpu, registers: &mut Registers) {
    #[cfg(feature = "self-test")]
    if self_test::at(Moment::Call(rmm, cpu, registers)) {
        return;
    }
    if rmm.granules().is_abandoned() {
        let [result, ..] = registers;
        *result = NOT_SUPPORTED;
        return;
    }
    rmi::handle(dialect, rmm, cpu, registers);
}
