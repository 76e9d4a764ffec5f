// SPDX-License-Identifier: BSD-3-Clause
//! RECs on several CPUs turn another one on and query its state while it goes off and on. The host
//! completes their calls late, wrongly, twice, or not at all.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_abi::psci::{self, function as power};
use rmm_test_firmware::realm_protocol::{WAITING, command, program};
use rmm_test_firmware::say;

use crate::check;
use crate::cpus;
use crate::guest::{Guest, field, reason};
use crate::random::Random;
use crate::realm::{self, ERROR_REC};
use crate::rmi::Status;

/// The REC that goes off and on. Those before it turn it on.
const TARGET: u64 = 2;
/// The number of calls of each kind by each of the other RECs.
const TIMES: u64 = 300;

/// The number of RECs that have finished.
static DONE: AtomicU64 = AtomicU64::new(0);
/// How often the target went off, and how often it was turned on.
static OFF: AtomicU64 = AtomicU64::new(0);
static ON: AtomicU64 = AtomicU64::new(0);
/// Answers to AFFINITY_INFO, and denied calls.
static ASKED: AtomicU64 = AtomicU64::new(0);
static DENIED: AtomicU64 = AtomicU64::new(0);
/// The number of wrong results.
static WRONG: AtomicU64 = AtomicU64::new(0);

/// Runs one CPU for each REC.
pub fn race() {
    let guest = Guest::start(3);
    cpus::on_every_cpu(|cpu| match cpu {
        0 | 1 => call(cpu),
        TARGET => go_off(),
        _ => {}
    });
    let [off, on, asked, denied] =
        [&OFF, &ON, &ASKED, &DENIED].map(|it| it.load(Ordering::Acquire));
    say!("race: the target went off {off} times and on {on} times; {denied} denied, {asked} asked");
    check::equal("calls with a wrong answer or completion", WRONG.load(Ordering::Acquire), 0);
    // The target was on at first. For each time that it went off exactly one CPU_ON succeeds.
    let entered = guest.enter(TARGET);
    let is_on = u64::from(entered == Status::SUCCESS);
    check::that("it is off or on", is_on == 1 || entered == ERROR_REC);
    check::equal("one CPU_ON for each CPU_OFF", on + 1 - is_on, off);
    check::that("both happened", off > 1 && on > 1);
    check::equal("each AFFINITY_INFO has an answer", asked, 2 * TIMES);

    // The host never completes this call.
    let pending = guest.begin_call(0, &[u64::from(power::AFFINITY_INFO_64), 1, 0]);
    check::equal("a call pends", (pending, guest.run(0).reason()), (Status::SUCCESS, reason::PSCI));
    check::equal("for good", guest.enter(0), ERROR_REC);
    guest.destroy();
}

fn expect(holds: bool) {
    if !holds {
        WRONG.fetch_add(1, Ordering::AcqRel);
    }
}

/// A calling REC, and its host.
fn call(index: u64) {
    let mut random = Random::for_this_cpu(7);
    let (rec, run) = Guest::of_rec(index);
    let (target, _) = Guest::of_rec(TARGET);
    let (other, _) = Guest::of_rec(1 - index);
    run.prepare(0, &[command::PROGRAM, program::POWER, TARGET, TIMES]);
    loop {
        expect(realm::rec_enter(rec, run.address()) == Status::SUCCESS);
        if run.reason() != reason::PSCI {
            break;
        }
        let switches_on = run.exit(field::GPRS) == u64::from(power::CPU_ON_64);
        let complete = |target, status| realm::psci_complete(rec, target, status);
        let is_refused = |target, status| complete(target, status) == Status::ERROR_INPUT;
        let kind = random.below(8);
        match kind {
            0 => expect(realm::rec_enter(rec, run.address()) == ERROR_REC),
            1 => expect(is_refused(rec, psci::SUCCESS) && is_refused(other, psci::SUCCESS)),
            2 => expect(is_refused(target, 1) && is_refused(target, psci::INVALID_PARAMETERS)),
            3 if !switches_on => expect(is_refused(target, psci::DENIED)),
            // A CPU_ON that the RMM refuses if the target is on, completed all the same.
            3 => {
                let status = complete(target, psci::DENIED);
                expect(status == Status::SUCCESS || status == Status::ERROR_INPUT);
            }
            _ => {}
        }
        if kind != 3 || !switches_on {
            expect(complete(target, psci::SUCCESS) == Status::SUCCESS);
        }
        if kind == 4 {
            expect(is_refused(target, psci::SUCCESS));
        }
        run.prepare(0, &[]);
    }
    expect((run.reason(), run.exit(field::GPRS)) == (reason::HOST_CALL, command::PROGRAM));
    let [on, already, denied, other, is_on, is_off, neither] =
        core::array::from_fn(|word| run.exit(field::GPRS + 8 + 8 * word as u64));
    expect(on + already + denied == TIMES && other == 0 && neither == 0);
    ON.fetch_add(on, Ordering::AcqRel);
    DENIED.fetch_add(denied, Ordering::AcqRel);
    ASKED.fetch_add(is_on + is_off, Ordering::AcqRel);
    DONE.fetch_add(1, Ordering::AcqRel);
}

/// The target, and its host, which enters it when it is on and makes it go off.
fn go_off() {
    let (rec, run) = Guest::of_rec(TARGET);
    while DONE.load(Ordering::Acquire) != 2 {
        run.prepare(0, &[command::CALL, u64::from(power::CPU_OFF)]);
        match realm::rec_enter(rec, run.address()) {
            Status::SUCCESS if run.reason() == reason::PSCI => {
                expect(run.exit(field::GPRS) == u64::from(power::CPU_OFF));
                OFF.fetch_add(1, Ordering::AcqRel);
            }
            // It has just come on and asks for a command.
            Status::SUCCESS => {
                expect(run.reason() == reason::HOST_CALL);
                expect(run.exit(field::IMMEDIATE) == u64::from(WAITING));
            }
            status => expect(status == ERROR_REC),
        }
    }
}
