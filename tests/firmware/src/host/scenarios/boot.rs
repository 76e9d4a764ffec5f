// SPDX-License-Identifier: BSD-3-Clause
//! Whether the RMM booted, and what the host sees of it either way.

use crate::check::{self, Every};
use crate::rmi::{self, Dialect, Status};
use crate::smc::{self, BootStatus};

/// The RMM booted: it reports the version of its dialect.
pub fn boots() {
    check::equal("the RMM booted with code 0", smc::boot_status(), BootStatus::BOOTED);
    let version = Dialect::current().version();
    check::equal(
        format_args!("RMI_VERSION({version}) succeeds"),
        rmi::version(version),
        (Status::SUCCESS, version, version),
    );
}

/// The RMM refused to boot with the code in the option `argument` (its magnitude): EL3 and the host go on, and
/// every RMI call is unknown.
pub fn refused() {
    let code = -crate::options().argument.cast_signed();
    check::equal(
        format_args!("the RMM refused to boot with code {code}"),
        smc::boot_status(),
        BootStatus { code, given_up: true },
    );
    let mut unknown = Every::new("an RMI call to an RMM that did not boot is unknown");
    for fid in [rmi::fid::VERSION, rmi::fid::GRANULE_DELEGATE, rmi::fid::FEATURES, rmi::fid::RMM_ACTIVATE] {
        let status = Status(rmi::call(fid, &[], 0)[0]);
        unknown.equal(format_args!("{fid:#x}"), status, Status::UNKNOWN);
    }
}
