// SPDX-License-Identifier: BSD-3-Clause
//! The whole life of a Realm as one figure and by command: a measured image of 16 MiB, 64 MiB of
//! memory, 4 RECs, 10,000 host calls, a change of RIPAS for 16 MiB, teardown.

use rmm_abi::rmi::function as fid;
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::realm_protocol::{BASE, CALLING, command, program};
use rmm_test_firmware::say;

use crate::check;
use crate::guest::{Guest, field, reason};
use crate::rmi::Status;
use crate::tables;
use crate::tally;

const RECS: u64 = 4;
const CALLS: u64 = 10_000;
/// Pages of the image, of all memory, and of the range from [`CHANGED`] on whose RIPAS changes.
const IMAGE: u64 = (16 << 20) / GRANULE;
const ALL: u64 = (64 << 20) / GRANULE;
const CHANGED: u64 = BASE + (32 << 20);
const CHANGE: u64 = 16 << 20;

/// The commands of this life.
const COMMANDS: [(&str, u32); 14] = [
    ("RMI_GRANULE_DELEGATE", fid::GRANULE_DELEGATE),
    ("RMI_REALM_CREATE", fid::REALM_CREATE),
    ("RMI_RTT_READ_ENTRY", fid::RTT_READ_ENTRY),
    ("RMI_RTT_CREATE", fid::RTT_CREATE),
    ("RMI_RTT_INIT_RIPAS", fid::RTT_INIT_RIPAS),
    ("RMI_DATA_CREATE", fid::DATA_CREATE),
    ("RMI_DATA_CREATE_UNKNOWN", fid::DATA_CREATE_UNKNOWN),
    ("RMI_REC_CREATE", fid::REC_CREATE),
    ("RMI_REC_ENTER", fid::REC_ENTER),
    ("RMI_RTT_SET_RIPAS", fid::RTT_SET_RIPAS),
    ("RMI_REC_DESTROY", fid::REC_DESTROY),
    ("RMI_DATA_DESTROY", fid::DATA_DESTROY),
    ("RMI_RTT_DESTROY", fid::RTT_DESTROY),
    ("RMI_GRANULE_UNDELEGATE", fid::GRANULE_UNDELEGATE),
];

/// Runs it, and prints its cost.
pub fn life() {
    tally::begin();
    let guest = Guest::start_large(RECS, IMAGE, ALL);
    call_the_host(&guest);
    change_ripas(&guest);
    guest.destroy();
    for (name, fid) in COMMANDS {
        let (calls, instructions) = tally::of(fid);
        check::that(format_args!("{name} was called"), calls != 0);
        say!("figure: The whole life of a Realm | {name}, {calls} calls | {instructions}");
    }
    say!("figure: The whole life of a Realm | all commands | {}", tally::all().1);
}

/// Host calls by all RECs in turn.
fn call_the_host(guest: &Guest) {
    for rec in 0..RECS {
        let run = guest.run(rec);
        run.prepare(0, &[command::CALL_HOST, CALLS / RECS]);
        let calls = (0..CALLS / RECS).filter(|_| {
            let entered = guest.enter(rec) == Status::SUCCESS;
            entered
                && (run.reason(), run.exit(field::IMMEDIATE)) == (reason::HOST_CALL, CALLING.into())
        });
        check::equal("calls of the host", calls.count() as u64, CALLS / RECS);
        run.prepare(0, &[command::NOTHING]);
        check::equal("the REC goes on", guest.enter(rec), Status::SUCCESS);
        guest.expect_waiting(rec);
    }
}

/// Changes assigned memory to EMPTY.
fn change_ripas(guest: &Guest) {
    const EMPTY: u64 = 0;
    let run = guest.run(0);
    let top = CHANGED + CHANGE;
    let entered = guest.begin_program(0, program::SET_RIPAS, &[CHANGED, top, EMPTY, 0]);
    check::equal("a REC is entered", entered, Status::SUCCESS);
    check::equal("and asks for a change", run.reason(), reason::RIPAS_CHANGE);
    let [mut next, end] = [0, 8].map(|offset| run.exit(field::RIPAS + offset));
    check::equal("of all at once", (next, end), (CHANGED, top));
    while next < end {
        let (status, reached) = tables::set_ripas(guest.rd(), guest.rec(0), next, end);
        check::equal("it is changed", (status, reached > next), (Status::SUCCESS, true));
        next = reached.max(next + GRANULE);
    }
    run.prepare(0, &[]);
    check::equal("the REC goes on", guest.enter(0), Status::SUCCESS);
    check::equal("and has what it asked for", guest.program_results::<1>(0)[0], 0);
}
