// SPDX-License-Identifier: BSD-3-Clause
//! The life of Realms and RECs: what the commands do when they succeed.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use rmm::granule::State;
use rmm::host::Event;
use rmm::mem::AUXILIARY;
use rmm::realm::measurement::HashAlgorithm;
use rmm::realm::rd::RealmState;
use rmm::realm::rec::PendingRequest;
use rmm::realm::stage2::{Entry, Ripas};
use rmm::rmi::function;

use rmm::xlat::{DescriptorFormat, Level};

use crate::measurement_reference;
use kit::realm_fixture::*;
use kit::rmi::fixture::{SUCCESS, call};

#[test]
fn a_realm_is_built_and_taken_down_and_leaves_nothing() {
    let fixture = RealmFixture::new();
    fixture.system.machine.memory.fill_granule(RD, 0x5ec7e7);
    fixture.system.machine.memory.fill_granule(ROOT + 0x1000, 0x5ec7e7);
    fixture.realm(RD, ROOT, 1);
    assert_eq!(fixture.state(RD), Some(State::Rd));
    assert_eq!(fixture.state(ROOT), Some(State::Rtt));
    assert_eq!(fixture.state(ROOT + 0x1000), Some(State::Rtt));
    assert_eq!(fixture.with_realm(RD, |realm| realm.state()), RealmState::New);

    fixture.rec(RD, REC, AUX, 0);
    fixture.rec(RD, SECOND_REC, SECOND_AUX, 1);
    assert_eq!(fixture.state(REC), Some(State::Rec));
    assert_eq!(fixture.state(AUX), Some(State::RecAux));
    assert_eq!(fixture.call(function::REALM_ACTIVATE, &[RD]), SUCCESS);
    assert_eq!(fixture.with_realm(RD, |realm| realm.state()), RealmState::Active);

    fixture.refused(function::REALM_DESTROY, &[RD], ERROR_REALM, "a Realm with two RECs");
    assert_eq!(fixture.call(function::REC_DESTROY, &[REC]), SUCCESS);
    fixture.refused(function::REALM_DESTROY, &[RD], ERROR_REALM, "a Realm with a REC");
    assert_eq!(fixture.call(function::REC_DESTROY, &[SECOND_REC]), SUCCESS);
    assert_eq!(fixture.call(function::REALM_DESTROY, &[RD]), SUCCESS);
    let all = [RD, ROOT, ROOT + 0x1000, REC, SECOND_REC];
    let all = [&all[..], &auxiliary(AUX), &auxiliary(SECOND_AUX)].concat();
    for granule in &all {
        assert_eq!(fixture.state(*granule), Some(State::Delegated));
    }
    fixture.undelegate(&all);
    for seen in fixture.see() {
        assert!(seen.references == 0 && matches!(seen.state, None | Some(State::Ns)));
    }
}

#[test]
fn what_a_realm_and_its_recs_held_is_wiped_when_they_are_destroyed() {
    let fixture = RealmFixture::new();
    let is_zero = |granule| fixture.system.machine.memory.granule_is(granule, 0);
    fixture.realm(RD, ROOT, 1);
    fixture.rec(RD, REC, AUX, 0);
    assert!(!is_zero(REC));
    let secrets = fixture.with_realm(RD, |realm| {
        (1..5).for_each(|index| realm.extend_measurement(index, b"secret").expect("there is"));
        realm.personalization = [0x5ec7e7; 8];
        let instance = realm.instance();
        let instance =
            instance.chunks(8).map(|word| u64::from_le_bytes(word.try_into().expect("8")));
        let measurements = (0..5).flat_map(|index| *realm.measurement(index).expect("there is"));
        measurements.chain(realm.personalization).chain(instance).collect::<HashSet<_>>()
    });
    let held = || {
        let words = (RD..RD + 0x1000).step_by(8);
        let words =
            words.map(|at| fixture.system.machine.memory.word(at).expect("there is memory"));
        words
            .map(|word| word.load(Ordering::Relaxed))
            .filter(|word| *word != 0)
            .filter(|word| secrets.contains(word))
            .count()
    };
    // Five measurements of SHA-256, the personalization, and the words that identify the Realm.
    assert_eq!(held(), 5 * 4 + 8 + 4);
    // Nothing is written there before the first run.
    for granule in auxiliary(AUX) {
        fixture.system.machine.memory.fill_granule(granule, 0x5ec7e7);
    }
    assert_eq!(fixture.call(function::REC_DESTROY, &[REC]), SUCCESS);
    assert!(is_zero(REC) && auxiliary(AUX).into_iter().all(is_zero));
    assert_eq!(fixture.call(function::REALM_DESTROY, &[RD]), SUCCESS);
    assert_eq!(held(), 0);
}

#[test]
fn a_vmid_is_free_again_when_its_realm_is_gone_or_never_came_to_be() {
    let fixture = RealmFixture::new();
    fixture.realm(RD, ROOT, 7);
    fixture.delegate(&[OTHER_RD, OTHER_ROOT, OTHER_ROOT + 0x1000]);
    let other = RealmParams { vmid: 7, rtt_base: OTHER_ROOT, ..RealmParams::default() };
    fixture.write_realm(PARAMETERS, &other);
    fixture.refused(function::REALM_CREATE, &[OTHER_RD, PARAMETERS], 1, "a VMID in use");
    // A REALM_CREATE that fails for another reason leaves its VMID free.
    let unaligned =
        RealmParams { vmid: 8, rtt_base: OTHER_ROOT + 0x1000, ..RealmParams::default() };
    fixture.write_realm(PARAMETERS, &unaligned);
    fixture.refused(function::REALM_CREATE, &[OTHER_RD, PARAMETERS], 1, "unaligned tables");
    fixture.write_realm(PARAMETERS, &RealmParams { vmid: 8, rtt_base: HOSTS & !0x1fff, ..other });
    fixture.refused(function::REALM_CREATE, &[OTHER_RD, PARAMETERS], 1, "tables of the host's");
    assert_eq!(fixture.realm_create(OTHER_RD, &RealmParams { vmid: 8, ..other.clone() }), SUCCESS);
    assert_eq!(fixture.call(function::REALM_DESTROY, &[OTHER_RD]), SUCCESS);
    assert_eq!(fixture.call(function::REALM_DESTROY, &[RD]), SUCCESS);
    assert_eq!(fixture.realm_create(OTHER_RD, &other), SUCCESS);
}

#[test]
fn the_measurement_follows_the_commands() {
    for (number, algorithm) in [(0, HashAlgorithm::Sha256), (1, HashAlgorithm::Sha512)] {
        let fixture = RealmFixture::new();
        fixture.delegate(&[RD, ROOT, ROOT + 0x1000, REC, SECOND_REC]);
        fixture.delegate(&auxiliary(AUX));
        fixture.delegate(&auxiliary(SECOND_AUX));
        let parameters = RealmParams {
            flags: 1,
            sve_vl: 3,
            num_bps: 1,
            num_wps: 1,
            pmu_num_ctrs: 7,
            algorithm: number,
            rpv: 0x4242,
            ..RealmParams::default()
        };
        assert_eq!(fixture.realm_create(RD, &parameters), SUCCESS);
        let measured = || {
            fixture.with_realm(RD, |realm| {
                measurement_reference::bytes(realm.initial_measurement.value())
            })
        };
        let expected = measurement_reference::initial(algorithm, (1, [40, 3, 1, 1, 7]));
        assert_eq!(measured(), expected);
        assert_eq!(
            fixture.with_realm(RD, |realm| realm.personalization),
            std::array::from_fn(|index| { 0x4242 + index as u64 })
        );

        // A REC that is not runnable is not measured.
        let mut first = RecParams { flags: 0, pc: 9, ..RecParams::default() };
        assert_eq!(fixture.rec_create(RD, REC, &first), SUCCESS);
        assert_eq!(measured(), expected);
        first = RecParams { flags: 1, mpidr: 1, pc: 0x1234, ..first }.with_auxiliary(SECOND_AUX);
        assert_eq!(fixture.rec_create(RD, SECOND_REC, &first), SUCCESS);
        let expected = measurement_reference::rec(algorithm, &expected, 1, 0x1234, first.gprs);
        assert_eq!(measured(), expected);
        assert_eq!(fixture.call(function::REALM_ACTIVATE, &[RD]), SUCCESS);
        assert_eq!(measured(), expected);
    }
}

#[test]
fn a_rec_begins_as_its_parameters_say() {
    let fixture = RealmFixture::new();
    fixture.realm(RD, ROOT, 1);
    fixture.rec(RD, REC, AUX, 0);
    fixture.with_rec(REC, |rec| {
        assert_eq!(rec.state.registers.gprs[..9], [1, 2, 3, 4, 5, 6, 7, 8, 0]);
        assert_eq!(rec.state.registers.gprs[9..], [0; 22]);
        assert_eq!(rec.state.registers.pc, 0x8000);
        // EL1h with all exceptions masked; MMU and caches off.
        assert_eq!(rec.state.registers.pstate, 0x3c5);
        assert_eq!(rec.state.registers.el1.sctlr & 0x1005, 0);
        assert!(rec.state.runnable);
        assert_eq!(rec.state.pending, PendingRequest::None);
        assert_eq!(rec.identity.realm.get().get(), RD);
    });
}

#[test]
fn recs_are_named_in_order_through_all_affinity_levels() {
    let fixture = RealmFixture::new();
    fixture.realm(RD, ROOT, 1);
    let names = [(0, 0), (15, 0xf), (16, 0x100), (255, 0xf0f), (256, 0x1000), (510, 0x1f0e)];
    for (index, mpidr) in names {
        fixture.with_realm(RD, |realm| realm.next_rec = index);
        fixture.rec(RD, REC, AUX, mpidr);
        assert_eq!(fixture.call(function::REC_DESTROY, &[REC]), SUCCESS);
        fixture.undelegate(&[REC]);
        fixture.undelegate(&auxiliary(AUX));
        assert_eq!(fixture.with_realm(RD, |realm| realm.next_rec), index + 1);
    }
    fixture.delegate(&[REC]);
    fixture.delegate(&auxiliary(AUX));
    fixture.write_rec(PARAMETERS, &RecParams { mpidr: 0x1f0f, ..RecParams::default() });
    fixture.refused(function::REC_CREATE, &[RD, REC, PARAMETERS], ERROR_REALM, "one REC too many");
}

#[test]
fn every_rec_has_as_many_auxiliary_granules_as_the_rmm_says() {
    let fixture = RealmFixture::new();
    fixture.realm(RD, ROOT, 1);
    assert_eq!(
        call(&fixture.system, function::REC_AUX_COUNT, &[RD]),
        (SUCCESS, [AUXILIARY as u64, 0, 0])
    );
    for bad in [RD + 8, ROOT, HOSTS, 0, u64::MAX] {
        fixture.refused(function::REC_AUX_COUNT, &[bad], 1, "no RD");
    }
}

#[test]
fn a_rec_is_entered_in_an_active_realm_alone() {
    let fixture = RealmFixture::new();
    fixture.realm(RD, ROOT, 1);
    fixture.rec(RD, REC, AUX, 0);
    fixture.refused(function::REC_ENTER, &[REC, HOSTS], ERROR_REALM, "a Realm that is NEW");
    assert_eq!(fixture.call(function::REALM_ACTIVATE, &[RD]), SUCCESS);
    assert_eq!(fixture.call(function::REC_ENTER, &[REC, HOSTS]), SUCCESS);
    fixture.with_realm(RD, |realm| {
        realm.set_state(RealmState::SystemOff, fixture.system.rmm.granules().epochs())
    });
    fixture.refused(
        function::REC_ENTER,
        &[REC, HOSTS],
        ERROR_REALM_OFF,
        "a Realm that is SYSTEM_OFF",
    );
    fixture.refused(function::REALM_ACTIVATE, &[RD], ERROR_REALM, "a Realm that is SYSTEM_OFF");
    // A REC can be destroyed in any state of its Realm.
    assert_eq!(fixture.call(function::REC_DESTROY, &[REC]), SUCCESS);
    assert_eq!(fixture.call(function::REALM_DESTROY, &[RD]), SUCCESS);
}

#[test]
fn root_tables_begin_without_entries_in_the_protected_and_in_the_other_half() {
    // IPA bits, start level, root tables.
    for (s2sz, rtt_level_start, rtt_num_start) in
        [(40, 1, 2), (39, 1, 1), (32, 1, 1), (34, 2, 16), (43, 1, 16), (49, -1, 1)]
    {
        let fixture = RealmFixture::new();
        fixture.delegate(&[RD]);
        for table in 0..u64::from(rtt_num_start) {
            fixture.system.machine.memory.fill_granule(ROOTS + 0x1000 * table, 0x5ec7e7);
            fixture.delegate(&[ROOTS + 0x1000 * table]);
        }
        let lpa2 = u64::from(rtt_level_start < 0);
        let base = RealmParams { flags: lpa2, s2sz, rtt_base: ROOTS, ..RealmParams::default() };
        let parameters = RealmParams { rtt_level_start, rtt_num_start, ..base };
        assert_eq!(fixture.realm_create(RD, &parameters), SUCCESS);
        let format = if lpa2 != 0 { DescriptorFormat::Lpa2 } else { DescriptorFormat::Bits48 };
        let level = Level::from_number(rtt_level_start).expect("a level");
        for index in 0..512 * u64::from(rtt_num_start) {
            let word =
                fixture.system.machine.memory.word(ROOTS + 8 * index).expect("there is memory");
            let entry = Entry::decode(word.load(Ordering::Relaxed), level, format);
            assert_eq!(
                entry,
                Entry::Unassigned(Ripas::Empty),
                "entry {index} of {s2sz} bits from level {rtt_level_start}"
            );
        }
    }
}

#[test]
fn nothing_of_a_realm_is_left_in_any_tlb_when_its_vmid_is_free() {
    let fixture = RealmFixture::new();
    fixture.realm(RD, ROOT, 0x1234);
    let (status, events) = rmm::host::record(|| fixture.call(function::REALM_DESTROY, &[RD]));
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
