// SPDX-License-Identifier: BSD-3-Clause
//! A pending interrupt that is not taken: the host masks all interrupts, so one stays pending while
//! the RMM runs. Needs the option `host-interrupts=1`.

use rmm_test_firmware::write_register;

/// GICD_CTLR: Group 1, with affinity routing.
const DISTRIBUTOR_CONTROL: u64 = 0x0800_0000;
const GROUP_1_AND_ROUTING: u32 = 1 << 4 | 1 << 1;
/// The SGI frame of CPU 0's redistributor, and the registers in it.
const SGI_FRAME: u64 = 0x080b_0000;
const GROUPS: u64 = SGI_FRAME + 0x80;
const SET_ENABLED: u64 = SGI_FRAME + 0x100;
const CLEAR_ENABLED: u64 = SGI_FRAME + 0x180;
const SET_PENDING: u64 = SGI_FRAME + 0x200;
const CLEAR_PENDING: u64 = SGI_FRAME + 0x280;
/// The interrupt: an SGI.
const INTERRUPT: u32 = 1 << 3;

/// The size of the redistributor of each CPU, which has an SGI frame.
const REDISTRIBUTOR_SIZE: u64 = 0x2_0000;
/// The interrupt of CNTHP, the EL2 physical timer: PPI 10.
const TIMER: u32 = 1 << 26;

fn write(register: u64, value: u32) {
    let register: *mut u32 = core::ptr::with_exposed_provenance_mut(register as usize);
    // SAFETY: registers of the interrupt controller, mapped as Device memory, which only this
    // module uses.
    unsafe { register.write_volatile(value) };
}

/// Enables the interrupt on CPU 0, which must be the calling CPU.
pub fn enable() {
    write(DISTRIBUTOR_CONTROL, GROUP_1_AND_ROUTING);
    write(GROUPS, u32::MAX);
    write(SET_ENABLED, INTERRUPT);
    // SAFETY: PSTATE masks what the CPU interface signals.
    unsafe {
        write_register!("icc_pmr_el1", 0xff);
        write_register!("icc_igrpen1_el1", 1);
        core::arch::asm!("isb", options(nostack, preserves_flags));
    }
}

/// Enables or disables the interrupt of CPU 0's PMU.
pub fn enable_pmu(enabled: bool) {
    enable_private(1 << 23, enabled);
}

/// Enables or disables CPU 0's maintenance interrupt.
pub fn enable_maintenance(enabled: bool) {
    enable_private(1 << 25, enabled);
}

/// Moves the interrupt to Group 0, which makes it a FIQ, or back to Group 1.
pub fn enable_fiq(enabled: bool) {
    const GROUP_0: u32 = 1 << 0;
    write(GROUPS, if enabled { !INTERRUPT } else { u32::MAX });
    write(DISTRIBUTOR_CONTROL, GROUP_1_AND_ROUTING | if enabled { GROUP_0 } else { 0 });
    // SAFETY: as below.
    unsafe {
        write_register!("icc_igrpen0_el1", u64::from(enabled));
        core::arch::asm!("dsb sy", "isb", options(nostack, preserves_flags));
    }
}

/// Enables or disables the interrupts of CPU 0's EL1 timers, virtual and physical.
pub fn enable_timers_of_el1(enabled: bool) {
    enable_private(1 << 27 | 1 << 30, enabled);
}

fn enable_private(interrupt: u32, enabled: bool) {
    write(if enabled { SET_ENABLED } else { CLEAR_ENABLED }, interrupt);
    // SAFETY: as below.
    unsafe { core::arch::asm!("dsb sy", "isb", options(nostack, preserves_flags)) };
}

/// Makes the interrupt pending, or not.
pub fn set_pending(pending: bool) {
    write(if pending { SET_PENDING } else { CLEAR_PENDING }, INTERRUPT);
    // SAFETY: a barrier. The write completes before the next instruction.
    unsafe { core::arch::asm!("dsb sy", "isb", options(nostack, preserves_flags)) };
}

/// Whether an interrupt is pending on this CPU.
pub fn is_pending() -> bool {
    rmm_test_firmware::read_register!("isr_el1") != 0
}

/// Enables the interrupt of the EL2 timer on CPU `cpu`, which must be the calling CPU.
pub fn enable_timer(cpu: u64) {
    let frame = cpu * REDISTRIBUTOR_SIZE;
    write(DISTRIBUTOR_CONTROL, GROUP_1_AND_ROUTING);
    write(GROUPS + frame, u32::MAX);
    write(SET_ENABLED + frame, TIMER);
    // SAFETY: PSTATE masks what the CPU interface signals.
    unsafe {
        write_register!("icc_pmr_el1", 0xff);
        write_register!("icc_igrpen1_el1", 1);
        core::arch::asm!("isb", options(nostack, preserves_flags));
    }
}

/// Sets this CPU's EL2 timer to fire after this many ticks. Gives the deadline.
pub fn arm_timer(ticks: u64) -> u64 {
    let deadline = now() + ticks;
    // SAFETY: only this module uses the timer.
    unsafe {
        write_register!("cnthp_cval_el2", deadline);
        write_register!("cnthp_ctl_el2", 1);
        core::arch::asm!("isb", options(nostack, preserves_flags));
    }
    deadline
}

/// Stops this CPU's EL2 timer.
pub fn disarm_timer() {
    // SAFETY: as for arming.
    unsafe {
        write_register!("cnthp_ctl_el2", 0);
        core::arch::asm!("isb", options(nostack, preserves_flags));
    }
}

/// The value of the counter.
pub fn now() -> u64 {
    rmm_test_firmware::read_register!("cntpct_el0")
}
