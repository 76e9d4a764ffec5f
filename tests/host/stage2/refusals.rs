// SPDX-License-Identifier: BSD-3-Clause
//! What each command refuses: every condition alone, and every two that can be combined, where the
//! first in the order of the ABI gives the answer. No refusal changes anything.

use std::sync::atomic::Ordering;

use kit::el3::Pas;
use kit::system::System;
use rmm::granule::State;
use rmm::granule::state::Rec;
use rmm::rmi::function;

use kit::stage2::host::{HIGH, Host, LOW};
use kit::stage2::model::{ERROR_INPUT, ERROR_REALM, ERROR_REC, Pending, RAM, SUCCESS, error_rtt};

type Arguments = [u64; 5];

/// A NEW Realm and an ACTIVE Realm with the same tables of levels 2 and 3, at 0 and in the middle
/// of the IPA space. Memory is mapped at [`ASSIGNED`], a page of the host at [`SHARED`].
const NEW: u64 = LOW.0 + 0x10_0000;
const ACTIVE: u64 = LOW.0 + 0x20_0000;
const ASSIGNED: u64 = 0x1000;
const HALF: u64 = 1 << 39;
const SHARED: u64 = HALF + 0x1000;
/// An IPA without a table of level 2, and one without a table of level 3.
const NO_LEVEL_2: u64 = 0x4000_0000;
const NO_LEVEL_3: u64 = 0x20_0000;
/// An IPA whose table of level 3 is empty.
const EMPTY_TABLE: u64 = 0x40_0000;

/// A REC of each Realm, right after its RD. That of the NEW Realm has asked for RIPAS RAM from 0
/// on.
const REC: u64 = NEW + 0x1000;
const IDLE_REC: u64 = ACTIVE + 0x1000;
/// Granules: Delegated, Non-secure, and one that is taken away before the RMM reads it.
const DELEGATED: u64 = LOW.0 + 0x1_0000;
const HOSTS: u64 = LOW.0 + 0x2_0000;
const TAKEN: u64 = LOW.0 + 0x2_1000;

fn setup() -> Host {
    let mut host = Host::boot();
    for (vmid, rd) in (1..).zip([NEW, ACTIVE]) {
        for address in (rd..rd + 0x4_0000).step_by(0x1000) {
            host.delegate(address);
        }
        host.create_realm(rd, rd + 0x1_0000, (40, 1, false), vmid);
        host.create_rec(rd, rd + 0x1000);
        let mut spare = (rd + 0x1_8000..).step_by(0x1000);
        let mut spare = || spare.next().expect("no end");
        for base in [0, HALF] {
            for level in [2, 3] {
                assert_eq!(host.call(function::RTT_CREATE, [rd, spare(), base, level, 0]), SUCCESS);
            }
        }
        assert_eq!(host.call(function::RTT_CREATE, [rd, spare(), EMPTY_TABLE, 3, 0]), SUCCESS);
        assert_eq!(
            host.call(function::DATA_CREATE_UNKNOWN, [rd, spare(), ASSIGNED, 0, 0]),
            SUCCESS
        );
        assert_eq!(
            host.call(function::RTT_MAP_UNPROTECTED, [rd, SHARED, 3, 0x4000_00d8, 0]),
            SUCCESS
        );
    }
    host.activate(ACTIVE);
    host.delegate(DELEGATED);
    host.delegate(HIGH.0);
    host.request(REC, Some(Pending { base: 0, top: 0x1000, ripas: RAM, change_destroyed: false }));
    host.write(HOSTS, 0x1a6e);
    host.write(TAKEN, 0x1a6e);
    host
}

/// Everything that a refusal must leave alone.
fn everything(host: &Host) -> (Vec<Option<State>>, Vec<u64>) {
    let granules = || (LOW.0..BLOCKS_BEGIN).step_by(0x1000);
    let states: Vec<_> = granules()
        .map(|address| host.system.rmm.granules().state(crate::granule(address)))
        .collect();
    let contents = granules()
        .zip(&states)
        // The content of a Delegated granule does not matter.
        .filter(|(_, state)| **state != Some(State::Delegated))
        .flat_map(|(address, _)| host.system.machine.memory.granule(address).expect("it is there"))
        .map(|word| word.load(Ordering::Relaxed))
        .collect();
    (states, contents)
}

/// The granules from here on are not used by these tests.
const BLOCKS_BEGIN: u64 = LOW.0 + 0x30_0000;

/// A condition: the argument that is changed, its new value, and the answer.
type Condition = (usize, u64, u64);

/// Every RD that is not one.
fn bad_rds() -> Vec<Condition> {
    [NEW + 1, HOSTS, DELEGATED, REC, NEW + 0x1_0000, LOW.0 - 0x1000, 0, u64::MAX]
        .into_iter()
        .map(|rd| (0, rd, ERROR_INPUT))
        .collect()
}

/// Every granule that is not Delegated.
fn bad_granules() -> Vec<Condition> {
    [
        DELEGATED + 8,
        HOSTS,
        NEW,
        NEW + 0x1_0000,
        NEW + 0x1_8000,
        REC,
        LOW.0 - 0x1000,
        u64::MAX,
        HIGH.0,
    ]
    .into_iter()
    .map(|address| (1, address, ERROR_INPUT))
    .collect()
}

/// Checks one command. `valid` succeeds. `conditions` are in the order of the RMM's checks, in
/// groups of the same rank.
fn check(name: &str, function: u32, valid: Arguments, conditions: &[Vec<Condition>]) {
    let mut host = setup();
    let before = everything(&host);
    let refused = |host: &mut Host, arguments: Arguments, expected: u64| {
        host.system.machine.el3.set_pas(TAKEN, Pas::Realm);
        let [status, ..] = host.raw_call(function, &arguments);
        host.system.machine.el3.set_pas(TAKEN, Pas::NonSecure);
        assert_eq!(status, expected, "{name}{arguments:x?}");
        assert!(everything(host) == before, "{name}{arguments:x?} has changed something");
    };
    let ranked: Vec<(usize, &Condition)> = conditions
        .iter()
        .enumerate()
        .flat_map(|(rank, group)| group.iter().map(move |one| (rank, one)))
        .collect();
    for &(rank, &(argument, value, answer)) in &ranked {
        let mut arguments = valid;
        arguments[argument] = value;
        refused(&mut host, arguments, answer);
        for &(other_rank, &(other, other_value, _)) in &ranked {
            if other_rank > rank && other != argument {
                let mut both = arguments;
                both[other] = other_value;
                refused(&mut host, both, answer);
            }
        }
    }
    let [status, ..] = host.raw_call(function, &valid);
    assert_eq!(status, SUCCESS, "{name}{valid:x?} is valid");
}

#[test]
fn data_create() {
    check(
        "DATA_CREATE",
        function::DATA_CREATE,
        [NEW, DELEGATED, 0, HOSTS, 0],
        &[
            vec![(4, 2, ERROR_INPUT), (4, 3, ERROR_INPUT), (4, 1 << 63, ERROR_INPUT)],
            vec![
                (3, HOSTS + 8, ERROR_INPUT),
                (3, NEW, ERROR_INPUT),
                (3, LOW.0 - 0x1000, ERROR_INPUT),
            ],
            bad_granules().into_iter().filter(|condition| condition.1 != HIGH.0).collect(),
            bad_rds(),
            vec![(0, ACTIVE, ERROR_REALM)],
            vec![(1, HIGH.0, ERROR_INPUT)],
            vec![(2, HALF, ERROR_INPUT), (2, 0x800, ERROR_INPUT), (2, 1 << 40, ERROR_INPUT)],
            vec![
                (2, NO_LEVEL_2, error_rtt(1)),
                (2, NO_LEVEL_3, error_rtt(2)),
                (2, ASSIGNED, error_rtt(3)),
            ],
            vec![(3, TAKEN, ERROR_INPUT)],
        ],
    );
}

#[test]
fn data_create_unknown() {
    check(
        "DATA_CREATE_UNKNOWN",
        function::DATA_CREATE_UNKNOWN,
        [ACTIVE, DELEGATED, 0, 0, 0],
        &[
            bad_rds(),
            bad_granules(),
            vec![(2, HALF, ERROR_INPUT), (2, 0x800, ERROR_INPUT), (2, u64::MAX, ERROR_INPUT)],
            vec![
                (2, NO_LEVEL_2, error_rtt(1)),
                (2, NO_LEVEL_3, error_rtt(2)),
                (2, ASSIGNED, error_rtt(3)),
            ],
        ],
    );
}

#[test]
fn data_destroy() {
    check(
        "DATA_DESTROY",
        function::DATA_DESTROY,
        [ACTIVE, ASSIGNED, 0, 0, 0],
        &[
            bad_rds(),
            vec![(1, HALF, ERROR_INPUT), (1, 0x1800, ERROR_INPUT), (1, 1 << 40, ERROR_INPUT)],
            vec![
                (1, NO_LEVEL_2, error_rtt(1)),
                (1, NO_LEVEL_3, error_rtt(2)),
                (1, 0, error_rtt(3)),
            ],
        ],
    );
}

/// Levels without a table below the root, and invalid levels.
fn bad_levels(argument: usize) -> Vec<Condition> {
    [1, 0, 4, 0xff, u64::MAX, 1 << 63, 1 << 32 | 3]
        .into_iter()
        .map(|level| (argument, level, ERROR_INPUT))
        .collect()
}

#[test]
fn rtt_create() {
    check(
        "RTT_CREATE",
        function::RTT_CREATE,
        [ACTIVE, DELEGATED, NO_LEVEL_3, 3, 0],
        &[
            bad_rds(),
            bad_granules(),
            bad_levels(3),
            vec![(2, 0x1000, ERROR_INPUT), (2, 1 << 40, ERROR_INPUT), (2, !0x1f_ffff, ERROR_INPUT)],
            vec![(2, NO_LEVEL_2, error_rtt(1)), (2, 0, error_rtt(2))],
        ],
    );
}

/// Checks RTT_DESTROY or RTT_FOLD, which refuse the same arguments.
fn check_removal(name: &str, function: u32) {
    check(
        name,
        function,
        [ACTIVE, EMPTY_TABLE, 3, 0, 0],
        &[
            bad_rds(),
            bad_levels(2),
            vec![(1, 0x1000, ERROR_INPUT), (1, 1 << 40, ERROR_INPUT), (1, !0x1f_ffff, ERROR_INPUT)],
            vec![
                (1, NO_LEVEL_2, error_rtt(1)),
                (1, NO_LEVEL_3, error_rtt(2)),
                (1, 0, error_rtt(3)),
            ],
        ],
    );
}

#[test]
fn rtt_destroy() {
    check_removal("RTT_DESTROY", function::RTT_DESTROY);
}

#[test]
fn rtt_fold() {
    check_removal("RTT_FOLD", function::RTT_FOLD);
}

#[test]
fn rtt_read_entry() {
    check(
        "RTT_READ_ENTRY",
        function::RTT_READ_ENTRY,
        [ACTIVE, ASSIGNED, 3, 0, 0],
        &[
            bad_rds(),
            vec![
                (2, 0, ERROR_INPUT),
                (2, 4, ERROR_INPUT),
                (2, u64::MAX, ERROR_INPUT),
                (2, 2, ERROR_INPUT),
            ],
            vec![(1, 0x1800, ERROR_INPUT), (1, 1 << 40, ERROR_INPUT), (1, u64::MAX, ERROR_INPUT)],
        ],
    );
}

#[test]
fn rtt_map_unprotected() {
    check(
        "RTT_MAP_UNPROTECTED",
        function::RTT_MAP_UNPROTECTED,
        [ACTIVE, HALF, 3, 0x4000_00d8, 0],
        &[
            vec![(2, 0, ERROR_INPUT), (2, 4, ERROR_INPUT), (2, u64::MAX, ERROR_INPUT)],
            bad_rds(),
            vec![
                (3, 0x4000_00d9, ERROR_INPUT),
                (3, 0x4000_01d8, ERROR_INPUT),
                (3, 0x4000_00d0, ERROR_INPUT),
                (3, 1 << 48, ERROR_INPUT),
                (3, 1 << 55, ERROR_INPUT),
            ],
            vec![(1, 0, ERROR_INPUT), (1, HALF + 0x800, ERROR_INPUT), (1, 1 << 40, ERROR_INPUT)],
            vec![
                (1, HALF + NO_LEVEL_2, error_rtt(1)),
                (1, HALF + NO_LEVEL_3, error_rtt(2)),
                (1, SHARED, error_rtt(3)),
            ],
        ],
    );
}

#[test]
fn rtt_unmap_unprotected() {
    check(
        "RTT_UNMAP_UNPROTECTED",
        function::RTT_UNMAP_UNPROTECTED,
        [ACTIVE, SHARED, 3, 0, 0],
        &[
            vec![(2, 0, ERROR_INPUT), (2, 4, ERROR_INPUT), (2, u64::MAX, ERROR_INPUT)],
            bad_rds(),
            vec![
                (1, ASSIGNED, ERROR_INPUT),
                (1, SHARED + 0x800, ERROR_INPUT),
                (1, 1 << 40, ERROR_INPUT),
            ],
            vec![
                (1, HALF + NO_LEVEL_2, error_rtt(1)),
                (1, HALF + NO_LEVEL_3, error_rtt(2)),
                (1, HALF, error_rtt(3)),
            ],
        ],
    );
}

#[test]
fn rtt_init_ripas() {
    check(
        "RTT_INIT_RIPAS",
        function::RTT_INIT_RIPAS,
        // The page after the first is in use, so the range ends there.
        [NEW, 0, 0x2000, 0, 0],
        &[
            vec![(2, 0, ERROR_INPUT)],
            bad_rds(),
            vec![
                (1, 0x800, ERROR_INPUT),
                (2, 0x1800, ERROR_INPUT),
                (2, HALF + 0x1000, ERROR_INPUT),
                (2, (1 << 40) + 0x1000, ERROR_INPUT),
            ],
            vec![(0, ACTIVE, ERROR_REALM)],
            vec![(1, ASSIGNED, error_rtt(3))],
        ],
    );
}

#[test]
fn rtt_init_ripas_where_nothing_can_become_ram() {
    let mut host = setup();
    for (base, top, level) in [
        (ASSIGNED, 0x2000, 3),
        (NO_LEVEL_3, NO_LEVEL_3 + 0x1000, 2),
        (NO_LEVEL_3 + 0x1000, NO_LEVEL_3 + 0x2000, 2),
        (NO_LEVEL_2 + NO_LEVEL_3, NO_LEVEL_2 * 2, 1),
    ] {
        let before = everything(&host);
        assert_eq!(host.call(function::RTT_INIT_RIPAS, [NEW, base, top, 0, 0]), error_rtt(level));
        assert!(everything(&host) == before);
    }
}

#[test]
fn rtt_set_ripas() {
    check(
        "RTT_SET_RIPAS",
        function::RTT_SET_RIPAS,
        [NEW, REC, 0, 0x1000, 0],
        &[
            vec![(3, 0, ERROR_INPUT), (3, 0x800, ERROR_INPUT)],
            bad_rds(),
            [REC + 1, HOSTS, NEW, DELEGATED, u64::MAX].map(|rec| (1, rec, ERROR_INPUT)).to_vec(),
            vec![(0, ACTIVE, ERROR_REC), (1, IDLE_REC, ERROR_REC)],
            vec![(2, 0x800, ERROR_INPUT), (3, 0x2000, ERROR_INPUT)],
        ],
    );
}

#[test]
fn rtt_set_ripas_for_a_rec_that_asks_for_nothing() {
    let mut host = setup();
    let before = everything(&host);
    for (base, top) in [(0, 0x1000), (0, u64::MAX), (0x1000, 0x2000)] {
        assert_eq!(
            host.call(function::RTT_SET_RIPAS, [ACTIVE, IDLE_REC, base, top, 0]),
            ERROR_INPUT
        );
    }
    assert!(everything(&host) == before);
}

#[test]
fn rtt_set_ripas_for_a_rec_that_runs() {
    let mut host = setup();
    let running = host.system.rmm.granules().lock::<Rec>(System::cpu(1).index, crate::granule(REC));
    let _running = running.expect("a REC").reference().expect("it does not run");
    let before = everything(&host);
    for (arguments, status) in [
        ([NEW, REC, 0, 0x1000, 0], ERROR_REC),
        // Together with a condition that is checked later.
        ([ACTIVE, REC, 0, 0x1000, 0], ERROR_REC),
        ([NEW, REC, 0x1000, 0x2000, 0], ERROR_REC),
        ([NEW, REC, 0x800, 0x2000, 0], ERROR_REC),
        // Together with a condition that is checked earlier.
        ([NEW, REC, 0, 0x1800, 0], ERROR_INPUT),
        ([NEW, REC, 0, 0, 0], ERROR_INPUT),
        ([DELEGATED, REC, 0, 0x1000, 0], ERROR_INPUT),
    ] {
        let [x0, ..] = host.raw_call(function::RTT_SET_RIPAS, &arguments);
        assert_eq!(x0, status, "{arguments:x?}");
        assert!(everything(&host) == before, "{arguments:x?} has changed something");
    }
}

#[test]
fn rtt_set_ripas_where_nothing_can_change() {
    let mut host = setup();
    assert_eq!(host.call(function::RTT_INIT_RIPAS, [NEW, 0, 0x1000, 0, 0]), SUCCESS);
    assert_eq!(host.call(function::DATA_CREATE_UNKNOWN, [NEW, DELEGATED, 0, 0, 0]), SUCCESS);
    // What was RAM is now DESTROYED.
    assert_eq!(host.call(function::DATA_DESTROY, [NEW, 0, 0, 0, 0]), SUCCESS);
    for (base, top, level) in [
        (0, 0x1000, 3),
        (NO_LEVEL_3, NO_LEVEL_3 + 0x1000, 2),
        (NO_LEVEL_3 + 0x1000, NO_LEVEL_3 * 2, 2),
        (NO_LEVEL_2 + NO_LEVEL_3, NO_LEVEL_2 * 2, 1),
    ] {
        host.request(REC, Some(Pending { base, top, ripas: RAM, change_destroyed: false }));
        let before = everything(&host);
        assert_eq!(host.call(function::RTT_SET_RIPAS, [NEW, REC, base, top, 0]), error_rtt(level));
        assert!(everything(&host) == before);
    }
    host.request(REC, Some(Pending { base: 0, top: 0x1000, ripas: RAM, change_destroyed: true }));
    assert_eq!(host.call(function::RTT_SET_RIPAS, [NEW, REC, 0, 0x1000, 0]), SUCCESS);
}

#[test]
fn a_table_whose_block_would_be_at_level_0_is_not_folded() {
    const RD: u64 = LOW.0 + 0x10_0000;
    let mut host = Host::boot();
    for address in (RD..RD + 0x2_0000).step_by(0x1000) {
        host.delegate(address);
    }
    host.create_realm(RD, RD + 0x1_0000, (48, 0, false), 1);
    let half = 1 << 47;
    assert_eq!(host.call(function::RTT_CREATE, [RD, RD + 0x8000, half, 1, 0]), SUCCESS);
    for gib in 0..512 {
        let (ipa, output) = (half + (gib << 30), gib << 30);
        assert_eq!(
            host.call(function::RTT_MAP_UNPROTECTED, [RD, ipa, 1, output | 0xd8, 0]),
            SUCCESS
        );
    }
    let before = everything(&host);
    assert_eq!(host.call(function::RTT_FOLD, [RD, half, 1, 0, 0]), error_rtt(0));
    assert!(everything(&host) == before);
    // Entries that are not homogeneous, which is checked first.
    assert_eq!(host.call(function::RTT_UNMAP_UNPROTECTED, [RD, half, 1, 0, 0]), SUCCESS);
    assert_eq!(host.call(function::RTT_FOLD, [RD, half, 1, 0, 0]), error_rtt(1));
}

#[test]
fn the_same_granule_in_two_roles_is_an_input_error() {
    let mut host = setup();
    let before = everything(&host);
    let table = NEW + 0x1_8000;
    for (function, arguments) in [
        (function::RTT_CREATE, [NEW, NEW, NO_LEVEL_3, 3, 0]),
        (function::RTT_CREATE, [DELEGATED, DELEGATED, NO_LEVEL_3, 3, 0]),
        (function::RTT_CREATE, [NEW, table, NO_LEVEL_3, 3, 0]),
        (function::DATA_CREATE, [NEW, NEW, 0, HOSTS, 0]),
        (function::DATA_CREATE, [NEW, HOSTS, 0, HOSTS, 0]),
        (function::DATA_CREATE, [NEW, DELEGATED, 0, DELEGATED, 0]),
        (function::DATA_CREATE, [NEW, table, 0, HOSTS, 0]),
        (function::DATA_CREATE, [NEW, DELEGATED, 0, table, 0]),
        (function::DATA_CREATE, [table, DELEGATED, 0, HOSTS, 0]),
        (function::DATA_CREATE_UNKNOWN, [NEW, table, 0, 0, 0]),
        (function::DATA_CREATE_UNKNOWN, [table, NEW, 0, 0, 0]),
        (function::DATA_CREATE_UNKNOWN, [NEW, ACTIVE + 0x1_8000, 0, 0, 0]),
        (function::RTT_SET_RIPAS, [REC, REC, 0, 0x1000, 0]),
        (function::RTT_SET_RIPAS, [REC, NEW, 0, 0x1000, 0]),
    ] {
        assert_eq!(host.call(function, arguments), ERROR_INPUT, "{function:#x} {arguments:x?}");
        assert!(everything(&host) == before);
    }
}

#[test]
fn memory_that_the_host_takes_away_while_it_is_copied_does_not_become_the_realms() {
    for words in [0, 1, 255, 511] {
        let mut host = setup();
        let before = everything(&host);
        host.system.machine.take_away_after(words);
        let [status, ..] = host.raw_call(function::DATA_CREATE, &[NEW, DELEGATED, 0, TAKEN, 1]);
        assert_eq!(status, ERROR_INPUT, "after {words} words");
        host.system.machine.el3.set_pas(TAKEN, Pas::NonSecure);
        assert!(everything(&host) == before);
        assert_eq!(host.call(function::DATA_CREATE, [NEW, DELEGATED, 0, TAKEN, 1]), SUCCESS);
        host.check_everything();
    }
}
