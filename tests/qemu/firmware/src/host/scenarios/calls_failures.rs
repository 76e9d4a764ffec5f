// SPDX-License-Identifier: BSD-3-Clause
//! Each failure condition of each RSI call, alone and combined with each other one. Of two, the
//! first decides the answer. A call that fails changes no register beyond X3.

use rmm_abi::psci::{self, function as power};
use rmm_abi::rsi::{CHANGE_DESTROYED, function as rsi, status};
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::realm_protocol::{BASE, PAGES, TOKEN_PAGE, program};

use crate::check::{self, Every};
use crate::guest::{Guest, field, reason};
use crate::memory::granule;
use crate::realm;
use crate::rmi::Status;
use crate::tables;

/// The first unprotected IPA.
const UNPROTECTED: u64 = 1 << 39;
/// After the payload: a page that is EMPTY, and one that is RAM without memory.
const EMPTY: u64 = BASE + PAGES * GRANULE;
const MISSING: u64 = EMPTY + GRANULE;
/// A delegated granule.
const DATA: u64 = 1024;

/// The answer of a call that fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// X0.
    Code(u64),
    /// The REC leaves with an emulated data abort and repeats the call. Once memory is there, the
    /// answer has these X0 and X1.
    Abort([u64; 2]),
}

/// A failure condition.
#[derive(Clone, Copy)]
struct Failure {
    /// The register and its value.
    register: usize,
    value: u64,
    answer: Answer,
    /// Whether it can be combined with another one in the same register. The two values are ORed.
    combines: bool,
}

/// The condition that a register has this value.
const fn by(register: usize, value: u64, code: u64) -> Failure {
    Failure { register, value, answer: Answer::Code(code), combines: false }
}

/// The same condition, for one that can be combined.
const fn with(register: usize, value: u64, code: u64) -> Failure {
    Failure { combines: true, ..by(register, value, code) }
}

const INPUT: u64 = status::ERROR_INPUT;

/// The conditions on an address in X1 that must be aligned and have memory.
const fn address(unaligned: u64, then: [u64; 2]) -> [Failure; 4] {
    [
        with(1, BASE + unaligned, INPUT),
        with(1, UNPROTECTED, INPUT),
        by(1, EMPTY, INPUT),
        Failure { register: 1, value: MISSING, answer: Answer::Abort(then), combines: false },
    ]
}

/// Calls with each condition alone and with each two of them. The first of two decides.
fn each_and_pairs(guest: &Guest, what: &str, right: &[u64], failures: &[Failure]) {
    let mut every = Every::new("a call fails as its first failure condition says");
    for (index, first) in failures.iter().enumerate() {
        let mut x = [0; 9];
        let x = &mut x[..right.len()];
        x.copy_from_slice(right);
        x[first.register] = first.value;
        fails(guest, &mut every, what, x, first.answer);
        for second in &failures[index + 1..] {
            if second.register != first.register {
                x[second.register] = second.value;
            } else if first.combines {
                x[first.register] = first.value | second.value;
            } else {
                continue;
            }
            fails(guest, &mut every, what, x, first.answer);
            x[second.register] = right[second.register];
            x[first.register] = first.value;
        }
    }
}

/// Calls and asserts the answer.
fn fails(guest: &Guest, every: &mut Every<'_>, what: &str, x: &[u64], answer: Answer) {
    let case = format_args!("{what} {x:x?}");
    let code = match answer {
        Answer::Code(code) => code,
        Answer::Abort(then) => return aborts(guest, x, then),
    };
    let entered = guest.begin_call(0, x);
    let left = (entered, guest.run(0).reason());
    every.equal(case, left, (Status::SUCCESS, reason::HOST_CALL));
    let [x0, x1, x2, x3, ..] = guest.called(0, x, 0);
    every.equal(case, [x0, x1, x2, x3], [code, 0, 0, 0]);
}

/// Calls, asserts that the REC leaves, and repeats the call with memory.
fn aborts(guest: &Guest, x: &[u64], then: [u64; 2]) {
    let run = guest.run(0);
    let words = [(field::ESR, 0x24 << 26 | 0b111), (field::HPFAR, MISSING >> 8)];
    check::equal("a call without memory", guest.begin_call(0, x), Status::SUCCESS);
    run.expect("an emulated data abort", &words);
    let made = tables::data_create_unknown(guest.rd(), granule(DATA), MISSING);
    check::equal("the page gets memory", made, Status::SUCCESS);
    run.prepare(0, &[]);
    check::equal("the call is made again", guest.enter(0), Status::SUCCESS);
    let is_host_call = x[0] == u64::from(rsi::HOST_CALL);
    if is_host_call {
        run.expect("a call of the host, zeros", &[(field::REASON, reason::HOST_CALL)]);
        run.prepare(0, &[0; 31]);
        check::equal("is answered", guest.enter(0), Status::SUCCESS);
    }
    let [x0, x1, x2, x3, ..] = guest.called(0, x, 0);
    if is_host_call {
        // Its completion writes only X0.
        check::equal("with success", [x0, x1], [then[0], MISSING]);
    } else {
        check::equal("with success", [x0, x1, x2, x3], [then[0], then[1], 0, 0]);
    }
    check::equal("it goes", tables::data_destroy(guest.rd(), MISSING).0, Status::SUCCESS);
    make_ram(guest);
}

/// Makes the page RAM again, after its memory may have been unmapped.
fn make_ram(guest: &Guest) {
    let (base, top) = (MISSING, MISSING + GRANULE);
    let arguments = [base, top, tables::RAM, CHANGE_DESTROYED];
    let begun = guest.begin_program(0, program::SET_RIPAS, &arguments);
    check::equal("the Realm asks for RAM", begun, Status::SUCCESS);
    let set = tables::set_ripas(guest.rd(), guest.rec(0), base, top);
    check::equal("and gets it", set, (Status::SUCCESS, top));
    guest.run(0).prepare(0, &[]);
    check::equal("the REC goes on", guest.enter(0), Status::SUCCESS);
}

/// All failure conditions.
pub fn failures() {
    let guest = Guest::start(2);
    check::that("a granule is delegated", realm::delegate(granule(DATA), 1));
    make_ram(&guest);
    measurements(&guest);
    memory(&guest);
    ranges(&guest);
    tokens(&guest);
    power(&guest);
    check::that("the granule comes back", realm::undelegate(granule(DATA), 1));
    guest.destroy();
}

fn measurements(guest: &Guest) {
    let read = [rsi::MEASUREMENT_READ.into(), 0];
    each_and_pairs(guest, "READ", &read, &[by(1, 5, INPUT), by(1, 1 << 32, INPUT)]);
    let mut extend = [0; 9];
    extend[..3].copy_from_slice(&[rsi::MEASUREMENT_EXTEND.into(), 1, 64]);
    let failures = [by(1, 0, INPUT), by(1, 5, INPUT), by(2, 65, INPUT), by(2, !0, INPUT)];
    each_and_pairs(guest, "EXTEND", &extend, &failures);
    let x = [rsi::MEASUREMENT_READ.into(), 1];
    let read = guest.call(0, &x, 8);
    check::equal("nothing was extended", &read[..9], &[0; 9][..]);
}

fn memory(guest: &Guest) {
    let success = [status::SUCCESS, 0];
    let config = [rsi::REALM_CONFIG.into(), TOKEN_PAGE];
    each_and_pairs(guest, "REALM_CONFIG", &config, &address(0x100, success));
    let call = [rsi::HOST_CALL.into(), TOKEN_PAGE];
    each_and_pairs(guest, "HOST_CALL", &call, &address(0x80, success));
}

fn ranges(guest: &Guest) {
    let failures = [
        with(1, BASE + 8, INPUT),
        with(2, EMPTY + 8, INPUT),
        by(2, BASE, INPUT),
        by(2, UNPROTECTED + GRANULE, INPUT),
        by(1, UNPROTECTED, INPUT),
    ];
    let get = [rsi::IPA_STATE_GET.into(), BASE, EMPTY];
    each_and_pairs(guest, "IPA_STATE_GET", &get, &failures);
    let [f0, f1, f2, f3, f4] = failures;
    let failures = [f0, f1, f2, f3, f4, by(3, 2, INPUT), by(3, 1 << 32, INPUT)];
    let set = [rsi::IPA_STATE_SET.into(), BASE, EMPTY, tables::RAM, 0];
    each_and_pairs(guest, "IPA_STATE_SET", &set, &failures);
}

fn tokens(guest: &Guest) {
    let call = |offset, size| [rsi::ATTESTATION_TOKEN_CONTINUE.into(), TOKEN_PAGE, offset, size];
    let arguments = [
        with(1, BASE + 8, INPUT),
        with(1, UNPROTECTED, INPUT),
        by(2, GRANULE, INPUT),
        by(3, GRANULE, INPUT),
        by(3, !0, INPUT),
    ];
    let [f0, f1, f2, f3, f4] = arguments;
    // Without a token no memory is accessed.
    let state = [TOKEN_PAGE, EMPTY, MISSING].map(|page| by(1, page, status::ERROR_STATE));
    let [s0, s1, s2] = state;
    let failures = [f0, f1, f2, f3, f4, s0, s1, s2];
    each_and_pairs(guest, "CONTINUE without a token", &call(8, 8), &failures);
    let mut init = [0; 9];
    init[0] = rsi::ATTESTATION_TOKEN_INIT.into();
    check::equal("INIT", guest.call(0, &init, 1)[..2] == [0, GRANULE], true);
    let signed = guest.call(0, &call(8, 0), 1);
    check::equal("it is signed", signed[..2] == [status::INCOMPLETE, 0], true);
    // With nothing to copy the answer is INCOMPLETE, but the memory must be there.
    let [.., empty, missing] = address(8, [status::INCOMPLETE, 0]);
    let failures = [f0, f1, f2, f4, empty, missing, by(3, 0, status::INCOMPLETE)];
    each_and_pairs(guest, "CONTINUE of nothing", &call(8, 0), &failures);
    let [.., missing] = address(8, [status::INCOMPLETE, 8]);
    let failures = [f0, f1, f2, f3, f4, empty, missing];
    each_and_pairs(guest, "CONTINUE", &call(8, 8), &failures);
    let whole = [rsi::ATTESTATION_TOKEN_CONTINUE.into(), TOKEN_PAGE, 0, GRANULE];
    check::equal("the token is still there", guest.call(0, &whole, 1)[0], status::SUCCESS);
}

fn power(guest: &Guest) {
    let on = [
        by(2, UNPROTECTED, psci::INVALID_ADDRESS),
        by(1, 2, psci::INVALID_PARAMETERS),
        by(1, 1 << 40, psci::INVALID_PARAMETERS),
        by(1, 0, psci::ALREADY_ON),
    ];
    each_and_pairs(guest, "CPU_ON", &[power::CPU_ON_64.into(), 1, BASE, 0], &on);
    each_and_pairs(guest, "CPU_ON", &[power::CPU_ON.into(), 1, BASE, 0], &[on[1], on[3]]);
    for function in [power::AFFINITY_INFO, power::AFFINITY_INFO_64] {
        let failures = [by(2, 1, psci::INVALID_PARAMETERS), by(1, 2, psci::INVALID_PARAMETERS)];
        each_and_pairs(guest, "AFFINITY_INFO", &[function.into(), 1, 0], &failures);
    }
    let unknown = [psci::NOT_SUPPORTED].map(|code| by(1, 0xC400_0002, code));
    each_and_pairs(guest, "FEATURES", &[power::FEATURES.into(), 0], &unknown);
}
