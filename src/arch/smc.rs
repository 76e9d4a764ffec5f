// SPDX-License-Identifier: BSD-3-Clause
//! The Secure Monitor Call, with the register file of the SMC calling convention that EL3 keeps for the RMM: x0-x7 in, x0-x7 out.

/// Function identifier and arguments, x0 to x7; or results, x0 to x7.
pub type Registers = [u64; 8];

/// Calls EL3 with x0-x7 and gives back its x0-x7 (SMCCC 1.2; `EL3-RMM` services use x0 as a signed status).
///
/// Memory handed to EL3 must be complete before the call: this is a compiler barrier, not a hardware one.
#[inline]
pub fn smc(registers: Registers) -> Registers {
    #[cfg(target_os = "none")]
    {
        let [mut x0, mut x1, mut x2, mut x3, mut x4, mut x5, mut x6, mut x7] = registers;
        // SAFETY: EL3 keeps every register but x0-x17 (SMCCC) and touches no memory of the RMM other than the
        // shared page, which Rust only knows as raw pointers.
        unsafe {
            core::arch::asm!(
                "smc #0",
                inout("x0") x0, inout("x1") x1, inout("x2") x2, inout("x3") x3,
                inout("x4") x4, inout("x5") x5, inout("x6") x6, inout("x7") x7,
                out("x8") _, out("x9") _, out("x10") _, out("x11") _, out("x12") _, out("x13") _,
                out("x14") _, out("x15") _, out("x16") _, out("x17") _,
                options(nostack)
            );
        }
        [x0, x1, x2, x3, x4, x5, x6, x7]
    }
    #[cfg(not(target_os = "none"))]
    crate::host::smc(registers)
}
