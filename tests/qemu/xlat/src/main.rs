// SPDX-License-Identifier: BSD-3-Clause
//! The translation tables library in use: an image that builds contexts, lets the MMU walk them,
//! and checks every change by accesses.
//!
//! It is entered at EL3 and descends, so that each regime is in force in turn: EL3, EL2&0, EL2,
//! EL1&0. Each check prints a line that starts with `ok:` or `FAILED:`. The emulation ends with
//! status 0 if no check failed. The scenario `costs` counts instructions instead.

#![no_std]
#![no_main]

mod costs;
mod exception_level;
mod in_use;
mod layout;
mod probe;
mod runs;
mod session;

use core::panic::PanicInfo;

use rmm_test_firmware::options::Options;
use rmm_test_firmware::{check, say, semihosting};

use crate::exception_level::ExceptionLevel;

/// Exit status when a check failed.
const EXIT_CHECK_FAILED: u64 = 1;
/// Exit status when the image cannot continue.
const EXIT_FAILED: u64 = 2;

/// Called by entry.S, at EL3 with the MMU off.
#[unsafe(no_mangle)]
extern "C" fn xlat_main() -> ! {
    ExceptionLevel::El3.enter();
    let options = Options::from_command_line().unwrap_or_else(|| semihosting::exit(EXIT_FAILED));
    let result = match options.scenario() {
        "costs" => costs::run(),
        "regimes" => runs::run(),
        other => {
            say!("FAILED: there is no scenario {other:?}");
            semihosting::exit(EXIT_FAILED)
        }
    };
    check::that(format_args!("the library refused nothing: {result:?}"), result.is_ok());
    semihosting::exit(if check::failures() == 0 { 0 } else { EXIT_CHECK_FAILED })
}

/// Called by the vectors for every exception except those of probes.
#[unsafe(no_mangle)]
extern "C" fn xlat_unexpected(vector: u64) -> ! {
    let [syndrome, link, address] = ExceptionLevel::exception_registers();
    say!(
        "FAILED: exception at vector {vector:#x}: ESR {syndrome:#x} ELR {link:#x} FAR {address:#x}"
    );
    semihosting::exit(EXIT_FAILED)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("FAILED: {info}");
    semihosting::exit(EXIT_FAILED)
}
