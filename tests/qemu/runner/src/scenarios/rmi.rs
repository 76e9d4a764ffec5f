// SPDX-License-Identifier: BSD-3-Clause
//! Commands of the host in both dialects: RMI 1.0 with interface 0.8, RMI 2.0 with interface 2.0.

use std::time::Duration;

use crate::protection::Protection;
use crate::scenario::Scenario;

/// Interface versions and the prefix of the names of their scenarios.
const DIALECTS: [(&str, &str); 2] = [("0.8", "rmi1"), ("2.0", "rmi2")];

/// A row for each dialect.
pub(super) fn in_each_dialect(rows: Vec<Scenario>) -> Vec<Scenario> {
    DIALECTS
        .iter()
        .flat_map(|(interface, prefix)| {
            rows.iter().cloned().map(move |row| {
                let name = format!("{prefix}-{}", row.name);
                Scenario { name, ..row }.interface(interface)
            })
        })
        .collect()
}

/// The demonstration.
pub fn sessions(protection: Protection) -> Vec<Scenario> {
    let rows = vec![
        Scenario::new(
            "session",
            "session",
            "the demonstration of an RMM: delegate a granule, lose access to it, get it back wiped",
        ),
        Scenario::new(
            "session-2.0",
            "session",
            "the demonstration of an RMM under interface 2.0, with RMI 2.0",
        )
        .interface("2.0"),
    ];
    rows.into_iter().map(|row| row.expect(protection.boot_line())).collect()
}

/// Commands on one CPU.
pub fn commands() -> Vec<Scenario> {
    let mut rows = in_each_dialect(vec![
        Scenario::new(
            "version",
            "version",
            "RMI_VERSION answers each request by the version rules",
        ),
        Scenario::new(
            "features",
            "features",
            "feature registers are stable, reserved bits and absent registers zero",
        ),
        Scenario::new(
            "unknown",
            "unknown",
            "every unassigned identifier of the forwarded ranges is unknown",
        ),
        Scenario::new("sve-hint", "sve-hint", "the SVE hint is no part of a function identifier"),
        Scenario::new(
            "granules",
            "granules",
            "a granule is delegated and comes back wiped; steps in a wrong state change nothing",
        ),
        Scenario::new(
            "bad-addresses",
            "bad-addresses",
            "an address that is no delegable granule is an input error",
        ),
        Scenario::new(
            "host-access",
            "host-access",
            "the host's access to a delegated granule faults, all other works",
        ),
        Scenario::new(
            "refused-by-el3",
            "refused-by-el3",
            "a granule that EL3 does not give is an input error",
        )
        .option("secure=0x78000000+0x1000")
        .option("root=0x78002000+0x1000"),
        Scenario::new(
            "random-granules",
            "random-granules",
            "4000 random steps on 64 granules follow the model",
        ),
        Scenario::new(
            "random-granules-7",
            "random-granules",
            "4000 random steps on 64 granules follow the model, from another seed",
        )
        .option("seed=7"),
        Scenario::new(
            "interrupts",
            "interrupts",
            "a long command ends early, and goes on, when an interrupt is pending for the host",
        )
        .option("host-interrupts=1")
        .instruction_count(),
    ]);
    rows.extend([
        Scenario::new(
            "rmi2-ranges",
            "ranges",
            "ranges go and come back, and stop where a granule is in their way",
        )
        .interface("2.0"),
        Scenario::new(
            "rmi2-blocks",
            "blocks",
            "a GiB is mapped and unmapped in blocks, each parked by an interrupt that is pending",
        )
        .interface("2.0")
        .option("host-interrupts=1")
        .instruction_count()
        .time_limit(Duration::from_secs(300))
        .expect(r"^figure: Instructions, RMI 2\.0 \| RMI_RTT_DATA_MAP, a block of 1 GiB \| \d+$"),
        Scenario::new(
            "rmi2-bad-ranges",
            "bad-ranges",
            "an invalid range is an input error and changes nothing",
        )
        .interface("2.0"),
    ]);
    rows
}

/// Commands on several CPUs.
pub fn multiprocessor() -> Vec<Scenario> {
    let mut rows = vec![
        Scenario::new(
            "psci",
            "psci",
            "EL3's power functions work as the other scenarios need them",
        )
        .cpus(2),
        Scenario::new(
            "surplus-cpu",
            "surplus-cpu",
            "a CPU beyond the count is refused with -4, and ends all service",
        )
        .cpus(4)
        .option("cpus=2"),
    ];
    rows.extend(in_each_dialect(vec![
        Scenario::new("warm-boots", "warm-boots", "4 CPUs go off and on, and are served each time")
            .cpus(4),
        Scenario::new(
            "other-cpu-access",
            "access-from-another-cpu",
            "a delegated granule is out of reach of a CPU that has just read it",
        )
        .cpus(2),
        Scenario::new(
            "contention",
            "contention",
            "4 CPUs delegate their own and each other's granules",
        )
        .cpus(4),
    ]));
    rows
}

/// Stateful operations.
pub fn operations() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "rmi2-operations",
            "operations",
            "4 CPUs take operations, RECs and granules from each other, and every granule comes back",
        )
        .interface("2.0")
        .cpus(4)
        .option("argument=3000")
        .time_limit(Duration::from_secs(180))
        .expect(r"^\d+ operations, \d+ RECs$"),
    ]
}

/// Instruction counts, which `make bench` compares with the document's.
pub fn costs() -> Vec<Scenario> {
    let mut rows = in_each_dialect(vec![
        Scenario::new(
            "instructions",
            "instructions",
            "the cost of each command is printed, and repeats",
        )
        .cpus(2)
        .option("realm-key=unknown")
        .instruction_count()
        .expect(r"^figure: Instructions, RMI \d\.0 \| cold boot, a bank of 3 GiB \| \d+$")
        .expect(r"^figure: Instructions, RMI \d\.0 \| RMI_VERSION \| \d+$"),
    ]);
    rows.push(
        Scenario::new(
            "rmi2-range-instructions",
            "range-instructions",
            "the cost of each granule of a range is printed, for 1 to 8 CPUs",
        )
        .interface("2.0")
        .cpus(8)
        .instruction_count()
        .expect(r"RMI_GRANULE_RANGE_UNDELEGATE of 16 MiB, per granule, 8 CPUs \| \d+$"),
    );
    rows.push(
        Scenario::new(
            "rmi2-realm-instructions",
            "costs-2.0",
            "the cost of each command on Realms and of stateful operations is printed",
        )
        .interface("2.0")
        .instruction_count()
        .expect(r"^figure: Instructions, RMI 2\.0 \| RMI_PSCI_COMPLETE, of a target \| \d+$"),
    );
    rows.push(
        Scenario::new(
            "rmi2-run-instructions",
            "run-instructions",
            "RMI_REC_ENTER keeps its bound under RMI 2.0",
        )
        .interface("2.0")
        .instruction_count()
        .option("host-interrupts=1")
        .expect(
            r"^figure: Instructions, RMI 2\.0 \| RMI_REC_ENTER, host call to host call \| \d+$",
        ),
    );
    rows
}
