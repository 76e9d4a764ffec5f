// SPDX-License-Identifier: BSD-3-Clause
//! The normal-world host of the system tests. It runs at Non-secure EL2 and calls the RMM by SMC.
//!
//! Each run is one scenario (see `scenarios`), chosen on the command line. Each check prints a line
//! that starts with `ok:` or `FAILED:`. The emulation ends with status 0 if no check failed, else
//! 1.

#![no_std]
#![no_main]

mod canaries;
mod gic;
mod guest;
mod memory;
mod scenarios;
mod secrets;
mod stacks;

use rmm_test_firmware::host::{
    EXIT_CHECK_FAILED, MAX_CPUS, cpus, end, give_up, options, probe, random, realm, rmi, smc,
    tables, tally,
};
use rmm_test_firmware::{check, host_image};

/// Called by entry.S on the primary CPU, with the MMU on.
#[unsafe(no_mangle)]
extern "C" fn host_main() -> ! {
    let name = options().scenario();
    let Some(scenario) = scenarios::ALL.iter().find(|scenario| scenario.name == name) else {
        give_up(format_args!("there is no scenario {name:?}"))
    };
    (scenario.run)();
    stacks::check();
    end()
}

host_image!(stack_size: 16384);
