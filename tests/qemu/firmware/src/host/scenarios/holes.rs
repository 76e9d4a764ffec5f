// SPDX-License-Identifier: BSD-3-Clause
//! Memory that is in the manifest but not in the machine. It cannot be delegated, and is refused in
//! every argument.
//!
//! With the option `argument` the self-test image takes it for memory that has answered before.
//! Then it can be delegated, like memory that later stops answering: every command that would use
//! it is refused, nothing else is lost, and it cannot be delegated again.
//!
//! After each refused command all other CPUs are served again: with granules of their own, with the
//! RD, and with holes.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rmm_abi::rmi::function as fid;
use rmm_abi::rmi_v2::{ADDRESS_LIST, LIST_COUNT_SHIFT};
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::smccc::psci;
use rmm_test_requests::request;

use crate::check::{self, Every};
use crate::memory::granule;
use crate::realm::{self, Shape};
use crate::rmi::{self, Dialect, Status};
use crate::{MAX_CPUS, cpus, tables};

/// The end of the machine's memory, in the middle of a bank of the manifest.
const HOLE: u64 = 0xc000_0000;
/// A granule in the hole that is never delegated.
const NOT_DELEGATED: u64 = HOLE + (1 << 20);

const PARAMETERS: u64 = 0;
const RD: u64 = 1;
const REC: u64 = 2;
const AUXILIARY: u64 = 0x80;
const TABLES: u64 = 6;
const DATA: u64 = 8;
const IMAGE: u64 = 12;
const ROOT: u64 = 16;
/// Indices of the granules that the other CPUs delegate.
const OWN: u64 = 0xC0;

/// The first unprotected IPA.
const UNPROTECTED: u64 = 1 << 39;

const OK: Status = Status::SUCCESS;

/// The number of granules of the hole used so far as Delegated ones.
static NAMED: AtomicU64 = AtomicU64::new(0);

/// How often each CPU was served.
static SERVED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
/// Whether the other CPUs are to continue.
static IS_SERVED: AtomicBool = AtomicBool::new(false);

/// Whether the RMM takes the hole for memory that has answered.
fn is_vouched_for() -> bool {
    crate::options().argument != 0
}

/// The next granule of the hole; Delegated if the RMM allows it.
fn hole() -> u64 {
    let hole = HOLE + NAMED.fetch_add(1, Ordering::AcqRel) * GRANULE;
    let expected = if is_vouched_for() {
        check::equal("the RMM is told", rmi::self_test_for(&[request::VOUCH, hole]).0, OK);
        OK
    } else {
        Status::ERROR_INPUT
    };
    check::equal("RMI_GRANULE_DELEGATE of a hole", rmi::delegate(hole), expected);
    hole
}

fn refused(what: &str, status: Status) {
    check::equal(what, status, Status::ERROR_INPUT);
    others_are_served();
}

/// Waits until each other CPU has been served again.
fn others_are_served() {
    if !IS_SERVED.load(Ordering::Acquire) {
        return;
    }
    let served = || SERVED.each_ref().map(|count| count.load(Ordering::Acquire));
    let before = served();
    let others = cpus::others();
    cpus::wait_until(|| {
        let (now, mut others) = (served(), others.clone());
        // A round that was already running does not count.
        others.all(|index| now[index as usize] >= before[index as usize] + 2)
    });
}

/// What each other CPU does meanwhile.
fn be_served(index: u64) {
    let (own, hole) = (granule(OWN + index), NOT_DELEGATED + index * GRANULE);
    let mut every = Every::new("another CPU is served");
    while IS_SERVED.load(Ordering::Acquire) {
        every.equal("it delegates", rmi::delegate(own), OK);
        every.equal("but no hole", rmi::delegate(hole), Status::ERROR_INPUT);
        // At times it is not an RD.
        let entry = tables::read_entry(granule(RD), 0, 3).0;
        every.equal("it reads", entry == OK || entry == Status::ERROR_INPUT, true);
        every.equal("and undelegates", rmi::undelegate(own), OK);
        SERVED[index as usize].fetch_add(1, Ordering::AcqRel);
    }
}

fn succeeds(what: &str, status: Status) {
    check::equal(what, status, OK);
}

/// Passes memory that does not answer in every possible argument.
pub fn holes() {
    if Dialect::current() == Dialect::Two {
        refused("RMI_RMM_CONFIG_SET of a hole", rmi::rmm_config_set(NOT_DELEGATED));
        refused("RMI_RMM_CONFIG_GET to a hole", rmi::rmm_config_get(NOT_DELEGATED));
        rmi::activate();
    }
    IS_SERVED.store(true, Ordering::Release);
    for index in cpus::others() {
        check::equal("another CPU comes on", cpus::start(index, be_served), psci::SUCCESS);
    }
    others_are_served();
    if Dialect::current() == Dialect::Two {
        ranges();
    }
    commands();
    let named = NAMED.load(Ordering::Acquire);
    for hole in (0..named).map(|index| HOLE + index * GRANULE) {
        refused("a hole is not undelegated", rmi::undelegate(hole));
        refused("nor delegated", rmi::delegate(hole));
    }
    if is_vouched_for() {
        check::equal("each is counted", rmi::self_test_for(&[request::LOST]), (OK, named));
    }
    IS_SERVED.store(false, Ordering::Release);
    cpus::others().for_each(cpus::wait_until_off);
}

/// A range ends where memory ends.
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
    // Both root tables, which are adjacent.
    let roots = [hole(), hole()];
    check::that("they do", roots[0].is_multiple_of(2 * GRANULE));
    refused("with root tables in a hole", create(rd, roots[0]));
    refused("with parameters in a hole", realm::create_from(rd, NOT_DELEGATED));
    succeeds("RMI_REALM_CREATE succeeds then", create(rd, root));

    recs(rd, page, first);
    memory(rd);

    let rec = granule(REC);
    objects(rd, rec, page, first);
    succeeds("RMI_REALM_ACTIVATE succeeds", realm::activate(rd));
    refused("RMI_REC_ENTER with its page in a hole", realm::rec_enter(rec, NOT_DELEGATED));
    succeeds("RMI_DATA_DESTROY succeeds", tables::data_destroy(rd, 0).0);
    succeeds("and again", tables::data_destroy(rd, GRANULE).0);
    rec_is_destroyed(rec, page);
    for level in [3, 2] {
        succeeds("RMI_RTT_DESTROY succeeds", tables::destroy(rd, 0, level).0);
    }
    succeeds("RMI_REALM_DESTROY succeeds", realm::destroy(rd));
    let back = realm::undelegate(rd, 11) && realm::undelegate(root, 5);
    check::that("all memory comes back", back && realm::undelegate(first, count));
}

/// Destroys the REC. Its auxiliary granules are returned in a writable list.
fn rec_is_destroyed(rec: u64, page: u64) {
    if Dialect::current() == Dialect::One {
        return succeeds("RMI_REC_DESTROY succeeds", realm::rec_destroy(rec, page));
    }
    let (status, handle, _) = rmi::operation(fid::REC_DESTROY, &[rec]);
    check::equal("RMI_REC_DESTROY gives memory back", status, Status::RECLAIM);
    let reclaimed = rmi::operation(fid::OP_MEM_RECLAIM, &[handle, NOT_DELEGATED, 3]).0;
    refused("RMI_OP_MEM_RECLAIM to a hole", reclaimed);
    succeeds("RMI_OP_MEM_RECLAIM succeeds then", realm::end(status, handle, page));
}

/// Passes a hole instead of each RD and REC.
fn objects(rd: u64, rec: u64, page: u64, first: u64) {
    let hole = hole();
    let auxiliary = realm::auxiliary(first);
    refused("RMI_REALM_ACTIVATE of a hole", realm::activate(hole));
    refused("RMI_REALM_DESTROY of a hole", realm::destroy(hole));
    refused("RMI_REC_CREATE in a hole", realm::rec_create(hole, rd, page, 1, &auxiliary));
    refused("RMI_REC_DESTROY of a hole", realm::rec_destroy(hole, page));
    refused("RMI_REC_ENTER of a hole", realm::rec_enter(hole, page));
    refused("RMI_PSCI_COMPLETE of a hole", realm::psci_complete(hole, rec, 0));
    refused("RMI_PSCI_COMPLETE with a hole", realm::psci_complete(rec, hole, 0));
    refused("RMI_RTT_CREATE in a hole", tables::create(hole, rd, 0, 2));
    refused("RMI_RTT_DESTROY in a hole", tables::destroy(hole, 0, 3).0);
    refused("RMI_RTT_FOLD in a hole", tables::fold(hole, 0, 3).0);
    refused("RMI_RTT_READ_ENTRY in a hole", tables::read_entry(hole, 0, 3).0);
    refused("RMI_RTT_INIT_RIPAS in a hole", tables::init_ripas(hole, 0, GRANULE).0);
    refused("RMI_RTT_SET_RIPAS in a hole", tables::set_ripas(hole, rec, 0, GRANULE).0);
    refused("RMI_RTT_SET_RIPAS by a hole", tables::set_ripas(rd, hole, 0, GRANULE).0);
    refused("RMI_DATA_CREATE in a hole", tables::data_create(hole, rd, 0, page, true));
    refused("RMI_DATA_CREATE_UNKNOWN in a hole", tables::data_create_unknown(hole, rd, 0));
    refused("RMI_DATA_DESTROY in a hole", tables::data_destroy(hole, 0).0);
    let unprotected = tables::UNPROTECTED;
    let mapped = tables::map_unprotected(hole, UNPROTECTED, 1, unprotected);
    refused("RMI_RTT_MAP_UNPROTECTED in a hole", mapped);
    let unmapped = tables::unmap_unprotected(hole, UNPROTECTED, 1).0;
    refused("RMI_RTT_UNMAP_UNPROTECTED in a hole", unmapped);
    if Dialect::current() == Dialect::One {
        refused("RMI_REC_AUX_COUNT in a hole", realm::rec_aux_count(hole).0);
    }
}

/// A REC at granule [`REC`] for the Realm at `rd`, with auxiliary granules from `first` on.
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
    if Dialect::current() == Dialect::Two {
        let (status, handle, _) = rmi::operation(fid::REC_CREATE, &[rd, rec, page]);
        check::equal("RMI_REC_CREATE wants memory", status, Status::DONATE);
        let donated = rmi::operation(fid::OP_MEM_DONATE, &[handle, NOT_DELEGATED, 1]).0;
        refused("RMI_OP_MEM_DONATE of a list in a hole", donated);
        let cancelled = rmi::operation(fid::OP_CANCEL, &[handle]).0;
        check::equal("it is cancelled", cancelled, Status::CONTINUE);
        refused("and ends", rmi::operation(fid::OP_CONTINUE, &[handle, 0]).0);
    }
    succeeds("RMI_REC_CREATE succeeds then", create(rec, auxiliary));
}

/// Two tables and two pages for the Realm at `rd`.
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
        let list = |function: u32, ipa, size| {
            let arguments = &[rd, ipa, ipa + size, flags, NOT_DELEGATED];
            Status(rmi::call(function, arguments, 3)[0])
        };
        refused("RMI_RTT_DATA_MAP of a list in a hole", list(fid::RTT_DATA_MAP, GRANULE, GRANULE));
        refused("RMI_RTT_DATA_UNMAP to a list in a hole", list(fid::RTT_DATA_UNMAP, 0, GRANULE));
        let size = tables::size(1);
        let mapped = list(fid::RTT_UNPROT_MAP, UNPROTECTED, size);
        refused("RMI_RTT_UNPROT_MAP of a list in a hole", mapped);
        let unmapped = list(fid::RTT_UNPROT_UNMAP, UNPROTECTED, size);
        refused("RMI_RTT_UNPROT_UNMAP to a list in a hole", unmapped);
    }
    let unknown = |data| tables::data_create_unknown(rd, data, GRANULE);
    refused("RMI_DATA_CREATE_UNKNOWN of a hole", unknown(hole()));
    succeeds("RMI_DATA_CREATE_UNKNOWN succeeds then", unknown(granule(DATA + 1)));
}
