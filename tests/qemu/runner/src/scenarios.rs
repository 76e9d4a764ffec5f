// SPDX-License-Identifier: BSD-3-Clause
//! The table of scenarios, in the order of their runs: boots first, then commands.

pub mod attestation;
mod boot;
mod cpus;
mod debugger;
mod faults;
mod machines;
mod realms;
mod rmi;
mod slots;
mod stress;
mod xlat;

use crate::protection::Protection;
use crate::scenario::Scenario;

/// All scenarios of the usual run, for an RMM with this protection. The names do not depend on it.
pub fn all(protection: Protection) -> Vec<Scenario> {
    let mut rows = Vec::new();
    rows.extend(rmi::sessions(protection));
    rows.extend(boot::interface_versions());
    rows.extend(boot::manifest_versions());
    rows.extend(boot::places());
    rows.extend(machines::fvp());
    rows.extend(boot::memory());
    rows.extend(boot::bad_arguments());
    rows.extend(boot::manifest_faults());
    rows.extend(boot::failures());
    rows.extend(boot::control_registers(protection));
    rows.extend(boot::random_numbers());
    rows.extend(attestation::platform());
    rows.extend(rmi::commands());
    rows.extend(rmi::multiprocessor());
    rows.extend(rmi::operations());
    rows.extend(cpus::cpus());
    rows.extend(stress::short());
    rows.extend(slots::host_memory());
    rows.extend(slots::contents());
    rows.extend(faults::deliberate_faults(protection));
    rows.extend(faults::deaths());
    rows.extend(faults::holes());
    rows.extend(realms::realms());
    rows.extend(attestation::tokens());
    rows.extend(debugger::debugger());
    rows.extend(faults::stack_use());
    rows.extend(boot::costs());
    rows.extend(rmi::costs());
    rows.extend(xlat::xlat());
    rows
}

/// The long scenarios, which run only on request.
pub fn long() -> Vec<Scenario> {
    let mut rows = stress::long();
    rows.extend(slots::long());
    rows.extend(attestation::long());
    rows
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use regex::Regex;

    use super::Scenario;
    use crate::protection::Protection;

    fn in_either_kind() -> impl Iterator<Item = Scenario> {
        [Protection::Hardened, Protection::Plain].into_iter().flat_map(super::all)
    }

    fn names(protection: Protection) -> Vec<String> {
        super::all(protection).into_iter().map(|scenario| scenario.name).collect()
    }

    #[test]
    fn names_are_unique_and_the_same_for_both_kinds_of_image() {
        let mut unique = HashSet::new();
        let long = super::long().into_iter().map(|scenario| scenario.name);
        for name in names(Protection::Hardened).into_iter().chain(long) {
            assert!(unique.insert(name.clone()), "two scenarios are named {name}");
        }
        assert_eq!(names(Protection::Hardened), names(Protection::Plain));
    }

    #[test]
    fn every_pattern_is_a_regular_expression() {
        for scenario in in_either_kind().chain(super::long()) {
            for pattern in scenario.expected.iter().chain(&scenario.forbidden) {
                assert!(Regex::new(pattern).is_ok(), "{}: {pattern}", scenario.name);
            }
        }
    }
}
