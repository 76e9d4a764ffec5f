// SPDX-License-Identifier: BSD-3-Clause
//! The small configurations, to the end; that counts repeat; that a machine that is broken is found
//! out.

use explore::configuration::{Configuration, find, tiny};
use explore::explorer::{Explored, Explorer};
use explore::letters::realm_functions_left_out;
use explore::machine::SeamFault;

/// The page that says what every exploration comes to.
const PAGE: &str = include_str!("../../../docs/security/exploration.md");

/// Explores a configuration to its end, where its row in the page says.
fn explore(name: &str) {
    let configuration = find(name).expect("there is one");
    let mut explorer = Explorer::new(configuration, SeamFault::None);
    let explored = explorer.run(usize::MAX);
    assert!(explored.complete, "{explored:#?}");
    let row = explored.row(&explorer.configuration);
    assert!(PAGE.contains(&row), "the page has another row than {row}");
}

#[test]
fn two_realms_and_their_recs_from_every_state() {
    explore("realms");
}

#[test]
fn protected_tables_memory_and_ripas_from_every_state() {
    explore("memory");
}

#[test]
fn unprotected_tables_blocks_and_pages_from_every_state() {
    explore("unprotected");
}

#[test]
fn two_recs_that_run_and_call_each_other_from_every_state() {
    explore("recs");
}

#[test]
fn recs_that_are_created_and_destroyed_by_stateful_operations_from_every_state() {
    explore("donation");
}

#[test]
fn protected_memory_in_ranges_of_rmi_2_0_from_every_state() {
    explore("ranges");
}

#[test]
fn unprotected_memory_in_ranges_of_rmi_2_0_from_every_state() {
    explore("sharing");
}

#[test]
fn states_repeat_and_symmetry_leaves_none_out() {
    let mut first = Explorer::new(tiny(), SeamFault::None);
    let explored = first.run(usize::MAX);
    let names = first.names_by_symmetry();
    drop(first);
    let again = Explorer::new(tiny(), SeamFault::None).run(usize::MAX);
    let counts = |one: &Explored| (one.states, one.transitions, one.depth, one.complete);
    assert_eq!(counts(&explored), counts(&again), "the same every time");
    assert_eq!(names.len(), explored.states, "each state once");
    let mut plain = Explorer::new(Configuration { symmetry: false, ..tiny() }, SeamFault::None);
    let all = plain.run(usize::MAX);
    assert!(all.complete, "{all:#?}");
    assert!(all.states > explored.states, "symmetry is of use: {}", all.states);
    for (name, path) in plain.names_by_symmetry() {
        assert!(names.contains_key(&name), "symmetry leaves out {path:#?}");
    }
}

#[test]
fn a_broken_machine_is_found_out_by_the_shortest_path() {
    const FAULTS: [(SeamFault, &str, usize); 15] = [
        (SeamFault::DelegateLies, "realms", 1),
        (SeamFault::DelegatesTwo, "realms", 1),
        (SeamFault::RefusalLies, "realms", 1),
        (SeamFault::UndelegateLies, "realms", 1),
        (SeamFault::ZeroingDoesNothing, "realms", 1),
        (SeamFault::ZeroingStopsEarly, "realms", 1),
        (SeamFault::TlbDeaf("tlbi vmalls12e1is"), "unprotected", 4),
        (SeamFault::TlbDeaf("tlbi ipas2e1is"), "unprotected", 5),
        (SeamFault::TlbDeaf("tlbi vmalle1is"), "unprotected", 5),
        (SeamFault::TlbDeaf("tlbi ipas2e1is"), "memory", 6),
        (SeamFault::TlbDeaf("tlbi vmalle1is"), "memory", 10),
        (SeamFault::TlbDeaf("dsb ish"), "realms", 3),
        (SeamFault::TlbDeaf("dsb ish"), "memory", 4),
        (SeamFault::TlbDeaf("dsb ishst"), "memory", 6),
        (SeamFault::ZeroingStopsEarly, "donation", 1),
    ];
    let mut lengths = Vec::new();
    for (fault, name, length) in FAULTS {
        let configuration = find(name).expect("there is one");
        let explored = Explorer::new(configuration, fault).run(usize::MAX);
        let finding = explored.finding.unwrap_or_else(|| panic!("{fault:?} is not found"));
        println!("{fault:?}: {}\n  {}", finding.what, finding.path.join("\n  "));
        lengths.push((fault, finding.path.len(), length));
    }
    assert!(lengths.iter().all(|(_, found, length)| found == length), "{lengths:#?}");
}

#[test]
fn the_page_says_which_functions_of_a_realm_are_left_out() {
    for name in realm_functions_left_out() {
        assert!(PAGE.contains(&format!("`{name}`")), "{name} is left out");
    }
}

/// Explores pairs of calls where the row in the page says.
fn interleave(name: &str) {
    let (configuration, switches) = name.split_once('/').expect("so many switches");
    let mut explorer = Explorer::new(find(configuration).expect("there is one"), SeamFault::None);
    assert!(explorer.run(usize::MAX).complete);
    let plain = switches.trim_end_matches('+');
    let result = explorer.interleave(plain.parse().expect("a number"), plain != switches);
    assert!(result.finding.is_none(), "{result:#?}");
    let row = result.row(name);
    assert!(PAGE.contains(&row), "the page has another row than {row}");
}

#[test]
fn two_cpus_call_at_the_same_time_in_every_order_of_their_steps() {
    interleave("tiny/1");
}

#[test]
fn calls_that_could_succeed_only_in_the_midst_of_another_while_a_rec_runs() {
    interleave("run/1+");
}
