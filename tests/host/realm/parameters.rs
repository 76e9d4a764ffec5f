// SPDX-License-Identifier: BSD-3-Clause
//! Which stage-2 translations a Realm may have, compared with rules written a second time: the
//! sizes that a walk from each level can translate.

use rmm::realm::features::RealmFeatures;
use rmm::realm::parameters::{
    HostRealmParameters, ParameterRules, RealmLimits, RealmParametersError,
};
use rmm::realm::rec::parameters::HostRecParameters;
use rmm::realm::stage2::{Stage2, Stage2Features};

const LIMITS: RealmLimits = RealmLimits {
    ipa_bits: 52,
    physical_bits: 52,
    lpa2: true,
    sve_length: Some(3),
    pmu_counters: Some(6),
    pmu_may_be_empty: false,
    breakpoints: 15,
    watchpoints: 15,
    vmid_bits: 16,
    stage2: Stage2Features { physical_range: 6, vmid_16: true },
};

/// The rules of RMI 1.0.
const RULES: ParameterRules =
    ParameterRules { inert_flags: 0, zero_debug_registers: false, host_chooses_vmid: true };

/// Validates parameters with this stage 2 and `root`.
fn validate(
    limits: &RealmLimits,
    lpa2: bool,
    s2sz: u64,
    level: i64,
    count: u64,
    root: u64,
) -> Result<Stage2, RealmParametersError> {
    let fields = HostRealmParameters::read(|offset, words: &mut [u64]| {
        match offset {
            0x0 => words.copy_from_slice(&[u64::from(lpa2), s2sz, 0, 1, 1, 0, 0]),
            0x800 => words.copy_from_slice(&[3, root, level.cast_unsigned(), count]),
            _ => words.fill(0),
        }
        Ok::<(), ()>(())
    });
    fields.expect("it can be read").validate(limits, &RULES).map(|parameters| parameters.stage2)
}

/// Validates parameters with these flags, vector length and counters, on CPUs with 64-byte vectors
/// and 6 counters.
fn validate_features(
    flags: u64,
    sve_vl: u64,
    counters: u64,
) -> Result<RealmFeatures, RealmParametersError> {
    let fields = HostRealmParameters::read(|offset, words: &mut [u64]| {
        match offset {
            0x0 => words.copy_from_slice(&[flags, 40, sve_vl, 1, 1, counters, 0]),
            0x800 => words.copy_from_slice(&[3, 0x4000_0000, 1, 2]),
            _ => words.fill(0),
        }
        Ok::<(), ()>(())
    });
    Ok(fields.expect("it can be read").validate(&LIMITS, &RULES)?.features)
}

#[test]
fn a_realm_has_vectors_no_longer_than_the_cpus() {
    const SVE: u64 = 1 << 1;
    for length in 0..4 {
        let features = validate_features(SVE, length, 0).unwrap();
        assert_eq!((features.has_sve, u64::from(features.sve_length)), (true, length));
    }
    for length in [4, 15, 16, 256, 0xffff_ffff] {
        assert_eq!(validate_features(SVE, length, 0), Err(RealmParametersError::SveLength));
    }
    // Without the flag the length is ignored.
    assert!(!validate_features(0, 7, 0).unwrap().has_sve);
}

#[test]
fn a_realm_has_no_more_counters_than_the_cpus() {
    const PMU: u64 = 1 << 2;
    for counters in 1..=6 {
        let features = validate_features(PMU, 0, counters).unwrap();
        assert_eq!((features.has_pmu, u64::from(features.pmu_counters)), (true, counters));
    }
    for counters in [0, 7, 31, 256, 0xffff_ffff] {
        assert_eq!(validate_features(PMU, 0, counters), Err(RealmParametersError::PmuCounters));
    }
    // Without the flag the number is ignored.
    assert!(!validate_features(0, 0, 31).unwrap().has_pmu);
}

/// The number of root tables for a walk of `bits` from `level`, if possible. A table resolves 9
/// bits, concatenation up to 4 more, the page 12.
fn tables(lpa2: bool, bits: u64, level: i64) -> Option<u64> {
    let levels = u64::try_from(3 - level).ok()?;
    let below = 12 + 9 * levels;
    let resolved = bits.checked_sub(below)?;
    match (level, resolved) {
        // Level -1 could begin with two bits of index. The architecture allows it only for sizes
        // that level 0 cannot translate: from 49 bits on.
        (-1, 1..=4) if lpa2 => Some(1),
        (-1, _) => None,
        (_, 0) => None,
        (_, 1..=9) => Some(1),
        (0, _) if !lpa2 => None,
        (_, 10..=13) => Some(1 << (resolved - 9)),
        _ => None,
    }
}

#[test]
fn every_combination_of_size_and_level_is_accepted_exactly_if_a_walk_can_do_it() {
    let mut accepted = 0;
    for lpa2 in [false, true] {
        for bits in 0..=64 {
            for level in -3..=5 {
                let allowed = (32..=if lpa2 { 52 } else { 48 }).contains(&bits)
                    && (if lpa2 { -1 } else { 0 }..=3).contains(&level);
                let expected = tables(lpa2, bits, level).filter(|_| allowed);
                for count in 0..=33 {
                    let stage2 = validate(&LIMITS, lpa2, bits, level, count, 0x4000_0000);
                    assert_eq!(
                        stage2.is_ok(),
                        expected == Some(count),
                        "{bits} bits from level {level}, {count} tables, LPA2 {lpa2}: {stage2:?}"
                    );
                    if let Ok(stage2) = stage2 {
                        accepted += 1;
                        assert_eq!(u64::from(stage2.ipa_bits), bits);
                        assert_eq!(u64::from(stage2.root_count), count);
                        assert_eq!(stage2.lpa2, lpa2);
                    }
                }
            }
        }
    }
    // Without LPA2, sizes from level 2, 1 and 0. With LPA2, also concatenated ones at level 0, and
    // those from level -1.
    assert_eq!(accepted, 3 + 12 + 9 + (3 + 12 + 13 + 4));
}

#[test]
fn root_tables_are_aligned_to_their_size_and_within_reach() {
    let with_root = |lpa2, root| validate(&LIMITS, lpa2, 43, 1, 16, root);
    for root in [0x1_0000, 0xffff_ffff_0000] {
        assert!(with_root(false, root).is_ok());
    }
    for shift in 0..16 {
        assert_eq!(with_root(false, 0x10_0000 | 1 << shift), Err(RealmParametersError::Root));
    }
    assert_eq!(with_root(false, 1 << 48), Err(RealmParametersError::Root));
    assert!(with_root(true, 1 << 48).is_ok());
    for bit in 52..64 {
        assert_eq!(with_root(true, 1 << bit), Err(RealmParametersError::Root));
    }
}

#[test]
fn limits_of_the_cpu_are_kept() {
    let narrow =
        RealmLimits { ipa_bits: 40, physical_bits: 40, lpa2: false, vmid_bits: 8, ..LIMITS };
    assert!(validate(&narrow, false, 40, 1, 2, 0x4000).is_ok());
    assert_eq!(validate(&narrow, false, 41, 1, 4, 0x4000), Err(RealmParametersError::IpaBits));
    assert_eq!(validate(&narrow, true, 40, 1, 2, 0x4000), Err(RealmParametersError::Flags));
    assert_eq!(validate(&narrow, false, 40, 0, 1, 0x4000), Err(RealmParametersError::StartLevel));
    assert_eq!(validate(&narrow, false, 40, 1, 2, 1 << 40), Err(RealmParametersError::Root));
    let enough = RealmLimits { physical_bits: 44, ..narrow };
    assert!(validate(&enough, false, 40, 0, 1, 0x4000).is_ok());
}

#[test]
fn no_word_of_the_parameters_is_read_twice() {
    fn words(read: impl FnOnce(&mut dyn FnMut(usize, &mut [u64]) -> Result<(), ()>)) -> Vec<usize> {
        let mut seen = Vec::new();
        read(&mut |offset, words| {
            seen.extend((offset..).step_by(8).take(words.len()));
            Ok(())
        });
        seen.sort_unstable();
        seen
    }
    let realm = words(|read| assert!(HostRealmParameters::read(read).is_ok()));
    let rec = words(|read| assert!(HostRecParameters::read(read).is_ok()));
    for seen in [realm, rec] {
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:x?}");
    }
}
