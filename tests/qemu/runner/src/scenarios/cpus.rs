// SPDX-License-Identifier: BSD-3-Clause
//! CPUs that go on and off. All are served at once, however many they are and however often they
//! boot.

use super::rmi::in_each_dialect;
use crate::scenario::Scenario;

/// The number of times that CPUs go off and on.
const POWER_CYCLES: u32 = 1000;

/// Machines of 1 to 8 CPUs, and one whose CPUs go off and on.
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
            // CPUs that take turns do not spin while they wait for each other, which takes far
            // longer on few processors.
            .instruction_count()
            .option(format!("argument={POWER_CYCLES}"))
            .expect(r"^power cycles: \d{4}$"),
    );
    rows
}
