// SPDX-License-Identifier: BSD-3-Clause
//! The race for which fault recovery exists: one CPU delegates and undelegates a page as fast as it
//! can, while others make the RMM read and write it.
//!
//! While the page is the host's, its words are 0 or [`MARK`] minus their index, whoever writes
//! them. While it is Realm memory, they are [`SECRET`]. So a successful read with another value has
//! read what it must not, and a changed secret was written by mistake.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rmm_test_firmware::say;
use rmm_test_firmware::smccc::psci;
use rmm_test_requests::request;

use crate::check::{self, Every};
use crate::cpus;
use crate::memory::granule;
use crate::random::Random;
use crate::rmi::{self, Status};

const MARK: u64 = 0x1234_5678_9abc_0fff;
const SECRET: u64 = 0x5ec2_e75e_c2e7_5ec2;

/// One in this many times the page holds a secret.
const SECRETS: u64 = 8;
/// The least number of recovered faults.
const FAULTS: u64 = 200;

/// Results of the self-test image's accesses.
mod outcome {
    use super::Status;

    /// The copy succeeded.
    pub const DONE: Status = Status(0);
    /// It took a Granule Protection Fault, which was recovered.
    pub const FAULT: Status = Status(1);
    /// The RMM knew before the access that the page was not the host's.
    pub const REFUSED: Status = Status(3);
}

/// Accesses that succeeded, in all.
static DONE: AtomicU64 = AtomicU64::new(0);
/// Reads that took a fault.
static READ_FAULTS: AtomicU64 = AtomicU64::new(0);
/// Writes that took a fault.
static WRITE_FAULTS: AtomicU64 = AtomicU64::new(0);
/// CPUs that have finished.
static RACERS_DONE: AtomicU64 = AtomicU64::new(0);
static FLIPPING: AtomicBool = AtomicBool::new(false);

fn page() -> u64 {
    granule(128)
}

fn racers() -> u64 {
    crate::options().machine_cpus - 1
}

/// Reads and writes the page until this CPU has made its share of accesses. The option `argument`
/// is the total.
fn access(index: u64) {
    let share = crate::options().argument.div_ceil(racers());
    let mut random = Random::for_this_cpu(5);
    let mut every = Every::new(
        "an access succeeds, faults, or is refused, and never shows or changes what is not the host's",
    );
    while !FLIPPING.load(Ordering::Acquire) {
        core::hint::spin_loop();
    }
    let mut made = 0;
    while made < share {
        let (status, faults) = match random.below(8) {
            // With commands of the ABI, which do not report why they refuse.
            0 => (rmi::rmm_config_get(page()), None),
            1..5 => (rmi::self_test_for(&[request::READ_HOST, page(), MARK]).0, Some(&READ_FAULTS)),
            _ => (rmi::self_test_for(&[request::WRITE_HOST, page(), MARK]).0, Some(&WRITE_FAULTS)),
        };
        match (status, faults) {
            (outcome::DONE, _) => {
                DONE.fetch_add(1, Ordering::Relaxed);
                made += 1;
            }
            (outcome::FAULT, Some(faults)) => {
                faults.fetch_add(1, Ordering::Relaxed);
                made += 1;
            }
            (Status::ERROR_INPUT, None) | (outcome::REFUSED, Some(_)) => {}
            (other, _) => every.equal(format_args!("CPU {index}"), other, outcome::DONE),
        }
    }
    every.equal("in the end", made, share);
    drop(every);
    RACERS_DONE.fetch_add(1, Ordering::AcqRel);
}

/// CPU 0 delegates and undelegates the page; all others access it.
pub fn race() {
    say!("seed={}", crate::options().seed);
    rmi::activate();
    for index in 1..=racers() {
        check::equal(
            format_args!("CPU {index} comes on"),
            cpus::start(index, access),
            psci::SUCCESS,
        );
    }
    let mut every =
        Every::new("the page goes and comes back, and a secret in it stays as it is meanwhile");
    let mut flips = 0;
    FLIPPING.store(true, Ordering::Release);
    while RACERS_DONE.load(Ordering::Acquire) < racers() {
        let case = format_args!("flip {flips}");
        every.equal(case, rmi::delegate(page()), Status::SUCCESS);
        // Mostly it is undelegated at once: what matters is how often the page changes state.
        if flips % SECRETS == 0 {
            every.equal(
                case,
                rmi::self_test_for(&[request::FILL, page(), SECRET]).0,
                outcome::DONE,
            );
            every.equal(
                case,
                rmi::self_test_for(&[request::HOLDS, page(), SECRET]).0,
                outcome::DONE,
            );
        }
        every.equal(case, rmi::undelegate(page()), Status::SUCCESS);
        flips += 1;
    }
    drop(every);
    (1..=racers()).for_each(cpus::wait_until_off);
    let (reads, writes) =
        (READ_FAULTS.load(Ordering::Acquire), WRITE_FAULTS.load(Ordering::Acquire));
    let accesses = DONE.load(Ordering::Acquire) + reads + writes;
    say!(
        "host race: {accesses} accesses, {flips} flips, {reads} reads and {writes} writes faulted and were recovered"
    );
    check::that("as many accesses as asked for", accesses >= crate::options().argument);
    check::that("reads were caught in the act", reads > 0);
    check::that("writes were caught in the act", writes > 0);
    check::that("hundreds of faults were recovered", reads + writes >= FAULTS);
}
