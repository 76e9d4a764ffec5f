// SPDX-License-Identifier: BSD-3-Clause
//! The registers of breakpoints and watchpoints, and of the OS lock.
//!
//! Each breakpoint has a value (DBGBVR) and a control (DBGBCR), and so has each watchpoint (DBGWVR,
//! DBGWCR).
#![allow(missing_docs)]

use tock_registers::interfaces::{Readable, Writeable};

system_registers! {
    OSLAR_EL1: () = "s2_0_c1_c0_4";
    OSLSR_EL1: () = "s2_0_c1_c1_4";
    DBGBVR0_EL1: () = "s2_0_c0_c0_4";
    DBGBVR1_EL1: () = "s2_0_c0_c1_4";
    DBGBVR2_EL1: () = "s2_0_c0_c2_4";
    DBGBVR3_EL1: () = "s2_0_c0_c3_4";
    DBGBVR4_EL1: () = "s2_0_c0_c4_4";
    DBGBVR5_EL1: () = "s2_0_c0_c5_4";
    DBGBVR6_EL1: () = "s2_0_c0_c6_4";
    DBGBVR7_EL1: () = "s2_0_c0_c7_4";
    DBGBVR8_EL1: () = "s2_0_c0_c8_4";
    DBGBVR9_EL1: () = "s2_0_c0_c9_4";
    DBGBVR10_EL1: () = "s2_0_c0_c10_4";
    DBGBVR11_EL1: () = "s2_0_c0_c11_4";
    DBGBVR12_EL1: () = "s2_0_c0_c12_4";
    DBGBVR13_EL1: () = "s2_0_c0_c13_4";
    DBGBVR14_EL1: () = "s2_0_c0_c14_4";
    DBGBVR15_EL1: () = "s2_0_c0_c15_4";
    DBGBCR0_EL1: () = "s2_0_c0_c0_5";
    DBGBCR1_EL1: () = "s2_0_c0_c1_5";
    DBGBCR2_EL1: () = "s2_0_c0_c2_5";
    DBGBCR3_EL1: () = "s2_0_c0_c3_5";
    DBGBCR4_EL1: () = "s2_0_c0_c4_5";
    DBGBCR5_EL1: () = "s2_0_c0_c5_5";
    DBGBCR6_EL1: () = "s2_0_c0_c6_5";
    DBGBCR7_EL1: () = "s2_0_c0_c7_5";
    DBGBCR8_EL1: () = "s2_0_c0_c8_5";
    DBGBCR9_EL1: () = "s2_0_c0_c9_5";
    DBGBCR10_EL1: () = "s2_0_c0_c10_5";
    DBGBCR11_EL1: () = "s2_0_c0_c11_5";
    DBGBCR12_EL1: () = "s2_0_c0_c12_5";
    DBGBCR13_EL1: () = "s2_0_c0_c13_5";
    DBGBCR14_EL1: () = "s2_0_c0_c14_5";
    DBGBCR15_EL1: () = "s2_0_c0_c15_5";
    DBGWVR0_EL1: () = "s2_0_c0_c0_6";
    DBGWVR1_EL1: () = "s2_0_c0_c1_6";
    DBGWCR0_EL1: () = "s2_0_c0_c0_7";
    DBGWCR1_EL1: () = "s2_0_c0_c1_7";
    DBGWCR2_EL1: () = "s2_0_c0_c2_7";
    DBGWCR3_EL1: () = "s2_0_c0_c3_7";
    DBGWCR4_EL1: () = "s2_0_c0_c4_7";
    DBGWCR5_EL1: () = "s2_0_c0_c5_7";
    DBGWCR6_EL1: () = "s2_0_c0_c6_7";
    DBGWCR7_EL1: () = "s2_0_c0_c7_7";
    DBGWCR8_EL1: () = "s2_0_c0_c8_7";
    DBGWCR9_EL1: () = "s2_0_c0_c9_7";
    DBGWCR10_EL1: () = "s2_0_c0_c10_7";
    DBGWCR11_EL1: () = "s2_0_c0_c11_7";
    DBGWCR12_EL1: () = "s2_0_c0_c12_7";
    DBGWCR13_EL1: () = "s2_0_c0_c13_7";
    DBGWCR14_EL1: () = "s2_0_c0_c14_7";
    DBGWCR15_EL1: () = "s2_0_c0_c15_7";
}

/// Combines numbered registers into one type with an index. The CPU must have the register that is
/// accessed. An index beyond those listed reads as 0 and ignores writes.
macro_rules! numbered {
    ($($(#[$doc:meta])* $name:ident: $($number:literal $register:ident),*;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name(pub usize);

        impl $name {
            /// Reads it.
            pub fn get(self) -> u64 {
                match self.0 {
                    $($number => $register.get(),)*
                    _ => 0,
                }
            }

            /// Writes it.
            pub fn set(self, value: u64) {
                match self.0 {
                    $($number => $register.set(value),)*
                    _ => {}
                }
            }
        }
    )*};
}

numbered! {
    /// What a breakpoint compares with.
    BreakpointValue:
        0 DBGBVR0_EL1, 1 DBGBVR1_EL1, 2 DBGBVR2_EL1, 3 DBGBVR3_EL1, 4 DBGBVR4_EL1, 5 DBGBVR5_EL1,
        6 DBGBVR6_EL1, 7 DBGBVR7_EL1, 8 DBGBVR8_EL1, 9 DBGBVR9_EL1, 10 DBGBVR10_EL1,
        11 DBGBVR11_EL1, 12 DBGBVR12_EL1, 13 DBGBVR13_EL1, 14 DBGBVR14_EL1, 15 DBGBVR15_EL1;
    /// The control of a breakpoint.
    BreakpointControl:
        0 DBGBCR0_EL1, 1 DBGBCR1_EL1, 2 DBGBCR2_EL1, 3 DBGBCR3_EL1, 4 DBGBCR4_EL1, 5 DBGBCR5_EL1,
        6 DBGBCR6_EL1, 7 DBGBCR7_EL1, 8 DBGBCR8_EL1, 9 DBGBCR9_EL1, 10 DBGBCR10_EL1,
        11 DBGBCR11_EL1, 12 DBGBCR12_EL1, 13 DBGBCR13_EL1, 14 DBGBCR14_EL1, 15 DBGBCR15_EL1;
    /// The address of a watchpoint.
    WatchpointValue:
        0 DBGWVR0_EL1, 1 DBGWVR1_EL1;
    /// The control of a watchpoint.
    WatchpointControl:
        0 DBGWCR0_EL1, 1 DBGWCR1_EL1, 2 DBGWCR2_EL1, 3 DBGWCR3_EL1, 4 DBGWCR4_EL1, 5 DBGWCR5_EL1,
        6 DBGWCR6_EL1, 7 DBGWCR7_EL1, 8 DBGWCR8_EL1, 9 DBGWCR9_EL1, 10 DBGWCR10_EL1,
        11 DBGWCR11_EL1, 12 DBGWCR12_EL1, 13 DBGWCR13_EL1, 14 DBGWCR14_EL1, 15 DBGWCR15_EL1;
}
