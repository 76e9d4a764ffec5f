// SPDX-License-Identifier: BSD-3-Clause
//! An interrupt at each instruction of a call for a token. Needs a machine that counts
//! instructions, with one CPU.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_abi::rsi::{function as rsi, status};
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::realm_protocol::TOKEN_PAGE;
use rmm_test_firmware::say;

use super::attestation::{
    challenge, continuing, head, init, print_expected, print_token, words_of,
};
use crate::check;
use crate::gic;
use crate::guest::{Guest, reason};
use crate::random::Random;
use crate::realm;
use crate::rmi::Status;
use crate::smc;

/// Fewer ticks than it takes to enter a REC.
const LEAST_TICKS: u64 = 200;
/// Stops after this many consecutive calls that end before the interrupt.
const ENOUGH: u64 = 100;
/// Interrupts one instruction apart: at the beginning of a signature, and after each leap.
const FIRST: u64 = 3_000;
const WINDOW: u64 = 200;
/// The number of leaps in the middle of a signature.
const LEAPS: u64 = 30;
/// No leaps within this many instructions of the end of a signature.
const LAST: u64 = 9_000;

/// Bytes of an instruction, and the most bytes of code in an image.
const INSTRUCTION: u64 = 4;
const CODE: u64 = 1 << 19;

/// One bit for each instruction at which a fiber was interrupted.
static SEEN: [AtomicU64; (CODE / INSTRUCTION / 64) as usize] =
    [const { AtomicU64::new(0) }; (CODE / INSTRUCTION / 64) as usize];

/// Enters the REC with an interrupt after this many ticks. Gives whether the interrupt ended the
/// run.
fn enter(guest: &Guest, ticks: u64) -> bool {
    gic::arm_timer(ticks);
    let entered = realm::rec_enter(guest.rec(0), guest.run(0).address());
    gic::disarm_timer();
    if entered != Status::SUCCESS {
        check::equal("the REC is entered", entered, Status::SUCCESS);
    }
    guest.run(0).reason() == reason::IRQ
}

/// Enters the REC until its call has returned. A signature advances with each entry, but not to its
/// end.
fn comes_back(guest: &Guest) {
    /// More than the instructions before a signature begins.
    const TICKS: u64 = 8_000;
    guest.run(0).prepare(0, &[]);
    while enter(guest, TICKS) {
        guest.run(0).prepare(0, &[]);
    }
}

/// Makes the Realm call again and again, with an interrupt one instruction later each time, until
/// calls end before it. `next` gets each answer and gives the next call.
fn sweep(guest: &Guest, what: &str, first: [u64; 9], mut next: impl FnMut([u64; 2]) -> [u64; 9]) {
    let (mut ticks, mut interrupts, mut too_late) = (LEAST_TICKS, 0, 0);
    let mut call = first;
    while too_late < ENOUGH {
        guest.prepare_call(0, &call);
        if enter(guest, ticks) {
            (interrupts, too_late) = (interrupts + 1, 0);
            comes_back(guest);
        } else {
            too_late += 1;
        }
        call = next(head(guest.called(0, &call, 1)));
        ticks += 1;
    }
    say!("{what}: {interrupts} interrupts, each one instruction behind the last");
    check::that("more than the call has", interrupts > 1_000);
}

/// A REC that signs, interrupted step by step.
struct Stepper<'g> {
    guest: &'g Guest,
    call: [u64; 9],
    /// The granule with the context of the fiber.
    granule: u64,
    /// Ticks from setting the timer to the fiber's next instruction.
    ticks: u64,
    interrupts: u64,
    pc: u64,
}

impl Stepper<'_> {
    /// Makes the Realm call, with an interrupt this many ticks after the fiber's next instruction.
    /// Gives `false` once the token is signed.
    fn step(&mut self, more: u64) -> bool {
        let guest = self.guest;
        guest.prepare_call(0, &self.call);
        if !enter(guest, self.ticks + more) {
            return self.goes_on();
        }
        self.interrupts += 1;
        self.pc = smc::granule_fiber(self.granule);
        let base = crate::options().carve_out.base;
        let index = self.pc.wrapping_sub(base) / INSTRUCTION;
        let word = usize::try_from(index / 64).ok().and_then(|word| SEEN.get(word));
        if let Some(word) = word {
            word.fetch_or(1 << (index % 64), Ordering::Relaxed);
        }
        comes_back(guest);
        self.goes_on()
    }

    /// Whether the call must be made again, with nothing read yet.
    fn goes_on(&self) -> bool {
        let answer = head(self.guest.called(0, &self.call, 1));
        let incomplete = answer == [status::INCOMPLETE, 0];
        if !incomplete {
            check::equal("CONTINUE", answer, [status::INCOMPLETE, 0]);
        }
        incomplete && smc::granule_fiber(self.granule) != 0
    }
}

/// Requests, signs and copies a token with an interrupt at each instruction of INIT, of the path to
/// the signature, of its beginning, its end and pieces between, and of a copy.
pub fn interrupted_at_each_step() {
    let guest = Guest::start(1);
    gic::enable_timer(0);
    let asked = words_of(rsi::ATTESTATION_TOKEN_INIT, &challenge(0));
    sweep(&guest, "INIT", asked, |answer| {
        if answer != [status::SUCCESS, GRANULE] {
            check::equal("INIT", answer, [status::SUCCESS, GRANULE]);
        }
        asked
    });

    // One signature without an interrupt, to measure its length.
    let call = continuing(TOKEN_PAGE, 0, 0);
    check::equal("signed", head(guest.call(0, &call, 1)), [status::INCOMPLETE, 0]);
    let signature = smc::last_visit().last;

    signed_in_steps(&guest, call, signature);

    copied_in_steps(&guest, call);
    guest.destroy();
}

fn signed_in_steps(guest: &Guest, call: [u64; 9], signature: u64) {
    let asks = |number: u64| {
        let answer = init(guest, 0, number)[0];
        if answer != status::SUCCESS {
            check::equal("INIT", answer, status::SUCCESS);
        }
    };
    asks(1);
    let granule = guest.auxiliary(0).find(|one| smc::granule_fiber(*one) != 0);
    check::that("there is a fiber", granule.is_some());
    let granule = granule.unwrap_or(0);
    let start = smc::granule_fiber(granule);
    let mut stepper =
        Stepper { guest, call, granule, ticks: LEAST_TICKS, interrupts: 0, pc: start };
    // Every instruction from the entry to the fiber's first one, in one token after the other.
    while stepper.pc == start {
        stepper.ticks += 1;
        asks(1);
        stepper.step(0);
    }
    say!("the way to the signature: {} interrupts", stepper.interrupts);
    check::that("each one instruction behind the last", stepper.interrupts > 1_000);
    print_expected(guest, 0, 1);
    asks(1);
    stepper.pc = start;
    stepper.interrupts = 0;
    let mut random = Random::for_this_cpu(3);
    let leap = (signature - LAST - FIRST) / (LEAPS + 1);
    let mut steps = 0;
    let mut moved = 0;
    let mut single = |stepper: &mut Stepper<'_>, count: u64| {
        for _ in 0..count {
            let before = stepper.pc;
            if !stepper.step(0) {
                return false;
            }
            (steps, moved) = (steps + 1, moved + u64::from(stepper.pc != before));
        }
        true
    };
    let mut goes_on = single(&mut stepper, FIRST);
    for _ in 0..LEAPS {
        let length = leap - WINDOW - random.word() % 64;
        goes_on = goes_on && stepper.step(length) && single(&mut stepper, WINDOW);
    }
    check::that("the signature is not over", goes_on);
    let rest = leap.saturating_sub(WINDOW);
    check::that("nor by a leap to its end", stepper.step(rest));
    while single(&mut stepper, 1) {}
    let seen: u32 = SEEN.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum();
    say!(
        "{} interrupts in one signature, {moved} of {steps} one instruction behind the last, at {seen} instructions of the code",
        stepper.interrupts
    );
    check::equal("each step is one", moved, steps);
    check::that("thousands", seen > 1_000);
}

fn copied_in_steps(guest: &Guest, call: [u64; 9]) {
    let whole = continuing(TOKEN_PAGE, 0, GRANULE);
    let [result, size] = head(guest.call(0, &whole, 1));
    check::equal("CONTINUE", result, status::SUCCESS);
    print_token(guest, 0, size);
    // Byte by byte, in copies that end later each time. The whole page has been written.
    let again = |number: u64| {
        check::equal("INIT", init(guest, 0, number)[0], status::SUCCESS);
        check::equal("signed", head(guest.call(0, &call, 1)), [status::INCOMPLETE, 0]);
    };
    print_expected(guest, 0, 2);
    again(2);
    let mut done = 0;
    let mut tokens = 0;
    sweep(guest, "CONTINUE", continuing(TOKEN_PAGE, 0, 1), |[result, written]| {
        done += written;
        if result == status::SUCCESS {
            if done != size {
                check::equal("bytes of the token", done, size);
            }
            if tokens == 0 {
                print_token(guest, 0, size);
            }
            again(2);
            (done, tokens) = (0, tokens + 1);
        } else if [result, written] != [status::INCOMPLETE, 1] {
            check::equal("a byte", [result, written], [status::INCOMPLETE, 1]);
        }
        continuing(TOKEN_PAGE, done, 1)
    });
    say!("{tokens} tokens byte by byte");
    check::that("one at least", tokens != 0);
}
