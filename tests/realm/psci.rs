// SPDX-License-Identifier: BSD-3-Clause
//! RMI_PSCI_COMPLETE on RECs that wait for it, which are made to here: none has run.

use rmm::granule::state::Rec;
use rmm::host::system::System;
use rmm::realm::rec::{Mpidr, PendingRequest};
use rmm::rmi::function;

use crate::fixture::{ERROR_INPUT, SUCCESS, granule};
use crate::world::*;

const DENIED: u64 = 3_u64.wrapping_neg();
const ALREADY_ON: u64 = 4_u64.wrapping_neg();
const BIG_ENDIAN: u64 = 1 << 25;

/// A Realm whose first REC waits for `pending`, and whose second one is on or off.
fn waiting(pending: impl FnOnce(Mpidr) -> PendingRequest, second_is_on: bool) -> World {
    let world = World::new();
    world.realm(RD, ROOT, 1);
    world.rec(RD, REC, AUX, 0);
    world.rec(RD, SECOND_REC, SECOND_AUX, 1);
    world.with_rec(REC, |rec| {
        rec.pending = pending(Mpidr::new(1).expect("no reserved bit"));
        rec.registers.sctlr_el1 |= BIG_ENDIAN;
        rec.registers.gprs = [77; 31];
    });
    world.with_rec(SECOND_REC, |rec| {
        rec.runnable = second_is_on;
        rec.registers.gprs = [88; 31];
    });
    world
}

fn cpu_on(target: Mpidr) -> PendingRequest {
    PendingRequest::CpuOn { target, entry: 0x4_2000, context: 0xc0_ffee }
}

fn affinity_info(target: Mpidr) -> PendingRequest {
    PendingRequest::AffinityInfo { target }
}

/// Completes with `status`, and expects `result` for the caller.
fn completes(world: &World, status: u64, result: u64) {
    assert_eq!(world.call(function::PSCI_COMPLETE, &[REC, SECOND_REC, status]), SUCCESS);
    world.with_rec(REC, |rec| {
        assert_eq!(rec.registers.gprs[..5], [result, 0, 0, 0, 77]);
        assert_eq!(rec.pending, PendingRequest::None);
    });
    world.refused(
        function::PSCI_COMPLETE,
        &[REC, SECOND_REC, status],
        ERROR_INPUT,
        "completed already",
    );
}

#[test]
fn a_rec_that_is_off_is_switched_on_as_the_caller_asked() {
    let world = waiting(cpu_on, false);
    completes(&world, SUCCESS, 0);
    world.with_rec(SECOND_REC, |rec| {
        assert!(rec.runnable);
        assert_eq!((rec.registers.pc, rec.registers.gprs[0]), (0x4_2000, 0xc0_ffee));
        assert_eq!(rec.registers.gprs[1..], [0; 30]);
        assert_eq!(
            rec.registers.sctlr_el1 & BIG_ENDIAN,
            BIG_ENDIAN,
            "the byte order is the caller's"
        );
        assert_eq!(rec.registers.pstate, 0x3c5);
    });
}

#[test]
fn the_host_may_deny_to_switch_a_rec_on() {
    let world = waiting(cpu_on, false);
    completes(&world, DENIED, DENIED);
    world.with_rec(SECOND_REC, |rec| assert!(!rec.runnable && rec.registers.gprs == [88; 31]));
}

#[test]
fn a_rec_that_is_on_stays_as_it_is_and_its_host_cannot_deny_it() {
    let world = waiting(cpu_on, true);
    world.refused(function::PSCI_COMPLETE, &[REC, SECOND_REC, DENIED], ERROR_INPUT, "denied");
    completes(&world, SUCCESS, ALREADY_ON);
    world.with_rec(SECOND_REC, |rec| assert!(rec.runnable && rec.registers.gprs == [88; 31]));
}

#[test]
fn a_rec_that_runs_is_on() {
    for (pending, result) in
        [(cpu_on as fn(Mpidr) -> PendingRequest, ALREADY_ON), (affinity_info, 0)]
    {
        let world = waiting(pending, false);
        let cpu = System::cpu(1);
        let locked = world.system.rmm.granules().lock::<Rec>(cpu.index, granule(SECOND_REC));
        let running = locked.expect("a REC").reference().expect("it does not run");
        completes(&world, SUCCESS, result);
        drop(running);
        world.with_rec(SECOND_REC, |rec| assert!(!rec.runnable));
    }
}

#[test]
fn affinity_info_says_whether_the_rec_is_on() {
    for (is_on, result) in [(true, 0), (false, 1)] {
        completes(&waiting(affinity_info, is_on), SUCCESS, result);
    }
}
