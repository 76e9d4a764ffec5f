// SPDX-License-Identifier: BSD-3-Clause
//! Random numbers of the CPU (FEAT_RNG).

use tock_registers::interfaces::Readable;

use super::sysreg::ID_AA64ISAR0_EL1;

/// 64 random bits; `None` if the CPU has no FEAT_RNG, or its generator delivers none in time.
pub fn random() -> Option<u64> {
    /// ID_AA64ISAR0_EL1.RNDR.
    const RNDR: u32 = 60;
    if ID_AA64ISAR0_EL1.get() >> RNDR == 0 {
        return None;
    }
    #[cfg(target_os = "none")]
    {
        let (bits, is_valid): (u64, u64);
        // SAFETY: the ID register says that RNDR exists. Reading it changes only the flags: Z is
        // set if no number was delivered.
        unsafe {
            core::arch::asm!("mrs {0}, s3_3_c2_c4_0", "cset {1}, ne", out(reg) bits,
                out(reg) is_valid, options(nomem, nostack))
        };
        (is_valid != 0).then_some(bits)
    }
    #[cfg(not(target_os = "none"))]
    Some(crate::host::read_register("RNDR"))
}
