// SPDX-License-Identifier: BSD-3-Clause
//! A virtual machine monitor at Non-secure EL2. It boots Linux in one or two Realms and serves
//! their exits on all CPUs of the machine, in the RMM's dialect.
//!
//! QEMU has loaded kernel, initial file system and device tree at the addresses in the options. A
//! Realm has RAM from 2 GiB on, a GICv3 and a PL011. The first Realm's PL011 is connected to the
//! machine's own.

#![no_std]
#![no_main]

#[path = "../host/cpus.rs"]
#[allow(dead_code, reason = "shared with the host")]
mod cpus;
#[path = "../host/mmu.rs"]
mod mmu;
#[path = "../host/probe.rs"]
#[allow(dead_code, reason = "shared with the host")]
mod probe;
#[path = "../host/random.rs"]
#[allow(dead_code, reason = "shared with the host")]
mod random;
#[path = "../host/realm.rs"]
#[allow(dead_code, reason = "shared with the host")]
mod realm;
#[path = "../host/rmi.rs"]
#[allow(dead_code, reason = "shared with the host")]
mod rmi;
#[path = "../host/smc.rs"]
#[allow(dead_code, reason = "shared with the host")]
mod smc;
#[path = "../host/tables.rs"]
#[allow(dead_code, reason = "shared with the host")]
mod tables;
#[path = "../host/tally.rs"]
#[allow(dead_code, reason = "shared with the host")]
mod tally;

mod activation;
mod counts;
mod gic;
mod interrupts;
mod machine;
mod memory;
mod pl011;
mod pool;
mod schedule;
mod vcpu;
mod virtio;
mod vm;

use core::arch::global_asm;
use core::panic::PanicInfo;

use rmm_test_firmware::options::Options;
use rmm_test_firmware::{check, read_register, say, semihosting};
use spin::Once;

/// Exit status when a check failed.
const EXIT_CHECK_FAILED: u64 = 1;
/// Exit status when the monitor cannot continue.
const EXIT_HOST_FAILED: u64 = 2;

/// The number of CPUs for which the monitor has stacks.
pub const MAX_CPUS: usize = 8;

static OPTIONS: Once<Options> = Once::new();

/// The options of this run.
pub fn options() -> &'static Options {
    OPTIONS.call_once(|| {
        Options::from_command_line().unwrap_or_else(|| semihosting::exit(EXIT_HOST_FAILED))
    })
}

/// Ends the run, after something that Linux in a Realm never does.
pub fn give_up(what: core::fmt::Arguments<'_>) -> ! {
    say!("FAILED: {what}");
    semihosting::exit(EXIT_HOST_FAILED)
}

/// Called by entry.S on the primary CPU, with the MMU on.
#[unsafe(no_mangle)]
extern "C" fn host_main() -> ! {
    machine::set_up();
    pool::set_up();
    activation::run();
    schedule::start_others();
    vm::build_all();
    schedule::run_all();
    vm::destroy_all();
    counts::print();
    check::equal("granules that are still out", pool::outstanding(), 0);
    smc::report_preserved_registers();
    semihosting::exit(if check::failures() == 0 { 0 } else { EXIT_CHECK_FAILED })
}

/// Called by the vectors for every exception that is not an expected fault of a probe.
#[unsafe(no_mangle)]
extern "C" fn host_unexpected(vector: u64) -> ! {
    give_up(format_args!(
        "exception at vector {vector:#x}: ESR {:#x} ELR {:#x} FAR {:#x}",
        read_register!("esr_el2"),
        read_register!("elr_el2"),
        read_register!("far_el2")
    ))
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    give_up(format_args!("{info}"))
}

global_asm!(
    include_str!("../entry.S"),
    include_str!("../host/entry.S"),
    MAX_CPUS = const MAX_CPUS,
    STACK_SIZE = const 65536,
    MAIR = const mmu::MAIR,
    TCR = const mmu::TCR,
    SCTLR = const mmu::SCTLR,
    LEVEL_1 = sym mmu::LEVEL_1,
);
