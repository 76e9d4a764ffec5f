// SPDX-License-Identifier: BSD-3-Clause
//! Executes single instructions for the host, and records the exceptions that the Realm takes.

use core::arch::asm;

use rmm_test_firmware::realm_protocol::RESULTS;

/// RET, SVC, and SVC of A32.
const RETURN: u32 = 0xd65f_03c0;
const CALL: u32 = 0xd400_0001;
const A32_CALL: u32 = 0xef00_0000;
/// PSTATE of EL0 in AArch64, and in A32; SErrors, IRQs and FIQs masked.
const EL0: u64 = 0x1c0;
const A32_EL0: u64 = 0x1d0;

/// What a REC executes, and the results. entry.S knows the layout.
#[repr(C, align(64))]
pub struct Execution {
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

impl Execution {
    /// Nothing executed yet.
    pub const NEW: Self = Self {
        x: [0; 4],
        exceptions: 0,
        esr: 0,
        far: 0,
        elr: 0,
        spsr: 0,
        vector: 0,
        code: core::ptr::null(),
        instructions: [0; 2],
    };

    /// Executes an instruction with these values in X0 to X3.
    pub fn execute(&mut self, instruction: u64, x: [u64; 4]) {
        unsafe extern "C" {
            fn realm_execute(execution: *mut Execution);
        }
        self.prepare(instruction, RETURN, x);
        // SAFETY: the host has asked for the effects of this instruction.
        unsafe { realm_execute(&raw mut *self) };
    }

    /// Executes an instruction at EL0 with these values in X0 to X3. It always ends with an
    /// exception.
    pub fn execute_at_el0(&mut self, instruction: u64, x: [u64; 4]) {
        self.execute_from(EL0, instruction, CALL, x);
    }

    /// The same in A32, with R0 to R3.
    pub fn execute_aarch32(&mut self, instruction: u64, r: [u64; 4]) {
        self.execute_from(A32_EL0, instruction, A32_CALL, r);
    }

    fn execute_from(&mut self, pstate: u64, instruction: u64, next: u32, x: [u64; 4]) {
        unsafe extern "C" {
            fn realm_execute_at_el0(execution: *mut Execution, pstate: u64);
        }
        self.prepare(instruction, next, x);
        // SAFETY: as in `execute`.
        unsafe { realm_execute_at_el0(&raw mut *self, pstate) };
    }

    /// Stores an instruction and the next one, and makes them visible to instruction fetch.
    fn prepare(&mut self, instruction: u64, next: u32, x: [u64; 4]) {
        self.x = x;
        let [b0, b1, b2, b3, ..] = instruction.to_le_bytes();
        self.exceptions = 0;
        self.instructions = [u32::from_le_bytes([b0, b1, b2, b3]), next];
        self.code = &raw const self.instructions;
        // SAFETY: maintenance of caches.
        unsafe {
            asm!(
                "dc cvau, {code}", "dsb ish", "ic ivau, {code}", "dsb ish", "isb",
                code = in(reg) self.code,
                options(nostack, preserves_flags)
            );
        }
    }

    /// The number of exceptions that the Realm took for the last instruction.
    pub fn exceptions(&self) -> u64 {
        self.exceptions
    }

    /// The results, as the host expects them.
    pub fn results(&self) -> [u64; RESULTS] {
        let [x0, x1, x2, x3] = self.x;
        let Self { exceptions, esr, far, elr, spsr, vector, .. } = *self;
        [x0, x1, x2, x3, exceptions, esr, far, elr, spsr, vector]
    }
}
