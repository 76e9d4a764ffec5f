// SPDX-License-Identifier: BSD-3-Clause
//! How the monitor sets up the RMM, as Linux does: version, and in RMI 2.0 features, configuration,
//! activation, and whether all memory can be delegated.

use rmm_abi::rmi::status;
use rmm_abi::rmi_v2::{CATEGORY_CONVENTIONAL, GPT_PLATFORM, TRACKING_FINE};
use rmm_test_firmware::check;
use rmm_test_firmware::options::{DRAM_BASE, GRANULE};

use crate::rmi::{self, Dialect, Status, fid};
use crate::{give_up, options, pool, probe};

/// Feature registers that Linux reads.
const FEATURE_REGISTERS: u64 = 5;
/// Register 1: 4 KiB granules and SHA-256. Bits 13:10: the size that a level 0 entry of the Granule
/// Protection Table covers.
const GRANULES_AND_HASH: u64 = 1 << 3 | 1 << 0;

/// Sets up the RMM. The pool must be set up before.
pub fn run() {
    let version = Dialect::current().version();
    let (answer, ..) = rmi::version(version);
    check::equal(format_args!("the RMM speaks RMI {version}"), answer, Status::SUCCESS);
    if Dialect::current() == Dialect::Two {
        activate();
    }
}

fn activate() {
    let mut registers = [0; FEATURE_REGISTERS as usize];
    for (number, register) in (0..).zip(&mut registers) {
        let status;
        (status, *register) = rmi::features(number);
        check::equal("each feature register is there", status, Status::SUCCESS);
    }
    let [_, one, ..] = registers;
    check::equal("granules of 4 KiB, SHA-256", one & GRANULES_AND_HASH, GRANULES_AND_HASH);
    let page = pool::take();
    if probe::fill_granule(page, 0).is_err() {
        give_up(format_args!("the host cannot write its own memory"));
    }
    check::equal("the RMM is configured", rmi::rmm_config_set(page), Status::SUCCESS);
    pool::give(page);
    check::equal("and activated", rmi::rmm_activate(), Status::SUCCESS);
    let region = 1 << (30 + (one >> 10 & 0xf));
    let (base, top) = (options().test_memory, DRAM_BASE + options().memory);
    look_at_memory(base, top);
    look_at_protection_tables(base & !(region - 1), top, region);
}

/// RMI_GRANULE_TRACKING_GET for all memory of Realms.
fn look_at_memory(base: u64, top: u64) {
    let mut at = base;
    while at < top {
        let returned = rmi::call(fid::GRANULE_TRACKING_GET, &[at, top], 3);
        let [status, category, state, next, ..] = returned;
        let fine = (u64::from(status::SUCCESS), CATEGORY_CONVENTIONAL, TRACKING_FINE);
        if (status, category, state) != fine || next <= at || !next.is_multiple_of(GRANULE) {
            give_up(format_args!("memory at {at:#x} cannot be delegated: {returned:#x?}"));
        }
        at = next;
    }
}

/// RMI_GPT_L1_CREATE and RMI_GPT_INFO, of different betas: the tables exist.
fn look_at_protection_tables(base: u64, top: u64, region: u64) {
    for at in (base..top).step_by(usize::try_from(region).unwrap_or(usize::MAX)) {
        let [status, ..] = rmi::call(fid::GPT_L1_CREATE, &[at], 0);
        check::equal("the platform has made the table", status, status::ERROR_GPT.into());
    }
    let mut at = base;
    while at < top {
        let [status, next, state, ..] = rmi::call(fid::GPT_INFO, &[at, top], 2);
        if (Status(status), state) != (Status::SUCCESS, GPT_PLATFORM) || next <= at {
            give_up(format_args!("no Granule Protection Table at {at:#x}: state {state}"));
        }
        at = next;
    }
}
