// SPDX-License-Identifier: BSD-3-Clause
//! A host that writes its memory while the RMM reads it. The RMM measures and uses the same copy.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use rmm::granule::State;
use rmm::realm::measurement::HashAlgorithm;
use rmm::realm::rec::Registers;
use rmm::rmi::function;

use crate::measurement_reference;
use kit::realm_fixture::*;
use kit::rmi::fixture::SUCCESS;

fn measured(fixture: &RealmFixture) -> [u8; 64] {
    fixture.with_realm(RD, |realm| measurement_reference::bytes(realm.initial_measurement.value()))
}

#[test]
fn a_realm_is_what_its_measurement_says_whenever_the_host_changes_its_parameters() {
    let mut seen = [0; 3];
    for words in 0..20 {
        let fixture = RealmFixture::new();
        fixture.delegate(&[RD, ROOT, ROOT + 0x1000]);
        fixture.write_realm(PARAMETERS, &RealmParams::default());
        let changed = [(PARAMETERS + 0x8, 39), (PARAMETERS + 0x818, 1), (PARAMETERS + 0x30, 1)];
        fixture.system.machine.write_after(words, changed.to_vec());
        if fixture.call(function::REALM_CREATE, &[RD, PARAMETERS]) != SUCCESS {
            // The former size with the new number of root tables.
            seen[0] += 1;
            assert_eq!(fixture.state(RD), Some(State::Delegated));
            continue;
        }
        let (bits, roots) =
            fixture.with_realm(RD, |realm| (realm.stage2.ipa_bits, realm.stage2.root_count));
        let algorithm = fixture.with_realm(RD, |realm| realm.initial_measurement.algorithm());
        assert!(matches!((bits, roots), (40, 2) | (39, 1)), "{bits} bits by {roots} root tables");
        seen[usize::from(bits == 39) + 1] += 1;
        assert_eq!(
            measured(&fixture),
            measurement_reference::initial(algorithm, (0, [bits.into(), 0, 1, 1, 0]))
        );
        assert_eq!(fixture.call(function::REALM_DESTROY, &[RD]), SUCCESS);
    }
    assert!(seen.iter().all(|times| *times > 0), "refused, before and after: {seen:?}");
}

#[test]
fn a_rec_is_what_was_measured_whenever_the_host_changes_its_parameters() {
    let mut seen = BTreeSet::new();
    for words in 0..28 {
        let fixture = RealmFixture::new();
        fixture.realm(RD, ROOT, 1);
        fixture.delegate(&[REC]);
        fixture.delegate(&auxiliary(AUX));
        fixture.write_rec(PARAMETERS, &RecParams::default());
        let before = measured(&fixture);
        let mut changed = vec![(PARAMETERS + 0x200, 0x1111)];
        changed.extend((0..8).map(|register| (PARAMETERS + 0x300 + 8 * register, !register)));
        fixture.system.machine.write_after(words, changed);
        assert_eq!(fixture.call(function::REC_CREATE, &[RD, REC, PARAMETERS]), SUCCESS);
        let Registers { pc, gprs, .. } = fixture.with_rec(REC, |rec| rec.state.registers);
        let arguments: [u64; 8] = std::array::from_fn(|register| gprs[register]);
        assert_eq!(
            measured(&fixture),
            measurement_reference::rec(HashAlgorithm::Sha256, &before, 1, pc, arguments)
        );
        seen.insert((pc, arguments));
    }
    assert!(seen.len() > 2, "before, after and in between");
}

#[test]
fn the_content_that_is_measured_is_the_content_of_the_realm() {
    let mut seen = BTreeSet::new();
    for words in [0, 1, 2, 100, 511] {
        let fixture = RealmFixture::new();
        fixture.realm(RD, ROOT, 1);
        let tables = [SPARE, SPARE + 0x1000];
        fixture.delegate(&tables);
        for (table, level) in tables.into_iter().zip([2, 3]) {
            assert_eq!(fixture.call(function::RTT_CREATE, &[RD, table, 0, level]), SUCCESS);
        }
        let data = SPARE + 0x2000;
        fixture.delegate(&[data]);
        let changed = (0..0x1000).step_by(8).map(|offset| (HOSTS + offset, !offset)).collect();
        let before = measured(&fixture);
        fixture.system.machine.write_after(words, changed);
        assert_eq!(fixture.call(function::DATA_CREATE, &[RD, data, 0, HOSTS, 1]), SUCCESS);
        let content = fixture.system.machine.memory.granule(data).expect("there is memory");
        let content: Vec<u8> =
            content.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        let expected =
            measurement_reference::data(HashAlgorithm::Sha256, &before, 0, 1, Some(&content));
        assert_eq!(measured(&fixture), expected, "changed after {words} words");
        seen.insert(content);
    }
    assert_eq!(seen.len(), 5, "each time another part of it had changed");
}
