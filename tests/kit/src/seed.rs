// SPDX-License-Identifier: BSD-3-Clause
//! Seeds and numbers of random cases. The seed is printed; the environment can set it again, and
//! can multiply the number of cases.

use std::str::FromStr;

/// The environment variable that sets the seed.
const SEED: &str = "RMM_TEST_SEED";
/// The environment variable that multiplies the number of cases.
const FACTOR: &str = "RMM_TEST_FACTOR";
/// Miri takes some thousand times as long for each instruction.
const DIVISOR: usize = if cfg!(miri) { 1000 } else { 1 };

/// The number in an environment variable.
fn number<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no decimal number")))
}

/// The seed of the test `name`. The test harness shows it if the test fails.
pub fn seed(name: &str) -> u64 {
    let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..));
    println!("{name}: repeat with {SEED}={seed}");
    seed
}

/// A generator for the test `name`, by [`seed`].
pub fn generator(name: &str) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed(name))
}

/// The number of random cases of a test: `usual`, times the factor in the environment.
pub fn cases(usual: usize) -> usize {
    (usual * number(FACTOR).unwrap_or(1) / DIVISOR).max(1)
}
