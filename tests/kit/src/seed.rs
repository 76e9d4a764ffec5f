// SPDX-License-Identifier: BSD-3-Clause
//! Random numbers whose seed is printed, and how many of them a test takes. The environment can
//! repeat the one and multiply the other.

use std::str::FromStr;

/// Names the seed in the environment.
const SEED: &str = "RMM_TEST_SEED";
/// Names the factor in the environment.
const FACTOR: &str = "RMM_TEST_FACTOR";
/// Miri takes some thousand times as long for an instruction.
const DIVISOR: usize = if cfg!(miri) { 1000 } else { 1 };

/// A number in the environment.
fn number<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no decimal number")))
}

/// The seed of the test `name`. It is printed, which the test harness shows when the test fails.
pub fn seed(name: &str) -> u64 {
    let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..));
    println!("{name}: repeat with {SEED}={seed}");
    seed
}

/// A generator for the test `name`, by [`seed`].
pub fn generator(name: &str) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed(name))
}

/// How many random cases a test takes: `usual`, times the factor in the environment.
pub fn cases(usual: usize) -> usize {
    (usual * number(FACTOR).unwrap_or(1) / DIVISOR).max(1)
}
