// SPDX-License-Identifier: BSD-3-Clause
//! Memory that the manifest has and the machine has not: every argument that names it is refused,
//! and nothing is lost but what was there.

use rmm_test_firmware::options::GRANULE;

use crate::check;
use crate::memory::granule;
use crate::realm::{self, Shape};
use crate::rmi::{self, Dialect, Status};
use crate::tables;

/// The end of the machine's memory, in the middle of the bank that the manifest has.
const HOLE: u64 = 0xc000_0000;

const PARAMETERS: u64 = 0;
const RD: u64 = 1;
const REC: u64 = 2;
const AUXILIARY: u64 = 0x80;
const TABLES: u64 = 6;
const DATA: u64 = 8;
const IMAGE: u64 = 12;
const ROOT: u64 = 16;

/// A granule that does not answer.
fn hole(index: u64) -> u64 {
    HOLE + index * GRANULE
}

fn refused(what: &str, status: Status) {
    check::equal(what, status, Status::ERROR_INPUT);
}

/// Names memory that does not answer in every argument there is.
pub fn holes() {
    match Dialect::current() {
        Dialect::One => one(),
        Dialect::Two => two(),
    }
}

fn two() {
    refused("RMI_RMM_CONFIG_SET of a hole", rmi::rmm_config_set(hole(0)));
    refused("RMI_RMM_CONFIG_GET to a hole", rmi::rmm_config_get(hole(0)));
    rmi::activate();
    let (status, top) = rmi::range_delegate(hole(0), hole(1));
    check::equal("EL3 delegates a hole", (status, top), (Status::SUCCESS, hole(1)));
    refused("and nobody undelegates it", rmi::range_undelegate(hole(0), hole(1)).0);
    check::equal("memory is served on", rmi::delegate(granule(0)), Status::SUCCESS);
    check::equal("and comes back", rmi::undelegate(granule(0)), Status::SUCCESS);
}

fn one() {
    let (page, rd, root) = (granule(PARAMETERS), granule(RD), granule(ROOT));
    let count = realm::AUXILIARY as u64;
    let first = granule(AUXILIARY);
    let delegated = realm::delegate(rd, 11) && realm::delegate(root, 5);
    check::that("memory is delegated", delegated && realm::delegate(first, count));
    check::that("and holes", realm::delegate(hole(0), 4));
    refused("RMI_GRANULE_UNDELEGATE of a hole", rmi::undelegate(hole(0)));

    let create = |rd, root| realm::create(rd, page, Shape::USUAL, root, 1);
    refused("RMI_REALM_CREATE of a hole", create(hole(0), root));
    refused("with root tables in a hole", create(rd, hole(0)));
    refused("with parameters in a hole", realm::create_from(rd, hole(8)));
    check::equal("RMI_REALM_CREATE succeeds then", create(rd, root), Status::SUCCESS);

    let rec =
        |rec, auxiliary: [u64; realm::AUXILIARY]| realm::rec_create(rd, rec, page, 0, &auxiliary);
    let (good, auxiliary) = (granule(REC), realm::auxiliary(first));
    let mut with_hole = auxiliary;
    with_hole[realm::AUXILIARY - 1] = hole(0);
    refused("RMI_REC_CREATE of a hole", rec(hole(0), auxiliary));
    refused("with an auxiliary granule in a hole", rec(good, with_hole));
    refused("with parameters in a hole", realm::rec_create_from(rd, good, hole(8), &auxiliary));
    check::equal("RMI_REC_CREATE succeeds then", rec(good, auxiliary), Status::SUCCESS);

    refused("RMI_RTT_CREATE of a hole", tables::create(rd, hole(0), 0, 2));
    check::equal("RMI_RTT_CREATE succeeds then", tables::create(rd, granule(TABLES), 0, 2), OK);
    check::equal("and again", tables::create(rd, granule(TABLES + 1), 0, 3), OK);
    check::equal("RMI_RTT_INIT_RIPAS succeeds", tables::init_ripas(rd, 0, GRANULE).0, OK);

    let (data, image) = (granule(DATA), granule(IMAGE));
    let fill = |data, image| tables::data_create(rd, data, 0, image, true);
    refused("RMI_DATA_CREATE of a hole", fill(hole(0), image));
    refused("from a hole", fill(data, hole(8)));
    check::equal("RMI_DATA_CREATE succeeds then", fill(data, image), OK);
    let unknown = |data| tables::data_create_unknown(rd, data, GRANULE);
    refused("RMI_DATA_CREATE_UNKNOWN of a hole", unknown(hole(0)));
    check::equal("RMI_DATA_CREATE_UNKNOWN succeeds then", unknown(granule(DATA + 1)), OK);

    check::equal("RMI_REALM_ACTIVATE succeeds", realm::activate(rd), OK);
    refused("RMI_REC_ENTER with its page in a hole", realm::rec_enter(good, hole(8)));
    check::equal("RMI_DATA_DESTROY succeeds", tables::data_destroy(rd, 0).0, OK);
    check::equal("and again", tables::data_destroy(rd, GRANULE).0, OK);
    check::equal("RMI_REC_DESTROY succeeds", realm::rec_destroy(good, page), OK);
    for level in [3, 2] {
        check::equal("RMI_RTT_DESTROY succeeds", tables::destroy(rd, 0, level).0, OK);
    }
    check::equal("RMI_REALM_DESTROY succeeds", realm::destroy(rd), OK);
    let back = realm::undelegate(rd, 11) && realm::undelegate(root, 5);
    check::that("all memory comes back", back && realm::undelegate(first, count));
    for index in 0..4 {
        refused("the holes do not", rmi::undelegate(hole(index)));
    }
}

const OK: Status = Status::SUCCESS;
