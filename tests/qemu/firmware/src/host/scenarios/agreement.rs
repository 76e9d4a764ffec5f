// SPDX-License-Identifier: BSD-3-Clause
//! Whether EL3's Granule Protection Table, the RMM's granule array and the host's own records agree
//! on every granule of the machine's DRAM.
//!
//! EL3 reports the GPI of a granule. The RMM undelegates a granule exactly if it has it as
//! Delegated. Any other granule must be delegable and undelegable, or it is lost: locked forever,
//! or in a state that nothing records.

use rmm_test_firmware::options::{DRAM_BASE, GRANULE, Range};

use crate::check::Every;
use crate::cpus;
use crate::memory::{self, GPI_NONSECURE, GPI_REALM};
use crate::probe;
use crate::rmi::{self, Status};
use crate::smc;

/// The number of granules that a CPU takes at a time, in turn with the others.
const SHARE: u64 = 1024;

/// The kind of memory that a granule belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The RMM's own memory.
    CarveOut,
    /// Outside the RMM's banks.
    Untracked,
    /// The memory that the host runs from.
    Host,
    /// Can be delegated.
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

/// Compares all granules in the share of CPU `index`. Every CPU must call it. `delegated` tells
/// whether the host has an address as delegated. Afterwards every granule is Non-secure again.
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
    // A CPU's share may have no granule that was delegated or free.
    zero.may_be_empty();
    lost.may_be_empty();
    rmm.may_be_empty();
}
