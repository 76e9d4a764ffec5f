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
use crate::command::{self, TRACES, Trace};
use crate::percpu::Cpu;

// With 64 rows or fewer the compiler tests a bit map before it looks.
static V1: call::Dispatch<128> = call::Dispatch::new(v1::COMMANDS);
static V2: call::Dispatch<256> = call::Dispatch::new(v2::COMMANDS);

/// Serves the call in `registers`, x0 to x7, and leaves the answer there: x0 the result word, x1 to
/// x3 outputs or 0, x4 to x7 as they were unless they are outputs.
///
/// `dialect` is that of `rmm`.
pub fn handle(dialect: Dialect, rmm: &Rmm<'_>, cpu: &mut Cpu, registers: &mut Registers) {
    check_slots(cpu);
    let before = TRACES.then_some(*registers);
    let function = command::function(registers[0]);
    let serve = match dialect {
        Dialect::V1_0 => V1.find(function),
        Dialect::V2_0 => V2.find(function).map(|serve| {
            let is_served = rmm.is_active() || v2::is_served_in_init(function);
            if is_served { serve } else { v2::refuse_in_init }
        }),
    };
    call::serve(serve, rmm, cpu, registers);
    if let Some(before) = &before {
        let commands = match dialect {
            Dialect::V1_0 => v1::COMMANDS,
            Dialect::V2_0 => v2::COMMANDS,
        };
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
