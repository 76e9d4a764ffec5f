// SPDX-License-Identifier: BSD-3-Clause
//! Several CPUs: power, warm boots, and contention for granules. CPU 0 starts the others and checks
//! the results.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rmm_test_firmware::registers::{affinity, linear_index_of_this_cpu};
use rmm_test_firmware::say;
use rmm_test_firmware::smccc::psci;

use crate::check::{self, Every};
use crate::cpus::{self, Work};
use crate::memory::{GPI_NONSECURE, GPI_REALM, granule};
use crate::probe::{self, Fault};
use crate::random::Random;
use crate::rmi::{self, Dialect, Status};
use crate::smc::{self, BootStatus};

/// The number of times that a CPU goes off and on.
const POWER_CYCLES: u64 = 12;

fn warm_work(index: u64) {
    check::equal(
        format_args!("the RMM booted on CPU {index}"),
        smc::boot_status(),
        BootStatus::BOOTED,
    );
    let version = Dialect::current().version();
    check::equal(format_args!("CPU {index} is served"), rmi::version(version).0, Status::SUCCESS);
    let address = granule(64 + index);
    let statuses = (rmi::delegate(address), rmi::undelegate(address));
    check::equal(
        format_args!("CPU {index} delegates"),
        statuses,
        (Status::SUCCESS, Status::SUCCESS),
    );
}

/// EL3's own power functions, which all other scenarios with several CPUs need.
pub fn psci() {
    let version = smc::call(psci::function::VERSION.into(), &[]).1[0];
    check::equal("PSCI is 1.1", version, psci::VERSION_1_1);
    check::equal("this is CPU 0", linear_index_of_this_cpu(), 0);
    check::equal("CPU 0 is on", smc::affinity_info(0), psci::AFFINITY_ON);
    check::equal("CPU 1 is off", smc::affinity_info(affinity(1)), psci::AFFINITY_OFF);
    check::equal("CPU 0 cannot be turned on", smc::cpu_on(0, 0, 0), psci::ALREADY_ON);
    check::equal("CPU 4096 does not exist", smc::cpu_on(0xff00, 0, 0), psci::INVALID_PARAMETERS);
    check::equal("CPU 1 comes on", cpus::start(1, |_| ()), psci::SUCCESS);
    cpus::wait_until_off(1);
    check::equal("CPU 1 ran the host's code and went off", cpus::finished(1), 1);
}

/// Each CPU boots the RMM warm repeatedly, alone and with all others.
pub fn warm_boots() {
    rmi::activate();
    for index in cpus::others() {
        check::equal(
            format_args!("CPU {index} comes on"),
            cpus::start(index, warm_work),
            psci::SUCCESS,
        );
        cpus::wait_until_off(index);
    }
    for _ in 0..POWER_CYCLES {
        cpus::on_every_cpu(warm_work);
    }
    for index in cpus::others() {
        check::equal(
            format_args!("CPU {index} ran each time"),
            cpus::finished(index),
            POWER_CYCLES + 1,
        );
    }
}

/// A CPU whose index is not below the number of CPUs with which the RMM was booted (options `cpus`,
/// `machine-cpus`).
pub fn surplus_cpu() {
    static CODE: AtomicU64 = AtomicU64::new(0);
    let surplus = crate::options().cpus;
    let version = Dialect::current().version();
    check::equal("CPU 0 is served at first", rmi::version(version).0, Status::SUCCESS);
    let work: Work = |_| CODE.store(smc::boot_status().code.cast_unsigned(), Ordering::Release);
    check::equal(format_args!("CPU {surplus} comes on"), cpus::start(surplus, work), psci::SUCCESS);
    cpus::wait_until_off(surplus);
    check::equal("the RMM refused it with code -4", CODE.load(Ordering::Acquire).cast_signed(), -4);
    check::equal("EL3 gave the RMM up", smc::boot_status(), BootStatus { code: 0, given_up: true });
    check::equal("CPU 0 is served no longer", rmi::version(version).0, Status::UNKNOWN);
}

/// CPU 1's first warm boot fails with the code in the option `argument` (as a magnitude), with an
/// EL3 that tolerates it. No other CPU is affected, and CPU 1's next boot succeeds.
pub fn warm_failure() {
    static CODES: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    const FIRST: Work =
        |_| CODES[0].store(smc::boot_status().code.cast_unsigned(), Ordering::Release);
    const SECOND: Work = |index| {
        CODES[1].store(smc::boot_status().code.cast_unsigned(), Ordering::Release);
        warm_work(index);
    };
    let code = -crate::options().argument.cast_signed();
    let version = Dialect::current().version();
    for (work, what, expected) in [(FIRST, "the first", code), (SECOND, "the second", 0)] {
        check::equal("CPU 1 comes on", cpus::start(1, work), psci::SUCCESS);
        cpus::wait_until_off(1);
        let slot = usize::from(expected == 0);
        let got = CODES[slot].load(Ordering::Acquire).cast_signed();
        check::equal(
            format_args!("{what} warm boot of CPU 1 ends with code {expected}"),
            got,
            expected,
        );
        check::equal("CPU 0 is served on", rmi::version(version).0, Status::SUCCESS);
    }
}

/// The next step of CPU 1 with the granule that both CPUs access.
static STEP: AtomicU64 = AtomicU64::new(0);
const READ_BEFORE: u64 = 1;
const HAS_READ: u64 = 2;
const READ_AFTER: u64 = 3;

fn wait_for_step(step: u64) {
    cpus::wait_until(|| STEP.load(Ordering::Acquire) == step);
}

/// A granule delegated by one CPU is inaccessible to another CPU that has just read it.
pub fn access_from_another_cpu() {
    rmi::activate();
    let observer: Work = |_| {
        let address = granule(4000);
        wait_for_step(READ_BEFORE);
        check::equal("CPU 1 reads a granule", probe::read(address), Ok(0));
        STEP.store(HAS_READ, Ordering::Release);
        wait_for_step(READ_AFTER);
        let faults = probe::read(address).is_err_and(Fault::is_granule_protection);
        check::that("CPU 1's next read takes a Granule Protection Fault", faults);
    };
    check::equal("CPU 1 comes on", cpus::start(1, observer), psci::SUCCESS);
    STEP.store(READ_BEFORE, Ordering::Release);
    wait_for_step(HAS_READ);
    check::equal("CPU 0 delegates it", rmi::delegate(granule(4000)), Status::SUCCESS);
    STEP.store(READ_AFTER, Ordering::Release);
    cpus::wait_until_off(1);
    check::equal("it comes back", rmi::undelegate(granule(4000)), Status::SUCCESS);
}

const SHARED: usize = 16;
const OWN: u64 = 64;
const ROUNDS: u64 = 1500;

/// Successful delegations minus successful undelegations of each shared granule.
static BALANCE: [AtomicU64; SHARED] = [const { AtomicU64::new(0) }; SHARED];
/// Whether a CPU owns the shared granule: the one whose delegation succeeded.
static OWNED: [AtomicBool; SHARED] = [const { AtomicBool::new(false) }; SHARED];

/// Each CPU uses its own granules. Others do not interfere.
fn own_granules(index: u64) {
    let mut every = Every::new("a CPU delegates and undelegates its own granules undisturbed");
    for round in 0..4 {
        for own in 0..OWN {
            let address = granule(1024 + index * OWN + own);
            let statuses =
                (rmi::delegate(address), smc::granule_gpi(address), rmi::undelegate(address));
            let expected = (Status::SUCCESS, GPI_REALM, Status::SUCCESS);
            every.equal(
                format_args!("CPU {index}, round {round}, granule {own}"),
                statuses,
                expected,
            );
        }
    }
}

/// CPUs race to delegate the same granules. One succeeds, and only that one undelegates.
fn race_for_ownership(index: u64) {
    let mut random = Random::for_this_cpu(3);
    let mut every = Every::new("of CPUs that race to delegate a granule, one at a time wins");
    for round in 0..ROUNDS {
        let shared = random.below(SHARED as u64);
        let Some(owned) = usize::try_from(shared).ok().and_then(|shared| OWNED.get(shared)) else {
            continue;
        };
        let address = granule(2048 + shared);
        match rmi::delegate(address) {
            Status::SUCCESS => {
                let case = format_args!("CPU {index}, round {round}, granule {shared}");
                every.equal(case, owned.swap(true, Ordering::AcqRel), false);
                every.equal(case, smc::granule_gpi(address), GPI_REALM);
                owned.store(false, Ordering::Release);
                every.equal(case, rmi::undelegate(address), Status::SUCCESS);
            }
            status => {
                every.equal(format_args!("CPU {index}, round {round}"), status, Status::ERROR_INPUT)
            }
        }
    }
}

/// CPUs delegate and undelegate the same granules in any order.
fn chaos(index: u64) {
    let mut random = Random::for_this_cpu(4);
    let mut every = Every::new("without any order, a step succeeds or is an input error");
    for round in 0..ROUNDS {
        let shared = random.below(SHARED as u64);
        let Some(balance) = usize::try_from(shared).ok().and_then(|shared| BALANCE.get(shared))
        else {
            continue;
        };
        let delegate = random.below(2) == 0;
        let address = granule(2048 + shared);
        let status = if delegate { rmi::delegate(address) } else { rmi::undelegate(address) };
        if status == Status::SUCCESS {
            balance.fetch_add(if delegate { 1 } else { u64::MAX }, Ordering::AcqRel);
        }
        let defined = matches!(status, Status::SUCCESS | Status::ERROR_INPUT);
        every.equal(format_args!("CPU {index}, round {round}: {status:?}"), defined, true);
    }
}

/// All CPUs at once, on their own and on shared granules.
pub fn contention() {
    say!("seed={}", crate::options().seed);
    rmi::activate();
    cpus::on_every_cpu(own_granules);
    cpus::on_every_cpu(race_for_ownership);
    cpus::on_every_cpu(chaos);
    let mut every = Every::new("each shared granule is where its successful steps left it");
    for (shared, balance) in (0..).zip(&BALANCE) {
        let address = granule(2048 + shared);
        let gpi = match balance.load(Ordering::Acquire) {
            0 => GPI_NONSECURE,
            1 => GPI_REALM,
            impossible => {
                every.equal(format_args!("balance of granule {shared}"), impossible, 0);
                continue;
            }
        };
        every.equal(format_args!("granule {shared}"), smc::granule_gpi(address), gpi);
        if gpi == GPI_REALM {
            every.equal(
                format_args!("granule {shared} comes back"),
                rmi::undelegate(address),
                Status::SUCCESS,
            );
        }
    }
}
