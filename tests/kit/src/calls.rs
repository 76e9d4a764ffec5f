// SPDX-License-Identifier: BSD-3-Clause
//! A model Realm that calls the RMM by SMC. The switch of the host seam stands for its code.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::realm_fixture::{HOSTS, RealmFixture};
use crate::rmi::fixture::SUCCESS;
use rmm::host::{preset_register, set_realm};
use rmm::realm::rec::Registers;
use rmm::rmi::function;

/// X0 to X30.
pub type Gprs = [u64; 31];

/// ESR_EL2 of an SMC.
const SMC: u64 = 0x17 << 26 | 1 << 25;
/// Answers of the switch: the vector that the Realm's exception takes.
const SYNCHRONOUS: u64 = 0;
const IRQ: u64 = 1;

/// The registers with which the REC went on after its call. `None` if it left to the host.
pub type Called = Option<Gprs>;

/// The registers for a call: `x` from X0 on, and a mark in every other one.
pub fn registers(x: &[u64]) -> Gprs {
    let mut gprs: Gprs = core::array::from_fn(|index| 0x5ea1_0000_0000_0000 | index as u64);
    gprs[..x.len()].copy_from_slice(x);
    gprs
}

/// Enters a REC, which calls with these registers. If the RMM answers the call itself, an interrupt
/// ends the run.
pub fn call(fixture: &RealmFixture, rec: u64, gprs: Gprs) -> Called {
    let before = Cell::new(0);
    let answer = Rc::new(RefCell::new(None));
    let seen = Rc::clone(&answer);
    let mut has_called = false;
    set_realm(move |registers| {
        if has_called {
            assert_eq!(registers.pc, before.get() + 4, "it goes on behind the SMC");
            *seen.borrow_mut() = Some(registers.gprs);
            return IRQ;
        }
        has_called = true;
        before.set(registers.pc);
        registers.gprs = gprs;
        preset_register("ESR_EL2", SMC);
        SYNCHRONOUS
    });
    enter(fixture, rec);
    answer.borrow_mut().take()
}

/// Enters a REC that has left, and gives the registers it goes on with. An interrupt then ends the
/// run. `None` if the REC leaves again before it runs.
pub fn resume(fixture: &RealmFixture, rec: u64) -> Option<Registers> {
    let seen = Rc::new(RefCell::new(None));
    let log = Rc::clone(&seen);
    set_realm(move |registers| {
        *log.borrow_mut() = Some(*registers);
        IRQ
    });
    enter(fixture, rec);
    seen.borrow_mut().take()
}

fn enter(fixture: &RealmFixture, rec: u64) {
    assert_eq!(fixture.call(function::REC_ENTER, &[rec, HOSTS]), SUCCESS);
}

/// A word of the exit record.
pub fn exit(fixture: &RealmFixture, offset: u64) -> u64 {
    fixture.system.machine.ns_read(HOSTS + 0x800 + offset).expect("the host's own memory")
}

/// Asserts every word of the exit record but those of timers and interrupts.
pub fn assert_exit(fixture: &RealmFixture, what: &str, words: &[(u64, u64)]) {
    for offset in (0..0x800).step_by(8).filter(|offset| !(0x300..0x420).contains(offset)) {
        let expected = words.iter().find(|(at, _)| *at == offset).map_or(0, |(_, word)| *word);
        assert_eq!(exit(fixture, offset), expected, "{what}: exit record at {offset:#x}");
    }
}
