// SPDX-License-Identifier: BSD-3-Clause
//! Tokens of Realms. The host prints each, and what it must say, for the runner to verify.

use core::fmt::Write;

use rmm_abi::rsi::{function as rsi, status};
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::realm_protocol::{CALL_REGISTERS, TOKEN_PAGE, WORDS, program};
use rmm_test_firmware::say;

use crate::check;
use crate::gic;
use crate::guest::{Guest, field, reason};
use crate::rmi::Status;
use crate::smc;

/// Instructions of the RMM within which a pending interrupt is served.
const BOUND: u64 = 10_000;

/// The challenge of token `number`.
fn challenge(number: u64) -> [u64; 8] {
    core::array::from_fn(|index| 0x1111_1111_1111_1111 * (index as u64 + 1) ^ number << 56)
}

/// Words as hexadecimal digits, in the order of their bytes.
struct Hex<'a>(&'a [u64]);

impl core::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|word| write!(f, "{:016x}", word.swap_bytes()))
    }
}

fn words_of(function: u32, arguments: &[u64]) -> [u64; 9] {
    let mut x = [0; 9];
    x[0] = function.into();
    x[1..=arguments.len()].copy_from_slice(arguments);
    x
}

/// RSI_ATTESTATION_TOKEN_INIT: X0 and X1.
fn init(guest: &Guest, rec: u64, number: u64) -> [u64; 2] {
    let [x0, x1, ..] =
        guest.call(rec, &words_of(rsi::ATTESTATION_TOKEN_INIT, &challenge(number)), 1);
    [x0, x1]
}

/// RSI_ATTESTATION_TOKEN_CONTINUE as it is called.
fn continuing(address: u64, offset: u64, size: u64) -> [u64; 9] {
    words_of(rsi::ATTESTATION_TOKEN_CONTINUE, &[address, offset, size])
}

fn head([x0, x1, ..]: [u64; CALL_REGISTERS]) -> [u64; 2] {
    [x0, x1]
}

/// Prints what token `number` must say of its Realm now.
fn print_expected(guest: &Guest, rec: u64, number: u64) {
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

/// Prints `size` bytes of the page for tokens.
fn print_token(guest: &Guest, rec: u64, size: u64) {
    /// Bytes of a line.
    const LINE: u64 = 64;
    for offset in (0..size).step_by(LINE as usize) {
        if guest.begin_program(rec, program::READ_MEMORY, &[TOKEN_PAGE + offset]) != Status::SUCCESS
        {
            check::that("memory is shown", false);
        }
        let words = guest.program_results::<WORDS>(rec);
        let mut bytes = [0; LINE as usize];
        for (to, word) in bytes.chunks_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
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

/// A Realm gets tokens at once, in pieces, and while interrupts are pending.
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
    let [result, size] = head(guest.call(0, &whole, 1));
    figure("RSI_ATTESTATION_TOKEN_CONTINUE for a whole token, beyond RSI_VERSION");
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
    // A later measurement is not in it.
    print_token(guest, 0, done);
}

/// Signing stops where an interrupt comes, and goes on when the REC is entered again.
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
