// SPDX-License-Identifier: BSD-3-Clause
//! Calls of a REC while another one runs: calls on memory that the other one changes, and calls of
//! a Realm that goes off.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_abi::psci::function as power;
use rmm_abi::rsi::function as rsi;
use rmm_test_firmware::realm_protocol::{TOKEN_PAGE, command, pattern, program};
use rmm_test_firmware::say;

use crate::check::{self, Every};
use crate::cpus;
use crate::guest::{Guest, field, reason};
use crate::memory::granule;
use crate::probe;
use crate::realm::{self, ERROR_REALM, Shape};
use crate::rmi::Status;
use crate::tables::{self, UNPROTECTED};

/// The words of an RsiHostCall after the first one.
const GPRS: usize = 31;
/// The least number of host calls.
const CALLS: u64 = 200;
/// Steps of the other REC between two of its exits.
const TURNS: u64 = 1000;
/// The first word of the Realm's configuration.
const IPA_BITS: u64 = Shape::USUAL.ipa_bits;
/// The IPA and the memory of the word that the host shares with the Realm.
const SHARED_IPA: u64 = 1 << 39;
const SHARED: u64 = 1024;

/// Set to end the other REC.
static DONE: AtomicU64 = AtomicU64::new(0);
/// The number of errors on the other CPU.
static WRONG: AtomicU64 = AtomicU64::new(0);

fn expect(holds: bool) {
    if !holds {
        WRONG.fetch_add(1, Ordering::AcqRel);
    }
}

/// The host's answer in X`index`.
fn answer(index: usize) -> u64 {
    0x7777_7777_7777_7700 | index as u64
}

/// REC 0 makes host calls with a structure that REC 1 fills alternately with two patterns.
pub fn race() {
    let guest = Guest::start(2);
    cpus::on_every_cpu(|cpu| if cpu == 0 { call() } else { flip() });
    check::equal("entries of the other REC that went wrong", WRONG.load(Ordering::Acquire), 0);
    guest.destroy();
}

/// Runs REC 0 until a host call has been read with each pattern.
fn call() {
    let (rec, run) = Guest::of_rec(0);
    let mut every = Every::new("each word that the host is told was in memory");
    let x = [u64::from(rsi::HOST_CALL), TOKEN_PAGE];
    let enter = |gprs: &[u64]| {
        run.prepare(0, gprs);
        realm::rec_enter(rec, run.address())
    };
    let (mut calls, mut seen, mut mixed) = (0, [0_u64; 2], 0);
    while calls < CALLS || seen.contains(&0) {
        let entered = enter(&[command::CALL, x[0], x[1]]);
        every.equal("the REC calls", (entered, run.reason()), (Status::SUCCESS, reason::HOST_CALL));
        // The word is zero before the other REC begins, and the IPA width once it was written.
        let immediate = run.exit(field::IMMEDIATE);
        let imm = |turn| pattern(turn, 0) & 0xffff;
        let known = [0, IPA_BITS, imm(0), imm(1)].contains(&immediate);
        every.equal(format_args!("immediate {immediate:#x}"), known, true);
        let mut of = [0; 2];
        for index in 0..GPRS {
            let word = run.exit(field::GPRS + 8 * index as u64);
            let turn = [0, 1].iter().position(|turn| word == pattern(*turn, index + 1));
            if let Some(turn) = turn {
                of[turn] += 1;
            }
            let known = turn.is_some() || word == 0 || word == answer(index);
            every.equal(format_args!("X{index}, {word:#x}"), known, true);
        }
        mixed += u64::from(!of.contains(&0));
        (seen[0], seen[1]) = (seen[0] + of[0], seen[1] + of[1]);
        let entered = enter(&core::array::from_fn::<u64, GPRS, _>(answer));
        let came = (entered, run.reason(), run.exit(field::GPRS + 8));
        every.equal("the call ends", came, (Status::SUCCESS, reason::HOST_CALL, 0));
        // The RMM writes to the same memory.
        let entered = enter(&[command::CALL, rsi::REALM_CONFIG.into(), TOKEN_PAGE]);
        let came = (entered, run.reason(), run.exit(field::GPRS + 8));
        every.equal("its configuration", came, (Status::SUCCESS, reason::HOST_CALL, 0));
        calls += 1;
    }
    DONE.store(1, Ordering::Release);
    say!("{calls} calls, {mixed} of them read while they were changed");
}

/// Runs REC 1.
fn flip() {
    let (rec, run) = Guest::of_rec(1);
    while DONE.load(Ordering::Acquire) == 0 {
        run.prepare(0, &[command::PROGRAM, program::FLIP, TOKEN_PAGE, TURNS]);
        expect(realm::rec_enter(rec, run.address()) == Status::SUCCESS);
        expect((run.reason(), run.exit(field::GPRS)) == (reason::HOST_CALL, command::PROGRAM));
    }
}

/// REC 0 turns the Realm off while REC 1 runs.
pub fn off() {
    let mut guest = Guest::start(2);
    let rd = guest.rd();
    let brought = tables::bring_tables(rd, guest.pool(), SHARED_IPA, 3);
    check::equal("tables", brought, Status::SUCCESS);
    let shared = granule(SHARED);
    let cleared = (0..2).all(|word| probe::write(shared + 8 * word, 0).is_ok());
    check::that("the host writes its own memory", cleared);
    let mapped = tables::map_unprotected(rd, SHARED_IPA, 3, shared | UNPROTECTED);
    check::equal("memory of the host", mapped, Status::SUCCESS);
    cpus::on_every_cpu(|cpu| if cpu == 0 { go_off() } else { go_on() });
    check::equal("what went wrong with the other REC", WRONG.load(Ordering::Acquire), 0);
    let unmapped = tables::unmap_unprotected(rd, SHARED_IPA, 3).0;
    check::equal("it is unmapped", unmapped, Status::SUCCESS);
    let gone = tables::destroy_tables(rd, guest.pool(), SHARED_IPA, 3, 1);
    check::equal("its tables go", gone, Status::SUCCESS);
    guest.destroy();
}

/// RMI_ERROR_REALM for a Realm that is off.
const IS_OFF: Status = Status(ERROR_REALM.0 | 1 << 8);

/// Runs REC 0: SYSTEM_OFF while REC 1 runs. Then REC 1 may continue.
fn go_off() {
    let (rec, run) = Guest::of_rec(0);
    let shared = granule(SHARED);
    cpus::wait_until(|| probe::read(shared + 8) == Ok(1));
    run.prepare(0, &[command::CALL, power::SYSTEM_OFF.into()]);
    let left = (realm::rec_enter(rec, run.address()), run.reason(), run.exit(field::GPRS));
    let expected = (Status::SUCCESS, reason::PSCI, power::SYSTEM_OFF.into());
    check::equal("the Realm goes off", left, expected);
    check::equal("REC 0 is out", realm::rec_enter(rec, run.address()), IS_OFF);
    check::that("REC 1 may go on", probe::write(shared, 1).is_ok());
}

/// Runs REC 1: it calls after the Realm has gone off, leaves, and cannot be entered again.
fn go_on() {
    let (rec, run) = Guest::of_rec(1);
    run.prepare(0, &[command::PROGRAM, program::WAIT, SHARED_IPA]);
    expect(realm::rec_enter(rec, run.address()) == Status::SUCCESS);
    expect((run.reason(), run.exit(field::GPRS)) == (reason::HOST_CALL, command::PROGRAM));
    expect([8, 16].map(|offset| run.exit(field::GPRS + offset)) == [0, 0]);
    for _ in 0..2 {
        expect(realm::rec_enter(rec, run.address()) == IS_OFF);
    }
}
