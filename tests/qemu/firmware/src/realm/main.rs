// SPDX-License-Identifier: BSD-3-Clause
//! The payload of a Realm: runs at EL1 of each REC, asks the host by RSI_HOST_CALL what to do, does
//! it, and says what came of it. See `realm_protocol`.

#![no_std]
#![no_main]

mod simd;

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;

use rmm_test_firmware::realm_protocol::{RECS, RESULTS, WAITING, command};

/// RSI_HOST_CALL.
const HOST_CALL: u64 = 0xC400_0199;
/// RET.
const RETURN: u32 = 0xd65f_03c0;

/// RsiHostCall.
#[repr(C, align(256))]
struct HostCall {
    immediate: u64,
    gprs: [u64; 31],
}

/// What a REC executes and what comes of it. Layout known to entry.S.
#[repr(C, align(64))]
struct Execution {
    x: [u64; 4],
    exceptions: u64,
    esr: u64,
    far: u64,
    elr: u64,
    spsr: u64,
    vector: u64,
    code: *const [u32; 2],
    instructions: [u32; 2],
}

/// What each REC has of its own.
#[repr(C)]
struct OfRec {
    call: HostCall,
    execution: Execution,
}

struct Recs([UnsafeCell<OfRec>; RECS]);

// SAFETY: each element is used by one REC only.
unsafe impl Sync for Recs {}

static RECORDS: Recs = Recs(
    [const {
        UnsafeCell::new(OfRec {
            call: HostCall { immediate: 0, gprs: [0; 31] },
            execution: Execution {
                x: [0; 4],
                exceptions: 0,
                esr: 0,
                far: 0,
                elr: 0,
                spsr: 0,
                vector: 0,
                code: core::ptr::null(),
                instructions: [0; 2],
            },
        })
    }; RECS],
);

/// Called by entry.S on each REC.
#[unsafe(no_mangle)]
extern "C" fn realm_main(index: usize) -> ! {
    let Some(rec) = RECORDS.0.get(index) else { stop() };
    // SAFETY: the host gives each REC an index of its own.
    let OfRec { call, execution } = unsafe { &mut *rec.get() };
    loop {
        call.immediate = u64::from(WAITING);
        host_call(call);
        let [what, arguments @ ..] = call.gprs;
        call.gprs = [0; 31];
        if what == command::EXECUTE {
            let [instruction, x0, x1, x2, x3, ..] = arguments;
            execution.x = [x0, x1, x2, x3];
            execution.execute(instruction);
            let [_, results @ ..] = &mut call.gprs;
            results[..RESULTS].copy_from_slice(&execution.results());
        }
        simd::serve(what, &arguments, &mut call.gprs);
        call.gprs[0] = what;
    }
}

impl Execution {
    fn execute(&mut self, instruction: u64) {
        unsafe extern "C" {
            fn realm_execute(execution: *mut Execution);
        }
        let [b0, b1, b2, b3, ..] = instruction.to_le_bytes();
        self.exceptions = 0;
        self.instructions = [u32::from_le_bytes([b0, b1, b2, b3]), RETURN];
        self.code = &raw const self.instructions;
        // SAFETY: what the instruction does, the host has asked for. The first asm has it fetched.
        unsafe {
            asm!(
                "dc cvau, {code}", "dsb ish", "ic ivau, {code}", "dsb ish", "isb",
                code = in(reg) self.code,
                options(nostack, preserves_flags)
            );
            realm_execute(&raw mut *self);
        }
    }

    fn results(&self) -> [u64; RESULTS] {
        let [x0, x1, x2, x3] = self.x;
        let Self { exceptions, esr, far, elr, spsr, vector, .. } = *self;
        [x0, x1, x2, x3, exceptions, esr, far, elr, spsr, vector]
    }
}

fn host_call(call: &mut HostCall) {
    let mut result = HOST_CALL;
    // SAFETY: the RMM and the host read and write the structure, and X0 to X3 are results.
    unsafe {
        asm!(
            "smc #0",
            inout("x0") result, inout("x1") &raw mut *call => _, out("x2") _, out("x3") _,
            options(nostack)
        );
    }
    if result != 0 {
        stop();
    }
}

/// The host sees a REC that does not call any more.
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
    include_str!("entry.S"),
    RECS = const RECS,
    STACK_SIZE = const 4096,
);
