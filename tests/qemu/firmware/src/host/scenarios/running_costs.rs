// SPDX-License-Identifier: BSD-3-Clause
//! The cost of RMI_REC_ENTER, from EL3's return into the RMM to the RMM's SMC. It includes a few
//! instructions of the Realm.

use rmm_test_firmware::realm_protocol::{CALLING, command};
use rmm_test_firmware::say;

use crate::check;
use crate::gic;
use crate::guest::{Guest, field, reason};
use crate::rmi::{Dialect, Status};
use crate::smc;

/// Bound for the instructions of a round trip, without SIMD registers, PMU and SVE, with the CPU's
/// list registers.
const BOUND: u64 = 1_400;

/// Entries that end with a host call, and with an interrupt.
pub fn instructions() {
    const CALLS: u64 = 4;
    let guest = Guest::start(1);
    let run = guest.run(0);
    run.prepare(0, &[command::CALL_HOST, CALLS]);
    let calls = [0; CALLS as usize].map(|_| {
        check::equal("the REC is entered", guest.enter(0), Status::SUCCESS);
        let cost = smc::last_visit().last;
        let why = (run.reason(), run.exit(field::IMMEDIATE));
        check::equal("it calls the host", why, (reason::HOST_CALL, CALLING.into()));
        cost
    });
    figure("RMI_REC_ENTER, host call to host call", calls);
    gic::enable();
    gic::set_pending(true);
    let interrupts = [0; CALLS as usize].map(|_| {
        check::equal("the REC is entered", guest.enter(0), Status::SUCCESS);
        let cost = smc::last_visit().last;
        check::equal("an interrupt ends its run", run.reason(), reason::IRQ);
        cost
    });
    gic::set_pending(false);
    // The first of these entries also completed the last host call.
    figure("RMI_REC_ENTER, interrupt to interrupt", interrupts);
    run.prepare(0, &[command::NOTHING]);
    check::equal("the REC goes on", guest.enter(0), Status::SUCCESS);
    guest.destroy();
}

fn figure(name: &str, costs: [u64; 4]) {
    let [.., before, last] = costs;
    check::equal(format_args!("{name} costs the same again"), last, before);
    check::that(format_args!("{name} keeps its bound"), last <= BOUND);
    let version = Dialect::current().version();
    say!("figure: Instructions, RMI {version} | {name} | {last}");
}
