// SPDX-License-Identifier: BSD-3-Clause
//! The use of the RMM's stacks at the end of a run, if the image reports it. The self-test image
//! does.

use rmm_test_firmware::say;

use crate::{check, rmi};

/// Asserts that no CPU has used more than half of any stack.
pub fn check() {
    for cpu in 0..cpus() {
        if let Some(uses) = rmi::stack_use(cpu) {
            check_one(cpu, "the stack", uses[0]);
            check_one(cpu, "the exception stack", uses[1]);
        }
    }
}

/// Asserts it for the exception stack of a CPU that has died, perhaps after an overflow of its
/// other stack.
pub fn check_exceptions(cpu: u64) {
    if let Some([_, exceptions]) = rmi::stack_use(cpu) {
        check_one(cpu, "the exception stack", exceptions);
    }
}

fn check_one(cpu: u64, which: &str, (used, size): (u64, u64)) {
    say!("stack use: CPU {cpu}, {which}: {used} of {size} bytes");
    check::that(format_args!("half of {which} of CPU {cpu} was never used"), used <= size / 2);
}

fn cpus() -> u64 {
    crate::options().machine_cpus.min(crate::options().cpus)
}
