// SPDX-License-Identifier: BSD-3-Clause
//! The frame pointer, for backtraces.

/// The frame record of the caller: x29.
#[inline(always)] // Else it gives its own frame record, which is gone when it returns.
pub fn record() -> u64 {
    #[cfg(not(target_os = "none"))]
    return crate::host::read_register("X29");
    #[cfg(target_os = "none")]
    {
        let record;
        // SAFETY: reads x29 only.
        unsafe {
            core::arch::asm!("mov {0}, x29", out(reg) record,
                options(nomem, nostack, preserves_flags))
        };
        record
    }
}
