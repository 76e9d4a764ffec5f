// SPDX-License-Identifier: BSD-3-Clause
//! Random numbers whose seed is printed, and can be given again in the environment.

/// Names the seed in the environment.
const VARIABLE: &str = "RMM_TEST_SEED";

/// A generator for the test `name`; its seed is printed, which the test harness shows when the test
/// fails.
pub fn generator(name: &str) -> fastrand::Rng {
    let seed = match std::env::var(VARIABLE) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{VARIABLE} is no decimal number")),
        Err(_) => fastrand::u64(..),
    };
    println!("{name}: repeat with {VARIABLE}={seed}");
    fastrand::Rng::with_seed(seed)
}
