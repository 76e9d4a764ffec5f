// SPDX-License-Identifier: BSD-3-Clause
//! Long commands while an interrupt is pending for the host. Each does a single step and reports
//! where it stopped, and the host continues.

use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::say;

use crate::check::{self, Every};
use crate::memory::granule;
use crate::realm::{self, Shape};
use crate::rmi::{self, Dialect, Status};
use crate::tables::{self, Pool, RAM, UNASSIGNED};
use crate::{gic, smc};

/// The bytes that a table of level 3 maps.
const TABLE: u64 = 512 * GRANULE;
/// Instructions after which a command must have ended if an interrupt is pending: more than one
/// measured entry takes, less than two.
const BOUND: u64 = 4_000;

/// Long commands of the dialect of this run, with an interrupt pending and without.
pub fn interrupts() {
    rmi::activate();
    gic::enable();
    check::equal("no interrupt is pending", gic::is_pending(), false);
    match Dialect::current() {
        Dialect::One => init_ripas(),
        Dialect::Two => ranges(),
    }
}

/// Calls `command` until it has come from `base` to `top`. Gives the number of calls and the
/// largest number of instructions of one.
fn repeat(
    every: &mut Every<'_>,
    base: u64,
    top: u64,
    command: impl Fn(u64) -> (Status, u64),
) -> (u64, u64) {
    let (mut at, mut calls, mut most) = (base, 0, 0);
    while at < top {
        let (status, next) = command(at);
        most = smc::last_visit().last.max(most);
        every.equal(
            format_args!("from {at:#x}"),
            (status, next > at && next <= top),
            (Status::SUCCESS, true),
        );
        if next <= at || next > top {
            break;
        }
        (at, calls) = (next, calls + 1);
    }
    (calls, most)
}

fn init_ripas() {
    let (parameters, rd, root, pool) = (granule(0), granule(1), granule(16), granule(32));
    let delegated = realm::delegate(rd, 1)
        && realm::delegate(root, 2)
        && realm::delegate(pool, Pool::GRANULES as u64);
    check::that("granules are delegated", delegated);
    check::equal("a Realm", realm::create(rd, parameters, Shape::USUAL, root, 1), Status::SUCCESS);
    let mut pool = Pool::new(pool);
    for (ipa, pending, expected) in [(0, false, 1), (TABLE, true, 512)] {
        check::equal(
            "a table of level 3",
            tables::bring_tables(rd, &mut pool, ipa, 3),
            Status::SUCCESS,
        );
        gic::set_pending(pending);
        check::equal("an interrupt is pending", gic::is_pending(), pending);
        let mut every = Every::new("RMI_RTT_INIT_RIPAS goes on from where it stopped");
        let (calls, most) =
            repeat(&mut every, ipa, ipa + TABLE, |at| tables::init_ripas(rd, at, ipa + TABLE));
        drop(every);
        gic::set_pending(false);
        check::equal("in as many calls as it must", calls, expected);
        say!("   a table of level 3 in {calls} calls of up to {most} instructions");
        check::equal("each ends soon if an interrupt is pending", most <= BOUND, pending);
        let mut every = Every::new("every entry is RAM");
        for page in (ipa..ipa + TABLE).step_by(GRANULE as usize) {
            let entry = (3, UNASSIGNED, 0, RAM);
            every.equal(
                format_args!("{page:#x}"),
                tables::read_entry(rd, page, 3),
                (Status::SUCCESS, entry),
            );
        }
    }
}

fn ranges() {
    const COUNT: u64 = 64;
    let (base, top) = (granule(0), granule(COUNT));
    for (pending, expected) in [(false, 1), (true, COUNT)] {
        gic::set_pending(pending);
        check::equal("an interrupt is pending", gic::is_pending(), pending);
        for (what, command) in [
            ("delegated", rmi::range_delegate as fn(u64, u64) -> (Status, u64)),
            ("undelegated", rmi::range_undelegate),
        ] {
            let mut every = Every::new("a range goes on from where it stopped");
            let (calls, _) = repeat(&mut every, base, top, |at| command(at, top));
            drop(every);
            check::equal(format_args!("{what} in as many calls as it must be"), calls, expected);
        }
    }
    gic::set_pending(false);
}
