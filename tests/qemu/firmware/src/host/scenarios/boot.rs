// SPDX-License-Identifier: BSD-3-Clause
//! Whether the RMM has booted, and what the host sees in either case.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_test_firmware::say;
use rmm_test_firmware::smccc::psci;

use crate::check::{self, Every};
use crate::cpus;
use crate::rmi::{self, Dialect, Status};
use crate::smc::{self, BootStatus};

/// The RMM has booted: it reports the version of its dialect.
pub fn boots() {
    check::equal("the RMM booted with code 0", smc::boot_status(), BootStatus::BOOTED);
    let version = Dialect::current().version();
    check::equal(
        format_args!("RMI_VERSION({version}) succeeds"),
        rmi::version(version),
        (Status::SUCCESS, version, version),
    );
}

/// The RMM has refused to boot with the code in the option `argument` (as a magnitude). EL3 and the
/// host continue, and every RMI call is unknown.
pub fn refused() {
    let code = -crate::options().argument.cast_signed();
    check::equal(
        format_args!("the RMM refused to boot with code {code}"),
        smc::boot_status(),
        BootStatus { code, given_up: true },
    );
    let mut unknown = Every::new("an RMI call to an RMM that did not boot is unknown");
    for fid in
        [rmi::fid::VERSION, rmi::fid::GRANULE_DELEGATE, rmi::fid::FEATURES, rmi::fid::RMM_ACTIVATE]
    {
        let status = Status(rmi::call(fid, &[], 0)[0]);
        unknown.equal(format_args!("{fid:#x}"), status, Status::UNKNOWN);
    }
}

/// Bound for a cold boot with 3 GiB of DRAM. Measured: 620,500 instructions if EL3 reserves memory,
/// 594,422 otherwise; 14,000 of these report that there is no attestation key.
const COLD_BOOT: u64 = 640_000;
/// Bound for what attestation adds to a cold boot, mostly the public half of the key.
const KEY_SET_UP: u64 = 7_500_000;
/// Bound for a warm boot of a CPU.
const WARM_BOOT: u64 = 250;

/// The cost of boots in instructions of the RMM, with an attestation key if the option `argument`
/// is not 0. Needs QEMU's instruction counter.
pub fn costs() {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let limit = |what: &str, count: u64, limit: u64| {
        say!("instructions: {what}: {count}");
        check::that(
            format_args!("{what} takes at most {limit} instructions"),
            (1..=limit).contains(&count),
        );
    };
    let cold_boot = smc::last_visit().cold_boot;
    if crate::options().argument == 0 {
        limit("cold boot", cold_boot, COLD_BOOT);
    } else {
        say!("figure: Attestation, instructions | cold boot with a key | {cold_boot}");
        limit("cold boot with a key", cold_boot, COLD_BOOT + KEY_SET_UP);
    }
    for what in ["the first warm boot", "the second warm boot", "the third warm boot"] {
        let boot = cpus::start(1, |_| LAST.store(smc::last_visit().warm_boot, Ordering::Release));
        check::equal("CPU 1 comes on", boot, psci::SUCCESS);
        cpus::wait_until_off(1);
        limit(what, LAST.swap(0, Ordering::AcqRel), WARM_BOOT);
    }
}
