// SPDX-License-Identifier: BSD-3-Clause
//! Faults that the self-test image causes on purpose. Each must end in a report on the RMM's
//! console and stop that CPU, while the RMM keeps answering the other CPU.

use crate::protection::Protection;
use crate::scenario::Scenario;

/// A deliberate fault: its number, name and description, and the lines that its annotated report
/// must have.
struct Fault {
    kind: u32,
    name: &'static str,
    what: &'static str,
    report: &'static [&'static str],
}

const PERMISSION: &str = "^    .*Permission fault";
const TRANSLATION: &str = "^    .*Translation fault";

const FAULTS: &[Fault] = &[
    Fault {
        kind: 1,
        name: "write-code",
        what: "a write to the RMM's code",
        report: &[PERMISSION, "FAR is at: the RMM's code$"],
    },
    Fault {
        kind: 2,
        name: "write-read-only",
        what: "a write to read-only data",
        report: &[PERMISSION, "FAR is at: the RMM's read-only data$"],
    },
    Fault {
        kind: 3,
        name: "write-table",
        what: "a write to a live translation table",
        report: &[PERMISSION, "FAR is at: the tables of the Low VA map$"],
    },
    Fault {
        kind: 4,
        name: "execute-data",
        what: "the execution of data",
        report: &[PERMISSION, "FAR is at: the RMM's data$"],
    },
    Fault {
        kind: 5,
        name: "undefined",
        what: "an undefined instruction",
        report: &[r"^    synchronous with SP_EL2$", "^    Unknown reason"],
    },
    Fault {
        kind: 6,
        name: "panic",
        what: "a panic",
        report: &[
            r"^\[RMM cpu0 FATAL\] panic at tests/qemu/self_test/faults.rs:\d+:\d+: asked for by a self-test$",
        ],
    },
    Fault {
        kind: 7,
        name: "unmapped",
        what: "a read of an unmapped address",
        report: &[TRANSLATION, "FAR is at: Low VA range, outside the image$"],
    },
    Fault {
        kind: 8,
        name: BRANCH_TARGET,
        what: "a branch to no landing pad",
        report: &["^    Branch Target Exception"],
    },
    Fault {
        kind: 9,
        name: "stack-recursion",
        what: "a recursion without end",
        report: &[
            "guard page below the stack: stack overflow",
            r"sp .* below the stack|bytes of the stack used",
        ],
    },
    Fault {
        kind: 10,
        name: "stack-huge-frame",
        what: "a frame larger than the stack",
        report: &["stack overflow", r"sp .*\d+ bytes below the stack"],
    },
    Fault {
        kind: 11,
        name: "stack-underflow",
        what: "a stack that gives back more than it was given",
        report: &["guard page above the stack: stack underflow"],
    },
    Fault {
        kind: 12,
        name: "execute-stack",
        what: "a jump into the stack",
        report: &[PERMISSION, "FAR is at: the stack$"],
    },
    Fault {
        kind: 13,
        name: "unmapped-slot",
        what: "a write through a slot that is not mapped",
        report: &["^    .*Abort caused by writing to memory", "FAR is at: slot Delegated"],
    },
    Fault {
        kind: 14,
        name: "below-high-range",
        what: "a write below the High VA range",
        report: &[TRANSLATION, "FAR is at: below the High VA range"],
    },
];

/// The functions that a backtrace must name.
const CALLS: &[(&str, &str)] = &[
    ("panic", r"^    #\d+ +core::panicking::panic_fmt at "),
    ("panic", r"rmm_self_test::faults::commit at tests/qemu/self_test/faults.rs:\d+"),
    ("panic", r"rmm_self_test::intercept at tests/qemu/self_test/main.rs:\d+$"),
    ("undefined", r"^    at +rmm_self_test::faults::commit at tests/qemu/self_test/faults.rs:\d+"),
    ("undefined", r"rmm_self_test::intercept at tests/qemu/self_test/main.rs:\d+$"),
    ("undefined", r"^    #\d +rmi_loop \+ 0x[0-9a-f]+$"),
    (
        "stack-recursion",
        r"^    #32 +rmm_self_test::faults::recurse at tests/qemu/self_test/faults.rs:\d+",
    ),
];

/// The commands in which a CPU dies with locks that all others need, in the order of
/// `tests/qemu/firmware/src/host/scenarios/deaths.rs`.
const DEATHS: [&str; 16] = [
    "granule-undelegate",
    "realm-create",
    "realm-activate",
    "rec-create",
    "rec-destroy",
    "rtt-create",
    "rtt-init-ripas",
    "data-create",
    "data-destroy",
    "realm-destroy",
    "rtt-destroy",
    "rtt-fold",
    "rtt-map-unprotected",
    "rtt-set-ripas",
    "psci-complete",
    "rec-enter",
];

/// The calls of a Realm, which follow the commands, each with a function that must be in the
/// report.
const DEATHS_IN_CALLS: [(&str, &str); 4] = [
    ("rsi-ipa-state-get", "rmm::rsi::"),
    ("rsi-measurement-extend", "rmm::rsi::"),
    ("rsi-realm-config", "rmm::rsi::"),
    ("rsi-attestation-token-init", "rmm::rsi::"),
];

/// The calls of stateful operations (RMI 2.0), which follow the calls of a Realm.
const DEATHS_IN_OPERATIONS: [&str; 4] =
    ["op-mem-donate", "op-continue", "op-cancel", "op-mem-reclaim"];

/// A scenario for each command in which a CPU dies, in each dialect.
pub fn deaths() -> Vec<Scenario> {
    [("", "0.8"), ("2.0-", "2.0")].into_iter().flat_map(deaths_in).collect()
}

fn deaths_in((prefix, interface): (&str, &str)) -> Vec<Scenario> {
    let death = |(number, name): (usize, &&str)| {
        let sentence = format!(
            "a CPU that dies in {name} takes no other with it: all calls are answered -1 soon"
        );
        Scenario::new(format!("death-{prefix}{name}"), "deaths", sentence)
            .self_test_image()
            .interface(interface)
            .cpus(4)
            .option(format!("argument={number}"))
            .expect(r"^\[RMM cpu0 FATAL\] panic at .*: a death that a self-test asked for$")
            .ends_with("^ok: all other CPUs go on$")
            .ends_with(r"^\[RMM cpu0 FATAL\] CPU stopped")
            .forbid(r"\[RMM cpu[1-3] FATAL\]")
    };
    let calls = DEATHS_IN_CALLS.map(|(name, _)| name);
    let operations = if interface == "2.0" { &DEATHS_IN_OPERATIONS[..] } else { &[] };
    let names = DEATHS.iter().chain(&calls).chain(operations);
    let mut rows: Vec<_> = names.enumerate().map(death).collect();
    for (row, (_, function)) in rows.iter_mut().skip(DEATHS.len()).zip(DEATHS_IN_CALLS) {
        *row = row
            .clone()
            .symbolized()
            .expect(format!(r"^    #\d+ +{function}"))
            .expect("^ok: CPU 1 leaves its Realm$");
    }
    rows
}

/// Memory that is in the manifest but not in the machine.
pub fn holes() -> Vec<Scenario> {
    let hole = |name: String, interface: &str, sentence: &str| {
        Scenario::new(name, "holes", sentence)
            .interface(interface)
            .cpus(3)
            .memory_gib(2)
            .option("memory=3G")
            .forbid(r"\[RMM .*FATAL\]")
    };
    let both = |(name, interface): (&str, &str)| {
        [
            hole(
                format!("{name}-holes"),
                interface,
                "memory that never answered is not delegable, and refused in every argument; other CPUs \
                 are served meanwhile",
            )
            .forbid(r"memory stopped answering"),
            hole(
                format!("{name}-lost-memory"),
                interface,
                "memory that stops answering is refused wherever it is used, lost, counted, and \
                 reported once; all else comes back",
            )
            .self_test_image()
            .option("argument=1")
            .expect(
                r"^\[RMM cpu0 ERROR\] memory stopped answering, its granule is lost: 0x00000000c0000000$",
            )
            .forbid(r"memory stopped answering, its granule is lost: 0x00000000c000[1-9a-f]"),
        ]
    };
    [("rmi1", "0.8"), ("rmi2", "2.0")].into_iter().flat_map(both).collect()
}

/// The fault that only a hardened image detects.
const BRANCH_TARGET: &str = "branch-target";

/// One scenario for each fault.
pub fn deliberate_faults(protection: Protection) -> Vec<Scenario> {
    FAULTS
        .iter()
        .map(|fault| match protection {
            Protection::Plain if fault.name == BRANCH_TARGET => unnoticed(fault),
            _ => fatal(fault),
        })
        .collect()
}

fn scenario(fault: &Fault, host: &str, sentence: String) -> Scenario {
    Scenario::new(format!("fault-{}", fault.name), host, sentence)
        .option(format!("argument={}", fault.kind))
}

fn fatal(fault: &Fault) -> Scenario {
    let sentence =
        format!("{} is reported and stops its CPU; the other CPU is answered -1", fault.what);
    // With instructions counted the CPUs take turns, so the report is complete before the run ends.
    let scenario = scenario(fault, "fault", sentence)
        .self_test_image()
        .cpus(2)
        .instruction_count()
        .expect(r"^ok: CPU 1 is served until the RMM dies on CPU 0, and answered -1 then")
        .expect(r"^stack use: CPU 0, the exception stack: \d+ of \d+ bytes$")
        .symbolized();
    let scenario = CALLS
        .iter()
        .filter(|(name, _)| *name == fault.name)
        .fold(scenario, |scenario, (_, call)| scenario.expect(*call));
    fault.report.iter().fold(scenario, |scenario, words| scenario.expect(*words))
}

/// A plain image does not detect the fault and continues.
fn unnoticed(fault: &Fault) -> Scenario {
    let sentence = format!("{} is no fault in a plain image, and the RMM serves on", fault.what);
    scenario(fault, "no-fault", sentence).self_test_image().forbid(r"\[RMM .*FATAL\]")
}

/// Work for which the self-test image reports its use of stacks: at most half of each.
pub fn stack_use() -> Vec<Scenario> {
    [
        ("session", "0.8", 1),
        ("session", "2.0", 1),
        ("configuration", "2.0", 1),
        ("ranges", "2.0", 1),
        ("random-granules", "0.8", 1),
        ("warm-boots", "0.8", 4),
        ("realm-life", "0.8", 1),
    ]
    .map(|(host, interface, cpus)| {
        Scenario::new(
            format!("stack-use-{host}-{interface}"),
            host,
            format!("after {host} under interface {interface} half of each stack was never used"),
        )
        .self_test_image()
        .cpus(cpus)
        .interface(interface)
        .forbid(r"\[RMM .*FATAL\]")
        .expect(format!(r"^stack use: CPU {}, the stack: \d+ of \d+ bytes$", cpus - 1))
    })
    .into()
}
