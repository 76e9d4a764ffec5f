// SPDX-License-Identifier: BSD-3-Clause
//! The Realm Management Interface, which the host calls.
//!
//! [`handle`] serves one call: it takes x0 to x7 of the host and leaves the answer there. Any value
//! in any register, on any number of CPUs at once, gives a defined answer; a command that fails
//! changes nothing.
//!
//! [`v1`] and [`v2`] are the dialects: tables of commands, the order of their arguments, the
//! structures in the host's memory. Lower rooms do the work.

mod answer;
mod call;
mod data;
mod features;
mod granule;
pub mod operations;
mod realm;
mod rtt;
mod state;
pub mod v1;
pub mod v2;
mod version;

pub use call::{Dialect, Serve};
pub use state::Rmm;

pub use crate::abi::rmi::function;
use crate::arch::smc::Registers;
use crate::command::{TRACES, Trace};
use crate::percpu::Cpu;

static V1: call::Dispatch = call::Dispatch::new(v1::COMMANDS);
static V2: call::Dispatch = call::Dispatch::new(v2::COMMANDS);
/// RMI 2.0 until the host activates the RMM.
static V2_IN_INIT: call::Dispatch = call::Dispatch::new(&v2::COMMANDS_IN_INIT);

/// Serves the call in `registers`, x0 to x7, and leaves the answer there: x0 the result word, x1 to
/// x3 outputs or 0, x4 to x7 as they were unless they are outputs.
///
/// `dialect` is that of `rmm`.
pub fn handle(dialect: Dialect, rmm: &Rmm<'_>, cpu: &mut Cpu, registers: &mut Registers) {
    check_slots(cpu);
    let before = TRACES.then_some(*registers);
    let (dispatch, commands) = match dialect {
        Dialect::V1_0 => (&V1, v1::COMMANDS),
        Dialect::V2_0 if rmm.is_active() => (&V2, v2::COMMANDS),
        Dialect::V2_0 => (&V2_IN_INIT, v2::COMMANDS),
    };
    call::serve(dispatch, rmm, cpu, registers);
    if let Some(before) = &before {
        log::debug!("{}", Trace { commands, before, after: registers });
    }
    check_slots(cpu);
}

/// In test builds: between commands no granule is mapped.
fn check_slots(cpu: &Cpu) {
    if cfg!(any(debug_assertions, feature = "self-test")) {
        assert!(cpu.slots.is_empty(), "a slot is mapped between commands");
    }
}
