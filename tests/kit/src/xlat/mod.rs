// SPDX-License-Identifier: BSD-3-Clause
//! What the tests of `xlat` have in common: a reference walker, a model of what a context should
//! do, a machine that watches it, and random regions.

pub mod machine;
pub mod model;
pub mod region_strategy;
pub mod sequence;
pub mod walker;

use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Runs `$body` with `$R` as the regime type that `$kind` names.
#[macro_export]
macro_rules! with_regime {
    ($kind:expr, $R:ident => $body:expr) => {
        match $kind {
            $crate::xlat::walker::RegimeKind::El1And0 => {
                type $R = rmm::xlat::El1And0;
                $body
            }
            $crate::xlat::walker::RegimeKind::El2 => {
                type $R = rmm::xlat::El2;
                $body
            }
            $crate::xlat::walker::RegimeKind::El2And0 => {
                type $R = rmm::xlat::El2And0;
                $body
            }
            $crate::xlat::walker::RegimeKind::El3 => {
                type $R = rmm::xlat::El3;
                $body
            }
        }
    };
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// A runner of `cases` cases, or as many times that as XLAT_FACTOR says, by the seed in XLAT_SEED
/// or one of the time.
///
/// The seed is printed, so that a failure can be had again.
pub fn runner(cases: u32) -> TestRunner {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = from_environment("XLAT_SEED").unwrap_or_else(|| {
        now.map_or(0, |now| u64::from(now.subsec_nanos()) ^ now.as_secs() << 20)
    });
    let cases = cases * from_environment::<u32>("XLAT_FACTOR").unwrap_or(1);
    println!("XLAT_SEED={seed} for {cases} cases");
    TestRunner::new(Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    })
}
