// SPDX-License-Identifier: BSD-3-Clause
//! Realms and RECs, with RMI 1.0.

use crate::scenario::Scenario;

/// Their lives, and what they cost.
pub fn realms() -> Vec<Scenario> {
    vec![
        Scenario::new("realm-life", "realm-life", "a Realm with two RECs is built and leaves nothing behind"),
        Scenario::new("realm-shapes", "realm-shapes", "a Realm of each IPA size from each level that has it"),
        Scenario::new("realm-instructions", "realm-instructions", "RMI_REALM_CREATE keeps its bound")
            .instruction_count()
            .expect(r"^figure: Instructions, RMI 1\.0 \| RMI_REALM_CREATE \| \d+$"),
        Scenario::new(
            "realm-sessions",
            "realm-sessions",
            "Realms of up to 16 MiB of every shape are built, folded, unfolded, shared, and taken down in several orders",
        )
        .expect(r"^[1-9][0-9]* Realms, [1-9][0-9]* of them of 16 MiB$"),
        Scenario::new(
            "table-instructions",
            "table-instructions",
            "the commands on tables and data keep their bounds",
        )
        .instruction_count()
        .expect(r"^figure: Instructions, RMI 1\.0 \| RMI_RTT_READ_ENTRY \| \d+$"),
    ]
}
