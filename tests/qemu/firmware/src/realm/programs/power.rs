// SPDX-License-Identifier: BSD-3-Clause
//! PSCI calls for another REC, many times, whatever that REC does meanwhile. Also calls of a REC
//! whose Realm has gone off.

use rmm_abi::psci;
use rmm_abi::rsi::function as rsi;
use rmm_test_firmware::realm_protocol::BASE;

use super::{WORDS, results};
use crate::psci::{affinity_info, cpu_on};
use crate::smc;

/// CPU_ON and AFFINITY_INFO of REC `target` alternately, as often as the second argument says.
/// Gives how often CPU_ON gave SUCCESS, ALREADY_ON, DENIED or another code, and AFFINITY_INFO on,
/// off or another value.
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

/// Waits for a word of the host in shared memory, and calls then.
pub fn wait(arguments: &[u64]) -> [u64; WORDS] {
    let [address, ..] = *arguments else { return [!0; WORDS] };
    let word: *mut u64 = core::ptr::with_exposed_provenance_mut(address as usize);
    // SAFETY: the host gives the address of memory that it shares for this purpose.
    unsafe {
        word.add(1).write_volatile(1);
        while word.read_volatile() == 0 {
            core::hint::spin_loop();
        }
    }
    let [version, ..] = smc::call(rsi::VERSION, &[0x1_0000]);
    let [extended, ..] = smc::call(rsi::MEASUREMENT_EXTEND, &[1, 8, 7]);
    results([version, extended])
}
