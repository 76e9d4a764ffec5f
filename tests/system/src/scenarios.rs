// SPDX-License-Identifier: BSD-3-Clause
//! The table of scenarios, in the order they run.

use crate::scenario::Scenario;

/// Every scenario.
pub fn all() -> Vec<Scenario> {
    let mut rows = Vec::new();
    rows.extend(interface_versions());
    rows.extend(manifest_versions());
    rows
}

fn interface_versions() -> impl Iterator<Item = Scenario> {
    let accepted = ["0.2", "0.3", "0.4", "0.6", "0.8", "0.9", "2.0", "2.1"].map(|version| {
        let sentence = format!("the RMM boots under interface {version} and reports its RMI version");
        Scenario::new(format!("interface-{version}"), "boots", sentence).interface(version)
    });
    let refused = ["0.1", "1.0", "3.0"].map(|version| {
        let sentence = format!("the RMM refuses interface {version}; EL3 and the host go on without it");
        Scenario::new(format!("interface-{version}"), "refused", sentence).interface(version).refusal(-2)
    });
    accepted.into_iter().chain(refused)
}

fn manifest_versions() -> impl Iterator<Item = Scenario> {
    let accepted = ["0.2", "0.3", "0.4", "0.5", "0.6"].map(|version| {
        let sentence = format!("the RMM boots with a boot manifest of version {version}");
        Scenario::new(format!("manifest-{version}"), "boots", sentence)
            .option(format!("manifest-version={version}"))
    });
    let refused = ["0.1", "1.0"].map(|version| {
        let sentence = format!("the RMM refuses a boot manifest of version {version}");
        Scenario::new(format!("manifest-{version}"), "refused", sentence)
            .option(format!("manifest-version={version}"))
            .refusal(-6)
    });
    accepted.into_iter().chain(refused)
}
