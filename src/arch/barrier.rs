// SPDX-License-Identifier: BSD-3-Clause
//! Barriers (Arm ARM (DDI 0487 L.a) B2.3.12 and C6.2). Each caller states what its barrier orders.

use super::instruction::instructions;

instructions! {
    /// Instruction synchronization barrier: later instructions see earlier context changes.
    fn isb() = "isb";
    /// Completes all earlier accesses and maintenance, for the full system.
    fn dsb_sy() = "dsb sy";
    /// Completes all earlier accesses and maintenance, for the Inner Shareable domain.
    fn dsb_ish() = "dsb ish";
    /// Completes all earlier stores, for the Inner Shareable domain.
    fn dsb_ishst() = "dsb ishst";
    /// Completes all earlier accesses and maintenance, for this CPU.
    fn dsb_nsh() = "dsb nsh";
    /// Completes all earlier stores, for this CPU.
    fn dsb_nshst() = "dsb nshst";
}

/// Makes the compiler store `value` to memory here, and load it again afterwards.
pub fn expose<T>(value: &mut T) {
    #[cfg(target_os = "none")]
    // SAFETY: no instruction.
    unsafe {
        core::arch::asm!("/* {0} */", in(reg) core::ptr::from_mut(value),
            options(nostack, preserves_flags))
    };
    #[cfg(not(target_os = "none"))]
    let _ = value;
}
