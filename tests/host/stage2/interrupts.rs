// SPDX-License-Identifier: BSD-3-Clause
//! Commands that change one entry after the other end when an interrupt is pending. The host waits
//! for one entry at most and goes on where the RMM says. The final result, with the measurement, is
//! the same as without interrupts.

use rmm::host::{Event, observe, preset_register};
use rmm::rmi::function;

use kit::stage2::host::{FIQ, Host, LOW};
use kit::stage2::model::{GRANULE, Pending, RAM, SUCCESS};

const RD: u64 = LOW.0 + 0x10_0000;
const REC: u64 = RD + 0x1000;
/// The end of the range: pages of a table of level 3.
const TOP: u64 = 0x20 * GRANULE;
/// The descriptor of an UNASSIGNED entry with RIPAS RAM.
const UNASSIGNED_RAM: u64 = 1 << 4;

/// A NEW Realm with a table of level 3 at 0, and a REC that has asked for RIPAS RAM.
fn setup() -> Host {
    let mut host = Host::boot();
    for address in (RD..RD + 0x2_0000).step_by(0x1000) {
        host.delegate(address);
    }
    host.create_realm(RD, RD + 0x1_0000, (40, 1, false), 1);
    host.create_rec(RD, REC);
    for level in [2, 3] {
        assert_eq!(
            host.call(function::RTT_CREATE, [RD, RD + 0x1_8000 + level * GRANULE, 0, level, 0]),
            SUCCESS
        );
    }
    host.request(REC, Some(Pending { base: 0, top: TOP, ripas: RAM, change_destroyed: false }));
    host
}

/// A command with its arguments, for a range from this base.
type Command = fn(u64) -> (u32, [u64; 5]);

const COMMANDS: [Command; 2] = [
    |base| (function::RTT_INIT_RIPAS, [RD, base, TOP, 0, 0]),
    |base| (function::RTT_SET_RIPAS, [RD, REC, base, TOP, 0]),
];

#[test]
fn with_an_interrupt_pending_each_call_changes_one_entry() {
    for command in COMMANDS {
        let mut host = setup();
        host.interrupt(true);
        for base in (0..TOP).step_by(0x1000) {
            let (function, arguments) = command(base);
            // Compared with the model.
            assert_eq!(host.call(function, arguments), SUCCESS);
            assert_eq!(
                host.model.realms[&RD].leaf(base),
                (3, kit::stage2::model::Entry::Unassigned(RAM))
            );
        }
        host.check_everything();
    }
}

#[test]
fn a_call_that_makes_no_progress_says_so_whether_or_not_an_interrupt_is_pending() {
    let mut host = setup();
    assert_eq!(host.call(function::DATA_CREATE_UNKNOWN, [RD, RD + 0x1_9000, 0, 0, 0]), SUCCESS);
    for pending in [false, true] {
        host.interrupt(pending);
        assert_eq!(
            host.call(function::RTT_INIT_RIPAS, [RD, 0, TOP, 0, 0]),
            kit::stage2::model::error_rtt(3)
        );
    }
}

#[test]
fn an_interrupt_that_comes_meanwhile_ends_the_command_after_the_entry_that_it_came_at() {
    for command in COMMANDS {
        for entries in [1, 2, 7, 31, 32] {
            let mut host = setup();
            let mut left = entries;
            observe(Some(Box::new(move |event| {
                if matches!(event, Event::Descriptor(_, UNASSIGNED_RAM)) {
                    left -= 1;
                    if left == 0 {
                        preset_register("ISR_EL1", FIQ);
                    }
                }
            })));
            let (function, arguments) = command(0);
            let [status, reached, ..] = host.raw_call(function, &arguments);
            assert_eq!((status, reached), (SUCCESS, entries * GRANULE));
        }
    }
}

#[test]
fn the_measurement_is_that_of_one_call_however_often_the_host_had_to_go_on() {
    let measured = |interrupts: &dyn Fn(u64) -> bool| {
        let (mut host, mut base, mut calls) = (setup(), 0, 0);
        while base < TOP {
            preset_register("ISR_EL1", if interrupts(base) { FIQ } else { 0 });
            let [status, reached, ..] = host.raw_call(function::RTT_INIT_RIPAS, &[RD, base, TOP]);
            assert_eq!(status, SUCCESS);
            assert!(reached > base && reached <= TOP, "{reached:#x}");
            (base, calls) = (reached, calls + 1);
        }
        (host.measurement(RD), calls)
    };
    let (at_once, calls) = measured(&|_| false);
    assert_eq!(calls, 1);
    let (page_by_page, calls) = measured(&|_| true);
    assert_eq!((page_by_page, calls), (at_once, 32));
    let (in_two, calls) = measured(&|base| base == 0);
    assert_eq!((in_two, calls), (at_once, 2));
}
