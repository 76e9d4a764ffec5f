// SPDX-License-Identifier: BSD-3-Clause
//! Accesses of the RMM through its slots, to memory of the host that may have been delegated.

use std::time::Duration;

use crate::scenario::Scenario;

/// No CPU may die.
const FATAL: &str = r"\[RMM .*FATAL\]";

/// `accesses` to a page that is delegated and undelegated meanwhile.
fn host_race(accesses: u32) -> Scenario {
    let sentence = format!(
        "{accesses} accesses to a page that a CPU takes away and gives back succeed or fault, and \
         nothing leaks"
    );
    Scenario::new("host-race", "host-race", sentence)
        .interface("2.0")
        .self_test_image()
        .forbid(FATAL)
        .cpus(3)
        .option(format!("argument={accesses}"))
        .time_limit(Duration::from_secs(300))
        .expect(r"^host race: \d+ accesses, \d+ flips, \d+ reads and \d+ writes faulted and were recovered$")
}

/// The same race, much longer.
pub fn long() -> Vec<Scenario> {
    let scenario = host_race(1_000_000).time_limit(Duration::from_secs(3600));
    vec![Scenario { name: "long-host-race".into(), ..scenario }]
}

/// Access to the host's memory.
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
        host_race(100_000),
    ]
}

/// What each CPU sees through its slots.
pub fn contents() -> Vec<Scenario> {
    let mut rows = vec![
        Scenario::new(
            "slot-contents",
            "slot-contents",
            "every slot of every CPU shows what was mapped last; without TLB invalidation it would not",
        )
        .self_test_image()
        .forbid(FATAL)
        .cpus(4),
    ];
    for (number, name) in [(2, "rd"), (23, "realm-data")] {
        rows.push(
            Scenario::new(
                format!("private-slot-{name}"),
                "private-slots",
                format!(
                    "what one CPU has mapped in its {name} slot is out of reach of another, which dies trying"
                ),
            )
            .self_test_image()
            .cpus(2)
            // With instructions counted the CPUs take turns, so the report is complete before the
            // run ends.
            .instruction_count()
            .option(format!("argument={number}"))
            .expect(r"^ok: CPU 1 sees its granule while CPU 0 looks through the same slot")
            .expect(r"\[RMM cpu0 FATAL\] exception at vector 4: ESR 0x0000000096000007 ")
            .forbid(r"\[RMM cpu1 FATAL\]"),
        );
    }
    rows
}
