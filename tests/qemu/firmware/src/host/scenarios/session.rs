// SPDX-License-Identifier: BSD-3-Clause
//! A demonstration of an RMM in one run, with output to be read.

use rmm_test_firmware::say;

use crate::check;
use crate::memory::granule;
use crate::probe::{self, Fault};
use crate::rmi::{self, Dialect, Status};
use crate::smc::{self, BootStatus};

/// Queries the version, delegates a granule, finds it inaccessible, undelegates it wiped, and makes
/// mistakes.
pub fn session() {
    const SECRET: u64 = 0x5ec2_e75e_c2e7_5ec2;
    let dialect = Dialect::current();
    say!("-- What is there");
    check::equal("the RMM booted", smc::boot_status(), BootStatus::BOOTED);
    let (status, lower, higher) = rmi::version(dialect.version());
    check::equal(
        format_args!("RMI_VERSION({}) succeeds", dialect.version()),
        status,
        Status::SUCCESS,
    );
    say!("   supported: {lower} to {higher}");
    let (status, value) = rmi::features(0);
    check::equal("RMI_FEATURES(0) succeeds", status, Status::SUCCESS);
    say!("   feature register 0: {value:#x}");
    rmi::activate();

    say!("-- A granule is lent to the Realm world");
    let address = granule(0);
    check::equal("the host writes a secret", probe::write(address, SECRET), Ok(()));
    check::equal(
        format_args!("granule {address:#x} is delegated"),
        rmi::delegate(address),
        Status::SUCCESS,
    );
    let faults = |result: Result<u64, Fault>| result.is_err_and(Fault::is_granule_protection);
    check::that("the host's read takes a Granule Protection Fault", faults(probe::read(address)));
    let written = probe::write(address, 0).map(|()| 0);
    check::that("the host's write takes a Granule Protection Fault", faults(written));
    check::equal("the next granule is untouched", probe::read(granule(1)), Ok(0));

    say!("-- and comes back clean");
    check::equal("the granule is undelegated", rmi::undelegate(address), Status::SUCCESS);
    check::equal("it reads as zero", probe::granule_holds(address, 0), Ok(true));

    if dialect == Dialect::One {
        super::tables::story();
    }

    say!("-- What the RMM refuses");
    check::equal("a second undelegate", rmi::undelegate(address), Status::ERROR_INPUT);
    check::equal("an unaligned address", rmi::delegate(address + 1), Status::ERROR_INPUT);
    check::equal(
        "its own memory",
        rmi::delegate(crate::options().carve_out.base),
        Status::ERROR_INPUT,
    );
    check::equal("a device", rmi::delegate(0x0900_0000), Status::ERROR_INPUT);
    check::equal("an address beyond memory", rmi::delegate(1 << 47), Status::ERROR_INPUT);
    check::equal(
        "an unknown command",
        Status(rmi::call(0xC400_018F_u64, &[], 0)[0]),
        Status::UNKNOWN,
    );
}
