// SPDX-License-Identifier: BSD-3-Clause
//! The interrupt controller of QEMU `virt`. The monitor does not use it. On request it leaves it
//! wholly to the host.

use crate::boot;

/// GICD_CTLR.
const DISTRIBUTOR_CONTROL: u64 = 0x0800_0000;
/// GICD_CTLR.DS: with a single Security state, the host can configure every interrupt.
const ONE_SECURITY_STATE: u32 = 1 << 6;

/// Called by entry.S on CPU 0 with the MMU off, before any world runs.
#[unsafe(no_mangle)]
extern "C" fn el3_set_up_interrupts() {
    if boot::read_options().host_interrupts == 0 {
        return;
    }
    let control: *mut u32 = core::ptr::with_exposed_provenance_mut(DISTRIBUTOR_CONTROL as usize);
    // SAFETY: a register of the machine that no other code uses yet. With the MMU off it is
    // accessed as Device memory.
    unsafe { control.write_volatile(ONE_SECURITY_STATE) };
}
