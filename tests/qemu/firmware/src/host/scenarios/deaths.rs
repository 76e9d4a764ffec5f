// SPDX-License-Identifier: BSD-3-Clause
//! A CPU that dies in the RMM in the middle of a command, while all others want its locks: they
//! come back, and every call is answered -1 from then on.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::{say, semihosting};

use crate::check;
use crate::memory::granule;
use crate::realm::{self, Shape};
use crate::rmi::{self, Dialect, Status};
use crate::tables;
use crate::{EXIT_CHECK_FAILED, cpus};

/// The self-test request: die with the lock taken as number x2 from now on.
const DIE: u64 = 0x10C;
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

/// A command in which CPU 0 dies: its name, how many locks it has taken by then, and its call.
struct Victim(&'static str, u64, fn() -> Status);

/// The families, by the number in the option `argument`.
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

/// CPUs that want locks.
static CONTENDERS: AtomicU64 = AtomicU64::new(0);
/// CPUs that were answered -1.
static ANSWERED: AtomicU64 = AtomicU64::new(0);
static IS_NEXT: AtomicBool = AtomicBool::new(false);

/// Kills CPU 0 in the command of the option `argument`. The runner ends the run once all others are
/// through and CPU 0 has made its report.
pub fn deaths() {
    let victim = usize::try_from(crate::options().argument).ok().and_then(|n| VICTIMS.get(n));
    let Some(Victim(name, locks, call)) = victim else {
        return check::that("there is such a command", false);
    };
    rmi::activate();
    check::that("there is a Realm", build());
    for index in cpus::others() {
        cpus::start(index, contend);
    }
    let others = crate::options().machine_cpus - 1;
    cpus::wait_until(|| CONTENDERS.load(Ordering::Acquire) == others);
    say!("CPU 0 dies in {name}");
    check::equal("death comes", rmi::self_test_for(&[DIE, *locks]).0, Status::SUCCESS);
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

/// Calls that want the locks of every victim, and fail or change nothing while it lives.
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

fn contend(index: u64) {
    CONTENDERS.fetch_add(1, Ordering::AcqRel);
    cpus::wait_until(|| IS_NEXT.load(Ordering::Acquire));
    // Without end if the answer never comes: the runner has a limit.
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
