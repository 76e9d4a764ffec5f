// SPDX-License-Identifier: BSD-3-Clause
//! The Secure Monitor Call, with the register file of the SMC calling convention that EL3 keeps for
//! the RMM: x0-x7 in, x0-x7 out.

/// x0 to x7: function identifier and arguments, or results.
pub type Registers = [u64; 8];

/// Calls EL3 with `arguments` in x0 and up, and returns x0 to x7 (SMCCC 1.2). EL3's services for
/// the RMM return a signed status in x0.
///
/// The registers above the arguments hold unspecified values: EL3 reads only those that its service
/// defines. This is a compiler barrier, not a hardware one: the caller completes writes to memory
/// that it shares with EL3.
pub fn smc<const ARGUMENTS: usize>(arguments: [u64; ARGUMENTS]) -> Registers {
    const { assert!(ARGUMENTS <= 8, "x0 to x7") };
    #[cfg(target_os = "none")]
    {
        use core::mem::MaybeUninit;
        let argument = |index: usize| {
            arguments.get(index).map_or(MaybeUninit::uninit(), |x| MaybeUninit::new(*x))
        };
        let (x0, x1, x2, x3, x4, x5, x6, x7): (u64, u64, u64, u64, u64, u64, u64, u64);
        // SAFETY: EL3 keeps every register but x0-x17 (SMCCC) and touches no memory of the RMM
        // other than the shared page, which Rust only knows as raw pointers.
        unsafe {
            core::arch::asm!(
                "smc #0",
                inout("x0") argument(0) => x0, inout("x1") argument(1) => x1,
                inout("x2") argument(2) => x2, inout("x3") argument(3) => x3,
                inout("x4") argument(4) => x4, inout("x5") argument(5) => x5,
                inout("x6") argument(6) => x6, inout("x7") argument(7) => x7,
                out("x8") _, out("x9") _, out("x10") _, out("x11") _, out("x12") _, out("x13") _,
                out("x14") _, out("x15") _, out("x16") _, out("x17") _,
                options(nostack)
            );
        }
        [x0, x1, x2, x3, x4, x5, x6, x7]
    }
    #[cfg(not(target_os = "none"))]
    crate::host::smc(core::array::from_fn(|index| arguments.get(index).copied().unwrap_or(0)))
}
