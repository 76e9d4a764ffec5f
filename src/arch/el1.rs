// SPDX-License-Identifier: BSD-3-Clause
//! The registers of EL1 and EL0 that host and Realms use in turn: one list for both.
//!
//! What is not in the list is trapped while a Realm runs, has no state, or is switched elsewhere:
//! general registers and keys by `run/switch.S`, timers, virtual interrupts, PMU, SIMD and debug
//! registers each by a file of their own.

#[cfg(not(target_os = "none"))]
use super::sysreg::el1;

/// Makes the list of registers: the type, and what is done with all of them.
///
/// Two registers at a time: a world has 24, which are moved four times in each run of a REC.
macro_rules! el1_registers {
    ($(
        $(#[$doc:meta])* $field:ident = $register:ident,
        $(#[$other_doc:meta])* $other:ident = $other_register:ident;
    )*) => {
        /// Registers of EL1 and EL0 of one world.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(C)]
        pub struct El1Registers {
            $($(#[$doc])* pub $field: u64, $(#[$other_doc])* pub $other: u64,)*
        }

        impl El1Registers {
            /// All registers zero.
            pub const ZERO: Self = Self { $($field: 0, $other: 0,)* };
            /// The names of the registers, in order.
            pub const NAMES: &[&'static str] =
                &[$(stringify!($register), stringify!($other_register)),*];

            /// Reads every register of this CPU.
            pub fn save(&mut self) {
                #[cfg(target_os = "none")]
                // SAFETY: reads registers without side effects, and writes the fields of `self`, in
                // order (`repr(C)`).
                unsafe {
                    core::arch::asm!(
                        ".set el1_offset, 0",
                        $(
                            concat!("mrs {a}, ", stringify!($register)),
                            concat!("mrs {b}, ", stringify!($other_register)),
                            "stp {a}, {b}, [{to}, #el1_offset]",
                            ".set el1_offset, el1_offset + 16",
                        )*
                        to = in(reg) self, a = out(reg) _, b = out(reg) _,
                        options(nostack, preserves_flags)
                    );
                }
                #[cfg(not(target_os = "none"))]
                {
                    use tock_registers::interfaces::Readable;
                    $(
                        self.$field = el1::$register.get();
                        self.$other = el1::$other_register.get();
                    )*
                }
            }

            /// Writes every register of this CPU. An ISB or an ERET must follow.
            pub fn restore(&self) {
                #[cfg(target_os = "none")]
                // SAFETY: reads the fields of `self`, in order (`repr(C)`). With E2H these
                // registers control EL1 and EL0 only.
                unsafe {
                    core::arch::asm!(
                        ".set el1_offset, 0",
                        $(
                            "ldp {a}, {b}, [{from}, #el1_offset]",
                            concat!("msr ", stringify!($register), ", {a}"),
                            concat!("msr ", stringify!($other_register), ", {b}"),
                            ".set el1_offset, el1_offset + 16",
                        )*
                        from = in(reg) self, a = out(reg) _, b = out(reg) _,
                        options(nostack, readonly, preserves_flags)
                    );
                }
                #[cfg(not(target_os = "none"))]
                {
                    use tock_registers::interfaces::Writeable;
                    $(
                        el1::$register.set(self.$field);
                        el1::$other_register.set(self.$other);
                    )*
                }
            }
        }
    };
}

el1_registers! {
    /// Stack pointer.
    sp = SP_EL1,
    /// Return address of the last exception.
    elr = ELR_EL12;
    /// PSTATE before the last exception.
    spsr = SPSR_EL12,
    /// Thread identifier that EL0 reads.
    tpidrro_el0 = TPIDRRO_EL0;
    /// Thread identifier of EL0.
    tpidr_el0 = TPIDR_EL0,
    /// Thread identifier of EL1.
    tpidr = TPIDR_EL1;
    /// Cache size selection.
    csselr = CSSELR_EL1,
    /// System control.
    sctlr = SCTLR_EL12;
    /// Access to floating point and SVE.
    cpacr = CPACR_EL12,
    /// Table base of the low range.
    ttbr0 = TTBR0_EL12;
    /// Table base of the high range.
    ttbr1 = TTBR1_EL12,
    /// Translation control.
    tcr = TCR_EL12;
    /// Exception syndrome.
    esr = ESR_EL12,
    /// Auxiliary fault status 0.
    afsr0 = AFSR0_EL12;
    /// Auxiliary fault status 1.
    afsr1 = AFSR1_EL12,
    /// Faulting address.
    far = FAR_EL12;
    /// Memory attributes.
    mair = MAIR_EL12,
    /// Auxiliary memory attributes.
    amair = AMAIR_EL12;
    /// Vector base.
    vbar = VBAR_EL12,
    /// Context identifier.
    contextidr = CONTEXTIDR_EL12;
    /// Access to counters and timers at EL0.
    cntkctl = CNTKCTL_EL12,
    /// Result of address translation instructions.
    par = PAR_EL1;
    /// Debug control.
    mdscr = MDSCR_EL1,
    /// Debug communications channel interrupts.
    mdccint = MDCCINT_EL1;
}
