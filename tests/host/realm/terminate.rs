// SPDX-License-Identifier: BSD-3-Clause
//! RMI_REALM_TERMINATE fails while a REC of the Realm runs. A terminated Realm never runs again.
//!
//! Seen to fail: no check for running RECs, and a check of the RECs of all Realms.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kit::realm_fixture::*;
use kit::rmi::fixture::SUCCESS;
use rmm::host::set_realm;
use rmm::realm::rd::RealmState;
use rmm::rmi::{Dialect, function};

use crate::interleaved::{Call, call, within};

/// The vector of interrupts.
const IRQ: u64 = 1;

const ENTER: Call = (function::REC_ENTER, &[REC, HOSTS]);
const TERMINATE: Call = (function::REALM_TERMINATE, &[RD]);
const TERMINATE_OTHER: Call = (function::REALM_TERMINATE, &[OTHER_RD]);

/// A machine with an ACTIVE Realm that has a REC.
struct World {
    fixture: RealmFixture,
    terminated: AtomicBool,
}

impl World {
    fn new() -> Arc<Self> {
        let fixture = RealmFixture::in_dialect(Dialect::V2_0);
        fixture.realm(RD, ROOT, 0);
        fixture.rec(RD, REC, AUX, 0);
        fixture.activate();
        Arc::new(Self { fixture, terminated: AtomicBool::new(false) })
    }

    fn call(self: &Arc<Self>, cpu: usize, what: Call) -> u64 {
        let world = Arc::clone(self);
        set_realm(move |_| {
            assert!(!world.terminated.load(Ordering::SeqCst), "a terminated Realm runs");
            IRQ
        });
        let x0 = call(&self.fixture, cpu, what);
        if what == TERMINATE && x0 == SUCCESS {
            self.terminated.store(true, Ordering::SeqCst);
        }
        x0
    }

    fn state(&self) -> RealmState {
        self.fixture.with_realm(RD, |realm| realm.state())
    }
}

#[test]
fn a_realm_is_not_terminated_while_a_rec_of_it_runs() {
    let world = World::new();
    // A REC of another Realm does not matter.
    world.fixture.realm(OTHER_RD, OTHER_ROOT, 0);
    let others = Arc::clone(&world);
    set_realm(move |_| {
        let inner = Arc::clone(&others);
        let terminate = move || {
            kit::machine::attach(&inner.fixture.system.machine);
            assert_eq!(call(&inner.fixture, 1, TERMINATE_OTHER), SUCCESS);
            call(&inner.fixture, 1, TERMINATE)
        };
        assert_eq!(std::thread::spawn(terminate).join().expect("no panic"), ERROR_REALM);
        IRQ
    });
    for _ in 0..2 {
        assert_eq!(call(&world.fixture, 0, ENTER), SUCCESS);
        assert_eq!(world.state(), RealmState::Active, "nothing has changed");
    }
    assert_eq!(call(&world.fixture, 0, TERMINATE), SUCCESS);
    assert_eq!(world.state(), RealmState::Zombie);
    set_realm(|_| panic!("a terminated Realm runs"));
    assert_eq!(call(&world.fixture, 0, ENTER), ERROR_REALM);
    // A second call changes nothing.
    assert_eq!(call(&world.fixture, 0, TERMINATE), SUCCESS);
}

#[test]
fn a_refused_entry_keeps_no_realm_from_its_end() {
    let world = World::new();
    let wrong_flags = u64::MAX;
    world.fixture.write(HOSTS, 0, wrong_flags);
    assert_eq!(world.call(0, ENTER), ERROR_REC);
    assert_eq!(world.call(0, TERMINATE), SUCCESS);
}

#[test]
fn entry_and_termination_come_in_at_every_point_of_each_other() {
    let mut seen = Vec::new();
    for (outer, inner) in [(TERMINATE, ENTER), (ENTER, TERMINATE)] {
        // With and without an earlier entry, at which the REC reads properties of its Realm.
        for entered_before in [false, true] {
            let mut points = 0;
            loop {
                let world = World::new();
                if entered_before {
                    assert_eq!(world.call(1, ENTER), SUCCESS);
                }
                let others = Arc::clone(&world);
                let on_this = Arc::clone(&world);
                set_realm(move |_| {
                    assert!(!on_this.terminated.load(Ordering::SeqCst), "a terminated Realm runs");
                    IRQ
                });
                let (x0, Some(others_x0)) =
                    within(&world.fixture, outer, points, move || others.call(1, inner))
                else {
                    break;
                };
                let (entered, terminated) =
                    if outer == ENTER { (x0, others_x0) } else { (others_x0, x0) };
                let expected = match terminated {
                    SUCCESS => RealmState::Zombie,
                    _ => RealmState::Active,
                };
                println!("{inner:x?} after {points} points of {outer:x?}: {others_x0}, {x0}");
                assert_eq!(world.state(), expected);
                assert!(
                    matches!(
                        (entered, terminated),
                        (SUCCESS, SUCCESS | ERROR_REALM) | (ERROR_REALM, SUCCESS)
                    ),
                    "{entered:#x}, {terminated:#x}"
                );
                seen.push((entered, terminated));
                assert_eq!(world.call(0, TERMINATE), SUCCESS);
                assert_eq!(world.call(0, ENTER), ERROR_REALM);
                points += 1;
            }
            assert!(points > 0, "{outer:x?} has no point");
        }
    }
    for answers in [(SUCCESS, SUCCESS), (SUCCESS, ERROR_REALM), (ERROR_REALM, SUCCESS)] {
        assert!(seen.contains(&answers), "{answers:x?} never happened");
    }
}
