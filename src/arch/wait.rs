// SPDX-License-Identifier: BSD-3-Clause
//! Waiting for events, and stopping for good.

use super::atomic::AtomicUsize;
use super::instruction::instructions;

instructions! {
    /// Waits for an event (Arm ARM D1.7.1); may return at once.
    fn wfe() = "wfe";
    /// Sends an event to every CPU.
    fn sev() = "sev";
    /// Waits for an interrupt; may return at once.
    fn wfi() = "wfi";
}

/// Waits until `word` holds `value`, and observes everything written before that value was stored.
///
/// Each look arms the exclusive monitor on `word`, so that the store which changes it is also the
/// event that ends the WFE (Arm ARM B2.12.2); a store between the look and the WFE has already left
/// its event behind. The CPU that stores needs no SEV.
pub fn until_equal(word: &AtomicUsize, value: usize) {
    #[cfg(not(target_os = "none"))]
    while word.load(super::atomic::Ordering::Acquire) != value {
        crate::host::wait_for_event();
    }
    #[cfg(target_os = "none")]
    loop {
        let seen: usize;
        // SAFETY: `word` is a live, aligned word; a load-exclusive without a store-exclusive
        // changes nothing but this CPU's monitor.
        unsafe {
            core::arch::asm!("ldaxr {seen}, [{word}]", seen = out(reg) seen, word = in(reg) word.as_ptr(),
                options(nostack, preserves_flags))
        };
        if seen == value {
            return;
        }
        wfe();
    }
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
