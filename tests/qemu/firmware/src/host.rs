// SPDX-License-Identifier: BSD-3-Clause
//! What the images at Non-secure EL2 share: CPUs, calls of the RMM in both dialects, and Realms.
//!
//! `host/main.rs` and `vmm/main.rs` are the images. [`host_image!`](crate::host_image) makes the
//! rest of them.

pub mod cpus;
pub mod mmu;
pub mod probe;
pub mod random;
pub mod realm;
pub mod rmi;
pub mod smc;
pub mod tables;
pub mod tally;

use spin::Once;

use crate::options::Options;
use crate::{check, semihosting};

/// Exit status when a check failed.
pub const EXIT_CHECK_FAILED: u64 = 1;
/// Exit status when the image cannot continue.
const EXIT_HOST_FAILED: u64 = 2;

/// The number of CPUs for which there are stacks.
pub const MAX_CPUS: usize = 8;

static OPTIONS: Once<Options> = Once::new();

/// The options of this run.
pub fn options() -> &'static Options {
    OPTIONS.call_once(|| {
        Options::from_command_line().unwrap_or_else(|| semihosting::exit(EXIT_HOST_FAILED))
    })
}

/// Ends the run, with status 0 if no check failed.
pub fn end() -> ! {
    smc::report_preserved_registers();
    semihosting::exit(if check::failures() == 0 { 0 } else { EXIT_CHECK_FAILED })
}

/// Ends the run, which cannot continue.
pub fn give_up(what: core::fmt::Arguments<'_>) -> ! {
    crate::say!("FAILED: {what}");
    semihosting::exit(EXIT_HOST_FAILED)
}

/// Defines the entry code of an image, with stacks of `stack_size` bytes, and how it ends after an
/// exception or a panic.
///
/// The image itself defines `host_main`, which the primary CPU calls with its MMU on.
#[macro_export]
macro_rules! host_image {
    (stack_size: $stack_size:literal) => {
        /// Called by entry.S on a CPU that CPU_ON started.
        #[unsafe(no_mangle)]
        extern "C" fn host_secondary_main(index: u64) -> ! {
            $crate::host::cpus::work(index)
        }

        /// Called by the vectors for every exception that is not an expected fault of a probe.
        #[unsafe(no_mangle)]
        extern "C" fn host_unexpected(vector: u64) -> ! {
            $crate::host::give_up(format_args!(
                "host exception at vector {vector:#x}: ESR {:#x} ELR {:#x} FAR {:#x}",
                $crate::read_register!("esr_el2"),
                $crate::read_register!("elr_el2"),
                $crate::read_register!("far_el2")
            ))
        }

        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::host::give_up(format_args!("host {info}"))
        }

        core::arch::global_asm!(
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/entry.S")),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/host/entry.S")),
            MAX_CPUS = const $crate::host::MAX_CPUS,
            STACK_SIZE = const $stack_size,
            MAIR = const $crate::host::mmu::MAIR,
            TCR = const $crate::host::mmu::TCR,
            SCTLR = const $crate::host::mmu::SCTLR,
            LEVEL_1 = sym $crate::host::mmu::LEVEL_1,
        );
    };
}
