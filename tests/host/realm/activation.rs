// SPDX-License-Identifier: BSD-3-Clause
//! RMI_RMM_DEACTIVATE and the creation of a Realm, one in the midst of the other: there is no Realm
//! in an RMM that is not active.
//!
//! Seen to fail where RMI_RMM_DEACTIVATE looked for Realms before it changed the state.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use kit::realm_fixture::*;
use kit::rmi::fixture::SUCCESS;
use kit::system::System;
use rmm::host::{Event, Point, schedule};
use rmm::rmi::{Dialect, function};

const ERROR_GLOBAL: u64 = 11;
const VERSION_2_0: u64 = 2 << 16;

/// A command and its arguments.
type Call = (u32, &'static [u64]);
const CREATE: Call = (function::REALM_CREATE, &[RD, PARAMETERS]);
const DESTROY: Call = (function::REALM_DESTROY, &[RD]);
const TERMINATE: Call = (function::REALM_TERMINATE, &[RD]);
const DEACTIVATE: Call = (function::RMM_DEACTIVATE, &[]);
const ACTIVATE: Call = (function::RMM_ACTIVATE, &[]);

thread_local! {
    /// Points that this CPU passes before the other CPU makes its call.
    static LEFT: Cell<usize> = const { Cell::new(0) };
    static OTHER: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

fn reached(point: Point<'_>) {
    if !matches!(point, Point::Access | Point::Event(Event::Smc(_))) {
        return;
    }
    match LEFT.get() {
        0 => {
            if let Some(other) = OTHER.take() {
                other();
            }
        }
        left => LEFT.set(left - 1),
    }
}

fn call(fixture: &RealmFixture, cpu: usize, (function, arguments): Call) -> u64 {
    let mut registers = [0; 8];
    registers[0] = u64::from(function);
    registers[1..=arguments.len()].copy_from_slice(arguments);
    fixture.system.call(&mut System::cpu(cpu), registers)[0]
}

/// An active RMM, whose host is ready to create a Realm.
fn ready() -> Arc<RealmFixture> {
    let fixture = RealmFixture::in_dialect(Dialect::V2_0);
    fixture.delegate(&[RD, ROOT, ROOT + 0x1000]);
    fixture.write_realm(PARAMETERS, &RealmParams::default());
    Arc::new(fixture)
}

/// Has one CPU make a call, and another one a whole call after `points` points of the first. Gives
/// both answers, the second only if the first had so many points.
fn within(
    fixture: &Arc<RealmFixture>,
    outer: Call,
    inner: Call,
    points: usize,
) -> (u64, Option<u64>) {
    let (sender, answer) = std::sync::mpsc::channel();
    let others = Arc::clone(fixture);
    LEFT.set(points);
    OTHER.replace(Some(Box::new(move || {
        let call = move || {
            kit::machine::attach(&others.system.machine);
            call(&others, 1, inner)
        };
        let x0 = std::thread::spawn(call).join().expect("no panic");
        sender.send(x0).expect("the test waits for it");
    })));
    schedule(Some(reached));
    let first = call(fixture, 0, outer);
    schedule(None);
    drop(OTHER.take());
    (first, answer.try_recv().ok())
}

/// Whether the RMM serves all commands.
fn is_active(fixture: &RealmFixture) -> bool {
    assert_eq!(call(fixture, 0, (function::VERSION, &[VERSION_2_0])), SUCCESS);
    call(fixture, 0, (function::REALM_ACTIVATE, &[0])) != ERROR_GLOBAL
}

#[test]
fn of_a_realm_that_is_created_and_the_end_of_the_active_state_there_is_one() {
    for (outer, inner) in [(DEACTIVATE, CREATE), (CREATE, DEACTIVATE)] {
        let mut points = 0;
        loop {
            let fixture = ready();
            let (first, second) = within(&fixture, outer, inner, points);
            let Some(second) = second else { break };
            let of = |call: Call| if call == outer { first } else { second };
            let expected =
                if is_active(&fixture) { (SUCCESS, ERROR_GLOBAL) } else { (ERROR_GLOBAL, SUCCESS) };
            let answers = (of(CREATE), of(DEACTIVATE));
            assert_eq!(answers, expected, "{inner:x?} after {points} points of {outer:x?}");
            points += 1;
        }
        assert!(points > 0, "{outer:x?} has no point at which another CPU comes in between");
    }
}

#[test]
fn a_realm_that_is_destroyed_keeps_the_rmm_active_until_it_is_gone() {
    for (outer, inner) in [(DEACTIVATE, DESTROY), (DESTROY, DEACTIVATE)] {
        let mut points = 0;
        loop {
            let fixture = ready();
            for before in [CREATE, TERMINATE] {
                assert_eq!(call(&fixture, 0, before), SUCCESS);
            }
            let (first, second) = within(&fixture, outer, inner, points);
            let Some(second) = second else { break };
            let (destroyed, deactivated) =
                if outer == DESTROY { (first, second) } else { (second, first) };
            assert_eq!(destroyed, SUCCESS);
            let expected = if is_active(&fixture) { ERROR_GLOBAL } else { SUCCESS };
            assert_eq!(deactivated, expected, "{inner:x?} after {points} points of {outer:x?}");
            // No count is lost either way.
            call(&fixture, 0, ACTIVATE);
            assert_eq!(call(&fixture, 0, CREATE), SUCCESS);
            assert_eq!(call(&fixture, 0, DEACTIVATE), ERROR_GLOBAL);
            for last in [TERMINATE, DESTROY, DEACTIVATE] {
                assert_eq!(call(&fixture, 0, last), SUCCESS);
            }
            points += 1;
        }
        assert!(points > 0, "{outer:x?} has no point at which another CPU comes in between");
    }
}
