// SPDX-License-Identifier: BSD-3-Clause
//! The lives of Realms and RECs: what the commands do when they succeed.

use std::sync::atomic::Ordering;

use rmm::granule::State;
use rmm::host::Event;
use rmm::realm::measurement::HashAlgorithm;
use rmm::realm::rd::RealmState;
use rmm::realm::rec::PendingRequest;
use rmm::realm::stage2::{Entry, Ripas};
use rmm::rmi::{Dialect, function};

use rmm::xlat::{DescriptorFormat, Level};

use crate::fixture::{SUCCESS, UNKNOWN, boot, call};
use crate::oracle;
use crate::world::*;

#[test]
fn a_realm_is_built_and_taken_down_and_leaves_nothing() {
    let world = World::new();
    world.system.machine.memory.fill_granule(RD, 0x5ec7e7);
    world.system.machine.memory.fill_granule(ROOT + 0x1000, 0x5ec7e7);
    world.realm(RD, ROOT, 1);
    assert_eq!(world.state(RD), Some(State::Rd));
    assert_eq!(world.state(ROOT), Some(State::Rtt));
    assert_eq!(world.state(ROOT + 0x1000), Some(State::Rtt));
    assert_eq!(world.with_realm(RD, |realm| realm.state), RealmState::New);

    world.rec(RD, REC, AUX, 0);
    world.rec(RD, SECOND_REC, SECOND_AUX, 1);
    assert_eq!(world.state(REC), Some(State::Rec));
    assert_eq!(world.state(AUX), Some(State::RecAux));
    assert_eq!(world.call(function::REALM_ACTIVATE, &[RD]), SUCCESS);
    assert_eq!(world.with_realm(RD, |realm| realm.state), RealmState::Active);

    world.refused(function::REALM_DESTROY, &[RD], ERROR_REALM, "a Realm with two RECs");
    assert_eq!(world.call(function::REC_DESTROY, &[REC]), SUCCESS);
    world.refused(function::REALM_DESTROY, &[RD], ERROR_REALM, "a Realm with a REC");
    assert_eq!(world.call(function::REC_DESTROY, &[SECOND_REC]), SUCCESS);
    assert_eq!(world.call(function::REALM_DESTROY, &[RD]), SUCCESS);
    let all = [RD, ROOT, ROOT + 0x1000, REC, AUX, SECOND_REC, SECOND_AUX];
    for granule in all {
        assert_eq!(world.state(granule), Some(State::Delegated));
    }
    world.undelegate(&all);
    for seen in world.see() {
        assert!(seen.references == 0 && matches!(seen.state, None | Some(State::Ns)));
    }
}

#[test]
fn a_vmid_is_free_again_when_its_realm_is_gone_or_never_came_to_be() {
    let world = World::new();
    world.realm(RD, ROOT, 7);
    world.delegate(&[OTHER_RD, OTHER_ROOT, OTHER_ROOT + 0x1000]);
    let other = RealmParams { vmid: 7, rtt_base: OTHER_ROOT, ..RealmParams::default() };
    world.write_realm(PARAMETERS, &other);
    world.refused(function::REALM_CREATE, &[OTHER_RD, PARAMETERS], 1, "a VMID in use");
    // Refused for another reason, with a VMID that is free: it stays free.
    let unaligned =
        RealmParams { vmid: 8, rtt_base: OTHER_ROOT + 0x1000, ..RealmParams::default() };
    world.write_realm(PARAMETERS, &unaligned);
    world.refused(function::REALM_CREATE, &[OTHER_RD, PARAMETERS], 1, "unaligned tables");
    world.write_realm(PARAMETERS, &RealmParams { vmid: 8, rtt_base: HOSTS & !0x1fff, ..other });
    world.refused(function::REALM_CREATE, &[OTHER_RD, PARAMETERS], 1, "tables of the host's");
    assert_eq!(world.realm_create(OTHER_RD, &RealmParams { vmid: 8, ..other.clone() }), SUCCESS);
    assert_eq!(world.call(function::REALM_DESTROY, &[OTHER_RD]), SUCCESS);
    assert_eq!(world.call(function::REALM_DESTROY, &[RD]), SUCCESS);
    assert_eq!(world.realm_create(OTHER_RD, &other), SUCCESS);
}

#[test]
fn the_measurement_follows_the_commands() {
    for (number, algorithm) in [(0, HashAlgorithm::Sha256), (1, HashAlgorithm::Sha512)] {
        let world = World::new();
        world.delegate(&[RD, ROOT, ROOT + 0x1000, REC, AUX, SECOND_REC, SECOND_AUX]);
        let parameters = RealmParams {
            flags: 1,
            sve_vl: 3,
            num_bps: 5,
            num_wps: 6,
            pmu_num_ctrs: 7,
            algorithm: number,
            rpv: 0x4242,
            ..RealmParams::default()
        };
        assert_eq!(world.realm_create(RD, &parameters), SUCCESS);
        let measured =
            || world.with_realm(RD, |realm| oracle::bytes(realm.initial_measurement.value()));
        let expected = oracle::initial(algorithm, (1, [40, 3, 5, 6, 7]));
        assert_eq!(measured(), expected);
        assert_eq!(
            world.with_realm(RD, |realm| realm.personalization),
            std::array::from_fn(|index| { 0x4242 + index as u64 })
        );

        // One that is not runnable is not measured.
        let mut first = RecParams { flags: 0, pc: 9, ..RecParams::default() };
        assert_eq!(world.rec_create(RD, REC, &first), SUCCESS);
        assert_eq!(measured(), expected);
        first = RecParams { flags: 1, mpidr: 1, pc: 0x1234, ..first };
        first.aux[0] = SECOND_AUX;
        assert_eq!(world.rec_create(RD, SECOND_REC, &first), SUCCESS);
        let expected = oracle::rec(algorithm, &expected, 1, 0x1234, first.gprs);
        assert_eq!(measured(), expected);
        assert_eq!(world.call(function::REALM_ACTIVATE, &[RD]), SUCCESS);
        assert_eq!(measured(), expected);
    }
}

#[test]
fn a_rec_begins_as_its_parameters_say() {
    let world = World::new();
    world.realm(RD, ROOT, 1);
    world.rec(RD, REC, AUX, 0);
    world.with_rec(REC, |rec| {
        assert_eq!(rec.registers.gprs[..9], [1, 2, 3, 4, 5, 6, 7, 8, 0]);
        assert_eq!(rec.registers.gprs[9..], [0; 22]);
        assert_eq!(rec.registers.pc, 0x8000);
        // EL1h with everything masked; MMU and caches off.
        assert_eq!(rec.registers.pstate, 0x3c5);
        assert_eq!(rec.registers.sctlr_el1 & 0x1005, 0);
        assert!(rec.runnable);
        assert_eq!(rec.pending, PendingRequest::None);
        assert_eq!(rec.identity.realm.get().get(), RD);
    });
}

#[test]
fn recs_are_named_in_order_through_all_affinity_levels() {
    let world = World::new();
    world.realm(RD, ROOT, 1);
    let names = [(0, 0), (15, 0xf), (16, 0x100), (255, 0xf0f), (256, 0x1000), (1022, 0x3f0e)];
    for (index, mpidr) in names {
        world.with_realm(RD, |realm| realm.next_rec = index);
        world.rec(RD, REC, AUX, mpidr);
        assert_eq!(world.call(function::REC_DESTROY, &[REC]), SUCCESS);
        world.undelegate(&[REC, AUX]);
        assert_eq!(world.with_realm(RD, |realm| realm.next_rec), index + 1);
    }
    world.delegate(&[REC, AUX]);
    world.write_rec(PARAMETERS, &RecParams { mpidr: 0x3f0f, ..RecParams::default() });
    world.refused(function::REC_CREATE, &[RD, REC, PARAMETERS], ERROR_REALM, "one REC too many");
}

#[test]
fn every_rec_has_as_many_auxiliary_granules_as_the_rmm_says() {
    let world = World::new();
    world.realm(RD, ROOT, 1);
    assert_eq!(call(&world.system, function::REC_AUX_COUNT, &[RD]), (SUCCESS, [1, 0, 0]));
    for bad in [RD + 8, ROOT, HOSTS, 0, u64::MAX] {
        world.refused(function::REC_AUX_COUNT, &[bad], 1, "no RD");
    }
}

#[test]
fn a_rec_that_could_run_is_answered_as_one_that_is_not_runnable() {
    let world = World::new();
    world.realm(RD, ROOT, 1);
    world.rec(RD, REC, AUX, 0);
    world.refused(function::REC_ENTER, &[REC, HOSTS], ERROR_REALM, "a Realm that is NEW");
    assert_eq!(world.call(function::REALM_ACTIVATE, &[RD]), SUCCESS);
    world.refused(function::REC_ENTER, &[REC, HOSTS], ERROR_REC, "a Realm that is ACTIVE");
    world.with_realm(RD, |realm| realm.state = RealmState::SystemOff);
    world.refused(
        function::REC_ENTER,
        &[REC, HOSTS],
        ERROR_REALM_OFF,
        "a Realm that is SYSTEM_OFF",
    );
    world.refused(function::REALM_ACTIVATE, &[RD], ERROR_REALM, "a Realm that is SYSTEM_OFF");
    // Destroying is possible in any state.
    assert_eq!(world.call(function::REC_DESTROY, &[REC]), SUCCESS);
    assert_eq!(world.call(function::REALM_DESTROY, &[RD]), SUCCESS);
}

#[test]
fn rmi_2_0_has_no_commands_on_realms_yet() {
    let world = World { system: boot(Dialect::V2_0) };
    let functions = [
        function::REALM_CREATE,
        function::REALM_ACTIVATE,
        function::REALM_DESTROY,
        function::REC_CREATE,
        function::REC_DESTROY,
        function::REC_ENTER,
        function::PSCI_COMPLETE,
    ];
    for function in functions {
        world.refused(function, &[RD, PARAMETERS, 0], UNKNOWN, "RMI 2.0");
    }
}

#[test]
fn root_tables_begin_without_entries_in_the_protected_and_in_the_other_half() {
    // IPA bits, level, tables, and from which entry of all tables on they are unprotected.
    for (s2sz, rtt_level_start, rtt_num_start, protected) in [
        (40, 1, 2, 512),
        (39, 1, 1, 256),
        (32, 1, 1, 2),
        (34, 2, 16, 4096),
        (43, 1, 16, 4096),
        (49, -1, 1, 1),
    ] {
        let world = World::new();
        world.delegate(&[RD]);
        for table in 0..u64::from(rtt_num_start) {
            world.system.machine.memory.fill_granule(ROOTS + 0x1000 * table, 0x5ec7e7);
            world.delegate(&[ROOTS + 0x1000 * table]);
        }
        let lpa2 = u64::from(rtt_level_start < 0);
        let base = RealmParams { flags: lpa2, s2sz, rtt_base: ROOTS, ..RealmParams::default() };
        let parameters = RealmParams { rtt_level_start, rtt_num_start, ..base };
        assert_eq!(world.realm_create(RD, &parameters), SUCCESS);
        let format = if lpa2 != 0 { DescriptorFormat::Lpa2 } else { DescriptorFormat::Bits48 };
        let level = Level::from_number(rtt_level_start).expect("a level");
        for index in 0..512 * u64::from(rtt_num_start) {
            let word =
                world.system.machine.memory.word(ROOTS + 8 * index).expect("there is memory");
            let entry = Entry::decode(word.load(Ordering::Relaxed), level, format);
            let expected = if index < protected {
                Entry::Unassigned(Ripas::Empty)
            } else {
                Entry::UnassignedNs
            };
            assert_eq!(
                entry, expected,
                "entry {index} of {s2sz} bits from level {rtt_level_start}"
            );
        }
    }
}

#[test]
fn nothing_of_a_realm_is_left_in_any_tlb_when_its_vmid_is_free() {
    let world = World::new();
    world.realm(RD, ROOT, 0x1234);
    let (status, events) = rmm::host::record(|| world.call(function::REALM_DESTROY, &[RD]));
    assert_eq!(status, SUCCESS);
    let mut vmid = 0;
    let invalidated = events.iter().any(|event| match event {
        Event::Register("VTTBR_EL2", value) => {
            vmid = value >> 48;
            false
        }
        Event::Instruction("tlbi vmalls12e1is", _) => vmid == 0x1234,
        _ => false,
    });
    assert!(invalidated, "{events:x?}");
}
