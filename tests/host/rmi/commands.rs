// SPDX-License-Identifier: BSD-3-Clause
//! The commands that need no Realm, in both dialects, with every answer that the ABI defines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kit::el3::{Pas, status};
use kit::system::System;
use rmm::address::GRANULE_SIZE;
use rmm::granule::State;
use rmm::host::{Event, preset_register, record};
use rmm::rmi::{Dialect, function};

use kit::rmi::fixture::*;

#[test]
fn version_is_supported_only_when_named_exactly() {
    for (dialect, version) in [(Dialect::V1_0, 0x1_0000), (Dialect::V2_0, 0x2_0000)] {
        let system = boot(dialect);
        assert_eq!(call(&system, function::VERSION, &[version]), (SUCCESS, [version, version, 0]));
        for other in [
            0,
            1,
            version - 1,
            version + 1,
            version | 1 << 31,
            version | 1 << 32,
            0x3_0000,
            u64::MAX,
        ] {
            assert_eq!(
                call(&system, function::VERSION, &[other]),
                (ERROR_INPUT, [version, version, 0])
            );
        }
    }
}

#[test]
fn sve_hint_and_upper_half_of_x0_do_not_change_the_function() {
    let system = boot(Dialect::V1_0);
    for extra in [1 << 16, 1 << 32, u64::MAX << 32 | 1 << 16] {
        let registers = [u64::from(function::VERSION) | extra, 0x1_0000, 0, 0, 4, 5, 6, 7];
        let after = system.call(&mut System::cpu(0), registers);
        assert_eq!(after, [SUCCESS, 0x1_0000, 0x1_0000, 0, 4, 5, 6, 7]);
    }
}

#[test]
fn functions_of_the_other_dialect_and_unassigned_ones_are_unknown() {
    let first = [
        function::VERSION,
        function::GRANULE_DELEGATE,
        function::GRANULE_UNDELEGATE,
        function::DATA_CREATE,
        function::DATA_CREATE_UNKNOWN,
        function::DATA_DESTROY,
        function::REALM_ACTIVATE,
        function::REALM_CREATE,
        function::REALM_DESTROY,
        function::REC_CREATE,
        function::REC_DESTROY,
        function::REC_ENTER,
        function::PSCI_COMPLETE,
        function::REC_AUX_COUNT,
        function::RTT_CREATE,
        function::RTT_DESTROY,
        function::RTT_MAP_UNPROTECTED,
        function::RTT_READ_ENTRY,
        function::RTT_UNMAP_UNPROTECTED,
        function::FEATURES,
        function::RTT_FOLD,
        function::RTT_INIT_RIPAS,
        function::RTT_SET_RIPAS,
    ];
    let second = [
        function::VERSION,
        function::RTT_DATA_MAP_INIT,
        function::REALM_ACTIVATE,
        function::REALM_CREATE,
        function::REALM_DESTROY,
        function::REC_CREATE,
        function::REC_DESTROY,
        function::REC_ENTER,
        function::PSCI_COMPLETE,
        function::RTT_CREATE,
        function::RTT_DESTROY,
        function::RTT_READ_ENTRY,
        function::FEATURES,
        function::RTT_FOLD,
        function::RTT_INIT_RIPAS,
        function::RTT_SET_RIPAS,
        function::RMM_CONFIG_SET,
        function::GRANULE_TRACKING_GET,
        function::RMM_CONFIG_GET,
        function::GRANULE_RANGE_DELEGATE,
        function::GRANULE_RANGE_UNDELEGATE,
        function::GPT_L1_CREATE,
        function::RTT_DATA_MAP,
        function::RTT_DATA_UNMAP,
        function::RTT_UNPROT_MAP,
        function::RTT_UNPROT_UNMAP,
        function::REALM_TERMINATE,
        function::RMM_ACTIVATE,
        function::OP_CONTINUE,
        function::OP_MEM_DONATE,
        function::OP_MEM_RECLAIM,
        function::OP_CANCEL,
        function::RMM_DEACTIVATE,
        function::GPT_INFO,
    ];
    for (dialect, known) in [(Dialect::V1_0, &first[..]), (Dialect::V2_0, &second[..])] {
        let system = boot(dialect);
        let ranges =
            (0x100..0x300).chain([0, 0x4000_0150, 0x8000_0150, 0x2_0150, 0x100_0150, !(1 << 16)]);
        for function in ranges {
            let (x0, outputs) = call(&system, function, &[]);
            assert_eq!(x0 == UNKNOWN, !known.contains(&function), "{function:#x} in {dialect:?}");
            assert!(x0 != UNKNOWN || outputs == [0; 3]);
        }
    }
}

#[test]
fn feature_register_0_of_rmi_1_0_reports_this_cpu_and_nothing_unimplemented() {
    // PARange 6 and TGran4_2 3: 52-bit addresses at stage 2. 6 breakpoints and 4 watchpoints; a
    // Realm has two of each.
    preset_register("ID_AA64MMFR0_EL1", 3 << 40 | 6);
    preset_register("ID_AA64DFR0_EL1", 3 << 20 | 5 << 12);
    // 4 list registers.
    preset_register("ICH_VTR_EL2", 3);
    let features = |system: &System<'_>, index| call(system, function::FEATURES, &[index]).1[0];
    let lpa2 = boot(Dialect::V1_0);
    // SHA-256 and SHA-512; 2^9 - 1 RECs.
    assert_eq!(features(&lpa2, 0), 52 | 1 << 8 | 1 << 14 | 1 << 20 | 3 << 32 | 3 << 34 | 9 << 38);
    for index in [1, 4, 5, u64::MAX] {
        assert_eq!(features(&lpa2, index), 0);
    }
    // SVE with vectors of 64 bytes.
    preset_register("ID_AA64PFR0_EL1", 1 << 32);
    preset_register("VECTOR_BYTES", 64);
    assert_eq!(features(&boot(Dialect::V1_0), 0) >> 9 & 0x1f, 3 << 1 | 1);
    preset_register("ID_AA64PFR0_EL1", 0);
    // A PMU with 6 event counters.
    preset_register("ID_AA64DFR0_EL1", 3 << 20 | 5 << 12 | 1 << 8);
    preset_register("PMCR_EL0", 6 << 11);
    assert_eq!(features(&boot(Dialect::V1_0), 0) >> 26 & 0x3f, 6 << 1 | 1);
    preset_register("ID_AA64DFR0_EL1", 3 << 20 | 5 << 12);
    // TGran4_2 0: as stage 1, which has 52 bits.
    preset_register("ID_AA64MMFR0_EL1", 1 << 28 | 6);
    assert_eq!(features(&boot(Dialect::V1_0), 0) & 0x1ff, 52 | 1 << 8);
    // 52-bit addresses, but not with this granule size: 48 bits remain.
    preset_register("ID_AA64MMFR0_EL1", 2 << 40 | 1 << 28 | 6);
    assert_eq!(features(&boot(Dialect::V1_0), 0) & 0x1ff, 48);
    // LPA2 on a CPU with 48-bit physical addresses.
    preset_register("ID_AA64MMFR0_EL1", 3 << 40 | 5);
    assert_eq!(features(&boot(Dialect::V1_0), 0) & 0x1ff, 48 | 1 << 8);
    for (range, bits) in [(0, 32), (1, 36), (2, 40), (3, 42), (4, 44), (5, 48), (6, 48)] {
        preset_register("ID_AA64MMFR0_EL1", range);
        assert_eq!(features(&boot(Dialect::V1_0), 0) & 0x1ff, bits);
    }
}

#[test]
fn feature_registers_of_rmi_2_0_report_this_cpu() {
    preset_register("ID_AA64MMFR0_EL1", 2);
    preset_register("ID_AA64DFR0_EL1", 3 << 20 | 5 << 12);
    let system = boot(Dialect::V2_0);
    let features = |index| call(&system, function::FEATURES, &[index]);
    assert_eq!(features(0), (SUCCESS, [40 | 1 << 14 | 1 << 20, 0, 0]));
    // 4 KiB granules, SHA-256 and SHA-512, 2^9 - 1 RECs; protected addresses as wide as the CPU's.
    assert_eq!(features(1), (SUCCESS, [1 | 5 << 3 | 9 << 6 | 2 << 14, 0, 0]));
    for index in [2, 3, 4, 5, u64::MAX] {
        assert_eq!(features(index), (SUCCESS, [0; 3]));
    }
}

#[test]
fn a_granule_goes_to_the_realm_world_and_comes_back_wiped() {
    let system = boot(Dialect::V1_0);
    for granule in
        [FIRST.0, FIRST.0 + FIRST.1 - GRANULE_SIZE, SECOND.0, SECOND.0 + SECOND.1 - GRANULE_SIZE]
    {
        system.machine.memory.fill_granule(granule, 0x5ec7e7);
        assert_eq!(call(&system, function::GRANULE_DELEGATE, &[granule]), (SUCCESS, [0; 3]));
        assert_eq!(state(&system, granule), Some(State::Delegated));
        assert_eq!(system.machine.el3.pas(granule), Pas::Realm);
        assert!(system.machine.ns_read(granule).is_err(), "the host cannot read it");

        assert_eq!(call(&system, function::GRANULE_DELEGATE, &[granule]), (ERROR_INPUT, [0; 3]));
        assert_eq!(state(&system, granule), Some(State::Delegated));

        assert_eq!(call(&system, function::GRANULE_UNDELEGATE, &[granule]), (SUCCESS, [0; 3]));
        assert_eq!(state(&system, granule), Some(State::Ns));
        assert_eq!(system.machine.el3.pas(granule), Pas::NonSecure);
        assert!(system.machine.memory.granule_is(granule, 0));
        assert_eq!(call(&system, function::GRANULE_UNDELEGATE, &[granule]), (ERROR_INPUT, [0; 3]));
    }
}

/// Addresses with no granule to delegate or undelegate.
fn hostile_addresses() -> Vec<u64> {
    let mut addresses = vec![
        0,
        1,
        DEVICE,
        FIRST.0 + 1,
        FIRST.0 + 0x800,
        FIRST.0 + 0xfff,
        u64::MAX,
        u64::MAX - 0xfff,
    ];
    addresses.extend([FIRST.0 - 0x1000, FIRST.0 + FIRST.1, SECOND.0 - 0x1000, SECOND.0 + SECOND.1]);
    addresses.extend((CARVE_OUT.0..CARVE_OUT.0 + CARVE_OUT.1).step_by(0x1000));
    addresses.extend((12..64).map(|bit| 1 << bit).filter(|address| *address != FIRST.0));
    addresses.extend((32..64).map(|bit| FIRST.0 | 1 << bit));
    addresses
}

#[test]
fn what_is_no_delegable_granule_is_refused_without_asking_el3() {
    let system = boot(Dialect::V1_0);
    let asked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&asked);
    rmm::host::observe(Some(Box::new(move |event| {
        if matches!(event, rmm::host::Event::Smc(_)) {
            seen.store(true, Ordering::Relaxed);
        }
    })));
    for address in hostile_addresses() {
        for function in [function::GRANULE_DELEGATE, function::GRANULE_UNDELEGATE] {
            assert_eq!(call(&system, function, &[address]), (ERROR_INPUT, [0; 3]), "{address:#x}");
        }
    }
    assert!(!asked.load(Ordering::Relaxed));
}

#[test]
fn what_el3_refuses_to_delegate_stays_as_it_was() {
    let system = boot(Dialect::V1_0);
    for (granule, pas) in [(SECURE, Pas::Secure), (ROOT, Pas::Root)] {
        assert_eq!(call(&system, function::GRANULE_DELEGATE, &[granule]), (ERROR_INPUT, [0; 3]));
        assert_eq!(state(&system, granule), Some(State::Ns));
        assert_eq!(system.machine.el3.pas(granule), pas);
    }
    assert_eq!(system.rmm.refused_undelegates(), 0);
}

/// The address of the console's UART, in the one test that reads what is printed.
const CONSOLE: u64 = 0x1c0c_0000;

/// The text printed by `events`.
fn printed(events: &[Event]) -> String {
    let byte = |event: &Event| match *event {
        Event::Device(CONSOLE, value) => char::from_u32(value),
        _ => None,
    };
    events.iter().filter_map(byte).collect()
}

#[test]
fn what_el3_refuses_to_take_back_stays_delegated_and_is_reported_once() {
    let system = boot(Dialect::V1_0);
    let granule = SECOND.0;
    assert_eq!(call(&system, function::GRANULE_DELEGATE, &[granule]).0, SUCCESS);
    // SAFETY: in the model machine any address may be a device.
    unsafe { rmm::console::init(rmm::address::VirtAddr::new(CONSOLE)) };
    rmm::console::init_log();
    for (count, code) in [(1, status::BAD_PAS), (2, status::BAD_ADDRESS), (3, -6)] {
        system.machine.el3.refuse_transitions(code);
        let (answer, events) = record(|| call(&system, function::GRANULE_UNDELEGATE, &[granule]));
        assert_eq!(answer, (ERROR_INPUT, [0; 3]));
        assert_eq!(
            printed(&events).contains("EL3 refuses to take back the granule at"),
            count == 1
        );
        assert_eq!(state(&system, granule), Some(State::Delegated));
        assert_eq!(system.machine.el3.pas(granule), Pas::Realm);
        assert_eq!(system.rmm.refused_undelegates(), count);
    }
    system.machine.el3.refuse_transitions(status::OK);
    assert_eq!(call(&system, function::GRANULE_UNDELEGATE, &[granule]), (SUCCESS, [0; 3]));
}

#[test]
fn a_range_is_moved_until_its_top_or_the_first_granule_that_cannot_be() {
    let system = boot_active(Dialect::V2_0);
    let (base, hole) = (FIRST.0, CARVE_OUT.0);
    let delegate = |base, top| call(&system, function::GRANULE_RANGE_DELEGATE, &[base, top]);
    let undelegate = |base, top| call(&system, function::GRANULE_RANGE_UNDELEGATE, &[base, top]);
    assert_eq!(delegate(base, base + 0x3000), (SUCCESS, [base + 0x3000, 0, 0]));
    // Up to the carve-out of the RMM and no further.
    assert_eq!(delegate(base + 0x3000, FIRST.0 + FIRST.1), (SUCCESS, [hole, 0, 0]));
    assert_eq!(delegate(hole, FIRST.0 + FIRST.1), (ERROR_INPUT, [hole, 0, 0]));
    assert_eq!(delegate(base, base + 0x1000), (ERROR_INPUT, [base, 0, 0]));
    for granule in (base..hole).step_by(0x1000) {
        assert_eq!(system.machine.el3.pas(granule), Pas::Realm);
    }
    assert_eq!(undelegate(base, base + 0x1000), (SUCCESS, [base + 0x1000, 0, 0]));
    assert_eq!(undelegate(base, base + 0x1000), (ERROR_INPUT, [base, 0, 0]));
    assert_eq!(undelegate(base + 0x1000, !0xfff), (SUCCESS, [hole, 0, 0]));
}

#[test]
fn an_empty_or_unaligned_range_is_refused_at_its_base() {
    let system = boot_active(Dialect::V2_0);
    let base = FIRST.0;
    for function in [function::GRANULE_RANGE_DELEGATE, function::GRANULE_RANGE_UNDELEGATE] {
        for (base, top) in [
            (base, base),
            (base, base - 0x1000),
            (base + 1, base + 0x2000),
            (base, base + 0x1001),
            (u64::MAX, 0),
        ] {
            assert_eq!(call(&system, function, &[base, top]), (ERROR_INPUT, [base, 0, 0]));
        }
    }
}

#[test]
fn a_pending_interrupt_stops_a_range_after_the_granule_at_hand() {
    let system = boot_active(Dialect::V2_0);
    for bit in [6, 7, 8] {
        preset_register("ISR_EL1", 1 << bit);
        let base = SECOND.0;
        let range = [base, base + SECOND.1];
        assert_eq!(
            call(&system, function::GRANULE_RANGE_DELEGATE, &range),
            (SUCCESS, [base + GRANULE_SIZE, 0, 0])
        );
        assert_eq!(
            call(&system, function::GRANULE_RANGE_UNDELEGATE, &range),
            (SUCCESS, [base + GRANULE_SIZE, 0, 0])
        );
    }
}
