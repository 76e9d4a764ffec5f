// SPDX-License-Identifier: BSD-3-Clause
//! What a round trip of RMI_REC_ENTER costs: barriers, maps, and cache lines shared with other
//! CPUs.
//!
//! Seen to fail: an entry that reads the RD.

use std::collections::BTreeSet;
use std::sync::Barrier;

use kit::realm_fixture::*;
use kit::rmi::fixture::{FIRST, SECOND, SUCCESS};
use kit::system::System;
use rmm::abi::rsi::function as rsi;
use rmm::arch::smc::Registers;
use rmm::host::atomic::{self, Access};
use rmm::host::{Event, preset_register, record, set_realm};
use rmm::rmi::function;

/// A page of RAM for each REC. Their tables and granules have records in different cache lines.
const RAM: [u64; 2] = [0x1000, 0x2000];
const TABLES: [u64; 2] = [SPARE, SPARE + 0x1000];
const MEMORY: [u64; 2] = [FIRST.0 + 0x3_c000, FIRST.0 + 0x5_e000];
/// A REC whose record in the granule array is in another cache line than that of [`REC`], and the
/// run pages of both.
const FAR_REC: u64 = SECOND.0 + 0xf000;
const PAGES: [u64; 2] = [HOSTS, FIRST.0 + 0x5_f000];

/// Bytes of a cache line.
const LINE: usize = 64;

/// How a REC leaves.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    Interrupt,
    Exception,
    HostCall,
}

const ALL: [Leaves; 3] = [Leaves::Interrupt, Leaves::Exception, Leaves::HostCall];

/// An ACTIVE Realm with two RECs and a page.
fn realm() -> RealmFixture {
    let fixture = RealmFixture::new();
    fixture.realm(RD, ROOT, 1);
    fixture.rec(RD, REC, AUX, 0);
    fixture.rec(RD, FAR_REC, SECOND_AUX, 1);
    fixture.delegate(&TABLES);
    fixture.delegate(&MEMORY);
    for (function, arguments) in [
        (function::RTT_CREATE, [RD, TABLES[0], 0, 2]),
        (function::RTT_CREATE, [RD, TABLES[1], 0, 3]),
        (function::RTT_INIT_RIPAS, [RD, RAM[0], RAM[1] + 0x1000, 0]),
        (function::DATA_CREATE_UNKNOWN, [RD, MEMORY[0], RAM[0], 0]),
        (function::DATA_CREATE_UNKNOWN, [RD, MEMORY[1], RAM[1], 0]),
        (function::REALM_ACTIVATE, [RD, 0, 0, 0]),
    ] {
        call(&fixture.system, 0, function, arguments);
    }
    for page in PAGES {
        for offset in (0..0x1000).step_by(8) {
            fixture.write(page, offset, 0);
        }
    }
    fixture
}

/// Calls on a CPU. The call must succeed.
fn call(system: &System<'_>, cpu: usize, function: u32, [a, b, c, d]: [u64; 4]) {
    let registers: Registers = [u64::from(function), a, b, c, d, 0, 0, 0];
    assert_eq!(system.call(&mut System::cpu(cpu), registers)[0], SUCCESS, "{function:#x}");
}

/// Makes the REC of this thread leave this way each time it runs. Its host calls are in `page`.
fn leave(how: Leaves, page: u64) {
    set_realm(move |registers| {
        registers.gprs[0] = u64::from(rsi::HOST_CALL);
        registers.gprs[1] = page + 0x100;
        // A load at an unprotected IPA.
        preset_register("HPFAR_EL2", 1 << (39 - 8));
        let (vector, esr) = match how {
            Leaves::Interrupt => (1, 0),
            Leaves::Exception => (0, 0x24 << 26 | 1 << 25 | 0b101),
            Leaves::HostCall => (0, 0x17 << 26),
        };
        preset_register("ESR_EL2", esr);
        vector
    });
}

/// The number of groups of descriptors that map something, between barriers.
fn groups_of_maps(events: &[Event]) -> usize {
    const VALID: u64 = 1;
    let (mut groups, mut is_in_group) = (0, false);
    for event in events {
        match event {
            Event::Descriptor(_, value) if value & VALID != 0 => {
                groups += usize::from(!is_in_group);
                is_in_group = true;
            }
            Event::Descriptor(..) | Event::Instruction(..) => is_in_group = false,
            _ => {}
        }
    }
    groups
}

#[test]
fn a_round_trip_takes_few_isbs_and_maps_once() {
    let fixture = realm();
    for how in ALL {
        leave(how, RAM[0]);
        let enter = || call(&fixture.system, 0, function::REC_ENTER, [REC, PAGES[0], 0, 0]);
        // A REC reads some properties of its Realm only at its first entry.
        enter();
        let ((), events) = record(enter);
        let isbs =
            events.iter().filter(|event| matches!(event, Event::Instruction("isb", _))).count();
        assert!(isbs <= 8, "{how:?}: {isbs} ISBs");
        // One group for the REC and the run page. For a host call, one to lock and read the call's
        // page, and one to write the answer.
        let groups = if matches!(how, Leaves::HostCall) { 3 } else { 1 };
        assert_eq!(groups_of_maps(&events), groups, "{how:?}: {events:x?}");
    }
}

#[test]
fn recs_of_a_realm_on_two_cpus_share_no_lock_and_no_line_that_is_written() {
    const ROUNDS: usize = 100;
    let fixture = realm();
    let system = &fixture.system;
    for how in ALL {
        let start = Barrier::new(2);
        let run = |cpu: usize, rec: u64| -> Vec<Access> {
            kit::machine::attach(&system.machine);
            leave(how, RAM[cpu]);
            let enter = || call(system, cpu, function::REC_ENTER, [rec, PAGES[cpu], 0, 0]);
            enter();
            start.wait();
            atomic::record(|| (0..ROUNDS).for_each(|_| enter())).1
        };
        let [first, second] = std::thread::scope(|scope| {
            let threads =
                [(0, REC), (1, FAR_REC)].map(|(cpu, rec)| scope.spawn(move || run(cpu, rec)));
            threads.map(|thread| thread.join().expect("no panic"))
        });
        let lines = |accesses: &[Access], written: bool| -> BTreeSet<usize> {
            let of_kind = accesses.iter().filter(|access| access.write || !written);
            of_kind.map(|access| access.address / LINE).collect()
        };
        for (one, other) in [(&first, &second), (&second, &first)] {
            let shared: Vec<_> =
                lines(one, true).intersection(&lines(other, false)).copied().collect();
            assert!(shared.is_empty(), "{how:?}: lines {shared:x?} of {}", lines(one, false).len());
            assert!(!lines(one, true).is_empty(), "{how:?}: the lock of the REC is written");
        }
    }
}

#[test]
fn what_another_rmm_takes_from_its_realms_is_nothing_to_a_rec_of_this_one() {
    let (this, other) = (realm(), RealmFixture::new());
    leave(Leaves::Interrupt, RAM[0]);
    kit::machine::attach(&this.system.machine);
    let enter = || call(&this.system, 0, function::REC_ENTER, [REC, PAGES[0], 0, 0]);
    enter();
    let before = atomic::record(enter).1;
    for vmid in 0..=u16::MAX {
        other.system.rmm.granules().epochs().end(vmid);
    }
    assert_eq!(atomic::record(enter).1, before);
    this.system.rmm.granules().epochs().end(1);
    assert_ne!(atomic::record(enter).1, before, "it looks at the RD");
}
