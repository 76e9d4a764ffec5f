// SPDX-License-Identifier: BSD-3-Clause
//! Registers that one CPU has for host and Realm: the host fills them all, and looks for what it
//! had in them.

use rmm_test_firmware::{read_register, write_register};

use crate::random::Random;

/// Lists registers that can hold any value while the host runs at EL2, and those of which some bits
/// can.
macro_rules! canaries {
    ($($name:literal & $mask:literal),* $(,)?) => {
        /// Their names.
        const NAMES: &[&str] = &[$($name),*];

        /// What the host has in each.
        #[derive(Clone, Copy)]
        pub struct Canaries([u64; [$($name),*].len()]);

        impl Canaries {
            /// Fills all of them with random values; what they hold then.
            pub fn fill(random: &mut Random) -> Self {
                // SAFETY: registers of EL1 and EL0, which the host at EL2 does not use.
                unsafe {
                    $(write_register!($name, random.next() & $mask);)*
                }
                Self::read()
            }

            /// What they hold, some of which the host has filled otherwise since.
            pub fn read() -> Self {
                Self([$(read_register!($name)),*])
            }
        }
    };
}

canaries! {
    "sp_el0" & 0xffff_ffff_ffff_ffff,
    "sp_el1" & 0xffff_ffff_ffff_ffff,
    "elr_el1" & 0xffff_ffff_ffff_ffff,
    "spsr_el1" & 0xf000_0000,
    "tpidr_el0" & 0xffff_ffff_ffff_ffff,
    "tpidrro_el0" & 0xffff_ffff_ffff_ffff,
    "tpidr_el1" & 0xffff_ffff_ffff_ffff,
    "csselr_el1" & 0x3,
    "ttbr0_el1" & 0xffff_ffff_ffff_fffe,
    "ttbr1_el1" & 0xffff_ffff_ffff_fffe,
    "esr_el1" & 0xffff_ffff,
    "far_el1" & 0xffff_ffff_ffff_ffff,
    "mair_el1" & 0xffff_ffff_ffff_ffff,
    "vbar_el1" & 0xffff_ffff_ffff_f800,
    "contextidr_el1" & 0xffff_ffff,
    "cntkctl_el1" & 0x3ff,
    "par_el1" & 0x000f_ffff_ffff_f000,
    "cntp_cval_el0" & 0xffff_ffff_ffff_ffff,
    "cntv_cval_el0" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c1_0" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c1_1" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c1_2" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c1_3" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c2_0" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c2_1" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c2_2" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c2_3" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c3_0" & 0xffff_ffff_ffff_ffff,
    "s3_0_c2_c3_1" & 0xffff_ffff_ffff_ffff,
}

impl Canaries {
    /// The first register that does not hold any more what the host had in it.
    pub fn lost(&self) -> Option<&'static str> {
        let now = Self::read();
        let mut all = NAMES.iter().zip(self.0.iter().zip(now.0));
        all.find(|(_, (before, now))| **before != *now).map(|(name, _)| *name)
    }

    /// Whether the host has this value in a register. Values of few bits prove nothing.
    pub fn contain(&self, value: u64) -> bool {
        value >> 16 != 0 && value != u64::MAX && self.0.contains(&value)
    }
}
