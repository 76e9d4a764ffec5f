// SPDX-License-Identifier: BSD-3-Clause
//! CPUs that come and go: all are served at once, however many there are and as often as they boot.

use super::rmi::in_each_dialect;
use crate::scenario::Scenario;

/// Off and on again this many times.
const POWER_CYCLES: u32 = 1000;

/// Machines of 1 to 8 CPUs, and one whose CPUs do not stay on.
pub fn cpus() -> Vec<Scenario> {
    let parallel = [1, 2, 4, 8].map(|cpus| {
        let sentence =
            format!("each of {cpus} CPUs boots the RMM and is served while all others are");
        Scenario::new(format!("in-parallel-{cpus}"), "in-parallel", sentence).cpus(cpus)
    });
    let mut rows = in_each_dialect(parallel.to_vec());
    let sentence =
        format!("CPUs go off and on {POWER_CYCLES} times in all, and are served each time");
    rows.push(
        Scenario::new("power-cycles", "power-cycles", sentence)
            .cpus(8)
            // CPUs that take turns do not wait for one another by spinning, which on few processors
            // takes far longer.
            .instruction_count()
            .option(format!("argument={POWER_CYCLES}"))
            .expect(r"^power cycles: \d{4}$"),
    );
    rows
}
