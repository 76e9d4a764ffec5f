// SPDX-License-Identifier: BSD-3-Clause
//! Random calls in both dialects, checked one by one by the harness.

use rmm::host::system::Storage;
use rmm::rmi::Dialect;

use crate::harness::{Choices, Harness};
use crate::seed;

/// Calls in each dialect.
const CALLS: usize = 500_000;

impl Choices for fastrand::Rng {
    fn any(&mut self) -> u64 {
        self.u64(..)
    }
}

fn random_calls(dialect: Dialect, name: &str) {
    let mut storage = Storage::default();
    let mut harness = Harness::new(&mut storage, dialect, seed::generator(name));
    for _ in 0..CALLS {
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
