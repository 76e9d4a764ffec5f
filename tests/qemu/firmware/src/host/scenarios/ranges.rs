// SPDX-License-Identifier: BSD-3-Clause
//! The range commands of RMI 2.0: base in x1, top in x2; the answer has the first address not done
//! in x1. A command may do less than requested, but on success at least one granule.

use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::say;

use crate::check::{self, Every};
use crate::memory::{GPI_NONSECURE, GPI_REALM, granule};
use crate::rmi::{self, Status};
use crate::smc;

type Command = fn(u64, u64) -> (Status, u64);

/// Repeats a command until the range is complete or refused. Gives the number of calls, the last
/// status and the first address not done.
fn repeat(command: Command, base: u64, top: u64) -> (u64, Status, u64) {
    let mut at = base;
    let mut calls = 0;
    while at < top {
        let (status, next) = command(at, top);
        calls += 1;
        if status != Status::SUCCESS {
            return (calls, status, at);
        }
        if next <= at || next > top || !next.is_multiple_of(GRANULE) {
            check::equal("a success ends on a granule of the range", next, top);
            return (calls, status, at);
        }
        at = next;
    }
    (calls, Status::SUCCESS, at)
}

fn gpi_of_all(what: &str, base: u64, top: u64, expected: u64) {
    let mut every = Every::new(what);
    for address in (base..top).step_by(4096) {
        every.equal(format_args!("{address:#x}"), smc::granule_gpi(address), expected);
    }
}

/// Ranges of every size are delegated and undelegated. A range ends at a granule in the wrong
/// state.
pub fn ranges() {
    rmi::activate();
    for count in [1, 2, 3, 16, 511, 513, 4096] {
        let (base, top) = (granule(7), granule(7 + count));
        let (calls, status, at) = repeat(rmi::range_delegate, base, top);
        check::equal(
            format_args!("{count} granules are delegated"),
            (status, at),
            (Status::SUCCESS, top),
        );
        say!("   in {calls} calls");
        gpi_of_all("EL3 has each in the Realm PAS", base, top, GPI_REALM);
        let (calls, status, at) = repeat(rmi::range_undelegate, base, top);
        check::equal(
            format_args!("{count} granules are undelegated"),
            (status, at),
            (Status::SUCCESS, top),
        );
        say!("   in {calls} calls");
        gpi_of_all("EL3 has each Non-secure", base, top, GPI_NONSECURE);
    }

    let (base, middle, top) = (granule(20), granule(25), granule(30));
    check::equal("a granule in the middle is delegated", rmi::delegate(middle), Status::SUCCESS);
    let (_, status, at) = repeat(rmi::range_delegate, base, top);
    check::equal("delegating around it stops there", (status, at), (Status::ERROR_INPUT, middle));
    gpi_of_all("what comes before is delegated", base, middle, GPI_REALM);
    gpi_of_all("what comes after is not", middle + GRANULE, top, GPI_NONSECURE);
    let (_, status, at) = repeat(rmi::range_undelegate, base, top);
    check::equal(
        "undelegating ends after it",
        (status, at),
        (Status::ERROR_INPUT, middle + GRANULE),
    );
    gpi_of_all("all are Non-secure in the end", base, top, GPI_NONSECURE);

    let carve_out = crate::options().carve_out;
    let (base, top) = (carve_out.base - 4 * GRANULE, carve_out.base + 4 * GRANULE);
    let (_, status, at) = repeat(rmi::range_delegate, base, top);
    check::equal(
        "a range stops at the RMM's memory",
        (status, at),
        (Status::ERROR_INPUT, carve_out.base),
    );
    let (_, status, at) = repeat(rmi::range_undelegate, base, top);
    check::equal("and so does its way back", (status, at), (Status::ERROR_INPUT, carve_out.base));
}

/// Invalid ranges.
pub fn bad_ranges() {
    rmi::activate();
    let base = granule(40);
    let top = granule(44);
    let last = !(GRANULE - 1);
    let mut every = Every::new("a range that is none is an input error and changes nothing");
    for (what, base, top) in [
        ("empty", base, base),
        ("backwards", top, base),
        ("unaligned base", base + 1, top),
        ("unaligned base", base + 0x800, top),
        ("unaligned top", base, top + 1),
        ("unaligned top", base, top - 8),
        ("top within the first granule", base, base + 8),
        ("empty at zero", 0, 0),
        ("top zero", base, 0),
        ("beyond DRAM", 1 << 40, (1 << 40) + GRANULE),
        ("beyond 48 bits", base | 1 << 48, top | 1 << 48),
        ("the last granule", last, 0),
        ("below the last granule", last - GRANULE, last),
        ("all ones", u64::MAX, u64::MAX),
        ("device memory", 0x0900_0000, 0x0900_1000),
    ] {
        for (name, command) in [
            ("delegate", rmi::range_delegate as Command),
            ("undelegate", rmi::range_undelegate as Command),
        ] {
            let status = command(base, top).0;
            every.equal(
                format_args!("{name}, {what}: {base:#x} to {top:#x}"),
                status,
                Status::ERROR_INPUT,
            );
        }
    }
    drop(every);
    gpi_of_all("EL3 has the granules Non-secure", base, top, GPI_NONSECURE);
}
