// SPDX-License-Identifier: BSD-3-Clause
//! Realms and RECs, with RMI 1.0.

use std::time::Duration;

use crate::scenario::Scenario;

/// The life of Realms and RECs, and its cost.
pub fn realms() -> Vec<Scenario> {
    let mut rows = vec![
        Scenario::new(
            "rmi2-realm-life",
            "realm-life",
            "a Realm with two RECs is built by a host of RMI 2.0 and leaves nothing behind",
        )
        .interface("2.0"),
        Scenario::new(
            "rmi2-realm-runs",
            "realm-runs",
            "a Realm of a host of RMI 2.0 calls the host, does what it is told, and leaves nothing behind",
        )
        .interface("2.0")
        .expect(r"^the Realm called the host: immediate 0x5a01$"),
        Scenario::new(
            "rmi2-realm-exits",
            "realm-exits",
            "each kind of exit under RMI 2.0, with the whole exit record and what comes back",
        )
        .interface("2.0")
        .option("host-interrupts=1"),
        Scenario::new(
            "realm-life",
            "realm-life",
            "a Realm with two RECs is built and leaves nothing behind",
        ),
        Scenario::new(
            "realm-shapes",
            "realm-shapes",
            "a Realm of each IPA size from each level that has it",
        ),
        Scenario::new(
            "realm-runs",
            "realm-runs",
            "a Realm calls the host, does what it is told, and leaves nothing behind",
        )
        .expect(r"^the Realm called the host: immediate 0x5a01$"),
        Scenario::new(
            "realm-exits",
            "realm-exits",
            "each kind of exit, with the whole exit record and what comes back",
        )
        .option("host-interrupts=1"),
        Scenario::new(
            "realm-aborts",
            "realm-aborts",
            "read-only memory, EL0 in AArch32, and the host's traps of the interrupt controller, \
                with the whole exit record",
        ),
        Scenario::new(
            "realm-interrupts",
            "realm-interrupts",
            "FIQs, virtual interrupts in each state and maintenance, with the whole exit record",
        )
        .option("host-interrupts=1"),
        Scenario::new(
            "realm-leaks",
            "realm-leaks",
            "host and Realm fill every register at several vector lengths, are interrupted at any \
                moment, and find their own",
        )
        .instruction_count()
        .option("host-interrupts=1")
        .expect(r"^host and Realm found their own, [1-9]\d* times after an interrupt$"),
        Scenario::new(
            "realm-calls",
            "realm-calls",
            "each call of a Realm that is answered without its host, and a change of RIPAS",
        ),
        Scenario::new(
            "realm-call-failures",
            "realm-call-failures",
            "each failure condition of a Realm's calls alone and each two of them, in order",
        ),
        Scenario::new(
            "realm-power",
            "realm-power",
            "RECs go off and on by PSCI, and so does their Realm, and the host takes part",
        ),
        Scenario::new(
            "rmi2-realm-power",
            "realm-power",
            "RECs go off and on by PSCI under RMI 2.0, and the RMM itself knows which ones are on",
        )
        .interface("2.0"),
        Scenario::new(
            "realm-power-race",
            "realm-power-race",
            "RECs on three CPUs go off and turn each other on; the host completes their calls \
                late, wrongly, twice or never",
        )
        .cpus(3)
        .expect(r"^race: the target went off \d+ times and on \d+ times; "),
        Scenario::new(
            "realm-ripas",
            "realm-ripas",
            "RIPAS of 2 GiB in few calls, of every kind of entry, and calls on memory that is not there",
        )
        .expect("^2 GiB, no tables: 1 exits, 1 calls, 0 tables$"),
        Scenario::new(
            "realm-call-race",
            "realm-call-race",
            "a REC changes memory that the RMM reads and writes for another one",
        )
        .cpus(2),
        Scenario::new(
            "realm-off-inside",
            "realm-off-inside",
            "a Realm goes off while another REC runs, which continues until its next exit",
        )
        .cpus(2),
        Scenario::new(
            "rmi2-realm-ripas-levels",
            "realm-ripas-levels",
            "RSI_IPA_STATE_GET of every kind of entry at every level, a GiB with memory included",
        )
        .interface("2.0")
        .time_limit(Duration::from_secs(300))
        .expect(r"^ok: a Realm sees the RIPAS of each entry \(594 cases\)$"),
        Scenario::new(
            "realm-call-instructions",
            "realm-call-instructions",
            "calls of a Realm keep their bounds",
        )
        .instruction_count()
        .expect(r"^figure: Instructions, calls of a Realm \| RSI_VERSION \| \d+$"),
        Scenario::new(
            "realm-simd",
            "realm-simd",
            "SIMD registers of the host at each vector length and of a Realm are apart",
        )
        .expect("^SIMD registers of host and Realm are apart$"),
        Scenario::new(
            "realm-sve",
            "realm-sve",
            "SVE of the host and of Realms, each with every vector length, are apart",
        )
        .expect("^Realms have SVE with vectors of up to 256 bytes$"),
        Scenario::new(
            "hashing",
            "hashing",
            "digests by instructions are those of sha2, and the host keeps its SIMD registers",
        )
        .self_test_image()
        .expect("^12800 digests by instructions are right$"),
        Scenario::new(
            "realm-pmu",
            "realm-pmu",
            "the PMU of the host and of a Realm are apart, and overflows are reported",
        )
        .option("host-interrupts=1")
        .expect(r"^a Realm has \d+ event counters$"),
        Scenario::new(
            "realm-debug",
            "realm-debug",
            "breakpoints, watchpoints and software step of a Realm are hit by it and by nobody \
                else, and the host's are not",
        )
        .expect(r"^a Realm has its own breakpoints and watchpoints, \d+ entries$"),
        Scenario::new(
            "realm-instructions",
            "realm-instructions",
            "RMI_REALM_CREATE keeps its bound",
        )
        .instruction_count()
        .expect(r"^figure: Instructions, RMI 1\.0 \| RMI_REALM_CREATE \| \d+$"),
        Scenario::new(
            "realm-registers",
            "realm-registers",
            "a Realm reads every system register and finds nothing of its host",
        )
        .time_limit(Duration::from_secs(300))
        .expect("^registers: [1-9]"),
        Scenario::new(
            "run-instructions",
            "run-instructions",
            "RMI_REC_ENTER keeps its bound, by host call and by interrupt",
        )
        .instruction_count()
        .option("host-interrupts=1")
        .expect(
            r"^figure: Instructions, RMI 1\.0 \| RMI_REC_ENTER, host call to host call \| \d+$",
        ),
        Scenario::new(
            "whole-life",
            "whole-life",
            "what all commands of the life of a Realm of 64 MiB cost",
        )
        .instruction_count()
        .time_limit(Duration::from_secs(300))
        .expect(r"^figure: The whole life of a Realm \| all commands \| \d+$"),
        Scenario::new(
            "table-instructions",
            "table-instructions",
            "the commands on tables and data keep their bounds",
        )
        .instruction_count()
        .expect(r"^figure: Instructions, RMI 1\.0 \| RMI_RTT_READ_ENTRY \| \d+$"),
    ];
    rows.extend(WORST.map(|(name, asserts, expected)| {
        let scenario = Scenario::new(name, name, asserts);
        // A fetch that fails endlessly takes no time if instructions are counted.
        let counts = !["realm-register-writes", "realm-random-instructions"].contains(&name);
        let scenario = if counts { scenario.instruction_count() } else { scenario };
        scenario.option("host-interrupts=1").time_limit(Duration::from_secs(900)).expect(expected)
    }));
    rows.extend([1, 2, 4].map(|cpus| {
        let sentence = format!(
            "RECs move between {cpus} CPUs while timers interrupt them, and no register is lost"
        );
        Scenario::new(format!("realm-moves-{cpus}"), "realm-moves", sentence)
            .cpus(cpus)
            .option("host-interrupts=1")
            .expect("^RECs moved, and were interrupted$")
    }));
    rows.extend(SESSIONS.map(|(name, argument, realms)| {
        let sentence = "Realms of 16 MiB of each size are built, folded, unfolded, shared, and \
            taken down in three orders";
        Scenario::new(name, "realm-sessions", sentence)
            .option(format!("argument={argument}"))
            .time_limit(Duration::from_secs(600))
            .expect(format!("^{realms} Realms of 16 MiB$"))
    }));
    let also: Vec<_> = rows.iter().filter(|row| ALSO_UNDER_RMI_2.contains(&&*row.name)).collect();
    let twins = also.into_iter().cloned().map(|row| {
        let (name, asserts) = (format!("rmi2-{}", row.name), format!("{}, RMI 2.0", row.asserts));
        Scenario { name, asserts, ..row }.interface("2.0")
    });
    let twins: Vec<_> = twins.collect();
    rows.extend(twins);
    rows
}

/// Scenarios of RMI 1.0 that a host of RMI 2.0 runs too.
const ALSO_UNDER_RMI_2: [&str; 20] = [
    "realm-calls",
    "realm-leaks",
    "realm-registers",
    "realm-storms",
    "realm-random-instructions",
    "realm-register-writes",
    "realm-changing-tables",
    "realm-simd",
    "realm-sve",
    "realm-pmu",
    "realm-aborts",
    "realm-debug",
    "realm-moves-2",
    "realm-sessions-level-0",
    "realm-sessions-level-1",
    "realm-sessions-level-2",
    "realm-sessions-lpa2-level-minus-1",
    "realm-sessions-lpa2-level-0",
    "realm-sessions-lpa2-level-1",
    "realm-sessions-lpa2-level-2",
];

/// Hostile Realms, each with a line that says how much it has done.
const WORST: [(&str, &str, &str); 4] = [
    (
        "realm-storms",
        "a Realm does each thing that leaves it again and again, and an interrupt of the host \
            waits no longer than 10,000 instructions",
        r"^storms: the host had its CPU back within \d+ instructions$",
    ),
    (
        "realm-random-instructions",
        "a Realm executes a million random instructions, and the RMM goes on",
        r"^1\d{6} random instructions, \d+ exceptions in the Realm$",
    ),
    (
        "realm-register-writes",
        "a Realm writes anything to every system register, and the RMM goes on",
        "^98304 writes to system registers, ",
    ),
    (
        "realm-changing-tables",
        "a Realm changes its tables while it uses them, and no interrupt of the host waits long",
        "^25600 accesses by tables that change, ",
    ),
];

/// A run for each start level and descriptor format, with the host's argument for it and the number
/// of sizes.
const SESSIONS: [(&str, u32, u32); 7] = [
    ("realm-sessions-level-0", 1, 9),
    ("realm-sessions-level-1", 2, 12),
    ("realm-sessions-level-2", 3, 3),
    ("realm-sessions-lpa2-level-minus-1", 16, 4),
    ("realm-sessions-lpa2-level-0", 17, 13),
    ("realm-sessions-lpa2-level-1", 18, 12),
    ("realm-sessions-lpa2-level-2", 19, 3),
];
