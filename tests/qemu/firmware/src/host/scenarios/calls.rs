// SPDX-License-Identifier: BSD-3-Clause
//! The calls of a Realm: RSI, PSCI, and unknown functions.

use rmm_abi::psci::{self, function as power};
use rmm_abi::rsi::{function as rsi, status};
use rmm_abi::smccc;
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::realm_protocol::{BASE, CALL_REGISTERS, PAGES, TURN, program};
use rmm_test_firmware::say;

use crate::check::{self, Every};
use crate::guest::{Guest, field, reason};
use crate::realm::{self, ERROR_REALM, ERROR_REC};
use crate::rmi::{Dialect, Status};
use crate::smc;
use crate::tables;

/// The first unprotected IPA.
const UNPROTECTED: u64 = 1 << 39;
/// The first IPA after the payload.
const TOP: u64 = BASE + PAGES * GRANULE;

/// A word as a call passes it.
fn word(function: u32) -> u64 {
    u64::from(function)
}

/// X0 to X3.
fn head([x0, x1, x2, x3, ..]: [u64; CALL_REGISTERS]) -> [u64; 4] {
    [x0, x1, x2, x3]
}

/// Calls that the RMM answers without an exit.
pub fn commands() {
    let guest = Guest::start(2);
    let mut every = Every::new("a call has its answer");
    let mut answers = |x: &[u64], expected: [u64; 4]| {
        let answer = head(guest.call(0, x, 0));
        every.equal(format_args!("{x:x?}"), answer, expected);
    };
    const INPUT: u64 = status::ERROR_INPUT;
    answers(&[word(rsi::VERSION), 0x1_0000], [0, 0x1_0000, 0x1_0000, 0]);
    answers(&[word(rsi::VERSION), 0x1_0001], [INPUT, 0x1_0000, 0x1_0000, 0]);
    answers(&[word(rsi::VERSION) | smccc::SVE_HINT, 0x1_0000], [0, 0x1_0000, 0x1_0000, 0]);
    for index in [0, 1, !0] {
        answers(&[word(rsi::FEATURES), index], [0; 4]);
    }
    for index in [5, !0] {
        answers(&[word(rsi::MEASUREMENT_READ), index], [INPUT, 0, 0, 0]);
    }
    for (index, size) in [(0, 64), (5, 64), (1, 65), (1, !0)] {
        answers(&[word(rsi::MEASUREMENT_EXTEND), index, size], [INPUT, 0, 0, 0]);
    }
    for address in [BASE + 8, UNPROTECTED, TOP, !0] {
        answers(&[word(rsi::REALM_CONFIG), address], [INPUT, 0, 0, 0]);
    }
    for (base, top) in [
        (BASE, BASE),
        (BASE + 1, TOP),
        (BASE, TOP + 1),
        (TOP, BASE),
        (BASE, UNPROTECTED + GRANULE),
        (UNPROTECTED, UNPROTECTED + GRANULE),
    ] {
        answers(&[word(rsi::IPA_STATE_GET), base, top], [INPUT, 0, 0, 0]);
        answers(&[word(rsi::IPA_STATE_SET), base, top, 0, 0], [INPUT, 0, 0, 0]);
    }
    answers(&[word(rsi::IPA_STATE_SET), BASE, TOP, 2, 0], [INPUT, 0, 0, 0]);
    for address in [BASE + 8, UNPROTECTED, TOP] {
        answers(&[word(rsi::HOST_CALL), address], [INPUT, 0, 0, 0]);
    }
    answers(&[word(smccc::function::VERSION)], [0x1_0002, 0, 0, 0]);
    for unknown in [0x8000_0001, 0x8400_0005, 0x8400_0014, 0xC400_0000, 0xC400_0002, 0xC400_0008]
        .into_iter()
        .chain([0xC400_0150, 0xC400_0158, 0xC400_018F, 0xC400_019A, 0xC400_01AF, 0xC400_01B0])
        .chain([0x8400_0050, 0x8600_FF01, 0xC600_0000, 0, 0xFFFF_FFFF])
    {
        answers(&[unknown, 1, 2, 3], [!0, 0, 0, 0]);
    }
    drop(every);
    measurements(&guest);
    configuration(&guest);
    ripas(&guest);
    guest.destroy();
}

fn measurements(guest: &Guest) {
    let read = |index| {
        let answer = guest.call(0, &[word(rsi::MEASUREMENT_READ), index], 8);
        check::equal("a measurement is read", answer[0], status::SUCCESS);
        <[u64; 8]>::try_from(&answer[1..9]).unwrap_or_default()
    };
    check::that("there is an initial measurement", read(0) != [0; 8]);
    check::equal("an extensible one is zero", read(1), [0; 8]);
    let value = [1, 2, 3, 4, 5, 6, 7, 8];
    let [v0, v1, v2, v3, v4, v5, v6, v7] = value;
    let extend = [word(rsi::MEASUREMENT_EXTEND), 1, 64, v0, v1, v2, v3, v4, v5, v6, v7];
    check::equal("it is extended", head(guest.call(0, &extend, 0)), [0; 4]);
    let (extended, other) = (read(1), read(2));
    check::that("and has changed", extended != [0; 8] && extended[4..] == [0; 4]);
    check::equal("no other has", other, [0; 8]);
}

fn configuration(guest: &Guest) {
    let begun = guest.begin_program(0, program::CONFIG, &[]);
    check::equal("the Realm asks for its configuration", begun, Status::SUCCESS);
    let [status, ipa_width, algorithm, changed, rpv @ ..] = guest.program_results::<12>(0);
    check::equal("and gets it", (status, ipa_width, algorithm), (0, 40, 0));
    check::equal("with its personalization value", rpv, [0; 8]);
    check::equal("nothing else of the page changes", changed, 0);
}

fn ripas(guest: &Guest) {
    let ranges = |base, top| {
        let begun = guest.begin_program(0, program::GET_RIPAS, &[base, top]);
        check::equal("the Realm asks for RIPAS", begun, Status::SUCCESS);
        guest.program_results::<7>(0)
    };
    let [status, _, count, end, payload, ..] = ranges(BASE, TOP);
    check::equal("the payload is RAM", (status, count, end, payload), (0, 1, TOP, tables::RAM));
    let end = TOP + 16 * GRANULE;
    let [.., first, _, second, after] = ranges(BASE, end);
    check::equal("behind it is nothing", (first, second, after), (TOP, end, tables::EMPTY));

    let begun = guest.begin_program(0, program::SET_RIPAS, &[TOP, end, tables::RAM, 0]);
    check::equal("the Realm asks for RAM", begun, Status::SUCCESS);
    let run = guest.run(0);
    let words = [
        (field::REASON, reason::RIPAS_CHANGE),
        (field::RIPAS, TOP),
        (field::RIPAS + 8, end),
        (field::RIPAS + 16, tables::RAM),
    ];
    run.expect("a change of RIPAS", &words);
    let half = TOP + 8 * GRANULE;
    let set = |base, top| tables::set_ripas(guest.rd(), guest.rec(0), base, top);
    check::equal("half of it", set(TOP, half), (Status::SUCCESS, half));
    check::equal("not twice", set(TOP, half).0, Status::ERROR_INPUT);
    run.prepare(0, &[]);
    check::equal("the REC goes on", guest.enter(0), Status::SUCCESS);
    run.expect(
        "it asks for the rest",
        &[(field::REASON, 4), (field::RIPAS, half), words[2], words[3]],
    );
    check::equal("the rest", set(half, end), (Status::SUCCESS, end));
    run.prepare(0, &[]);
    check::equal("the REC goes on", guest.enter(0), Status::SUCCESS);
    check::equal("with all of it", guest.program_results(0), [0, end, 0, 2]);
    let [_, _, count, to, after, ..] = ranges(BASE, end);
    check::equal("all is RAM", (count, to, after), (1, end, tables::RAM));
}

/// RECs go off and on and query each other's state. Then the Realm goes off.
pub fn power() {
    let guest = Guest::start(2);
    const ALREADY_ON: u64 = psci::ALREADY_ON;
    let mut every = Every::new("a call of PSCI that needs no host has its answer");
    let mut answers = |x: &[u64], expected: u64| {
        let answer = head(guest.call(0, x, 0));
        every.equal(format_args!("{x:x?}"), answer, [expected, 0, 0, 0]);
    };
    answers(&[word(power::VERSION)], psci::VERSION_1_1);
    for function in [0x8400_0001, 0xC400_0001, 0x8400_0002, 0x8400_0003, 0xC400_0003, 0x8400_0004]
        .into_iter()
        .chain([0xC400_0004, 0x8400_0008, 0x8400_0009, 0x8400_000A, 0x8000_0000])
    {
        answers(&[word(power::FEATURES), function], 0);
    }
    for function in [0x8400_0000, 0xC400_0002, 0xC400_0009, 0x8400_000B, 0x8400_0005, 0xC400_0190] {
        answers(&[word(power::FEATURES), function], psci::NOT_SUPPORTED);
    }
    for function in [power::CPU_ON, power::CPU_ON_64] {
        answers(&[word(function), 2, BASE, 0], psci::INVALID_PARAMETERS);
        answers(&[word(function), 1 << 4, BASE, 0], psci::INVALID_PARAMETERS);
        answers(&[word(function), 0, BASE, 0], ALREADY_ON);
    }
    answers(&[word(power::CPU_ON_64), 2, UNPROTECTED, 0], psci::INVALID_ADDRESS);
    answers(&[word(power::CPU_ON_64), 1 << 40, BASE, 0], psci::INVALID_PARAMETERS);
    for function in [power::AFFINITY_INFO, power::AFFINITY_INFO_64] {
        answers(&[word(function), 1, 1], psci::INVALID_PARAMETERS);
        answers(&[word(function), 2, 0], psci::INVALID_PARAMETERS);
        answers(&[word(function), 0, 0], psci::AFFINITY_ON);
    }
    drop(every);

    let exits = |rec: u64, x: &[u64], argument: u64| {
        check::equal("a REC calls PSCI", guest.begin_call(rec, x), Status::SUCCESS);
        let words =
            [(field::REASON, reason::PSCI), (field::GPRS, x[0]), (field::GPRS + 8, argument)];
        guest.run(rec).expect("a call of PSCI", &words);
    };
    let goes_on = |rec: u64, x: &[u64], result: u64| {
        guest.run(rec).prepare(0, &[]);
        check::equal("the REC goes on", guest.enter(rec), Status::SUCCESS);
        check::equal("with a result", head(guest.called(rec, x, 0)), [result, 0, 0, 0]);
    };
    let complete = |status| realm::psci_complete(guest.rec(0), guest.rec(1), status);
    for function in [power::CPU_SUSPEND, power::CPU_SUSPEND_64] {
        let x = [word(function), 1, 2, 3];
        exits(0, &x, 0);
        goes_on(0, &x, 0);
    }
    let ask = [word(power::AFFINITY_INFO_64), 1, 0];
    let switch_on = [word(power::CPU_ON_64), 1, BASE, 1];
    let switch_on_32 = [word(power::CPU_ON), 1 | 7 << 32, BASE, 1 | 5 << 32];
    // In RMI 2.0 the RMM itself answers.
    let asks = |result| {
        if Dialect::current() == Dialect::Two {
            let answer = head(guest.call(0, &ask, 0));
            check::equal("the RMM answers", answer, [result, 0, 0, 0]);
            check::equal("the host is not asked", complete(psci::SUCCESS), Status::ERROR_INPUT);
            return;
        }
        exits(0, &ask, 1);
        check::equal("the host must answer first", guest.enter(0), ERROR_REC);
        check::equal("it answers", complete(psci::SUCCESS), Status::SUCCESS);
        check::equal("once", complete(psci::SUCCESS), Status::ERROR_INPUT);
        goes_on(0, &ask, result);
    };
    asks(psci::AFFINITY_ON);
    exits(0, &switch_on, 1);
    check::equal("a REC that is on is not denied", complete(psci::DENIED), Status::ERROR_INPUT);
    goes_on(0, &switch_on, ALREADY_ON);

    let off = [word(power::CPU_OFF)];
    exits(1, &off, 0);
    check::equal("a REC that is off does not run", guest.enter(1), ERROR_REC);
    asks(psci::AFFINITY_OFF);
    exits(0, &switch_on, 1);
    check::equal("the host denies it", complete(psci::DENIED), Status::SUCCESS);
    goes_on(0, &switch_on, psci::DENIED);
    for x in [switch_on, switch_on_32] {
        exits(0, &x, 1);
        check::equal("the host turns it on", complete(psci::SUCCESS), Status::SUCCESS);
        goes_on(0, &x, 0);
        guest.run(1).prepare(0, &[]);
        check::equal("it runs", guest.enter(1), Status::SUCCESS);
        guest.expect_waiting(1);
        let version = guest.call(1, &[word(rsi::VERSION), 0x1_0000], 2);
        check::equal("as before", head(version), [0, 0x1_0000, 0x1_0000, 0]);
        exits(1, &off, 0);
    }
    let x = [word(power::SYSTEM_OFF)];
    exits(0, &x, 0);
    for rec in [0, 1] {
        let index = u64::from(Dialect::current() == Dialect::One);
        let off = Status(ERROR_REALM.0 | index << 8);
        check::equal("no REC is entered again", guest.enter(rec), off);
    }
    guest.destroy();

    let guest = Guest::start(1);
    let x = [word(power::SYSTEM_RESET)];
    check::equal("a REC calls PSCI", guest.begin_call(0, &x), Status::SUCCESS);
    guest.run(0).expect("a reset", &[(field::REASON, reason::PSCI), (field::GPRS, x[0])]);
    guest.destroy();
}

/// Instructions of the RMM for calls of a Realm without an exit, and for a host call from its entry
/// to its exit.
pub fn instructions() {
    let guest = Guest::start(1);
    let run = |times, x: [u64; 4]| {
        let [x0, x1, x2, x3] = x;
        let begun = guest.begin_program(0, program::COUNT, &[times, x0, x1, x2, x3]);
        let instructions = smc::last_visit().last;
        check::equal("a call is counted", begun, Status::SUCCESS);
        check::equal("and answered", guest.program_results(0), [0]);
        instructions
    };
    let figure = |name: &str, x: [u64; 4], bound: Option<u64>| {
        const TIMES: u64 = 100;
        // Both runs include the cost of the first call.
        let (one, many) = (run(1, x), run(1 + TIMES, x));
        let each = (many - one) / TIMES - TURN;
        say!("figure: Instructions, calls of a Realm | {name} | {each}");
        if let Some(bound) = bound {
            check::that(format_args!("{name} keeps its bound"), each <= bound);
        }
    };
    figure("RSI_VERSION", [word(rsi::VERSION), 0x1_0000, 0, 0], Some(300));
    figure("RSI_FEATURES", [word(rsi::FEATURES), 0, 0, 0], None);
    figure("RSI_MEASUREMENT_READ", [word(rsi::MEASUREMENT_READ), 1, 0, 0], None);
    figure("RSI_MEASUREMENT_EXTEND of 64 bytes", [word(rsi::MEASUREMENT_EXTEND), 1, 64, 0], None);
    figure(
        "RSI_IPA_STATE_GET of a page",
        [word(rsi::IPA_STATE_GET), BASE, BASE + GRANULE, 0],
        Some(900),
    );
    let whole = [word(rsi::IPA_STATE_GET), BASE + PAGES * GRANULE, BASE + (2 << 20), 0];
    figure("RSI_IPA_STATE_GET of 480 pages", whole, None);
    figure("AFFINITY_INFO of the caller", [word(power::AFFINITY_INFO_64), 0, 0, 0], None);
    figure("a function that does not exist", [0xC400_0150, 0, 0, 0], None);
    guest.destroy();
}
