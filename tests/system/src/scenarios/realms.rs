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
    ]
}
