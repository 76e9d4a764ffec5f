// SPDX-License-Identifier: BSD-3-Clause
//! Random calls in both dialects, each checked by the harness.

use kit::rmi::harness::Harness;
use kit::seed;
use kit::system::Storage;
use rmm::rmi::Dialect;

/// Calls in each dialect.
const CALLS: usize = 500_000;

fn random_calls(dialect: Dialect, name: &str) {
    let mut storage = Storage::default();
    let mut harness = Harness::new(&mut storage, dialect, seed::generator(name));
    for _ in 0..seed::cases(CALLS) {
        harness.step();
    }
}

#[test]
fn random_calls_of_rmi_1_0_do_what_the_model_does() {
    random_calls(Dialect::V1_0, "RMI 1.0");
}

#[test]
fn random_calls_of_rmi_2_0_do_what_the_model_does() {
    random_calls(Dialect::V2_0, "RMI 2.0");
}
