// SPDX-License-Identifier: BSD-3-Clause
//! The interrupt controller of QEMU `virt`, of which the monitor needs nothing itself: on request
//! it leaves it to the host as a whole.

use crate::boot;

/// GICD_CTLR.
const DISTRIBUTOR_CONTROL: u64 = 0x0800_0000;
/// GICD_CTLR.DS: there is one Security state, so that each interrupt is configured by whoever wants
/// to.
const ONE_SECURITY_STATE: u32 = 1 << 6;

/// Called by entry.S on CPU 0 with the MMU off, before any world runs.
#[unsafe(no_mangle)]
extern "C" fn el3_set_up_interrupts() {
    if boot::read_options().host_interrupts == 0 {
        return;
    }
    let control: *mut u32 = core::ptr::with_exposed_provenance_mut(DISTRIBUTOR_CONTROL as usize);
    // SAFETY: a register of the machine, which nobody uses yet; without the MMU it is accessed as a
    // device.
    unsafe { control.write_volatile(ONE_SECURITY_STATE) };
}
