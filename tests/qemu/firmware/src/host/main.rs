// SPDX-License-Identifier: BSD-3-Clause
//! The normal-world host of the system tests. It runs at Non-secure EL2 and calls the RMM by SMC.
//!
//! Each run is one scenario (see `scenarios`), chosen on the command line. Each check prints a line
//! that starts with `ok:` or `FAILED:`. The emulation ends with status 0 if no check failed, else
//! 1.

#![no_std]
#![no_main]

mod canaries;
mod cpus;
mod gic;
mod guest;
mod memory;
mod mmu;
mod probe;
mod random;
mod realm;
mod rmi;
mod scenarios;
mod secrets;
mod smc;
mod stacks;
mod tables;
mod tally;

use core::arch::global_asm;
use core::panic::PanicInfo;

use rmm_test_firmware::options::Options;
use rmm_test_firmware::{check, read_register, say, semihosting};
use spin::Once;

/// Exit status when a check failed.
const EXIT_CHECK_FAILED: u64 = 1;
/// Exit status when the host cannot continue.
const EXIT_HOST_FAILED: u64 = 2;

/// The number of CPUs for which the host has stacks.
pub const MAX_CPUS: usize = 8;

static OPTIONS: Once<Options> = Once::new();

/// The options of this run.
pub fn options() -> &'static Options {
    OPTIONS.call_once(|| {
        Options::from_command_line().unwrap_or_else(|| semihosting::exit(EXIT_HOST_FAILED))
    })
}

/// Called by entry.S on the primary CPU, with the MMU on.
#[unsafe(no_mangle)]
extern "C" fn host_main() -> ! {
    let name = options().scenario();
    let Some(scenario) = scenarios::ALL.iter().find(|scenario| scenario.name == name) else {
        say!("FAILED: there is no scenario {name:?}");
        semihosting::exit(EXIT_HOST_FAILED)
    };
    (scenario.run)();
    stacks::check();
    smc::report_preserved_registers();
    semihosting::exit(if check::failures() == 0 { 0 } else { EXIT_CHECK_FAILED })
}

/// Called by the vectors for every exception that is not an expected fault of a probe.
#[unsafe(no_mangle)]
extern "C" fn host_unexpected(vector: u64) -> ! {
    say!(
        "FAILED: host exception at vector {vector:#x}: ESR {:#x} ELR {:#x} FAR {:#x}",
        read_register!("esr_el2"),
        read_register!("elr_el2"),
        read_register!("far_el2")
    );
    semihosting::exit(EXIT_HOST_FAILED)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("FAILED: host {info}");
    semihosting::exit(EXIT_HOST_FAILED)
}

global_asm!(
    include_str!("../entry.S"),
    include_str!("entry.S"),
    MAX_CPUS = const MAX_CPUS,
    STACK_SIZE = const 16384,
    MAIR = const mmu::MAIR,
    TCR = const mmu::TCR,
    SCTLR = const mmu::SCTLR,
    LEVEL_1 = sym mmu::LEVEL_1,
);
