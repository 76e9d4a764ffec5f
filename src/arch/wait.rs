// SPDX-License-Identifier: BSD-3-Clause
//! Waiting for events, and stopping for good.

use super::atomic::{AtomicBool, AtomicUsize, Ordering};
use super::instruction::instructions;

instructions! {
    /// Waits for an event (Arm ARM (DDI 0487 L.a) D1.7.1); may return at once.
    fn wfe() = "wfe";
    /// Sends an event to every CPU.
    fn sev() = "sev";
    /// Waits for an interrupt; may return at once.
    fn wfi() = "wfi";
}

/// The immediate of the BRK of [`give_up`].
#[cfg(target_os = "none")]
const GIVE_UP: u16 = 0x6755;
/// ESR_EL2 of that BRK: EC 0x3C, IL 1, the immediate in ISS.
#[cfg(target_os = "none")]
pub const GIVE_UP_SYNDROME: u64 = 0x3C << 26 | 1 << 25 | GIVE_UP as u64;

/// Waits until `word` holds `value`, and observes everything written before that value was stored.
/// Does not return once `end` is set, by a CPU that then calls [`sev`].
///
/// Each load arms the exclusive monitor on `word`, so the store that changes `word` is also the
/// event that ends the WFE (Arm ARM (DDI 0487 L.a) B2.12.2). A store between the load and the WFE
/// sets the event register, and the WFE returns at once. The CPU that stores needs no SEV.
pub fn until_equal(word: &AtomicUsize, value: usize, end: &AtomicBool) {
    #[cfg(not(target_os = "none"))]
    while word.load(Ordering::Acquire) != value {
        if end.load(Ordering::Relaxed) {
            give_up();
        }
        crate::host::wait_for_event();
    }
    #[cfg(target_os = "none")]
    loop {
        let seen: usize;
        // SAFETY: `word` is a live, aligned word; a load-exclusive without a store-exclusive
        // changes nothing but this CPU's monitor.
        unsafe {
            core::arch::asm!("ldaxr {seen}, [{word}]", seen = out(reg) seen,
                word = in(reg) word.as_ptr(), options(nostack, preserves_flags))
        };
        if seen == value {
            return;
        }
        if end.load(Ordering::Relaxed) {
            give_up();
        }
        wfe();
    }
}

/// Raises an exception whose handler abandons the call that this CPU serves.
pub fn give_up() -> ! {
    #[cfg(not(target_os = "none"))]
    crate::host::gave_up();
    // SAFETY: the handler never returns to this instruction.
    #[cfg(target_os = "none")]
    unsafe {
        core::arch::asm!("brk #{0}", const GIVE_UP, options(noreturn, nostack))
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
