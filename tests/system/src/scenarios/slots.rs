// SPDX-License-Identifier: BSD-3-Clause
//! What the RMM does through its slots: access to memory that is the host's, or is no longer.

use crate::scenario::Scenario;

/// The host's memory.
pub fn host_memory() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "rmi2-configuration",
            "configuration",
            "the configuration goes through pages that are the host's, and others are input errors",
        )
        .interface("2.0")
        .option("secure=0x78000000+0x1000")
        .option("root=0x78002000+0x1000"),
    ]
}
