// SPDX-License-Identifier: BSD-3-Clause
//! The host's PMU, which is not switched. It counts nothing inside the RMM, with any configuration.

use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::{read_register, write_register};

use crate::check::{self, Every};
use crate::memory::granule;
use crate::realm::{self, Shape};
use crate::rmi::Status;
use crate::tables;

/// More than the host itself needs for a call, and less than the RMM needs to hash a page.
const MOST: u64 = 3_000;

/// PMCR_EL0: counting from 0 with 64 bits. With DP the cycle counter stops where events do.
const ENABLE_FROM_ZERO: u64 = 1 << 7 | 1 << 6 | 1 << 2 | 1 << 1 | 1;
const DP: u64 = 1 << 5;
/// The filter bits that allow counting at EL2, EL3 and in the Realm world.
const FILTERS: [u64; 5] = [1 << 27, 1 << 26, 1 << 22, 1 << 21, 1 << 20];
/// Events: instructions, cycles.
const EVENTS: [u64; 2] = [0x08, 0x11];
/// The cycle counter and event counter 0.
const COUNTERS: u64 = 1 << 31 | 1;

/// The counts of the cycle counter and of event counter 0 during `call`.
fn counted(control: u64, filter: u64, event: u64, call: impl FnOnce()) -> [u64; 2] {
    // SAFETY: the PMU does not affect what runs.
    unsafe {
        write_register!("pmccfiltr_el0", filter);
        write_register!("pmevtyper0_el0", filter | event);
        write_register!("pmcntenset_el0", COUNTERS);
        write_register!("pmcr_el0", control);
        core::arch::asm!("isb");
    }
    call();
    // SAFETY: as above.
    unsafe { core::arch::asm!("isb") };
    let counts = [read_register!("pmccntr_el0"), read_register!("pmevcntr0_el0")];
    // SAFETY: as above.
    unsafe { write_register!("pmcr_el0", 0) };
    counts
}

/// Maps a page in a Realm, which the RMM hashes, and unmaps it, with every filter.
pub fn pmu() {
    let (parameters, rd, root) = (granule(0), granule(1), granule(16));
    let (image, data, table) = (granule(2), granule(3), granule(4));
    let delegated = realm::delegate(rd, 1) && realm::delegate(root, 2) && realm::delegate(data, 3);
    check::that("the granules are delegated", delegated);
    let built = realm::create(rd, parameters, Shape::USUAL, root, 1) == Status::SUCCESS
        && tables::create(rd, table, 0, 2) == Status::SUCCESS
        && tables::create(rd, table + GRANULE, 0, 3) == Status::SUCCESS;
    check::that("there is a Realm with a table", built);
    let mut few = Every::new("the PMU counts nothing inside the RMM");
    let mut made = Every::new("RMI_DATA_CREATE succeeds");
    for control in [ENABLE_FROM_ZERO, ENABLE_FROM_ZERO | DP] {
        for event in EVENTS {
            for chosen in 0..1_usize << FILTERS.len() {
                let filter = (0..FILTERS.len())
                    .filter(|bit| chosen >> bit & 1 != 0)
                    .fold(0, |filter, bit| filter | FILTERS[bit]);
                let mut status = Status::UNKNOWN;
                let counts = counted(control, filter, event, || {
                    status = tables::data_create(rd, data, 0, image, true);
                });
                made.equal(format_args!("filter {filter:#x}"), status, Status::SUCCESS);
                let destroyed = tables::data_destroy(rd, 0).0;
                made.equal(format_args!("its end"), destroyed, Status::SUCCESS);
                few.equal(
                    format_args!("control {control:#x}, filter {filter:#x}, {counts:?}"),
                    counts.map(|count| count < MOST),
                    [true; 2],
                );
            }
        }
    }
}
