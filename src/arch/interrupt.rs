// SPDX-License-Identifier: BSD-3-Clause
//! Interrupts, which are masked while the RMM runs: the CPU takes them when the host has its
//! answer.

use tock_registers::interfaces::Readable;

use super::sysreg::ISR_EL1;

/// Whether an IRQ, FIQ or SError is pending on this CPU (Arm ARM, ISR_EL1). A command that takes
/// long looks here after each step, and ends early where the ABI lets the host go on from there.
pub fn is_pending() -> bool {
    ISR_EL1.get() != 0
}
