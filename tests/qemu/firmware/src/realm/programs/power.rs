// SPDX-License-Identifier: BSD-3-Clause
//! Calls of PSCI on another REC, many times, whatever that REC does meanwhile.

use rmm_abi::psci;
use rmm_test_firmware::realm_protocol::BASE;

use super::{WORDS, results};
use crate::psci::{affinity_info, cpu_on};

/// CPU_ON and AFFINITY_INFO of REC `target` in turn, as often as the second argument says: how often
/// CPU_ON said SUCCESS, ALREADY_ON, DENIED and anything else, and AFFINITY_INFO on, off and anything
/// else.
pub fn run(arguments: &[u64]) -> [u64; WORDS] {
    let [target, times, ..] = *arguments else { return [!0; WORDS] };
    let mut tally = [0; 7];
    for _ in 0..times {
        let switched = match cpu_on(target, BASE, target) {
            psci::SUCCESS => 0,
            psci::ALREADY_ON => 1,
            psci::DENIED => 2,
            _ => 3,
        };
        let asked = match affinity_info(target) {
            psci::AFFINITY_ON => 4,
            psci::AFFINITY_OFF => 5,
            _ => 6,
        };
        for index in [switched, asked] {
            tally[index] += 1;
        }
    }
    results(tally)
}
