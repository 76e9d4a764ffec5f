// SPDX-License-Identifier: BSD-3-Clause
//! Interrupts. They are masked while the RMM runs: the CPU takes them after it returns to the host.

use tock_registers::interfaces::Readable;

use super::sysreg::ISR_EL1;

/// Whether an IRQ, FIQ or SError is pending on this CPU (Arm ARM (DDI 0487 L.a), ISR_EL1).
///
/// A long command calls this after each step, and returns early if the ABI lets the host resume it.
pub fn is_pending() -> bool {
    ISR_EL1.get() != 0
}
