// SPDX-License-Identifier: BSD-3-Clause
//! Registers that the host shares with Realms on a CPU. The host fills them all and later checks
//! their values.

use rmm_test_firmware::{read_register, unused_registers, write_register};

use crate::random::Random;

/// Lists registers that can hold any value while the host runs at EL2, and registers that can hold
/// some bits.
macro_rules! canaries {
    ($($name:literal & $mask:literal),* $(,)?) => {
        /// Their names.
        const NAMES: &[&str] = &[$($name),*];

        /// The value of each of these registers.
        #[derive(Clone, Copy)]
        pub struct Canaries([u64; [$($name),*].len()]);

        impl Canaries {
            /// Fills all of them with random values, and gives what they then hold.
            pub fn fill(random: &mut Random) -> Self {
                // SAFETY: registers of EL1 and EL0, which the host at EL2 does not use.
                unsafe {
                    $(write_register!($name, random.word() & $mask);)*
                }
                Self::read()
            }

            /// The present values. The host may have changed some since it filled them.
            pub fn read() -> Self {
                Self([$(read_register!($name)),*])
            }
        }
    };
}

unused_registers!(canaries {
    "sp_el1" & 0xffff_ffff_ffff_ffff,
    "elr_el1" & 0xffff_ffff_ffff_ffff,
    "spsr_el1" & 0xf000_0000,
    "tpidr_el1" & 0xffff_ffff_ffff_ffff,
    "esr_el1" & 0xffff_ffff,
    "vbar_el1" & 0xffff_ffff_ffff_f800,
    "par_el1" & 0x000f_ffff_ffff_f000,
});

impl Canaries {
    /// The first register that no longer holds the host's value.
    pub fn lost(&self) -> Option<&'static str> {
        let now = Self::read();
        let mut all = NAMES.iter().zip(self.0.iter().zip(now.0));
        all.find(|(_, (before, now))| **before != *now).map(|(name, _)| *name)
    }

    /// Whether one of the registers has this value. Values of few bits do not count.
    pub fn contain(&self, value: u64) -> bool {
        value >> 16 != 0 && value != u64::MAX && self.0.contains(&value)
    }
}
