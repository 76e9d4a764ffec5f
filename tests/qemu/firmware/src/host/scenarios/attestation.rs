// SPDX-License-Identifier: BSD-3-Clause
//! Tokens of Realms. The host prints each token and its expected claims, for the runner to verify.

use core::fmt::Write;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use rmm_abi::rsi::{function as rsi, status};
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::realm_protocol::{CALL_REGISTERS, TOKEN_PAGE, WORDS, command, program};
use rmm_test_firmware::say;
use rmm_test_requests::request;

use crate::check;
use crate::cpus;
use crate::gic;
use crate::guest::{Guest, field, reason};
use crate::memory::granule;
use crate::random::Random;
use crate::realm;
use crate::rmi::{self, Status};
use crate::secrets::{self, Secret};
use crate::smc;

/// The most RMM instructions before a pending interrupt is served.
const BOUND: u64 = 10_000;

/// The challenge of token `number`.
pub(super) fn challenge(number: u64) -> [u64; 8] {
    core::array::from_fn(|index| (0x1111_1111_1111_1111 * (index as u64 + 1)) ^ (number << 56))
}

/// Words as hexadecimal digits, in byte order.
struct Hex<'a>(&'a [u64]);

impl core::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|word| write!(f, "{:016x}", word.swap_bytes()))
    }
}

pub(super) fn words_of(function: u32, arguments: &[u64]) -> [u64; 9] {
    let mut x = [0; 9];
    x[0] = function.into();
    x[1..=arguments.len()].copy_from_slice(arguments);
    x
}

/// RSI_ATTESTATION_TOKEN_INIT. Gives X0 and X1.
pub(super) fn init(guest: &Guest, rec: u64, number: u64) -> [u64; 2] {
    let [x0, x1, ..] =
        guest.call(rec, &words_of(rsi::ATTESTATION_TOKEN_INIT, &challenge(number)), 1);
    [x0, x1]
}

/// The registers of RSI_ATTESTATION_TOKEN_CONTINUE.
pub(super) fn continuing(address: u64, offset: u64, size: u64) -> [u64; 9] {
    words_of(rsi::ATTESTATION_TOKEN_CONTINUE, &[address, offset, size])
}

pub(super) fn head([x0, x1, ..]: [u64; CALL_REGISTERS]) -> [u64; 2] {
    [x0, x1]
}

/// Prints the claims that token `number` must have for its Realm now.
pub(super) fn print_expected(guest: &Guest, rec: u64, number: u64) {
    say!("challenge: {}", Hex(&challenge(number)));
    check::equal("config", guest.begin_program(rec, program::CONFIG, &[]), Status::SUCCESS);
    let [_, _, _, _, rpv @ ..] = guest.program_results::<12>(rec);
    say!("RPV: {}", Hex(&rpv));
    for index in 0..5 {
        let x = words_of(rsi::MEASUREMENT_READ, &[index]);
        let [_, value @ ..] = guest.call(rec, &x[..2], 8);
        say!("measurement {index}: {}", Hex(&value[..8]));
    }
}

/// The bytes of the token that are read at once.
const LINE: u64 = 64;

/// Reads bytes of the page for tokens.
fn token_line(guest: &Guest, rec: u64, offset: u64) -> [u8; LINE as usize] {
    if guest.begin_program(rec, program::READ_MEMORY, &[TOKEN_PAGE + offset]) != Status::SUCCESS {
        check::that("memory is shown", false);
    }
    let words = guest.program_results::<WORDS>(rec);
    let mut bytes = [0; LINE as usize];
    for (to, word) in bytes.chunks_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Prints `size` bytes of the page for tokens.
pub(super) fn print_token(guest: &Guest, rec: u64, size: u64) {
    for offset in (0..size).step_by(LINE as usize) {
        let bytes = token_line(guest, rec, offset);
        let mut line = Line { text: [0; 128], used: 0 };
        for byte in &bytes[..(size - offset).min(LINE) as usize] {
            let _ = write!(line, "{byte:02x}");
        }
        say!("token: {}", core::str::from_utf8(&line.text[..line.used]).unwrap_or("?"));
    }
    say!("a token of {size} bytes");
}

struct Line {
    text: [u8; 128],
    used: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.used + text.len();
        self.text.get_mut(self.used..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }
}

/// A Realm gets tokens at once, in pieces, and with interrupts pending.
pub fn token() {
    let guest = Guest::start(1);
    let whole = continuing(TOKEN_PAGE, 0, GRANULE);
    check::equal("no token without INIT", head(guest.call(0, &whole, 1)), [status::ERROR_STATE, 0]);
    print_expected(&guest, 0, 0);
    guest.call(0, &words_of(rsi::VERSION, &[0x1_0000])[..2], 3);
    let version = smc::last_visit().last;
    let figure = |name: &str| {
        let instructions = smc::last_visit().last.saturating_sub(version);
        say!("figure: Attestation, instructions | {name} | {instructions}");
    };
    check::equal("INIT", init(&guest, 0, 0), [status::SUCCESS, GRANULE]);
    figure("RSI_ATTESTATION_TOKEN_INIT, beyond RSI_VERSION");
    check::equal("signed", head(guest.call(0, &whole, 1)), [status::INCOMPLETE, 0]);
    figure("RSI_ATTESTATION_TOKEN_CONTINUE that signs, beyond RSI_VERSION");
    let [result, size] = head(guest.call(0, &whole, 1));
    figure("RSI_ATTESTATION_TOKEN_CONTINUE that copies a whole token, beyond RSI_VERSION");
    check::equal("CONTINUE", result, status::SUCCESS);
    print_token(&guest, 0, size);
    check::equal("one token", head(guest.call(0, &whole, 1)), [status::ERROR_STATE, 0]);

    in_pieces(&guest, size);
    interrupted(&guest);
    guest.destroy();
}

/// Another challenge, another measurement, and pieces of odd sizes.
fn in_pieces(guest: &Guest, size: u64) {
    let extend = words_of(rsi::MEASUREMENT_EXTEND, &[1, 32, 1, 2, 3, 4]);
    check::equal("EXTEND", guest.call(0, &extend, 0)[0], status::SUCCESS);
    check::equal("INIT of a token that is not wanted", init(guest, 0, 77)[0], status::SUCCESS);
    print_expected(guest, 0, 1);
    check::equal("INIT again", init(guest, 0, 1), [status::SUCCESS, GRANULE]);
    for (address, offset, bytes) in [
        (TOKEN_PAGE + 8, 0, 8),
        (TOKEN_PAGE, GRANULE, 0),
        (TOKEN_PAGE, 1, GRANULE),
        (TOKEN_PAGE, 8, !0),
        (1 << 39, 0, 8),
        (!0xfff, 0, 8),
    ] {
        let answer = head(guest.call(0, &continuing(address, offset, bytes), 1));
        check::equal("an argument is wrong", answer, [status::ERROR_INPUT, 0]);
    }
    let answer = head(guest.call(0, &continuing(TOKEN_PAGE, 5, 0), 1));
    check::equal("no room", answer, [status::INCOMPLETE, 0]);
    let (mut done, mut pieces) = (0, 0);
    loop {
        let room = (7 + pieces * 37).min(GRANULE - done);
        let [result, written] = head(guest.call(0, &continuing(TOKEN_PAGE, done, room), 1));
        (done, pieces) = (done + written, pieces + 1);
        if result != status::INCOMPLETE || written != room {
            check::equal("the last piece", (result, done), (status::SUCCESS, size));
            break;
        }
    }
    say!("{pieces} pieces");
    // The token does not have a later measurement.
    print_token(guest, 0, done);
}

/// Signing stops for an interrupt and continues when the REC is entered again.
fn interrupted(guest: &Guest) {
    gic::enable();
    print_expected(guest, 0, 2);
    check::equal("INIT", init(guest, 0, 2)[0], status::SUCCESS);
    gic::set_pending(true);
    let whole = continuing(TOKEN_PAGE, 0, GRANULE);
    let entered = guest.begin_call(0, &whole);
    check::equal("an interrupt leaves the Realm", entered, Status::SUCCESS);
    guest.run(0).expect("an interrupt", &[(field::REASON, reason::IRQ)]);
    let entered = guest.enter(0);
    let instructions = smc::last_visit().last;
    say!(
        "figure: Attestation, instructions | RMI_REC_ENTER in mid-signature, an interrupt pending | {instructions}"
    );
    check::that("soon", instructions < BOUND);
    check::equal("and again", (entered, guest.run(0).reason()), (Status::SUCCESS, reason::IRQ));
    gic::set_pending(false);
    guest.run(0).prepare(0, &[]);
    check::equal("the REC goes on", guest.enter(0), Status::SUCCESS);
    let mut answer = head(guest.called(0, &whole, 1));
    if answer == [status::INCOMPLETE, 0] {
        answer = head(guest.call(0, &whole, 1));
    }
    check::equal("CONTINUE", answer[0], status::SUCCESS);
    print_token(guest, 0, answer[1]);
}

/// What CPUs share that take turns to run a REC.
struct Turns {
    guest: AtomicPtr<Guest>,
    /// The number of entries so far, which determines the CPU whose turn it is.
    entries: AtomicU64,
    interrupted: AtomicU64,
    /// The most ticks from an interrupt until the host takes it.
    latency: AtomicU64,
    /// The size of the token, once it is complete.
    size: AtomicU64,
}

static TURNS: Turns = Turns {
    guest: AtomicPtr::new(core::ptr::null_mut()),
    entries: AtomicU64::new(0),
    interrupted: AtomicU64::new(0),
    latency: AtomicU64::new(0),
    size: AtomicU64::new(0),
};

/// The most ticks until the next interrupt. More than an entry takes, so that signing progresses.
const MOST_TICKS: u64 = 9_000;

/// The general registers in the run page of a waiting REC for this call.
fn call_gprs(x: &[u64; 9]) -> [u64; 10] {
    let mut gprs = [0; 10];
    gprs[0] = command::CALL;
    gprs[1..].copy_from_slice(x);
    gprs
}

/// A token is signed while an interrupt ends each run of its REC after a few instructions. Each run
/// is on the next CPU.
pub fn interrupted_everywhere() {
    let mut guest = Guest::start(1);
    for number in 0..crate::options().argument {
        print_expected(&guest, 0, number);
        check::equal("INIT", init(&guest, 0, number)[0], status::SUCCESS);
        guest.run(0).prepare(0, &call_gprs(&continuing(TOKEN_PAGE, 0, GRANULE)));
        TURNS.guest.store(&raw mut guest, Ordering::Release);
        TURNS.size.store(0, Ordering::Release);
        cpus::on_every_cpu(take_turns);
        print_token(&guest, 0, TURNS.size.load(Ordering::Acquire));
    }
    let [entries, interrupted, latency] = [&TURNS.entries, &TURNS.interrupted, &TURNS.latency]
        .map(|counter| counter.load(Ordering::Acquire));
    let cpus = cpus::count();
    say!("{entries} entries on {cpus} CPUs, {interrupted} ended by an interrupt");
    check::that("thousands of interrupts", interrupted > 1_000);
    // With several CPUs, which take turns, the counter counts the instructions of all.
    if cpus == 1 {
        let name = "from an interrupt in mid-signature to the host, at most";
        say!("figure: Attestation, instructions | {name} | {latency}");
        check::that("each is served soon", latency < BOUND);
    }
    guest.destroy();
}

/// Enters the REC when it is this CPU's turn, until the token is complete.
fn take_turns(cpu: u64) {
    gic::enable_timer(cpu);
    let mut random = Random::for_this_cpu(cpu + 1);
    loop {
        let entries = || TURNS.entries.load(Ordering::Acquire);
        let is_over = || TURNS.size.load(Ordering::Acquire) != 0;
        cpus::wait_until(|| is_over() || entries() % cpus::count() == cpu);
        if is_over() {
            return;
        }
        // SAFETY: the other CPUs wait for their turns.
        let guest = unsafe { &*TURNS.guest.load(Ordering::Acquire) };
        let (rec, run) = (guest.rec(0), guest.run(0).address());
        let deadline = gic::arm_timer(random.word() % MOST_TICKS);
        let entered = realm::rec_enter(rec, run);
        let late = gic::now().saturating_sub(deadline);
        gic::disarm_timer();
        if entered != Status::SUCCESS {
            check::equal("the REC is entered", entered, Status::SUCCESS);
        }
        if guest.run(0).reason() == reason::IRQ {
            TURNS.interrupted.fetch_add(1, Ordering::Relaxed);
            TURNS.latency.fetch_max(late, Ordering::Relaxed);
        } else {
            came_back(guest);
        }
        TURNS.entries.fetch_add(1, Ordering::Release);
    }
}

/// The REC has come back from a call. It calls again, or the token is complete.
fn came_back(guest: &Guest) {
    let x = continuing(TOKEN_PAGE, 0, GRANULE);
    let [result, size] = head(guest.called(0, &x, 1));
    if [result, size] == [status::INCOMPLETE, 0] {
        guest.run(0).prepare(0, &call_gprs(&x));
        return;
    }
    check::equal("CONTINUE", result, status::SUCCESS);
    // A size of 0 means that there is no token.
    TURNS.size.store(size.max(1), Ordering::Release);
}

/// Gets the whole token `number`. Gives the secret values of its signature.
fn secrets_of_token(guest: &Guest, rec: u64, number: u64) -> Option<[Secret; 6]> {
    check::equal("INIT", init(guest, rec, number)[0], status::SUCCESS);
    let calls = [(); 2].map(|()| head(guest.call(rec, &continuing(TOKEN_PAGE, 0, GRANULE), 1)));
    let [_, [result, size]] = calls;
    check::equal("CONTINUE", result, status::SUCCESS);
    let mut token = [0; GRANULE as usize];
    for (line, bytes) in (0..size).step_by(LINE as usize).zip(token.chunks_mut(LINE as usize)) {
        bytes.copy_from_slice(&token_line(guest, rec, line));
    }
    secrets::of_token(token.get(..usize::try_from(size).ok()?)?)
}

/// A REC is destroyed, or asks for another token, while a token is being signed. No secret is left.
/// A token's nonce follows from its claims, so it is the same in every round.
pub fn abandoned() {
    const NUMBER: u64 = 1;
    let mut guest = Guest::start(2);
    gic::enable_timer(0);
    let scan = |guest: &Guest, rec: u64| {
        guest
            .auxiliary(rec)
            .map(smc::granule_scan)
            .fold([0; 3], |sum, one| core::array::from_fn(|index| sum[index] + one[index]))
    };
    let search = |granules: &mut dyn Iterator<Item = u64>, secret: &Secret| -> u64 {
        granules.map(|one| smc::granule_search(one, secret.words)).sum()
    };
    check::equal("auxiliary granules are zero at first", scan(&guest, 1), [0; 3]);
    let secrets = secrets_of_token(&guest, 0, NUMBER);
    check::that("a token and its nonce", secrets.is_some());
    let Some(secrets) = secrets else { return };
    let (key, nonce) = secrets.split_at(2);
    // The key stays in the RMM's memory; a nonce never does.
    let of_rmm = || {
        let carve_out = crate::options().carve_out;
        (carve_out.base..carve_out.end()).step_by(GRANULE as usize)
    };
    let nothing_with_rmm = || {
        for secret in nonce {
            let found = search(&mut of_rmm(), secret);
            check::equal(format_args!("{}: words in the RMM's memory", secret.name), found, 0);
        }
    };
    let held = |secret: &Secret| search(&mut of_rmm(), secret) != 0;
    check::that("the RMM's memory is searched: it holds the key", key.iter().any(held));
    let mut seen = [0; 6];
    let mut rounds = 0;
    let mut random = Random::for_this_cpu(7);
    loop {
        rounds += 1;
        check::equal("INIT", init(&guest, 1, NUMBER)[0], status::SUCCESS);
        let idle = scan(&guest, 1);
        check::that("only the token is there", idle[0] < 300 && idle[1] == 0);
        // Secrets of the token abandoned before, if there was one.
        for secret in &secrets {
            let found = search(&mut guest.auxiliary(1), secret);
            if found != 0 {
                check::equal(format_args!("{}: words behind INIT", secret.name), found, 0);
            }
        }
        // At some point of the signature.
        guest.run(1).prepare(0, &call_gprs(&continuing(TOKEN_PAGE, 0, GRANULE)));
        gic::arm_timer(20_000 + random.word() % 6_000_000);
        let entered = guest.enter(1);
        gic::disarm_timer();
        let left = (entered, guest.run(1).reason());
        check::equal("signing is interrupted", left, (Status::SUCCESS, reason::IRQ));
        let [words, of_key, fibers] = scan(&guest, 1);
        check::that("there is something on the stack", words > idle[0]);
        check::equal("and a fiber, with DIT", fibers, 1);
        let mut has_nonce = false;
        for (secret, seen) in secrets.iter().zip(&mut seen) {
            let found = search(&mut guest.auxiliary(1), secret) != 0;
            *seen += u64::from(found);
            has_nonce |= found && nonce.iter().any(|one| one.name == secret.name);
        }
        if rounds >= ABANDONED && of_key != 0 && has_nonce {
            break;
        }
        guest.run(1).prepare(0, &[]);
        check::equal("the REC goes on", guest.enter(1), Status::SUCCESS);
        let answer = head(guest.called(1, &continuing(TOKEN_PAGE, 0, GRANULE), 1));
        check::equal("and is to call again", answer, [status::INCOMPLETE, 0]);
    }
    for (secret, seen) in secrets.iter().zip(seen) {
        say!("{}: in {seen} of {rounds} stacks in mid-signature", secret.name);
    }
    nothing_with_rmm();
    // In the middle of the signature, with key and nonce on its stack.
    let granules = guest.auxiliary(1).chain([guest.rec(1)]);
    check::equal("RMI_REC_DESTROY", realm::rec_destroy(guest.rec(1), granule(0)), Status::SUCCESS);
    let words: u64 = granules.clone().map(|one| smc::granule_scan(one)[0]).sum();
    check::equal("words that are left", words, 0);
    for secret in &secrets {
        let found = search(&mut granules.clone(), secret);
        check::equal(format_args!("{}: words that are left", secret.name), found, 0);
    }
    nothing_with_rmm();
    let auxiliary = guest.auxiliary(1).next().unwrap_or(0);
    let count = guest.auxiliary(1).count() as u64;
    let back = realm::undelegate(guest.rec(1), 1) && realm::undelegate(auxiliary, count);
    check::that("its granules come back", back);
    guest.forget_rec();

    // A token that was handed out leaves no secret either.
    check::equal("INIT", init(&guest, 0, 9)[0], status::SUCCESS);
    let [_, answer] = [(); 2].map(|()| head(guest.call(0, &continuing(TOKEN_PAGE, 0, GRANULE), 1)));
    check::equal("CONTINUE", answer[0], status::SUCCESS);
    check::that("little is left", scan(&guest, 0)[0] <= 1);
    check::equal("and nothing of the key", scan(&guest, 0)[1], 0);
    // The token that revealed the nonce has left none either.
    for secret in &secrets {
        let found = search(&mut guest.auxiliary(0), secret);
        check::equal(format_args!("{}: words behind a token", secret.name), found, 0);
    }
    guest.destroy();
}

/// The least number of abandoned tokens.
const ABANDONED: u64 = 20;

/// EL3 keeps the key. RECs take turns to get tokens that EL3 signs; one of them gives up.
pub fn by_el3() {
    const RECS: u64 = 3;
    let guest = Guest::start(RECS);
    let whole = continuing(TOKEN_PAGE, 0, GRANULE);
    for round in 0..2 {
        for rec in 0..RECS {
            check::equal("INIT", init(&guest, rec, round), [status::SUCCESS, GRANULE]);
        }
        // The last REC asks and does not come back. Then it asks for another token.
        let asked = head(guest.call(RECS - 1, &continuing(TOKEN_PAGE, 0, 0), 1));
        check::equal("EL3 has not signed", asked, [status::INCOMPLETE, 0]);
        let mut is_done = [false; 2];
        let mut calls = 0;
        while is_done.contains(&false) {
            for (rec, is_done) in (0..).zip(&mut is_done) {
                if *is_done {
                    continue;
                }
                calls += 1;
                let [result, size] = head(guest.call(rec, &whole, 1));
                if [result, size] == [status::INCOMPLETE, 0] {
                    continue;
                }
                check::equal("CONTINUE", result, status::SUCCESS);
                print_expected(&guest, rec, round);
                print_token(&guest, rec, size);
                *is_done = true;
            }
        }
        say!("{calls} calls for two tokens");
    }
    let of_key: u64 =
        (0..RECS).flat_map(|rec| guest.auxiliary(rec)).map(|one| smc::granule_scan(one)[1]).sum();
    check::equal("words of the key with the RMM", of_key, 0);
    guest.destroy();
}

/// EL3 has given no key: a Realm runs but gets no token.
pub fn without_key() {
    let guest = Guest::start(1);
    for _ in 0..2 {
        check::equal("INIT", init(&guest, 0, 1), [status::ERROR_UNKNOWN, 0]);
        let answer = head(guest.call(0, &continuing(TOKEN_PAGE, 0, GRANULE), 1));
        check::equal("CONTINUE", answer, [status::ERROR_STATE, 0]);
    }
    let version = guest.call(0, &words_of(rsi::VERSION, &[0x1_0000])[..2], 3);
    check::equal("the Realm goes on", version[..3] == [0, 0x1_0000, 0x1_0000], true);
    guest.destroy();
}

/// Key set-up and signature take the same number of instructions for all keys, digests and nonces,
/// which the self-test image draws.
pub fn timing_of_keys() {
    let count = crate::options().argument;
    let mut random = Random::for_this_cpu(2);
    let (mut least, mut most) = (!0, 0);
    for _ in 0..count {
        let signed = rmi::self_test_for(&[request::SIGN, random.word()]);
        if signed != (Status::SUCCESS, 1) {
            check::equal("it is signed", signed, (Status::SUCCESS, 1));
        }
        let instructions = smc::last_visit().last;
        (least, most) = (instructions.min(least), instructions.max(most));
    }
    say!("{count} keys: {least} to {most} instructions for set-up and signature");
    check::equal("each takes as many as any other", least, most);
}

/// A signature takes the same number of instructions for every message and nonce.
pub fn timing() {
    let guest = Guest::start(1);
    let count = crate::options().argument;
    let mut random = Random::for_this_cpu(1);
    let (mut least, mut most) = (!0, 0);
    for _ in 0..count {
        let number = random.word();
        if init(&guest, 0, number)[0] != status::SUCCESS {
            check::that("INIT", false);
        }
        // There is no room for the token, so it is signed and the call returns.
        let answer = head(guest.call(0, &continuing(TOKEN_PAGE, 0, 0), 1));
        if answer != [status::INCOMPLETE, 0] {
            check::equal("CONTINUE", answer, [status::INCOMPLETE, 0]);
        }
        let instructions = smc::last_visit().last;
        (least, most) = (instructions.min(least), instructions.max(most));
    }
    say!("{count} signatures took {least} to {most} instructions");
    check::equal("each takes as many as any other", least, most);
    guest.destroy();
}
