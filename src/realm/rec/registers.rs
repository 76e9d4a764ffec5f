// SPDX-License-Identifier: BSD-3-Clause
//! The registers of a REC. `run/switch.S` loads and stores general registers, PC, PSTATE and keys.

use super::debug::DebugRegisters;
use crate::arch::el1::El1Registers;

/// Words of the pointer authentication keys: five keys of two registers each.
pub const KEY_WORDS: usize = 10;

/// The registers of a REC while it does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    /// X0 to X30.
    pub gprs: [u64; 31],
    /// Stack pointer of EL0.
    pub sp_el0: u64,
    /// Program counter.
    pub pc: u64,
    /// PSTATE, as SPSR_EL2 has it.
    pub pstate: u64,
    /// Pointer authentication keys: APIA, APIB, APDA, APDB, APGA, low half first.
    pub keys: [u64; KEY_WORDS],
    /// The registers of EL1 and EL0.
    pub el1: El1Registers,
    /// VDISR_EL2: the REC's DISR_EL1.
    pub vdisr: u64,
    /// Its debug registers; MDSCR_EL1 of the CPU follows from them.
    pub debug: DebugRegisters,
}

impl Registers {
    /// EL1 with its own stack pointer, AArch64; debug exceptions, SErrors, IRQs and FIQs masked.
    pub const PSTATE_AT_RESET: u64 = 0x3c5;
    /// MMU and caches off: SA, SA0, CP15BEN, nAA, EOS, nTWI, nTWE, EIS, SPAN.
    pub const SCTLR_AT_RESET: u64 = 0x00c5_0878;
    /// SCTLR_EL1.EE: data at EL1 is big-endian.
    pub const SCTLR_EE: u64 = 1 << 25;

    /// The registers of a REC that begins to execute at `pc` with `arguments` in X0 and up.
    pub fn at_reset(pc: u64, arguments: &[u64]) -> Self {
        let mut gprs = [0; 31];
        for (register, value) in gprs.iter_mut().zip(arguments) {
            *register = *value;
        }
        let el1 = El1Registers {
            sctlr: Self::SCTLR_AT_RESET,
            mdscr: DebugRegisters::CONTROL_AT_RESET,
            ..El1Registers::ZERO
        };
        Self {
            gprs,
            sp_el0: 0,
            pc,
            pstate: Self::PSTATE_AT_RESET,
            keys: [0; KEY_WORDS],
            el1,
            vdisr: 0,
            debug: DebugRegisters::AT_RESET,
        }
    }

    /// The value of `X<index>`; index 31 is XZR.
    pub fn x(&self, index: usize) -> u64 {
        self.gprs.get(index).copied().unwrap_or(0)
    }

    /// Writes `X<index>`; nothing for index 31, XZR.
    pub fn set_x(&mut self, index: usize, value: u64) {
        if let Some(register) = self.gprs.get_mut(index) {
            *register = value;
        }
    }

    /// Advances the PC past the instruction, as executing it does: BTYPE and SS become 0.
    pub fn skip_instruction(&mut self) {
        const BTYPE: u64 = 3 << 10;
        const SS: u64 = 1 << 21;
        self.pc = self.pc.wrapping_add(4);
        self.pstate &= !(BTYPE | SS);
    }
}
