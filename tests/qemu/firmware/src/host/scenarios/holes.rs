// SPDX-License-Identifier: BSD-3-Clause
//! Memory that the manifest has and the machine has not. It is never delegable, and every argument
//! that names it is refused.
//!
//! With the option `argument` the RMM's test image takes it for memory that has answered before.
//! Then it is delegated, as memory that stops answering is: every command that would use it is
//! refused, nothing else is lost, and nobody takes it again.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_abi::rmi::function as fid;
use rmm_abi::rmi_v2::{ADDRESS_LIST, LIST_COUNT_SHIFT};
use rmm_test_firmware::options::GRANULE;

use crate::check;
use crate::memory::granule;
use crate::realm::{self, Shape};
use crate::rmi::{self, Dialect, Status};
use crate::tables;

/// The end of the machine's memory, in the middle of the bank that the manifest has.
const HOLE: u64 = 0xc000_0000;
/// A granule that does not answer and that nobody delegates.
const NOT_DELEGATED: u64 = HOLE + (1 << 20);
/// The self-test request: take the granule x2 for one that has answered.
const VOUCH: u64 = 0x10F;
/// The self-test request: how many granules are lost?
const LOST: u64 = 0x110;

const PARAMETERS: u64 = 0;
const RD: u64 = 1;
const REC: u64 = 2;
const AUXILIARY: u64 = 0x80;
const TABLES: u64 = 6;
const DATA: u64 = 8;
const IMAGE: u64 = 12;
const ROOT: u64 = 16;

const OK: Status = Status::SUCCESS;

/// How many granules of the hole were named as Delegated ones.
static NAMED: AtomicU64 = AtomicU64::new(0);

/// Whether the RMM thinks that the hole has answered.
fn is_vouched_for() -> bool {
    crate::options().argument != 0
}

/// A granule that does not answer, the next one each time; Delegated if that can be had.
fn hole() -> u64 {
    let hole = HOLE + NAMED.fetch_add(1, Ordering::AcqRel) * GRANULE;
    let expected = if is_vouched_for() {
        check::equal("the RMM is told", rmi::self_test_for(&[VOUCH, hole]).0, OK);
        OK
    } else {
        Status::ERROR_INPUT
    };
    check::equal("RMI_GRANULE_DELEGATE of a hole", rmi::delegate(hole), expected);
    hole
}

fn refused(what: &str, status: Status) {
    check::equal(what, status, Status::ERROR_INPUT);
}

fn succeeds(what: &str, status: Status) {
    check::equal(what, status, OK);
}

/// Names memory that does not answer in every argument there is.
pub fn holes() {
    if Dialect::current() == Dialect::Two {
        refused("RMI_RMM_CONFIG_SET of a hole", rmi::rmm_config_set(NOT_DELEGATED));
        refused("RMI_RMM_CONFIG_GET to a hole", rmi::rmm_config_get(NOT_DELEGATED));
        rmi::activate();
        ranges();
    }
    commands();
    let named = NAMED.load(Ordering::Acquire);
    for hole in (0..named).map(|index| HOLE + index * GRANULE) {
        refused("a hole is not undelegated", rmi::undelegate(hole));
        refused("nor delegated", rmi::delegate(hole));
    }
    if is_vouched_for() {
        check::equal("each is counted", rmi::self_test_for(&[LOST]), (OK, named));
    }
}

/// A range ends where memory does.
fn ranges() {
    let (last, top) = (HOLE - GRANULE, HOLE + 2 * GRANULE);
    let moved = rmi::range_delegate(last, top);
    check::equal("a range is delegated up to a hole", moved, (OK, HOLE));
    check::equal("and comes back", rmi::range_undelegate(last, top), (OK, HOLE));
}

fn commands() {
    let (page, rd, root) = (granule(PARAMETERS), granule(RD), granule(ROOT));
    let count = realm::AUXILIARY as u64;
    let first = granule(AUXILIARY);
    let delegated = realm::delegate(rd, 11) && realm::delegate(root, 5);
    check::that("memory is delegated", delegated && realm::delegate(first, count));
    refused("RMI_GRANULE_UNDELEGATE of a hole", rmi::undelegate(hole()));

    let create = |rd, root| realm::create(rd, page, Shape::USUAL, root, 1);
    refused("RMI_REALM_CREATE of a hole", create(hole(), root));
    // Both, which lie as two root tables must.
    let roots = [hole(), hole()];
    check::that("they do", roots[0].is_multiple_of(2 * GRANULE));
    refused("with root tables in a hole", create(rd, roots[0]));
    refused("with parameters in a hole", realm::create_from(rd, NOT_DELEGATED));
    succeeds("RMI_REALM_CREATE succeeds then", create(rd, root));

    recs(rd, page, first);
    memory(rd);

    let rec = granule(REC);
    succeeds("RMI_REALM_ACTIVATE succeeds", realm::activate(rd));
    refused("RMI_REC_ENTER with its page in a hole", realm::rec_enter(rec, NOT_DELEGATED));
    succeeds("RMI_DATA_DESTROY succeeds", tables::data_destroy(rd, 0).0);
    succeeds("and again", tables::data_destroy(rd, GRANULE).0);
    succeeds("RMI_REC_DESTROY succeeds", realm::rec_destroy(rec, page));
    for level in [3, 2] {
        succeeds("RMI_RTT_DESTROY succeeds", tables::destroy(rd, 0, level).0);
    }
    succeeds("RMI_REALM_DESTROY succeeds", realm::destroy(rd));
    let back = realm::undelegate(rd, 11) && realm::undelegate(root, 5);
    check::that("all memory comes back", back && realm::undelegate(first, count));
}

/// A REC at granule [`REC`] of the Realm at `rd`, with auxiliary granules from `first` on.
fn recs(rd: u64, page: u64, first: u64) {
    let create =
        |rec, auxiliary: [u64; realm::AUXILIARY]| realm::rec_create(rd, rec, page, 0, &auxiliary);
    let (rec, auxiliary) = (granule(REC), realm::auxiliary(first));
    let mut with_hole = auxiliary;
    with_hole[realm::AUXILIARY - 1] = hole();
    refused("RMI_REC_CREATE of a hole", create(hole(), auxiliary));
    refused("with an auxiliary granule in a hole", create(rec, with_hole));
    let created = realm::rec_create_listing(rd, rec, NOT_DELEGATED, page, &auxiliary);
    refused("with parameters in a hole", created);
    succeeds("RMI_REC_CREATE succeeds then", create(rec, auxiliary));
}

/// Two tables and two pages of the Realm at `rd`.
fn memory(rd: u64) {
    let table = |table, level| tables::create(rd, table, 0, level);
    refused("RMI_RTT_CREATE of a hole", table(hole(), 2));
    succeeds("RMI_RTT_CREATE succeeds then", table(granule(TABLES), 2));
    succeeds("and again", table(granule(TABLES + 1), 3));
    succeeds("RMI_RTT_INIT_RIPAS succeeds", tables::init_ripas(rd, 0, GRANULE).0);

    let (data, image) = (granule(DATA), granule(IMAGE));
    let fill = |data, image| tables::data_create(rd, data, 0, image, true);
    refused("RMI_DATA_CREATE of a hole", fill(hole(), image));
    refused("from a hole", fill(data, NOT_DELEGATED));
    succeeds("RMI_DATA_CREATE succeeds then", fill(data, image));
    if Dialect::current() == Dialect::Two {
        let flags = ADDRESS_LIST | 1 << LIST_COUNT_SHIFT;
        let list =
            |ipa| rmi::map(fid::RTT_DATA_MAP, rd, ipa, ipa + GRANULE, flags, NOT_DELEGATED).0;
        refused("RMI_RTT_DATA_MAP of a list in a hole", list(GRANULE));
    }
    let unknown = |data| tables::data_create_unknown(rd, data, GRANULE);
    refused("RMI_DATA_CREATE_UNKNOWN of a hole", unknown(hole()));
    succeeds("RMI_DATA_CREATE_UNKNOWN succeeds then", unknown(granule(DATA + 1)));
}
