// SPDX-License-Identifier: BSD-3-Clause
//! Faults inside the RMM, caused on purpose by its self-test image. The CPU stops; all others are
//! answered -1 from then on. The runner checks what the RMM prints.

use core::sync::atomic::{AtomicBool, Ordering};

use rmm_test_firmware::smccc::psci;
use rmm_test_firmware::{say, semihosting};

use crate::check::{self, Every};
use crate::rmi::{self, Dialect, Status};
use crate::{EXIT_CHECK_FAILED, cpus, smc, stacks};

/// The number of calls by CPU 1 while CPU 0 dies in the RMM: many times what the report takes if
/// CPUs take turns.
const CALLS: u64 = 5000;

static CPU_1_IS_UP: AtomicBool = AtomicBool::new(false);
static FAULT_IS_NEXT: AtomicBool = AtomicBool::new(false);

fn wait_for(flag: &AtomicBool) {
    cpus::wait_until(|| flag.load(Ordering::Acquire));
}

/// CPU 0 causes the fault in the option `argument`. CPU 1 calls meanwhile and ends the run.
pub fn fault() {
    check::equal("CPU 1 comes on", cpus::start(1, serve_on), psci::SUCCESS);
    wait_for(&CPU_1_IS_UP);
    let kind = crate::options().argument;
    say!("the RMM is asked for fault {kind} on CPU 0");
    FAULT_IS_NEXT.store(true, Ordering::Release);
    let status = rmi::self_test(kind);
    say!("FAILED: the RMM did not die of its fault on CPU 0: {status:?}");
    semihosting::exit(EXIT_CHECK_FAILED)
}

/// CPU 0 asks for the fault in the option `argument`, which this image survives: a branch to an
/// instruction that is no landing pad, in a plain image.
pub fn no_fault() {
    let kind = crate::options().argument;
    check::equal(format_args!("fault {kind} is none"), rmi::self_test(kind), Status::SURVIVED);
    check::equal("no other fault is taken for one", rmi::self_test(0), Status::UNKNOWN);
    let version = Dialect::current().version();
    check::equal("the RMM still serves", rmi::version(version).0, Status::SUCCESS);
}

fn serve_on(_: u64) {
    CPU_1_IS_UP.store(true, Ordering::Release);
    wait_for(&FAULT_IS_NEXT);
    let version = Dialect::current().version();
    let mut every = Every::new("CPU 1 is served until the RMM dies on CPU 0, and answered -1 then");
    let mut expected = Status::SUCCESS;
    for call in 0..CALLS {
        let status = rmi::version(version).0;
        if status == Status::UNKNOWN {
            expected = status;
        }
        every.equal(format_args!("call {call}"), status, expected);
    }
    every.equal("the last call", expected, Status::UNKNOWN);
    drop(every);
    stacks::check_exceptions(0);
    smc::report_preserved_registers();
    semihosting::exit(if check::failures() == 0 { 0 } else { EXIT_CHECK_FAILED })
}
