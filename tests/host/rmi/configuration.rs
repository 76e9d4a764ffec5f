// SPDX-License-Identifier: BSD-3-Clause
//! RMI 2.0: configuration, activation, and the memory that can be delegated.

use kit::el3::Pas;
use rmm::host::preset_register;
use rmm::rmi::{Dialect, function, v2};

use kit::rmi::fixture::*;

const ERROR_GLOBAL: u64 = 11;
const FINE: u64 = 2;
const NONE: u64 = 1;

#[test]
fn the_rmm_is_activated_once() {
    let system = boot(Dialect::V2_0);
    assert_eq!(call(&system, function::RMM_ACTIVATE, &[]), (SUCCESS, [0; 3]));
    assert_eq!(call(&system, function::RMM_ACTIVATE, &[]), (ERROR_GLOBAL, [0; 3]));
}

#[test]
fn before_activation_and_after_deactivation_little_is_served() {
    let served = [
        function::VERSION,
        function::FEATURES,
        function::RMM_CONFIG_SET,
        function::RMM_CONFIG_GET,
        function::RMM_ACTIVATE,
        function::GRANULE_TRACKING_GET,
    ];
    let system = boot(Dialect::V2_0);
    for _ in 0..2 {
        for command in v2::COMMANDS.iter().filter(|command| !served.contains(&command.function)) {
            let answer = call(&system, command.function, &[]);
            assert_eq!(answer, (ERROR_GLOBAL, [0; 3]), "{command:?}");
        }
        assert_eq!(call(&system, function::RMM_CONFIG_SET, &[SECOND.0]).0, SUCCESS);
        assert_eq!(call(&system, function::RMM_ACTIVATE, &[]).0, SUCCESS);
        for command in v2::COMMANDS {
            if [function::RMM_DEACTIVATE, function::RMM_ACTIVATE, function::RMM_CONFIG_SET]
                .contains(&command.function)
            {
                continue;
            }
            assert_ne!(call(&system, command.function, &[]).0, ERROR_GLOBAL, "{command:?}");
        }
        let range = [SECOND.0 + 0x1000, SECOND.0 + 0x2000];
        assert_eq!(call(&system, function::GRANULE_RANGE_DELEGATE, &range).0, SUCCESS);
        assert_eq!(call(&system, function::GRANULE_RANGE_UNDELEGATE, &range).0, SUCCESS);
        assert_eq!(call(&system, function::RMM_DEACTIVATE, &[]), (SUCCESS, [0; 3]));
    }
}

#[test]
fn configuration_is_read_in_every_state_and_fills_the_page() {
    let system = boot(Dialect::V2_0);
    for _ in 0..2 {
        system.machine.memory.fill_granule(SECOND.0, 0x1111);
        assert_eq!(call(&system, function::RMM_CONFIG_GET, &[SECOND.0]), (SUCCESS, [0; 3]));
        assert!(system.machine.memory.granule_is(SECOND.0, 0));
        call(&system, function::RMM_ACTIVATE, &[]);
    }
}

#[test]
fn only_the_one_configuration_is_accepted_and_only_before_activation() {
    let system = boot(Dialect::V2_0);
    let page = SECOND.0;
    let set = || call(&system, function::RMM_CONFIG_SET, &[page]);
    assert_eq!(set(), (SUCCESS, [0; 3]));
    for (offset, value) in [(0, 1), (8, 1), (8, 2), (8, 3), (0, u64::MAX), (8, 1 << 63)] {
        system.machine.memory.fill_granule(page, 0);
        system.machine.ns_write(page + offset, value).expect("the page is the host's");
        assert_eq!(set(), (ERROR_INPUT, [0; 3]), "{value} at {offset}");
    }
    system.machine.memory.fill_granule(page, 0);
    assert_eq!(set(), (SUCCESS, [0; 3]));
    call(&system, function::RMM_ACTIVATE, &[]);
    assert_eq!(set(), (ERROR_GLOBAL, [0; 3]));
}

#[test]
fn configuration_pages_that_are_not_the_hosts_are_refused() {
    let system = boot_active(Dialect::V2_0);
    assert_eq!(
        call(&system, function::GRANULE_RANGE_DELEGATE, &[SECOND.0, SECOND.0 + 0x1000]).0,
        SUCCESS
    );
    assert_eq!(call(&system, function::RMM_DEACTIVATE, &[]).0, SUCCESS);
    // Delegated; unaligned; the RMM's own; no memory; a device; Secure and Root, which only the
    // access itself detects.
    let pages =
        [SECOND.0, SECOND.0 + 0x1008, SECOND.0 + 1, CARVE_OUT.0, 0, DEVICE, u64::MAX, SECURE, ROOT];
    for page in pages {
        assert_eq!(
            call(&system, function::RMM_CONFIG_GET, &[page]),
            (ERROR_INPUT, [0; 3]),
            "{page:#x}"
        );
        assert_eq!(
            call(&system, function::RMM_CONFIG_SET, &[page]),
            (ERROR_INPUT, [0; 3]),
            "{page:#x}"
        );
    }
    // Moved to another world without the RMM's knowledge.
    let page = SECOND.0 + 0x2000;
    system.machine.el3.set_pas(page, Pas::Realm);
    assert_eq!(call(&system, function::RMM_CONFIG_GET, &[page]), (ERROR_INPUT, [0; 3]));
    assert_eq!(call(&system, function::RMM_CONFIG_SET, &[page]), (ERROR_INPUT, [0; 3]));
}

#[test]
fn a_configuration_page_taken_away_during_the_copy_is_an_input_error() {
    for (function, words) in [(function::RMM_CONFIG_SET, 2), (function::RMM_CONFIG_GET, 512)] {
        for word in 0..words {
            let system = boot(Dialect::V2_0);
            system.machine.take_away_after(word);
            assert_eq!(
                call(&system, function, &[SECOND.0]),
                (ERROR_INPUT, [0; 3]),
                "after {word} words"
            );
        }
        let system = boot(Dialect::V2_0);
        system.machine.take_away_after(words);
        assert_eq!(call(&system, function, &[SECOND.0]), (SUCCESS, [0; 3]), "after the last word");
    }
}

#[test]
fn tracking_reports_where_memory_of_one_kind_ends() {
    // 40 bits, so that the second bank is implemented.
    preset_register("ID_AA64MMFR0_EL1", 2);
    let system = boot(Dialect::V2_0);
    let get = |base, top| call(&system, function::GRANULE_TRACKING_GET, &[base, top]);
    let far = 1 << 40;
    let (first_end, second_end) = (FIRST.0 + FIRST.1, SECOND.0 + SECOND.1);
    let carve_out_end = CARVE_OUT.0 + CARVE_OUT.1;
    for (base, state, end) in [
        (0, NONE, FIRST.0),
        (DEVICE, NONE, FIRST.0),
        (FIRST.0, FINE, CARVE_OUT.0),
        (CARVE_OUT.0 - 0x1000, FINE, CARVE_OUT.0),
        (CARVE_OUT.0, NONE, carve_out_end),
        (carve_out_end, FINE, first_end),
        (first_end, NONE, SECOND.0),
        (SECOND.0, FINE, second_end),
        (second_end, NONE, far),
        (far - 0x1000, NONE, far),
    ] {
        assert_eq!(get(base, far), (SUCCESS, [0, state, end]), "{base:#x}");
        assert_eq!(get(base, base + 0x1000), (SUCCESS, [0, state, base + 0x1000]), "{base:#x}");
    }
    for (base, top) in [
        (FIRST.0, FIRST.0),
        (FIRST.0 + 0x1000, FIRST.0),
        (FIRST.0 + 8, FIRST.0 + 0x1000),
        (FIRST.0, FIRST.0 + 0x1008),
        (FIRST.0, far + 0x1000),
        (far, far + 0x1000),
        (FIRST.0, !0xfff),
    ] {
        assert_eq!(get(base, top), (ERROR_INPUT, [0; 3]), "{base:#x} to {top:#x}");
    }
}

#[test]
fn tables_of_granules_are_told_where_there_are_banks() {
    const PLATFORM: u64 = 1;
    const NOT_CREATED: u64 = 2;
    const GIB: u64 = 1 << 30;
    preset_register("ID_AA64MMFR0_EL1", 2);
    let system = boot_active(Dialect::V2_0);
    let far = 1 << 40;
    let has_bank = |gib: u64| {
        [FIRST, SECOND]
            .iter()
            .any(|(base, size)| base / GIB <= gib && gib <= (base + size - 1) / GIB)
    };
    let mut at = 0;
    let mut seen = [false; 2];
    while at < far {
        let (x0, [top, state, x3]) = call(&system, function::GPT_INFO, &[at, far]);
        assert_eq!((x0, x3), (SUCCESS, 0));
        assert!(top > at && (top % GIB == 0 || top == far), "{at:#x} to {top:#x}");
        for gib in at / GIB..top / GIB {
            let expected = if has_bank(gib) { PLATFORM } else { NOT_CREATED };
            assert_eq!(state, expected, "the GiB at {:#x}", gib * GIB);
            seen[usize::from(has_bank(gib))] = true;
            // A range within one GiB: the answer ends where the range does.
            let part = [gib * GIB + 0x1000, gib * GIB + 0x2000];
            assert_eq!(call(&system, function::GPT_INFO, &part), (SUCCESS, [part[1], state, 0]));
        }
        at = top;
    }
    assert_eq!(seen, [true; 2]);
    const ERROR_GPT: u64 = 15;
    let create = |base| call(&system, function::GPT_L1_CREATE, &[base]).0;
    assert_eq!([create(0), create(far - GIB)], [ERROR_GPT; 2]);
    assert_eq!([create(0x1000), create(far), create(!(GIB - 1))], [ERROR_INPUT; 3]);
}
