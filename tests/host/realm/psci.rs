// SPDX-License-Identifier: BSD-3-Clause
//! RMI_PSCI_COMPLETE on RECs with a pending PSCI request, which the test sets: none has run.

use kit::system::System;
use rmm::granule::state::Rec;
use rmm::realm::rec::{Mpidr, PendingRequest};
use rmm::rmi::{Dialect, function};

use kit::realm_fixture::*;
use kit::rmi::fixture::{ERROR_INPUT, SUCCESS, granule};

const DENIED: u64 = 3_u64.wrapping_neg();
const ALREADY_ON: u64 = 4_u64.wrapping_neg();
const BIG_ENDIAN: u64 = 1 << 25;

/// A Realm whose first REC has the request `pending`, with a second REC that is on or off.
fn waiting(pending: impl FnOnce(Mpidr) -> PendingRequest, second_is_on: bool) -> RealmFixture {
    waiting_in(Dialect::V1_0, pending, second_is_on)
}

fn waiting_in(
    dialect: Dialect,
    pending: impl FnOnce(Mpidr) -> PendingRequest,
    second_is_on: bool,
) -> RealmFixture {
    let fixture = RealmFixture::in_dialect(dialect);
    fixture.realm(RD, ROOT, 1);
    fixture.rec(RD, REC, AUX, 0);
    fixture.rec(RD, SECOND_REC, SECOND_AUX, 1);
    fixture.with_rec(REC, |rec| {
        rec.state.pending = pending(Mpidr::new(1).expect("no reserved bit"));
        rec.state.registers.el1.sctlr |= BIG_ENDIAN;
        rec.state.registers.gprs = [77; 31];
    });
    fixture.with_rec(SECOND_REC, |rec| {
        rec.state.runnable = second_is_on;
        rec.state.registers.gprs = [88; 31];
    });
    fixture
}

fn cpu_on(target: Mpidr) -> PendingRequest {
    PendingRequest::CpuOn { target, entry: 0x4_2000, context: 0xc0_ffee }
}

fn affinity_info(target: Mpidr) -> PendingRequest {
    PendingRequest::AffinityInfo { target }
}

/// Completes the request with `status`, and expects `result` for the caller.
fn completes(fixture: &RealmFixture, status: u64, result: u64) {
    assert_eq!(fixture.call(function::PSCI_COMPLETE, &[REC, SECOND_REC, status]), SUCCESS);
    fixture.with_rec(REC, |rec| {
        assert_eq!(rec.state.registers.gprs[..5], [result, 0, 0, 0, 77]);
        assert_eq!(rec.state.pending, PendingRequest::None);
    });
    fixture.refused(
        function::PSCI_COMPLETE,
        &[REC, SECOND_REC, status],
        ERROR_INPUT,
        "completed already",
    );
}

#[test]
fn a_rec_that_is_off_is_switched_on_as_the_caller_asked() {
    let fixture = waiting(cpu_on, false);
    completes(&fixture, SUCCESS, 0);
    fixture.with_rec(SECOND_REC, |rec| {
        assert!(rec.state.runnable);
        assert_eq!((rec.state.registers.pc, rec.state.registers.gprs[0]), (0x4_2000, 0xc0_ffee));
        assert_eq!(rec.state.registers.gprs[1..], [0; 30]);
        assert_eq!(
            rec.state.registers.el1.sctlr & BIG_ENDIAN,
            BIG_ENDIAN,
            "the byte order is the caller's"
        );
        assert_eq!(rec.state.registers.pstate, 0x3c5);
    });
}

#[test]
fn the_host_may_deny_to_switch_a_rec_on() {
    let fixture = waiting(cpu_on, false);
    completes(&fixture, DENIED, DENIED);
    fixture.with_rec(SECOND_REC, |rec| {
        assert!(!rec.state.runnable && rec.state.registers.gprs == [88; 31])
    });
}

#[test]
fn a_rec_that_is_on_stays_as_it_is_and_its_host_cannot_deny_it() {
    for (status, answer) in [(SUCCESS, SUCCESS), (DENIED, ERROR_INPUT)] {
        let fixture = waiting(cpu_on, true);
        assert_eq!(fixture.call(function::PSCI_COMPLETE, &[REC, SECOND_REC, status]), answer);
        // The caller goes on, whatever status the host gave.
        fixture.with_rec(REC, |rec| {
            assert_eq!(rec.state.registers.gprs[..5], [ALREADY_ON, 0, 0, 0, 77]);
            assert_eq!(rec.state.pending, PendingRequest::None);
        });
        fixture.with_rec(SECOND_REC, |rec| {
            assert!(rec.state.runnable && rec.state.registers.gprs == [88; 31])
        });
    }
}

#[test]
fn a_rec_that_runs_is_on() {
    for (pending, result) in
        [(cpu_on as fn(Mpidr) -> PendingRequest, ALREADY_ON), (affinity_info, 0)]
    {
        let fixture = waiting(pending, false);
        let cpu = System::cpu(1);
        let locked = fixture.system.rmm.granules().lock::<Rec>(cpu.index, granule(SECOND_REC));
        let running = locked.expect("a REC").reference().expect("it does not run");
        completes(&fixture, SUCCESS, result);
        drop(running);
        fixture.with_rec(SECOND_REC, |rec| assert!(!rec.state.runnable));
    }
}

#[test]
fn affinity_info_says_whether_the_rec_is_on() {
    for (is_on, result) in [(true, 0), (false, 1)] {
        completes(&waiting(affinity_info, is_on), SUCCESS, result);
    }
}

#[test]
fn hosts_of_rmi_2_0_complete_a_call_with_the_other_rec_or_without() {
    for (arguments, second_is_on, result) in [
        (&[REC, SECOND_REC, SUCCESS][..], false, SUCCESS),
        (&[REC, SUCCESS], false, SUCCESS),
        (&[REC, DENIED], false, DENIED),
        (&[REC, SECOND_REC, DENIED], false, DENIED),
        (&[REC, SUCCESS], true, ALREADY_ON),
    ] {
        let fixture = waiting_in(Dialect::V2_0, cpu_on, second_is_on);
        for wrong in [&[REC, 5][..], &[REC, REC, SUCCESS], &[SECOND_REC, SUCCESS], &[RD, SUCCESS]] {
            fixture.refused(function::PSCI_COMPLETE, wrong, ERROR_INPUT, "wrong");
        }
        assert_eq!(fixture.call(function::PSCI_COMPLETE, arguments), SUCCESS, "{arguments:x?}");
        fixture.with_rec(REC, |rec| assert_eq!(rec.state.registers.gprs[0], result));
        let runnable = fixture.with_rec(SECOND_REC, |rec| rec.state.runnable);
        assert_eq!(runnable, result != DENIED);
    }
}
