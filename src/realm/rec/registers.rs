// SPDX-License-Identifier: BSD-3-Clause
//! The registers of EL1 and EL0: the same list for a REC and for the host.
//!
//! What is not in the list is trapped while a Realm runs, or has no state. `run/switch.S` loads and
//! stores what it must; [`El1Registers`] does the rest.

use tock_registers::interfaces::{Readable, Writeable};

use super::debug::DebugRegisters;
use crate::arch::sysreg::el1;

/// Makes the list of registers: the type, and what is done with all of them.
macro_rules! el1_registers {
    ($($(#[$doc:meta])* $field:ident = $register:ident;)*) => {
        /// Registers of EL1 and EL0 that one value of the CPU's serves for both worlds.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(C)]
        pub struct El1Registers {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl El1Registers {
            /// All registers zero.
            pub const ZERO: Self = Self { $($field: 0,)* };
            /// The names of the registers, in order.
            pub const NAMES: &[&'static str] = &[$(stringify!($register)),*];

            /// What this CPU holds.
            pub fn read() -> Self {
                Self { $($field: el1::$register.get(),)* }
            }

            /// Reads every register of this CPU.
            pub fn save(&mut self) {
                $(self.$field = el1::$register.get();)*
            }

            /// Writes every register of this CPU. An ISB or an ERET must follow.
            pub fn restore(&self) {
                $(el1::$register.set(self.$field);)*
            }
        }
    };
}

el1_registers! {
    /// Stack pointer.
    sp = SP_EL1;
    /// Return address of the last exception.
    elr = ELR_EL12;
    /// PSTATE before the last exception.
    spsr = SPSR_EL12;
    /// Thread identifier that EL0 reads.
    tpidrro_el0 = TPIDRRO_EL0;
    /// Thread identifier of EL0.
    tpidr_el0 = TPIDR_EL0;
    /// Thread identifier of EL1.
    tpidr = TPIDR_EL1;
    /// Cache size selection.
    csselr = CSSELR_EL1;
    /// System control.
    sctlr = SCTLR_EL12;
    /// Access to floating point and SVE.
    cpacr = CPACR_EL12;
    /// Table base of the low range.
    ttbr0 = TTBR0_EL12;
    /// Table base of the high range.
    ttbr1 = TTBR1_EL12;
    /// Translation control.
    tcr = TCR_EL12;
    /// Exception syndrome.
    esr = ESR_EL12;
    /// Auxiliary fault status 0.
    afsr0 = AFSR0_EL12;
    /// Auxiliary fault status 1.
    afsr1 = AFSR1_EL12;
    /// Faulting address.
    far = FAR_EL12;
    /// Memory attributes.
    mair = MAIR_EL12;
    /// Auxiliary memory attributes.
    amair = AMAIR_EL12;
    /// Vector base.
    vbar = VBAR_EL12;
    /// Context identifier.
    contextidr = CONTEXTIDR_EL12;
    /// Access to counters and timers at EL0.
    cntkctl = CNTKCTL_EL12;
    /// Result of address translation instructions.
    par = PAR_EL1;
    /// Debug control.
    mdscr = MDSCR_EL1;
    /// Debug communications channel interrupts.
    mdccint = MDCCINT_EL1;
}

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
    /// Where it goes on.
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

    /// Goes on after the instruction at the PC, as if it were executed: BTYPE and SS are 0.
    pub fn skip_instruction(&mut self) {
        const BTYPE: u64 = 3 << 10;
        const SS: u64 = 1 << 21;
        self.pc = self.pc.wrapping_add(4);
        self.pstate &= !(BTYPE | SS);
    }
}
