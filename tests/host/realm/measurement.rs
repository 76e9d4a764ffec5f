// SPDX-License-Identifier: BSD-3-Clause
//! The Realm Initial Measurement, compared with an independent computation.

use rmm::realm::measurement::{
    HashAlgorithm, InitialMeasurement, MeasuredRealmParameters, MeasuredRecParameters,
};

use crate::measurement_reference::{self, bytes};
use kit::seed;

const ALGORITHMS: [HashAlgorithm; 2] = [HashAlgorithm::Sha256, HashAlgorithm::Sha512];

fn parameters(
    algorithm: HashAlgorithm,
    (flags, numbers): measurement_reference::RealmFields,
) -> MeasuredRealmParameters {
    let [s2sz, sve_vl, num_bps, num_wps, pmu_num_ctrs] = numbers;
    MeasuredRealmParameters { flags, s2sz, sve_vl, num_bps, num_wps, pmu_num_ctrs, algorithm }
}

#[test]
fn the_oracle_agrees_with_published_hashes() {
    // FIPS 180-4 examples: "abc".
    let sha256 = measurement_reference::hash(HashAlgorithm::Sha256, b"abc");
    assert_eq!(sha256[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_eq!(sha256[28..36], [0xf2, 0x00, 0x15, 0xad, 0, 0, 0, 0]);
    assert_eq!(
        measurement_reference::hash(HashAlgorithm::Sha512, b"abc")[..4],
        [0xdd, 0xaf, 0x35, 0xa1]
    );
}

#[test]
fn each_parameter_of_a_realm_is_measured_by_itself() {
    for algorithm in ALGORITHMS {
        let mut values = Vec::new();
        for field in 0..7 {
            let flags = if field == 6 { u64::MAX } else { 0 };
            let mut numbers = [0; 5];
            if let Some(number) = numbers.get_mut(field) {
                *number = u32::MAX;
            }
            let fields = (flags, numbers);
            let measured = bytes(InitialMeasurement::new(&parameters(algorithm, fields)).value());
            assert_eq!(
                measured,
                measurement_reference::initial(algorithm, fields),
                "field {field}, {algorithm:?}"
            );
            values.push(measured);
        }
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), 7);
    }
}

#[test]
fn random_histories_have_the_measurement_of_the_independent_computation() {
    let mut random = seed::generator("measurement");
    for algorithm in ALGORITHMS {
        for _ in 0..40 {
            let fields = (random.u64(..), core::array::from_fn(|_| random.u32(..)));
            let mut measurement = InitialMeasurement::new(&parameters(algorithm, fields));
            let mut expected = measurement_reference::initial(algorithm, fields);
            for _ in 0..12 {
                let (first, second) = (random.u64(..), random.u64(..));
                expected = match random.u8(0..4) {
                    0 => {
                        // Zeros too, since the RMM hashes them by a path of their own.
                        let mut content = [0; 512];
                        let filled = random.usize(0..=512);
                        content[..filled].fill_with(|| random.u64(..));
                        measurement.extend_with_data(first, second, Some(&content));
                        measurement_reference::data(
                            algorithm,
                            &expected,
                            first,
                            second,
                            Some(&bytes::<512, 4096>(&content)),
                        )
                    }
                    1 => {
                        measurement.extend_with_data(first, second, None);
                        measurement_reference::data(algorithm, &expected, first, second, None)
                    }
                    2 => {
                        let gprs = core::array::from_fn(|_| random.u64(..));
                        let rec = MeasuredRecParameters { flags: first, pc: second, gprs };
                        measurement.extend_with_rec(&rec);
                        measurement_reference::rec(algorithm, &expected, first, second, gprs)
                    }
                    _ => {
                        measurement.extend_with_ripas(first, second);
                        measurement_reference::ripas(algorithm, &expected, first, second)
                    }
                };
                assert_eq!(bytes(measurement.value()), expected);
            }
        }
    }
}
