// SPDX-License-Identifier: BSD-3-Clause
//! From reset to the first instruction of a world, on the primary CPU and on those that CPU_ON
//! starts.

use rmm_test_firmware::options::Options;
use rmm_test_firmware::registers::linear_index_of_this_cpu;
use rmm_test_firmware::{say, semihosting};
use spin::Once;

use crate::cpu::{Cpu, claim, set_up_traps};
use crate::world::{Frame, World};
use crate::{EXIT_MONITOR_FAILED, gpt, manifest, mmu, psci, random, rmmd};

/// The address at which the host's image is loaded and entered.
const HOST_ENTRY: u64 = 0x6000_0000;

static OPTIONS: Once<Options> = Once::new();

/// Reads the options. Without them no test is possible.
pub fn read_options() -> Options {
    Options::from_command_line().unwrap_or_else(|| semihosting::exit(EXIT_MONITOR_FAILED))
}

/// The options of this run.
pub fn options() -> &'static Options {
    OPTIONS.call_once(read_options)
}

unsafe extern "C" {
    /// Lets the other CPUs continue, in entry.S.
    safe fn el3_release_secondaries();
}

/// Called by entry.S on CPU 0 with the MMU on: prepares everything and returns the RMM's frame.
#[unsafe(no_mangle)]
extern "C" fn el3_cold_boot() -> *mut Frame {
    let options = options();
    let cpu = come_up();
    gpt::build(options);
    gpt::gpt().enable();
    // SAFETY: the window maps the shared page, and no other code runs yet.
    manifest::write(options, unsafe { &mut *mmu::shared_page().cast() });
    random::replace();
    psci::mark_on(cpu.index);
    el3_release_secondaries();

    cpu.world(World::Nonsecure).reset(HOST_ENTRY, &[]);
    rmmd::enter_cold(cpu)
}

/// Called by entry.S on every other CPU: waits for its first CPU_ON.
#[unsafe(no_mangle)]
extern "C" fn el3_secondary_boot() -> *mut Frame {
    let cpu = come_up();
    gpt::gpt().enable();
    psci::wait_for_cpu_on(cpu)
}

fn come_up() -> &'static mut Cpu {
    let Ok(index) = usize::try_from(linear_index_of_this_cpu()) else {
        say!("EL3: FAILED: no such CPU");
        semihosting::exit(EXIT_MONITOR_FAILED)
    };
    // SAFETY: entry.S comes here once on each CPU.
    let cpu = unsafe { claim(index) };
    set_up_traps();
    cpu
}
