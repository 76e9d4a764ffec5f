// SPDX-License-Identifier: BSD-3-Clause
//! The RMM's slots: the commands of RMI 2.0 that access the host's memory, which may have been
//! delegated; and, with the self-test image, what each CPU sees through its slots.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::smccc::psci;
use rmm_test_firmware::{say, semihosting};
use rmm_test_requests::request;

use crate::check::{self, Every};
use crate::memory::granule;
use crate::rmi::{self, Dialect, Status};
use crate::{EXIT_CHECK_FAILED, cpus, probe, smc};

/// The single slots for Realm memory, by the numbers of their pages.
const SLOTS: [(u64, &str); 7] = [
    (1, "delegated"),
    (2, "RD"),
    (3, "REC"),
    (4, "second REC"),
    (21, "RTT"),
    (22, "second RTT"),
    (23, "Realm data"),
];
/// How often each slot maps one granule after another.
const ROUNDS: u64 = 5000;

/// The content of a page before the RMM fills it.
const BEFORE: u64 = 0x1111_2222_3333_4444;
/// Every word of the configuration is 0: granules are tracked by the GiB, RMI granules are 4 KiB.
const CONFIGURATION: u64 = 0;

/// The configuration is read to and set from pages of the host. Others are refused: most since the
/// RMM knows their state, and those that EL3 keeps (options `secure`, `root`) only after the access
/// faults.
pub fn configuration() {
    let page = granule(8);
    let filled = [probe::fill_granule(page, BEFORE), probe::fill_granule(page + GRANULE, BEFORE)];
    check::equal("the host fills a page and the next", filled, [Ok(()); 2]);
    check::equal("RMI_RMM_CONFIG_GET succeeds", rmi::rmm_config_get(page), Status::SUCCESS);
    check::equal("it wrote the whole page", probe::granule_holds(page, CONFIGURATION), Ok(true));
    check::equal("and not the next", probe::granule_holds(page + GRANULE, BEFORE), Ok(true));
    check::equal("RMI_RMM_CONFIG_SET takes it back", rmi::rmm_config_set(page), Status::SUCCESS);
    for (offset, value) in [(0, 1), (8, 1), (8, u64::MAX), (0, 1 << 63)] {
        let written = probe::write(page + offset, value);
        let set = (written, rmi::rmm_config_set(page), probe::write(page + offset, CONFIGURATION));
        check::equal(
            format_args!("{value:#x} at {offset} is refused"),
            set,
            (Ok(()), Status::ERROR_INPUT, Ok(())),
        );
    }

    let delegated = granule(9);
    rmi::activate();
    check::equal("a granule is delegated", rmi::delegate(delegated), Status::SUCCESS);
    check::equal("RMI_RMM_DEACTIVATE succeeds", rmi::rmm_deactivate(), Status::SUCCESS);
    let options = crate::options();
    let kept =
        |range: Option<rmm_test_firmware::options::Range>| range.map_or(0, |range| range.base);
    let mut every = Every::new("a page that is not the host's is an input error");
    for round in 0..3 {
        for (what, address) in [
            ("delegated", delegated),
            ("EL3's", kept(options.root)),
            ("the Secure world's", kept(options.secure)),
            ("the RMM's", options.carve_out.base),
            ("unaligned", page + 8),
            ("a device", 0x0900_0000),
            ("beyond memory", 1 << 47),
            ("at the end", !0xfff),
            ("all ones", u64::MAX),
        ] {
            let statuses = (rmi::rmm_config_get(address), rmi::rmm_config_set(address));
            every.equal(
                format_args!("{what}, round {round}"),
                statuses,
                (Status::ERROR_INPUT, Status::ERROR_INPUT),
            );
        }
    }
    drop(every);
    rmi::activate();
    check::equal("the granule comes back", rmi::undelegate(delegated), Status::SUCCESS);
    check::equal("and is as good as any", rmi::rmm_config_get(delegated), Status::SUCCESS);
    check::equal(
        "the configuration is read afterwards",
        rmi::rmm_config_get(page),
        Status::SUCCESS,
    );
    check::equal("and not set", rmi::rmm_config_set(page), Status::ERROR_GLOBAL);
}

/// The granule `number` of CPU `index`.
fn own_granule(index: u64, number: u64) -> u64 {
    granule(256 + 64 * index + number)
}

/// Delegates `count` granules of this CPU's own.
fn delegate_own(index: u64, count: u64) {
    let mut every = Every::new("a CPU's own granules are delegated");
    for number in 0..count {
        every.equal(number, rmi::delegate(own_granule(index, number)), Status::SUCCESS);
    }
}

/// Each slot of this CPU maps one granule after another, and shows the right one each time.
fn alternate(index: u64) {
    delegate_own(index, 16);
    let (first, second) = (own_granule(index, 0), own_granule(index, 1));
    let mut every =
        Every::new("each slot shows the granule that was mapped last, thousands of times");
    for (number, name) in SLOTS {
        let seen = rmi::self_test_for(&[request::ALTERNATE, number, first, second, ROUNDS, 0]);
        every.equal(format_args!("CPU {index}, {name}"), seen, (Status::SUCCESS, 0));
    }
    let group = rmi::self_test_for(&[request::ALTERNATE_GROUP, first, ROUNDS]);
    every.equal(format_args!("CPU {index}, auxiliary granules"), group, (Status::SUCCESS, 0));

    let pages = [own_granule(index, 16), own_granule(index, 17)];
    for page in pages {
        every.equal("the host marks its page", probe::fill_granule(page, page), Ok(()));
    }
    let host = rmi::self_test_for(&[request::ALTERNATE_HOST, pages[0], pages[1], ROUNDS]);
    every.equal(format_args!("CPU {index}, the host's memory"), host, (Status::SUCCESS, 0));
}

/// On all CPUs at once, every slot shows the granule that was mapped last. Without TLB invalidation
/// it would not.
pub fn contents() {
    rmi::activate();
    let others = 1..crate::options().machine_cpus;
    for index in others.clone() {
        check::equal(
            format_args!("CPU {index} comes on"),
            cpus::start(index, alternate),
            psci::SUCCESS,
        );
    }
    alternate(0);
    others.clone().for_each(cpus::wait_until_off);
    for index in others {
        check::equal(format_args!("CPU {index} is done"), cpus::finished(index), 1);
    }

    let (first, second) = (own_granule(0, 0), own_granule(0, 1));
    for (number, name) in SLOTS {
        let (status, wrong) =
            rmi::self_test_for(&[request::ALTERNATE, number, first, second, ROUNDS, 1]);
        say!("   {name} slot without TLB invalidation: {wrong} of {} looks wrong", 2 * ROUNDS);
        check::that(
            format_args!("without TLB invalidation the {name} slot shows what was mapped before"),
            status == Status::SUCCESS && wrong > 0,
        );
        let seen = rmi::self_test_for(&[request::ALTERNATE, number, first, second, 16, 0]);
        check::equal("with it, never", seen, (Status::SUCCESS, 0));
    }
}

/// The present step of [`private`].
static STEP: AtomicU64 = AtomicU64::new(0);

fn wait_for_step(step: u64) {
    while STEP.load(Ordering::Acquire) != step {
        core::hint::spin_loop();
    }
}

/// The content of the granule in CPU 1's slot.
const MARK: u64 = 0xc0de_c0de_0000_0001;

/// CPU 1 has mapped a granule in the slot number `argument`. CPU 0 reads the same slot of its own,
/// which is fatal to it. CPU 1 ends the run.
pub fn private() {
    let slot = crate::options().argument;
    check::equal("CPU 1 comes on", cpus::start(1, keep_and_serve_on), psci::SUCCESS);
    wait_for_step(1);
    check::equal("a granule is delegated", rmi::delegate(own_granule(0, 0)), Status::SUCCESS);
    // With a granule of its own mapped there, CPU 0 sees that one.
    let kept = rmi::self_test_for(&[request::KEEP, slot, own_granule(0, 0)]);
    let stored = rmi::self_test_for(&[request::STORE, slot, 0, MARK + 1]);
    check::equal(
        "CPU 0 maps its own granule",
        (kept.0, stored.0),
        (Status::SUCCESS, Status::SUCCESS),
    );
    let seen = rmi::self_test_for(&[request::LOOK, slot, 0]);
    check::equal("and sees it", seen, (Status::SUCCESS, MARK + 1));
    check::equal("and unmaps it", rmi::self_test_for(&[request::RELEASE, slot]).0, Status::SUCCESS);
    STEP.store(2, Ordering::Release);
    let seen = rmi::self_test_for(&[request::LOOK, slot, 0]);
    check::equal("CPU 0 sees something through its empty slot", seen, (Status::UNKNOWN, 0));
    semihosting::exit(EXIT_CHECK_FAILED)
}

fn keep_and_serve_on(index: u64) {
    /// More calls than CPU 0 needs to print its report.
    const LOOKS: u64 = 5000;
    let slot = crate::options().argument;
    check::equal("another is delegated", rmi::delegate(own_granule(index, 0)), Status::SUCCESS);
    let kept = rmi::self_test_for(&[request::KEEP, slot, own_granule(index, 0)]);
    let stored = rmi::self_test_for(&[request::STORE, slot, 0, MARK]);
    check::equal("CPU 1 maps a granule", (kept.0, stored.0), (Status::SUCCESS, Status::SUCCESS));
    STEP.store(1, Ordering::Release);
    wait_for_step(2);
    let mut every =
        Every::new("CPU 1 sees its granule while CPU 0 looks through the same slot, and dies");
    for look in 0..LOOKS {
        let seen = rmi::self_test_for(&[request::LOOK, slot, 0]);
        every.equal(format_args!("look {look}"), seen, (Status::SUCCESS, MARK));
    }
    drop(every);
    check::equal(
        "CPU 1 unmaps it",
        rmi::self_test_for(&[request::RELEASE, slot]).0,
        Status::SUCCESS,
    );
    let version = Dialect::current().version();
    check::equal("CPU 1 is answered -1 then", rmi::version(version).0, Status::UNKNOWN);
    smc::report_preserved_registers();
    semihosting::exit(if check::failures() == 0 { 0 } else { EXIT_CHECK_FAILED })
}
