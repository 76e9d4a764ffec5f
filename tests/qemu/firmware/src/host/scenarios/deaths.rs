// SPDX-License-Identifier: BSD-3-Clause
//! A CPU dies in the RMM in the middle of a command, while all others contend for its locks. They
//! return, and every later call is answered with -1.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rmm_abi::rmi::function as fid;
use rmm_abi::rsi::function as rsi;
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::realm_protocol::{BASE, PAGES, TOKEN_PAGE, command, program};
use rmm_test_firmware::{say, semihosting};
use rmm_test_requests::request;

use crate::canaries::Canaries;
use crate::check;
use crate::guest::Guest;
use crate::memory::granule;
use crate::probe;
use crate::random::Random;
use crate::realm::{self, Shape};
use crate::rmi::{self, Dialect, Status};
use crate::tables;
use crate::{EXIT_CHECK_FAILED, cpus};

const PARAMETERS: u64 = 0;
const RD: u64 = 1;
const REC: u64 = 2;
const AUXILIARY: u64 = 0x80;
const SECOND_AUXILIARY: u64 = 0x90;
const THIRD_AUXILIARY: u64 = 0xA0;
const TABLES: u64 = 6;
const DATA: u64 = 8;
const IMAGE: u64 = 12;
const ROOT: u64 = 16;
const OTHER: u64 = 20;
const LIST: u64 = 21;

/// A command in which CPU 0 dies: its name, the number of the lock with which it dies, and its
/// call.
struct Victim(&'static str, u64, fn() -> Status);

/// The commands, by the number in the option `argument`.
const VICTIMS: [Victim; 16] = [
    Victim("RMI_GRANULE_UNDELEGATE", 1, || rmi::undelegate(granule(OTHER))),
    Victim("RMI_REALM_CREATE", 1, || {
        realm::create(granule(OTHER), granule(PARAMETERS), Shape::USUAL, granule(ROOT + 2), 7)
    }),
    Victim("RMI_REALM_ACTIVATE", 1, || realm::activate(granule(RD))),
    Victim("RMI_REC_CREATE", 3, || {
        let auxiliary = realm::auxiliary(granule(THIRD_AUXILIARY));
        realm::rec_create(granule(RD), granule(REC + 2), granule(PARAMETERS), 2, &auxiliary)
    }),
    Victim("RMI_REC_DESTROY", 2, || realm::rec_destroy(granule(REC), granule(PARAMETERS))),
    Victim("RMI_RTT_CREATE", 3, || tables::create(granule(RD), granule(OTHER), 0x20_0000, 3)),
    Victim("RMI_RTT_INIT_RIPAS", 3, || tables::init_ripas(granule(RD), 0, GRANULE).0),
    Victim("RMI_DATA_CREATE", 4, || {
        tables::data_create(granule(RD), granule(DATA + 1), GRANULE, granule(IMAGE), true)
    }),
    Victim("RMI_DATA_DESTROY", 3, || tables::data_destroy(granule(RD), 0).0),
    Victim("RMI_REALM_DESTROY", 1, || realm::destroy(granule(RD))),
    Victim("RMI_RTT_DESTROY", 3, || tables::destroy(granule(RD), 0, 3).0),
    Victim("RMI_RTT_FOLD", 4, || tables::fold(granule(RD), 0, 3).0),
    Victim("RMI_RTT_MAP_UNPROTECTED", 2, || {
        tables::map_unprotected(granule(RD), 1 << 39, 1, tables::UNPROTECTED)
    }),
    Victim("RMI_RTT_SET_RIPAS", 2, || tables::set_ripas(granule(RD), granule(REC), 0, GRANULE).0),
    Victim("RMI_PSCI_COMPLETE", 2, || realm::psci_complete(granule(REC), granule(REC + 1), 0)),
    Victim("RMI_REC_ENTER", 1, || realm::rec_enter(granule(REC), granule(IMAGE))),
];

/// A call of a Realm in which CPU 0 dies: its name, and X0 to X3. The Realm repeats it.
struct RunningVictim(&'static str, [u64; 4]);

/// The calls, by the number in the option `argument`, following [`VICTIMS`].
const RUNNING_VICTIMS: [RunningVictim; 4] = [
    RunningVictim(
        "RSI_IPA_STATE_GET",
        [rsi::IPA_STATE_GET as u64, BASE, BASE + PAGES * GRANULE, 0],
    ),
    RunningVictim("RSI_MEASUREMENT_EXTEND", [rsi::MEASUREMENT_EXTEND as u64, 1, 64, 0]),
    RunningVictim("RSI_REALM_CONFIG", [rsi::REALM_CONFIG as u64, TOKEN_PAGE, 0, 0]),
    RunningVictim(
        "RSI_ATTESTATION_TOKEN_INIT",
        [rsi::ATTESTATION_TOKEN_INIT as u64, 0x7e57, 0x7e57, 0x7e57],
    ),
];

/// The number of the lock with which CPU 0 dies in a call of a Realm: more than RMI_REC_ENTER
/// takes.
const LOCKS_IN_CALLS: u64 = 50;

/// A call of a stateful operation (RMI 2.0) in which CPU 0 dies: its name, the number of the lock
/// with which it dies, the function that begins the operation and gives its handle, and the call.
struct OperationVictim(&'static str, u64, fn() -> u64, fn(u64) -> Status);

/// These calls, by the number in the option `argument`, following [`RUNNING_VICTIMS`].
const OPERATION_VICTIMS: [OperationVictim; 4] = [
    OperationVictim("RMI_OP_MEM_DONATE", 2, begin_creation, |handle| donate(handle, 3)),
    OperationVictim("RMI_OP_CONTINUE", 2, begin_and_donate, |handle| {
        rmi::operation(fid::OP_CONTINUE, &[handle, 0]).0
    }),
    OperationVictim("RMI_OP_CANCEL", 1, begin_and_donate, |handle| {
        rmi::operation(fid::OP_CANCEL, &[handle]).0
    }),
    OperationVictim("RMI_OP_MEM_RECLAIM", 3, begin_destruction, |handle| {
        rmi::operation(fid::OP_MEM_RECLAIM, &[handle, granule(LIST), 3]).0
    }),
];

/// Begins to create a third REC. Gives the handle.
fn begin_creation() -> u64 {
    let arguments = &[granule(RD), granule(REC + 2), granule(PARAMETERS)];
    let (status, handle, _) = rmi::operation(fid::REC_CREATE, arguments);
    check::equal("a REC wants memory", status, Status::DONATE);
    handle
}

/// As [`begin_creation`], and donates all memory that the operation asks for.
fn begin_and_donate() -> u64 {
    let handle = begin_creation();
    let donated = donate(handle, realm::AUXILIARY as u64);
    check::equal("and has it", donated, Status::CONTINUE_OR_CANCEL);
    handle
}

/// Begins to destroy the first REC. Gives the handle.
fn begin_destruction() -> u64 {
    let (status, handle, _) = rmi::operation(fid::REC_DESTROY, &[granule(REC)]);
    check::equal("a REC gives memory back", status, Status::RECLAIM);
    handle
}

/// Donates this many granules.
fn donate(handle: u64, count: u64) -> Status {
    for index in 0..count {
        let donated = tables::range(3, granule(THIRD_AUXILIARY + index), 0);
        if probe::write(granule(LIST) + 8 * index, donated).is_err() {
            check::that("the host writes its own memory", false);
        }
    }
    rmi::operation(fid::OP_MEM_DONATE, &[handle, granule(LIST), count]).0
}

/// The number of CPUs that contend for locks.
static CONTENDERS: AtomicU64 = AtomicU64::new(0);
/// The number of CPUs that were answered -1.
static ANSWERED: AtomicU64 = AtomicU64::new(0);
static IS_NEXT: AtomicBool = AtomicBool::new(false);
/// Whether there is a second Realm, whose REC CPU 1 runs.
static HAS_GUEST: AtomicBool = AtomicBool::new(false);

/// Kills CPU 0 in the command of the option `argument`. The runner ends the run when all others
/// have finished and CPU 0 has printed its report.
pub fn deaths() {
    let number = usize::try_from(crate::options().argument).unwrap_or(usize::MAX);
    rmi::activate();
    if let Some(Victim(name, locks, call)) = VICTIMS.get(number) {
        check::that("there is a Realm", build());
        die_in(name, *locks, call)
    }
    let number = number.wrapping_sub(VICTIMS.len());
    if let Some(RunningVictim(name, [x0, x1, x2, x3])) = RUNNING_VICTIMS.get(number) {
        let guest = Guest::start(2);
        let gprs = [command::PROGRAM, program::COUNT, u64::MAX, *x0, *x1, *x2, *x3];
        guest.run(0).prepare(0, &gprs);
        guest.run(1).prepare(0, &gprs);
        HAS_GUEST.store(true, Ordering::Release);
        die_in(name, LOCKS_IN_CALLS, || guest.enter(0))
    }
    let number = number.wrapping_sub(RUNNING_VICTIMS.len());
    if let Some(OperationVictim(name, locks, begin, call)) = OPERATION_VICTIMS.get(number) {
        check::that("there is a Realm", build());
        let handle = begin();
        die_in(name, *locks, || call(handle))
    }
    check::that("there is such a command", false);
}

/// Makes CPU 0 die with the lock number `locks` of `call`, while all others contend for it.
fn die_in(name: &str, locks: u64, call: impl FnOnce() -> Status) -> ! {
    for index in cpus::others() {
        cpus::start(index, contend);
    }
    let others = crate::options().machine_cpus - 1;
    cpus::wait_until(|| CONTENDERS.load(Ordering::Acquire) == others);
    say!("CPU 0 dies in {name}");
    check::equal("death comes", rmi::self_test_for(&[request::DIE, locks]).0, Status::SUCCESS);
    IS_NEXT.store(true, Ordering::Release);
    let status = call();
    say!("FAILED: CPU 0 comes back from {name}: {status:?}");
    semihosting::exit(EXIT_CHECK_FAILED)
}

/// A Realm with a REC, tables and a page of data.
fn build() -> bool {
    let rd = granule(RD);
    let auxiliary = realm::auxiliary(granule(AUXILIARY));
    let second = realm::auxiliary(granule(SECOND_AUXILIARY));
    realm::delegate(rd, 11)
        && realm::delegate(granule(AUXILIARY), realm::AUXILIARY as u64)
        && realm::delegate(granule(SECOND_AUXILIARY), realm::AUXILIARY as u64)
        && realm::delegate(granule(THIRD_AUXILIARY), realm::AUXILIARY as u64)
        && realm::delegate(granule(ROOT), 5)
        && [
            realm::create(rd, granule(PARAMETERS), Shape::USUAL, granule(ROOT), 1),
            realm::rec_create(rd, granule(REC), granule(PARAMETERS), 0, &auxiliary),
            realm::rec_create(rd, granule(REC + 1), granule(PARAMETERS), 1, &second),
            tables::create(rd, granule(TABLES), 0, 2),
            tables::create(rd, granule(TABLES + 1), 0, 3),
            tables::init_ripas(rd, 0, GRANULE).0,
            tables::data_create(rd, granule(DATA), 0, granule(IMAGE), false),
        ]
        .iter()
        .all(|status| *status == Status::SUCCESS)
}

/// Calls that take the locks of every victim, and fail or change nothing before it dies.
fn want(call: u64) -> Status {
    match call % 4 {
        // RMI 2.0 has no RMI_REC_AUX_COUNT.
        0 if Dialect::current() == Dialect::Two => {
            realm::psci_complete(granule(REC), granule(REC + 1), 0)
        }
        0 => realm::rec_aux_count(granule(RD)).0,
        1 => tables::read_entry(granule(RD), 0, 3).0,
        2 => tables::create(granule(RD), granule(OTHER), 0, 3),
        _ => realm::destroy(granule(OTHER)),
    }
}

/// Runs the REC that makes the same calls as the one in which CPU 0 dies.
fn contend_in_realm() {
    let before = Canaries::fill(&mut Random::for_this_cpu(13));
    let (rec, run) = Guest::of_rec(1);
    let status = realm::rec_enter(rec, run.address());
    check::equal("CPU 1 leaves its Realm", status, Status::UNKNOWN);
    check::equal("with no register of the host lost", before.lost(), None);
}

fn contend(index: u64) {
    CONTENDERS.fetch_add(1, Ordering::AcqRel);
    if index == 1 && HAS_GUEST.load(Ordering::Acquire) {
        contend_in_realm();
    }
    cpus::wait_until(|| IS_NEXT.load(Ordering::Acquire));
    // Endless if the answer never comes. The runner has a time limit.
    let answered = (index..).find(|call| want(*call) == Status::UNKNOWN);
    check::that(format_args!("CPU {index} is answered -1"), answered.is_some());
    for call in 0..4 {
        check::equal(format_args!("call {call} as well"), want(call), Status::UNKNOWN);
    }
    let version = Dialect::current().version();
    check::equal("and RMI_VERSION", rmi::version(version).0, Status::UNKNOWN);
    ANSWERED.fetch_add(1, Ordering::AcqRel);
    if index == 1 {
        let others = crate::options().machine_cpus - 1;
        cpus::wait_until(|| ANSWERED.load(Ordering::Acquire) == others);
        check::that("all other CPUs go on", check::failures() == 0);
    }
    cpus::wait_until(|| false);
}
