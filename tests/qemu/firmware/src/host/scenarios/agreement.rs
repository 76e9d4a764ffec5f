// SPDX-License-Identifier: BSD-3-Clause
//! Whether EL3's Granule Protection Table, the RMM's granule array and the host's own books agree
//! about every granule of the machine's DRAM.
//!
//! EL3 tells the GPI of a granule. The RMM tells by what it does: it undelegates a granule if and
//! only if it has it as Delegated. A granule that neither side holds must then make the way there
//! and back, or it is lost: locked for ever, or in a state that nobody remembers.

use rmm_test_firmware::options::{DRAM_BASE, GRANULE, Range};

use crate::check::Every;
use crate::cpus;
use crate::memory::{self, GPI_NONSECURE, GPI_REALM};
use crate::probe;
use crate::rmi::{self, Status};
use crate::smc;

/// Granules that a CPU takes at a time, in turn with the others.
const SHARE: u64 = 1024;

/// Where a granule is, which decides what may become of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The RMM's own memory.
    CarveOut,
    /// Outside the banks that the RMM was told of.
    Untracked,
    /// The host runs from there.
    Host,
    /// Free to be delegated.
    Free,
}

impl Place {
    fn of(address: u64) -> Self {
        let options = crate::options();
        let within = |range: &Range| range.base <= address && address < range.end();
        if within(&options.carve_out) {
            Self::CarveOut
        } else if !options.banks().iter().any(within) {
            Self::Untracked
        } else if within(&memory::image()) {
            Self::Host
        } else {
            Self::Free
        }
    }
}

/// Compares the share of CPU `index` of all granules; every CPU is to call this. `delegated` is
/// what the host's books say of an address. Afterwards everything is the host's again.
pub fn compare(index: u64, delegated: fn(u64) -> bool) {
    let mut el3 = Every::new("EL3 has each granule where the host's books say");
    let mut rmm = Every::new("the RMM has exactly those granules that EL3 says are Realm");
    let mut zero = Every::new("a granule that comes back reads as zero");
    let mut lost = Every::new("no granule is lost: each that is free goes and comes back");
    let granules = crate::options().memory / GRANULE;
    for number in (0..granules).filter(|number| number / SHARE % cpus::count() == index) {
        let address = DRAM_BASE + number * GRANULE;
        let place = Place::of(address);
        let delegated = delegated(address);
        let expected =
            if delegated || place == Place::CarveOut { GPI_REALM } else { GPI_NONSECURE };
        el3.equal(format_args!("{address:#x}"), smc::granule_gpi(address), expected);
        if place == Place::Untracked {
            continue;
        }
        let status = if delegated { Status::SUCCESS } else { Status::ERROR_INPUT };
        rmm.equal(format_args!("{address:#x}"), rmi::undelegate(address), status);
        if delegated {
            el3.equal(
                format_args!("{address:#x} undelegated"),
                smc::granule_gpi(address),
                GPI_NONSECURE,
            );
            zero.equal(format_args!("{address:#x}"), probe::granule_holds(address, 0), Ok(true));
        }
        if place == Place::Free {
            let statuses = (rmi::delegate(address), rmi::undelegate(address));
            lost.equal(format_args!("{address:#x}"), statuses, (Status::SUCCESS, Status::SUCCESS));
        }
    }
    // A CPU whose share holds none that was delegated or free has nothing to say of it.
    zero.may_be_empty();
    lost.may_be_empty();
    rmm.may_be_empty();
}
