// SPDX-License-Identifier: BSD-3-Clause
//! The registers of a REC that does not run.

/// The registers of a REC that are not 0 at reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// X0 to X30.
    pub gprs: [u64; 31],
    /// Where it goes on.
    pub pc: u64,
    /// PSTATE, as SPSR_EL2 has it.
    pub pstate: u64,
    /// SCTLR_EL1.
    pub sctlr_el1: u64,
    /// MDSCR_EL1.
    pub mdscr_el1: u64,
}

impl Registers {
    /// EL1 with its own stack pointer, AArch64; debug exceptions, SErrors, IRQs and FIQs masked.
    const PSTATE_AT_RESET: u64 = 0x3c5;
    /// MMU and caches off; the bits that are 1 on CPUs without the features that gave them a
    /// meaning: 29, 28, 23, 22, 20, 11, 8, 7.
    const SCTLR_AT_RESET: u64 = 0x30d0_0980;
    /// SCTLR_EL1.EE: data at EL1 is big-endian.
    pub(super) const SCTLR_EE: u64 = 1 << 25;
    /// TDCC: the debug communications channel is not EL0's.
    const MDSCR_AT_RESET: u64 = 1 << 12;

    /// The registers of a REC that begins to execute at `pc` with `arguments` in X0 and up.
    pub(super) fn at_reset(pc: u64, arguments: &[u64]) -> Self {
        let mut gprs = [0; 31];
        for (register, value) in gprs.iter_mut().zip(arguments) {
            *register = *value;
        }
        Self {
            gprs,
            pc,
            pstate: Self::PSTATE_AT_RESET,
            sctlr_el1: Self::SCTLR_AT_RESET,
            mdscr_el1: Self::MDSCR_AT_RESET,
        }
    }
}
