// SPDX-License-Identifier: BSD-3-Clause
//! Waiting for events, and stopping for good.

use super::instruction::instructions;

instructions! {
    /// Waits for an event (Arm ARM D1.7.1); may return at once.
    fn wfe() = "wfe";
    /// Sends an event to every CPU.
    fn sev() = "sev";
    /// Waits for an interrupt; may return at once.
    fn wfi() = "wfi";
}

/// Stops this CPU: interrupts stay masked, so nothing runs on it in the RMM again.
pub fn halt() -> ! {
    #[cfg(not(target_os = "none"))]
    crate::host::halted();
    #[cfg(target_os = "none")]
    loop {
        wfi();
    }
}
