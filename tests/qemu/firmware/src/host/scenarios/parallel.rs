// SPDX-License-Identifier: BSD-3-Clause
//! The RMM serves all CPUs of the machine at once, while any of them goes off and comes on again.
//!
//! Seen to fail: an RMM whose CPUs all use the context of CPU 0, and one that answers a warm boot
//! with an error.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_test_firmware::say;

use crate::MAX_CPUS;
use crate::check::{self, Every};
use crate::cpus;
use crate::memory::{GPI_REALM, granule};
use crate::rmi::{self, Dialect, Status};
use crate::smc::{self, BootStatus};

/// The number of calls by each CPU while all others call.
const CALLS: u64 = 500;

/// CPUs that have booted the RMM and are ready to call it.
static READY: AtomicU64 = AtomicU64::new(0);

/// All CPUs boot the RMM, wait for each other, and call it at the same time.
pub fn in_parallel() {
    rmi::activate();
    cpus::on_every_cpu(serve_in_parallel);
    check::equal("all CPUs were on at once", READY.load(Ordering::Acquire), cpus::count());
}

fn serve_in_parallel(index: u64) {
    check::equal(
        format_args!("the RMM booted on CPU {index}"),
        smc::boot_status(),
        BootStatus::BOOTED,
    );
    READY.fetch_add(1, Ordering::AcqRel);
    cpus::wait_until(|| READY.load(Ordering::Acquire) == cpus::count());
    let version = Dialect::current().version();
    let features = rmi::features(0);
    let mut every = Every::new("a CPU is served while all others are");
    for call in 0..CALLS {
        let case = format_args!("CPU {index}, call {call}");
        every.equal(case, rmi::version(version), (Status::SUCCESS, version, version));
        every.equal(case, rmi::features(0), features);
        let address = granule(index * CALLS + call);
        let answers = (rmi::delegate(address), smc::granule_gpi(address), rmi::undelegate(address));
        every.equal(case, answers, (Status::SUCCESS, GPI_REALM, Status::SUCCESS));
    }
}

/// The number of boots of each CPU after which all its calls were served.
static SERVED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// CPUs go off and on at the same time until `argument` power cycles are done.
pub fn power_cycles() {
    let cycles = crate::options().argument;
    let rounds = cycles.div_ceil(cpus::count() - 1);
    rmi::activate();
    for _ in 0..rounds {
        cpus::on_every_cpu(serve_once);
    }
    for index in cpus::others() {
        let served = usize::try_from(index).ok().and_then(|index| SERVED.get(index));
        let served = served.map_or(0, |served| served.load(Ordering::Acquire));
        check::equal(format_args!("CPU {index} was served after each boot"), served, rounds);
    }
    say!("power cycles: {}", rounds * (cpus::count() - 1));
}

fn serve_once(index: u64) {
    let version = Dialect::current().version();
    let address = granule(index);
    let served = smc::boot_status() == BootStatus::BOOTED
        && rmi::version(version).0 == Status::SUCCESS
        && rmi::delegate(address) == Status::SUCCESS
        && rmi::undelegate(address) == Status::SUCCESS;
    let count = usize::try_from(index).ok().and_then(|index| SERVED.get(index));
    if let (true, Some(count)) = (served, count) {
        count.fetch_add(1, Ordering::AcqRel);
    }
}
