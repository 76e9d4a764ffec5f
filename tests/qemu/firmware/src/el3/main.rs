// SPDX-License-Identifier: BSD-3-Clause
//! The EL3 monitor of the system tests. It gives an RMM what TF-A gives it: memory layout, entry
//! state, services, result codes. Where a test needs another EL3, the options say so.
//!
//! Every CPU enters at `reset` (entry.S). CPU 0 boots the RMM, then returns to the normal-world
//! host; the others wait for the host's CPU_ON. From then on EL3 runs only for SMCs. An SMC is
//! handled to its end on the CPU's own stack, and the handler returns the register frame of the
//! world to resume.

#![no_std]
#![no_main]

mod boot;
mod cpu;
mod gic;
mod gpt;
mod manifest;
mod mmu;
mod psci;
mod random;
mod rmmd;
mod rmmd_services;
mod smc;
mod world;

use core::panic::PanicInfo;

use rmm_test_firmware::{read_register, say, semihosting};

/// Exit status of the emulation when the monitor itself fails.
pub const EXIT_MONITOR_FAILED: u64 = 3;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("EL3: FAILED: {info}");
    semihosting::exit(EXIT_MONITOR_FAILED)
}

/// Called by the vectors for every exception except SMCs.
#[unsafe(no_mangle)]
extern "C" fn el3_unexpected(vector: u64) -> ! {
    say!(
        "EL3: FAILED: exception at vector {vector:#x}: ESR {:#x} ELR {:#x} FAR {:#x} SPSR {:#x}",
        read_register!("esr_el3"),
        read_register!("elr_el3"),
        read_register!("far_el3"),
        read_register!("spsr_el3")
    );
    semihosting::exit(EXIT_MONITOR_FAILED)
}
