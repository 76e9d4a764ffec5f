// SPDX-License-Identifier: BSD-3-Clause
//! The scenarios by name, one file per family. A scenario is a plain function that calls the RMM and checks.

mod boot;

/// A named list of checks.
pub struct Scenario {
    /// The name on the command line.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(),
}

/// Every scenario.
pub const ALL: &[Scenario] =
    &[Scenario { name: "boots", run: boot::boots }, Scenario { name: "refused", run: boot::refused }];
