// SPDX-License-Identifier: BSD-3-Clause
//! The payload of a Realm. At EL1 of each REC it asks the host by RSI_HOST_CALL for a command,
//! carries it out, and reports the result. See `realm_protocol`.
//!
//! `rsi` and `psci` are the calls that a Realm can make, for the programs in `programs`. Each
//! program is a file and a row in its list.

#![no_std]
#![no_main]

mod cage;
mod execute;
mod programs;
mod psci;
mod rsi;
mod simd;
mod smc;

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;

use rmm_test_firmware::realm_protocol::{CALL_REGISTERS, CALLING, RECS, RESULTS, WAITING, command};

use crate::execute::Execution;
use crate::rsi::HostCall;

/// The state of each REC.
#[repr(C)]
struct OfRec {
    call: HostCall,
    execution: Execution,
}

struct Recs([UnsafeCell<OfRec>; RECS]);

// SAFETY: each element is used by only one REC.
unsafe impl Sync for Recs {}

static RECORDS: Recs = Recs(
    [const { UnsafeCell::new(OfRec { call: HostCall::NEW, execution: Execution::NEW }) }; RECS],
);

/// Called by entry.S on each REC with its initial X0.
#[unsafe(no_mangle)]
extern "C" fn realm_main(index: usize) -> ! {
    let Some(rec) = RECORDS.0.get(index) else { stop() };
    // SAFETY: the host gives each REC a different index.
    let OfRec { call, execution } = unsafe { &mut *rec.get() };
    call.gprs = [0; 31];
    loop {
        if rsi::host_call(call, WAITING) != 0 {
            stop();
        }
        let [what, arguments @ ..] = call.gprs;
        call.gprs = [0; 31];
        let [_, results @ ..] = &mut call.gprs;
        match what {
            command::EXECUTE => {
                let [instruction, x0, x1, x2, x3, ..] = arguments;
                execution.execute(instruction, [x0, x1, x2, x3]);
                results[..RESULTS].copy_from_slice(&execution.results());
            }
            command::STORM => {
                let [instruction, x0, x1, x2, x3, times, ..] = arguments;
                for _ in 0..times {
                    execution.execute(instruction, [x0, x1, x2, x3]);
                }
                results[..RESULTS].copy_from_slice(&execution.results());
            }
            command::CALL => {
                let [answer, changed] = results
                    .get_disjoint_mut([0..CALL_REGISTERS, CALL_REGISTERS..CALL_REGISTERS + 1])
                    .unwrap_or_default();
                let (x, others) = smc::call_with(&arguments[..CALL_REGISTERS]);
                answer.copy_from_slice(&x);
                changed.copy_from_slice(&[others]);
            }
            command::PROGRAM => {
                let [number, arguments @ ..] = arguments;
                results.copy_from_slice(&programs::run(number, &arguments, execution));
            }
            command::CALL_HOST => {
                let [count, ..] = arguments;
                rsi::host_calls(call, CALLING, count);
            }
            _ => simd::serve(what, &arguments, &mut call.gprs),
        }
        call.gprs[0] = what;
    }
}

/// Stops without another call, which the host notices.
fn stop() -> ! {
    loop {
        // SAFETY: waits for an interrupt.
        unsafe { asm!("wfi", options(nomem, nostack, preserves_flags)) };
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stop()
}

global_asm!(
    include_str!("../entry.S"),
    include_str!("entry.S"),
    RECS = const RECS,
    STACK_SIZE = const 4096,
);
