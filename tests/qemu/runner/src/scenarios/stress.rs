// SPDX-License-Identifier: BSD-3-Clause
//! All CPUs delegate and undelegate at once: briefly in every run, much longer on request.

use std::time::Duration;

use super::rmi::in_each_dialect;
use crate::scenario::Scenario;

const CPUS: u32 = 8;

/// `calls` delegate and undelegate calls in all.
fn stress(calls: u32) -> Scenario {
    let sentence = format!(
        "{calls} calls from {CPUS} CPUs, on granules of their own and shared ones and with \
         garbage: EL3 and the RMM agree on every granule, and none keeps what it held"
    );
    Scenario::new("stress", "stress", sentence)
        .cpus(CPUS)
        .option(format!("argument={}", calls.div_ceil(CPUS)))
        .time_limit(Duration::from_secs(180))
        .expect(format!("^stress: {calls} calls, "))
}

/// Half of `calls` are on eight granules. CPUs take turns, also whenever one is in EL3 with a
/// granule locked, so that all others wait for it. On CPUs that run in parallel, but without a
/// processor for each, passing a lock on in strict order would take too long.
fn contended(calls: u32) -> Scenario {
    let scenario = stress(calls).option("share=2").instruction_count();
    Scenario { name: "contended-stress".into(), ..scenario }
}

/// The contended stress on the self-test image, which counts how long CPUs wait for a granule.
fn lock_waits() -> Scenario {
    let sentence = format!(
        "of {CPUS} CPUs that want the same granules, each gets its turn after one of each other's at most"
    );
    let scenario = contended(20_000)
        .self_test_image()
        .interface("2.0")
        .expect(r"^figure: Lock \| longest wait for a granule, critical sections \| [1-7]$");
    Scenario { name: "lock-waits".into(), host: "lock-waits".into(), asserts: sentence, ..scenario }
}

/// Those of the usual run, with less memory, since all its granules are compared.
pub fn short() -> Vec<Scenario> {
    let small = |scenario: Scenario| scenario.memory_gib(1).option("banks=0x70000000+0x800000");
    let mut rows = in_each_dialect(vec![small(stress(100_000)), small(contended(30_000))]);
    rows.push(small(lock_waits()));
    rows
}

/// Those on request: ten times the calls in each dialect, and all of the machine's memory.
pub fn long() -> Vec<Scenario> {
    let scenario = stress(2_000_000).time_limit(Duration::from_secs(3600));
    in_each_dialect(vec![Scenario { name: "long-stress".into(), ..scenario }])
}
