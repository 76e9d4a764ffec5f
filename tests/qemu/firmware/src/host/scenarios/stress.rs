// SPDX-License-Identifier: BSD-3-Clause
//! All CPUs delegate and undelegate at once: granules of their own, granules they share, and
//! invalid arguments.
//!
//! A CPU knows the state of its own granules, so it predicts each answer. Any CPU may change a
//! shared granule at any time. Successful steps are counted, and the sum gives its final state. In
//! the end [`agreement`](super::agreement) compares every granule of the machine.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::say;
use rmm_test_requests::request;

use super::agreement;
use crate::MAX_CPUS;
use crate::check::{self, Every};
use crate::cpus;
use crate::memory::granule;
use crate::probe::{self, Fault};
use crate::random::Random;
use crate::rmi::{self, Dialect, Status, fid};

/// Granules of each CPU. Their states are the bits of a word.
const OWN: u64 = 64;
/// Granules that all CPUs share. They are few, so that CPUs contend for them.
const SHARED: u64 = 8;
const SHARED_LENGTH: usize = 8;
/// Indices of granules of test memory.
const FIRST_OWN: u64 = 1024;
const FIRST_SHARED: u64 = FIRST_OWN + OWN * MAX_CPUS as u64;
/// The most granules in one range command.
const LONGEST: u64 = 8;
/// One in this many steps has invalid arguments.
const GARBAGE_STEP: u64 = 8;
/// What the host leaves in a granule that it delegates.
const SECRET: u64 = 0x5ec2_e75e_c2e7_5ec2;

/// The granules of each CPU that are delegated in the end.
static DELEGATED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
/// Successful delegations minus successful undelegations of each shared granule.
static BALANCE: [AtomicU64; SHARED_LENGTH] = [const { AtomicU64::new(0) }; SHARED_LENGTH];
/// For all CPUs: granules in delegate and undelegate calls, calls, and refused calls.
static CALLS: AtomicU64 = AtomicU64::new(0);
static SHARED_CALLS: AtomicU64 = AtomicU64::new(0);
static GARBAGE_CALLS: AtomicU64 = AtomicU64::new(0);
static MOVED: AtomicU64 = AtomicU64::new(0);

/// Delegate or undelegate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Delegate,
    Undelegate,
}

impl Move {
    fn random(random: &mut Random) -> Self {
        if random.below(2) == 0 { Self::Delegate } else { Self::Undelegate }
    }

    /// Moves the granules from `base` to `top` with one call of this dialect; RMI 1.0 moves only
    /// the first. Gives the status and the first address not moved.
    fn call(self, base: u64, top: u64) -> (Status, u64) {
        let one = |status| (status, if status == Status::SUCCESS { base + GRANULE } else { base });
        match (Dialect::current(), self) {
            (Dialect::One, Self::Delegate) => one(rmi::granule_delegate(base)),
            (Dialect::One, Self::Undelegate) => one(rmi::granule_undelegate(base)),
            (Dialect::Two, Self::Delegate) => rmi::range_delegate(base, top),
            (Dialect::Two, Self::Undelegate) => rmi::range_undelegate(base, top),
        }
    }
}

/// The part of one CPU.
struct Stress<'a> {
    index: u64,
    random: Random,
    /// Its own granules that are delegated.
    delegated: u64,
    answers: Every<'a>,
    content: Every<'a>,
    garbage: Every<'a>,
    calls: u64,
    shared_calls: u64,
    garbage_calls: u64,
    moved: u64,
}

impl Stress<'_> {
    fn new(index: u64) -> Self {
        Self {
            index,
            random: Random::for_this_cpu(5),
            delegated: 0,
            answers: Every::new(
                "a delegate or undelegate does what the state of the granules allows",
            ),
            content: Every::new("what the host wrote before it gave a granule away is gone"),
            garbage: Every::new("an argument that is no granule is an input error"),
            calls: 0,
            shared_calls: 0,
            garbage_calls: 0,
            moved: 0,
        }
    }

    fn step(&mut self) {
        self.calls += 1;
        if self.random.below(GARBAGE_STEP) == 0 {
            self.garbage();
        } else if self.random.below(crate::options().share) == 0 {
            self.shared();
        } else {
            self.own();
        }
    }

    /// Base and top of a random range in `count` granules.
    fn range(&mut self, count: u64) -> (u64, u64) {
        let from = self.random.below(count);
        let longest = if self.random.below(4) == 0 { LONGEST } else { 1 };
        (from, (from + 1 + self.random.below(longest)).min(count))
    }

    /// A call on granules that only this CPU uses.
    fn own(&mut self) {
        let first = FIRST_OWN + self.index * OWN;
        let (from, to) = self.range(OWN);
        let direction = Move::random(&mut self.random);
        let movable =
            |delegated: u64, bit: u64| (delegated >> bit & 1 == 0) == (direction == Move::Delegate);
        let allowed = (from..to).take_while(|bit| movable(self.delegated, *bit)).count() as u64;
        let word = 8 * self.random.below(512);
        if direction == Move::Delegate {
            for bit in from..from + allowed {
                let written = probe::write(granule(first + bit) + word, SECRET ^ bit);
                self.content.equal("the host writes its own granule", written, Ok(()));
            }
        }
        let (base, top) = (granule(first + from), granule(first + to));
        let (status, next) = direction.call(base, top);
        let case = format_args!(
            "CPU {}, call {}: {direction:?} {base:#x} to {top:#x}, {allowed} allowed",
            self.index, self.calls
        );
        // A range command may do less than is possible, but not nothing.
        let expected = if allowed == 0 { Status::ERROR_INPUT } else { Status::SUCCESS };
        self.answers.equal(case, status, expected);
        let done = next.wrapping_sub(base) / GRANULE;
        let plausible = if status == Status::SUCCESS { 1..=allowed } else { 0..=0 };
        self.answers.equal(case, plausible.contains(&done), true);
        for bit in from..from + done.min(allowed) {
            self.moved += 1;
            self.delegated ^= 1 << bit;
            if direction == Move::Undelegate {
                self.must_be_clean(granule(first + bit), word);
            }
        }
    }

    /// Asserts that an undelegated granule of this CPU is zero, in one word or sometimes in all.
    fn must_be_clean(&mut self, address: u64, word: u64) {
        let case = format_args!("CPU {}, call {}: {address:#x}", self.index, self.calls);
        if self.random.below(16) == 0 {
            self.content.equal(case, probe::granule_holds(address, 0), Ok(true));
        } else {
            self.content.equal(case, probe::read(address + word), Ok(0));
        }
    }

    /// A call on granules that all CPUs use.
    fn shared(&mut self) {
        self.shared_calls += 1;
        let (from, to) = self.range(SHARED);
        let direction = Move::random(&mut self.random);
        let (base, top) = (granule(FIRST_SHARED + from), granule(FIRST_SHARED + to));
        let (status, next) = direction.call(base, top);
        let case = format_args!(
            "CPU {}, call {}: {status:?}, {base:#x} to {next:#x}",
            self.index, self.calls
        );
        let done = next.wrapping_sub(base) / GRANULE;
        let plausible = match status {
            Status::SUCCESS => (1..=to - from).contains(&done),
            Status::ERROR_INPUT => done == 0,
            _ => false,
        };
        self.answers.equal(case, plausible, true);
        let change = if direction == Move::Delegate { 1 } else { u64::MAX };
        for shared in from..from + done.min(to - from) {
            self.moved += 1;
            if let Some(balance) = balance(shared) {
                balance.fetch_add(change, Ordering::AcqRel);
            }
            // It may be delegated again, but no CPU writes to it: it is zero or inaccessible.
            let read = probe::read(granule(FIRST_SHARED + shared) + 8 * self.random.below(512));
            if direction == Move::Undelegate && !read.is_err_and(Fault::is_granule_protection) {
                self.content.equal(case, read, Ok(0));
            }
        }
    }

    /// A call with an invalid granule, range or function.
    fn garbage(&mut self) {
        self.garbage_calls += 1;
        let random = &mut self.random;
        let own = granule(FIRST_OWN + self.index * OWN + random.below(OWN));
        let shared = granule(FIRST_SHARED + random.below(SHARED));
        let carve_out = crate::options().carve_out;
        let direction = Move::random(random);
        let base = match random.below(6) {
            0 => own + 1 + random.below(GRANULE - 1),
            1 => carve_out.base + random.below(carve_out.size / GRANULE) * GRANULE,
            2 => random.word() | 1 << (48 + random.below(16)),
            3 => random.below(1 << 30),
            4 => random.word() | 1,
            _ => (1 << 40) + random.below(1 << 20) * GRANULE,
        };
        let (base, top) = match random.below(4) {
            0 => (base, base.wrapping_add(GRANULE)),
            1 => (base, random.word()),
            // RMI 1.0 has no top, so the base is wrong.
            2 if Dialect::current() == Dialect::Two => (shared, shared - random.below(4) * GRANULE),
            3 if Dialect::current() == Dialect::Two => (own, own + 1 + random.below(GRANULE - 1)),
            _ => (base, u64::MAX),
        };
        let case = format_args!(
            "CPU {}, call {}: {direction:?} {base:#x} to {top:#x}",
            self.index, self.calls
        );
        self.garbage.equal(case, direction.call(base, top).0, Status::ERROR_INPUT);
        if random.below(8) == 0 {
            let others = match Dialect::current() {
                Dialect::One => [fid::GRANULE_RANGE_DELEGATE, fid::GRANULE_RANGE_UNDELEGATE],
                Dialect::Two => [fid::GRANULE_DELEGATE, fid::GRANULE_UNDELEGATE],
            };
            let fid = if random.below(2) == 0 { others[0] } else { others[1] };
            let status = Status(rmi::call(fid, &[own, own + GRANULE], 0)[0]);
            self.garbage.equal(format_args!("{case}, command {fid:#x}"), status, Status::UNKNOWN);
        }
    }
}

fn balance(shared: u64) -> Option<&'static AtomicU64> {
    usize::try_from(shared).ok().and_then(|shared| BALANCE.get(shared))
}

fn delegated_by(index: u64) -> Option<&'static AtomicU64> {
    usize::try_from(index).ok().and_then(|index| DELEGATED.get(index))
}

/// Whether the granule at `address` is delegated in the end, by the host's records.
fn is_delegated(address: u64) -> bool {
    let index = address.wrapping_sub(granule(0)) / GRANULE;
    let own = index.wrapping_sub(FIRST_OWN);
    match delegated_by(own / OWN) {
        Some(delegated) => delegated.load(Ordering::Acquire) >> (own % OWN) & 1 != 0,
        None => balance(index.wrapping_sub(FIRST_SHARED))
            .is_some_and(|balance| balance.load(Ordering::Acquire) == 1),
    }
}

fn work(index: u64) {
    let mut stress = Stress::new(index);
    while stress.calls < crate::options().argument {
        stress.step();
    }
    if let Some(delegated) = delegated_by(index) {
        delegated.store(stress.delegated, Ordering::Release);
    }
    for (sum, count) in [
        (&CALLS, stress.calls),
        (&SHARED_CALLS, stress.shared_calls),
        (&GARBAGE_CALLS, stress.garbage_calls),
        (&MOVED, stress.moved),
    ] {
        sum.fetch_add(count, Ordering::AcqRel);
    }
}

/// As [`stress`], then asks the self-test image for the longest wait, in critical sections of other
/// CPUs. The bound is one for each other CPU. The design page on granules proves it.
///
/// Seen to fail: a lock that always goes to the waiting CPU of the lowest index.
pub fn lock_waits() {
    stress();
    let (status, counts) = rmi::self_test_for(&[request::WAITS]);
    check::equal("the RMM tells of its waits", status, Status::SUCCESS);
    let (waits, longest) = (counts >> 32, counts & 0xffff_ffff);
    check::that(format_args!("CPUs have waited for granules, {waits} times"), waits >= 100);
    check::that(
        format_args!(
            "none has waited for more than one critical section of each other CPU: {longest}"
        ),
        longest < cpus::count(),
    );
    say!("figure: Lock | waits for a granule | {waits}");
    say!("figure: Lock | longest wait for a granule, critical sections | {longest}");
}

/// Each CPU makes `argument` delegate or undelegate calls. Then every granule of the machine is
/// compared.
pub fn stress() {
    say!("seed={}", crate::options().seed);
    rmi::activate();
    for shared in 0..SHARED {
        let written = probe::fill_granule(granule(FIRST_SHARED + shared), SECRET);
        check::equal(format_args!("the host fills shared granule {shared}"), written, Ok(()));
    }
    cpus::on_every_cpu(work);
    let mut every =
        Every::new("a shared granule was delegated as often as undelegated, or once more");
    for (shared, balance) in BALANCE.iter().enumerate() {
        let balance = balance.load(Ordering::Acquire);
        every.equal(
            format_args!("granule {shared}: {}", balance.cast_signed()),
            balance <= 1,
            true,
        );
    }
    drop(every);
    cpus::on_every_cpu(|index| agreement::compare(index, is_delegated));
    let [calls, shared, garbage, moved] =
        [&CALLS, &SHARED_CALLS, &GARBAGE_CALLS, &MOVED].map(|count| count.load(Ordering::Acquire));
    check::equal("every call was made", calls, cpus::count() * crate::options().argument);
    say!(
        "stress: {calls} calls, of them {shared} on shared granules and {garbage} garbage; \
         {moved} granules moved"
    );
}
