// SPDX-License-Identifier: BSD-3-Clause
//! RMI_RMM_DEACTIVATE and REALM_CREATE, each at every point of the other. An RMM that is not active
//! has no Realm.
//!
//! Seen to fail: RMI_RMM_DEACTIVATE that looks for Realms before it changes the state.

use std::sync::Arc;

use kit::realm_fixture::*;
use kit::rmi::fixture::SUCCESS;
use rmm::rmi::{Dialect, function};

use crate::interleaved::{Call, call, within};

const ERROR_GLOBAL: u64 = 11;

const CREATE: Call = (function::REALM_CREATE, &[RD, PARAMETERS]);
const DESTROY: Call = (function::REALM_DESTROY, &[RD]);
const TERMINATE: Call = (function::REALM_TERMINATE, &[RD]);
const DEACTIVATE: Call = (function::RMM_DEACTIVATE, &[]);
const ACTIVATE: Call = (function::RMM_ACTIVATE, &[]);

/// An active RMM, whose host is ready to create a Realm.
fn ready() -> Arc<RealmFixture> {
    let fixture = RealmFixture::in_dialect(Dialect::V2_0);
    fixture.delegate(&[RD, ROOT, ROOT + 0x1000]);
    fixture.write_realm(PARAMETERS, &RealmParams::default());
    Arc::new(fixture)
}

/// Whether the RMM serves all commands.
fn is_active(fixture: &RealmFixture) -> bool {
    call(fixture, 0, (function::REALM_ACTIVATE, &[0])) != ERROR_GLOBAL
}

/// Makes each of two calls at every point of the other, after the calls in `before`. `check` gets
/// the answers of `first` and `second`.
fn at_every_point(
    before: &[Call],
    [first, second]: [Call; 2],
    check: impl Fn(&RealmFixture, [u64; 2]),
) {
    for (outer, inner) in [(first, second), (second, first)] {
        let mut points = 0;
        loop {
            let fixture = ready();
            for before in before {
                assert_eq!(call(&fixture, 0, *before), SUCCESS);
            }
            let others = Arc::clone(&fixture);
            let (x0, Some(others_x0)) =
                within(&fixture, outer, points, move || call(&others, 1, inner))
            else {
                break;
            };
            println!("{inner:x?} after {points} points of {outer:x?}: {others_x0}, {x0}");
            check(&fixture, if outer == first { [x0, others_x0] } else { [others_x0, x0] });
            points += 1;
        }
        assert!(points > 0, "{outer:x?} has no point at which another CPU comes in between");
    }
}

#[test]
fn of_a_realm_that_is_created_and_the_end_of_the_active_state_there_is_one() {
    at_every_point(&[], [CREATE, DEACTIVATE], |fixture, answers| {
        let expected =
            if is_active(fixture) { [SUCCESS, ERROR_GLOBAL] } else { [ERROR_GLOBAL, SUCCESS] };
        assert_eq!(answers, expected);
    });
}

#[test]
fn a_realm_that_is_destroyed_keeps_the_rmm_active_until_it_is_gone() {
    at_every_point(&[CREATE, TERMINATE], [DESTROY, DEACTIVATE], |fixture, answers| {
        let deactivated = if is_active(fixture) { ERROR_GLOBAL } else { SUCCESS };
        assert_eq!(answers, [SUCCESS, deactivated]);
        // The count of Realms is right: none too many, none too few.
        call(fixture, 0, ACTIVATE);
        assert_eq!(call(fixture, 0, CREATE), SUCCESS);
        assert_eq!(call(fixture, 0, DEACTIVATE), ERROR_GLOBAL);
        for last in [TERMINATE, DESTROY, DEACTIVATE] {
            assert_eq!(call(fixture, 0, last), SUCCESS);
        }
    });
}
