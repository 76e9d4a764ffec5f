// SPDX-License-Identifier: BSD-3-Clause
//! What the tests of `xlat` share: a reference walker, a model of a context, a machine that watches
//! it, and random regions.

pub mod machine;
pub mod model;
pub mod region_strategy;
pub mod sequence;
mod tlbi;
pub mod walker;

use proptest::test_runner::{Config, RngSeed, TestRunner};
use rmm::address::PhysAddr;
use rmm::xlat::{Context, Error, Maintenance, Regime, Table, TablePool};

use crate::seed;

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

/// A runner of `cases` random cases, with the seed and factor of [`seed`].
pub fn runner(cases: usize) -> TestRunner {
    TestRunner::new(Config {
        cases: u32::try_from(seed::cases(cases)).expect("a few million at most"),
        rng_seed: RngSeed::Fixed(seed::seed("xlat")),
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    })
}

/// A pool of `tables` that no CPU will ever walk, with `base` as its physical address.
pub fn pool(tables: &mut [Table], base: PhysAddr) -> Result<TablePool<'_>, Error> {
    // SAFETY: no AArch64 CPU walks these tables.
    unsafe { TablePool::new(tables, base) }
}

/// Makes `context` do the maintenance for tables that are walked.
pub fn activate<R: Regime>(
    context: &mut Context<'_, R>,
    maintenance: Maintenance,
) -> Result<(), Error> {
    // SAFETY: no AArch64 CPU walks these tables.
    unsafe { context.activate(maintenance) }
}
