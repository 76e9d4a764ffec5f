// SPDX-License-Identifier: BSD-3-Clause
//! What commands cost: instructions executed inside the RMM, from EL3's return into it to its SMC, both
//! included. The monitor's own instructions are not counted. Needs QEMU's instruction counter.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_test_firmware::say;
use rmm_test_firmware::smccc::psci;

use crate::check;
use crate::cpus;
use crate::memory::granule;
use crate::rmi::{self, Dialect, Status};
use crate::smc;

/// More would mean that time was counted, not instructions.
const PLAUSIBLE: core::ops::Range<u64> = 1..10_000_000;

fn measure(name: &str, command: impl Fn() -> Status) {
    // The first call may find caches of its own empty.
    let first = (command(), smc::last_visit().last);
    let second = (command(), smc::last_visit());
    check::equal(format_args!("{name} succeeds"), (first.0, second.0), (Status::SUCCESS, Status::SUCCESS));
    check::that(
        format_args!("{name} executes a plausible number of instructions"),
        PLAUSIBLE.contains(&first.1),
    );
    say!("instructions: {name}: {} ({} EL3 calls)", second.1.last, second.1.services);
}

/// Prints the cost of the boots and of each command.
pub fn instructions() {
    static WARM_BOOT: AtomicU64 = AtomicU64::new(0);
    say!("instructions: cold boot: {}", smc::last_visit().cold_boot);
    let boot = cpus::start(1, |_| WARM_BOOT.store(smc::last_visit().warm_boot, Ordering::Release));
    check::equal("CPU 1 comes on", boot, psci::SUCCESS);
    cpus::wait_until_off(1);
    say!("instructions: warm boot: {}", WARM_BOOT.load(Ordering::Acquire));
    let version = Dialect::current().version();
    measure("RMI_VERSION", || rmi::version(version).0);
    measure("RMI_FEATURES", || rmi::features(0).0);
    rmi::activate();
    for index in 0..2 {
        let address = granule(index);
        check::equal("delegate succeeds", rmi::delegate(address), Status::SUCCESS);
        let delegate = smc::last_visit();
        check::equal("undelegate succeeds", rmi::undelegate(address), Status::SUCCESS);
        let undelegate = smc::last_visit();
        say!("instructions: delegate: {} ({} EL3 calls)", delegate.last, delegate.services);
        say!("instructions: undelegate: {} ({} EL3 calls)", undelegate.last, undelegate.services);
        check::that(
            "both are plausible",
            [delegate, undelegate].iter().all(|visit| PLAUSIBLE.contains(&visit.last)),
        );
    }
}
