// SPDX-License-Identifier: BSD-3-Clause
//! The machine's interrupt controller, timer and PL011, for the monitor. Interrupts stay masked: a
//! pending one makes a Realm exit, or ends a WFI, and is then acknowledged.

use core::arch::asm;

use rmm_test_firmware::registers::linear_index_of_this_cpu;
use rmm_test_firmware::{read_register, write_register};

const DISTRIBUTOR: u64 = 0x0800_0000;
const REDISTRIBUTORS: u64 = 0x080a_0000;
const REDISTRIBUTOR_SIZE: u64 = 0x2_0000;
const SGI_FRAME: u64 = 0x1_0000;
const UART: u64 = 0x0900_0000;

const GROUP_1_AND_ROUTING: u32 = 1 << 4 | 1 << 1;

/// Interrupts of the machine.
mod intid {
    /// Makes a CPU look for work.
    pub const KICK: u64 = 3;
    pub const MAINTENANCE: u64 = 25;
    pub const TICK: u64 = 26;
    pub const VIRTUAL_TIMER: u64 = 27;
    pub const PHYSICAL_TIMER: u64 = 30;
    pub const UART: u64 = 33;
    /// INTIDs from here on mean that there is no interrupt.
    pub const SPECIAL: u64 = 1020;
}

fn register(address: u64) -> *mut u32 {
    core::ptr::with_exposed_provenance_mut(address as usize)
}

fn read(address: u64) -> u32 {
    // SAFETY: a register of a device, mapped as Device memory. Reading it is safe.
    unsafe { register(address).read_volatile() }
}

fn write(address: u64, value: u32) {
    // SAFETY: a register of a device, mapped as Device memory, that only this module uses.
    unsafe { register(address).write_volatile(value) };
}

/// Sets up what all CPUs share.
pub fn set_up() {
    write(DISTRIBUTOR, GROUP_1_AND_ROUTING);
    let uart = 1 << (intid::UART % 32);
    write(DISTRIBUTOR + 0x84, uart);
    write(DISTRIBUTOR + 0x104, uart);
    // The PL011 receives, with its FIFO and an interrupt when there is something to read.
    write(UART + 0x2c, read(UART + 0x2c) | 1 << 4);
    write(UART + 0x30, read(UART + 0x30) | 1 << 9 | 1 << 8 | 1);
    write(UART + 0x38, 1 << 6 | 1 << 4);
}

/// Sets up the calling CPU.
pub fn set_up_cpu() {
    let frame = REDISTRIBUTORS + linear_index_of_this_cpu() * REDISTRIBUTOR_SIZE + SGI_FRAME;
    write(frame + 0x80, u32::MAX);
    write(
        frame + 0x100,
        1 << intid::KICK
            | 1 << intid::MAINTENANCE
            | 1 << intid::TICK
            | 1 << intid::VIRTUAL_TIMER
            | 1 << intid::PHYSICAL_TIMER,
    );
    const RW: u64 = 1 << 31;
    const IMO_AND_FMO: u64 = 3 << 3;
    // SAFETY: PSTATE masks interrupts.
    unsafe {
        write_register!("hcr_el2", RW | IMO_AND_FMO);
        write_register!("icc_pmr_el1", 0xff);
        write_register!("icc_igrpen1_el1", 1);
        asm!("isb", options(nostack, preserves_flags));
    }
}

/// The interrupts that were pending.
#[derive(Clone, Copy, Default)]
pub struct Pending {
    /// The tick.
    pub tick: bool,
    /// Whether the PL011 has something to read.
    pub input: bool,
}

/// Acknowledges all that is pending.
pub fn acknowledge() -> Pending {
    let mut pending = Pending::default();
    loop {
        let intid = read_register!("icc_iar1_el1");
        match intid {
            intid::SPECIAL.. => return pending,
            intid::TICK => {
                stop_tick();
                pending.tick = true;
            }
            intid::UART => pending.input = true,
            _ => {}
        }
        // SAFETY: the interrupt just acknowledged has been served.
        unsafe {
            write_register!("icc_eoir1_el1", intid);
            asm!("dsb sy", "isb", options(nostack, preserves_flags));
        }
        if intid == intid::UART {
            // This interrupt stays pending until the caller reads the PL011.
            return pending;
        }
    }
}

/// Makes another CPU leave its Realm, or its WFI.
pub fn kick(cpu: u64) {
    let targets = (cpu / 16) << 16 | 1 << (cpu % 16);
    // SAFETY: sends an SGI, which only ends the other CPU's wait or run.
    unsafe {
        asm!("dsb ish", options(nostack, preserves_flags));
        write_register!("icc_sgi1r_el1", intid::KICK << 24 | targets);
        asm!("isb", options(nostack, preserves_flags));
    }
}

/// The counter that the timers use.
pub fn now() -> u64 {
    // SAFETY: a barrier, so that the counter is not read early.
    unsafe { asm!("isb", options(nostack, preserves_flags)) };
    read_register!("cntpct_el0")
}

/// Ticks of the counter in a second.
pub fn frequency() -> u64 {
    read_register!("cntfrq_el0")
}

/// Sets this CPU's timer to interrupt at `at`.
pub fn set_tick(at: u64) {
    // SAFETY: nothing else uses the EL2 timer; PSTATE masks its interrupt.
    unsafe {
        write_register!("cnthp_cval_el2", at);
        write_register!("cnthp_ctl_el2", 1);
        asm!("isb", options(nostack, preserves_flags));
    }
}

/// Stops this CPU's timer.
pub fn stop_tick() {
    // SAFETY: as in `set_tick`.
    unsafe {
        write_register!("cnthp_ctl_el2", 0);
        asm!("isb", options(nostack, preserves_flags));
    }
}

/// Waits for an interrupt.
pub fn wait() {
    // SAFETY: ends when an interrupt is pending.
    unsafe { asm!("dsb sy", "wfi", options(nostack, preserves_flags)) };
}

/// Writes a byte to the PL011.
pub fn put(byte: u8) {
    while read(UART + 0x18) & 1 << 5 != 0 {}
    write(UART, byte.into());
}

/// Reads a byte from the PL011, if there is one.
pub fn get() -> Option<u8> {
    (read(UART + 0x18) & 1 << 4 == 0).then(|| (read(UART) & 0xff) as u8)
}
