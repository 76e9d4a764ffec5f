// SPDX-License-Identifier: BSD-3-Clause
//! The table of scenarios, in the order they run: what is booted, and then what is called.

mod boot;
mod faults;
mod rmi;
mod slots;

use crate::scenario::Scenario;

/// Every scenario.
pub fn all() -> Vec<Scenario> {
    let mut rows = Vec::new();
    rows.extend(rmi::sessions());
    rows.extend(boot::interface_versions());
    rows.extend(boot::manifest_versions());
    rows.extend(boot::places());
    rows.extend(boot::bad_arguments());
    rows.extend(boot::manifest_faults());
    rows.extend(boot::failures());
    rows.extend(rmi::commands());
    rows.extend(rmi::multiprocessor());
    rows.extend(slots::host_memory());
    rows.extend(slots::contents());
    rows.extend(faults::deliberate_faults());
    rows.extend(rmi::costs());
    rows
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use regex::Regex;

    #[test]
    fn names_are_unique() {
        let mut names = HashSet::new();
        for scenario in super::all() {
            assert!(names.insert(scenario.name.clone()), "two scenarios are named {}", scenario.name);
        }
    }

    #[test]
    fn every_pattern_is_a_regular_expression() {
        for scenario in super::all() {
            for pattern in scenario.expected.iter().chain(&scenario.forbidden) {
                assert!(Regex::new(pattern).is_ok(), "{}: {pattern}", scenario.name);
            }
        }
    }
}
