// SPDX-License-Identifier: BSD-3-Clause
//! The cost of commands: instructions of the RMM from EL3's return into it to its SMC, both
//! included, without the monitor's own. Needs QEMU's instruction counter.
//!
//! Each figure is a line `figure: SECTION | NAME | NUMBER`, which the program `performance` of the
//! system tests collects.

use core::fmt::Display;
use core::sync::atomic::{AtomicU64, Ordering};

use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::say;
use rmm_test_firmware::smccc::psci;

use crate::check;
use crate::cpus::{self, Work};
use crate::memory::granule;
use crate::rmi::{self, Dialect, Status};
use crate::smc;

/// A larger number would mean that time was counted instead of instructions.
const PLAUSIBLE: core::ops::Range<u64> = 1..10_000_000;

fn figure(what: &str, name: impl Display, number: u64) {
    say!("figure: {what}, RMI {} | {name} | {number}", Dialect::current().version());
}

/// Measures a command that changes nothing or is undone. Its cost is the same each time except the
/// first, which may fill the RMM's own caches.
fn measure(name: impl Display + Copy, expected: Status, command: impl Fn() -> Status) {
    measure_pair(name, expected, command, || ());
}

/// As [`measure`], with `undo` after each call.
fn measure_pair(
    name: impl Display + Copy,
    expected: Status,
    command: impl Fn() -> Status,
    undo: impl Fn(),
) {
    let [first, second, third] = [0; 3].map(|_| {
        let status = command();
        let visit = smc::last_visit();
        undo();
        (status, visit.last)
    });
    check::equal(format_args!("{name} answers alike"), [first.0, second.0, third.0], [expected; 3]);
    check::equal(format_args!("{name} costs the same again"), third.1, second.1);
    let plausible = PLAUSIBLE.contains(&first.1) && PLAUSIBLE.contains(&second.1);
    check::that(format_args!("{name} executes a plausible number of instructions"), plausible);
    figure("Instructions", name, second.1);
}

/// Warm boots of CPU 1.
fn warm_boot() -> u64 {
    static WARM_BOOT: AtomicU64 = AtomicU64::new(0);
    let work: Work = |_| WARM_BOOT.store(smc::last_visit().warm_boot, Ordering::Release);
    check::equal("CPU 1 comes on", cpus::start(1, work), psci::SUCCESS);
    cpus::wait_until_off(1);
    WARM_BOOT.load(Ordering::Acquire)
}

/// Prints the cost of boots and of each command.
pub fn instructions() {
    figure("Instructions", "cold boot, a bank of 3 GiB", smc::last_visit().cold_boot);
    figure("Instructions", "warm boot, the first", warm_boot());
    figure("Instructions", "warm boot, again", warm_boot());
    let version = Dialect::current().version();
    measure("RMI_VERSION", Status::SUCCESS, || rmi::version(version).0);
    measure("RMI_FEATURES", Status::SUCCESS, || rmi::features(0).0);
    measure("unknown function", Status::UNKNOWN, || Status(rmi::call(0xC400_0210_u64, &[], 0)[0]));
    match Dialect::current() {
        Dialect::One => one_granule("RMI_GRANULE_DELEGATE", "RMI_GRANULE_UNDELEGATE"),
        Dialect::Two => {
            measure("RMI_RMM_CONFIG_GET", Status::SUCCESS, || rmi::rmm_config_get(granule(0)));
            measure("RMI_RMM_CONFIG_SET", Status::SUCCESS, || rmi::rmm_config_set(granule(0)));
            let (base, top) = (granule(0), granule(1));
            measure("RMI_GRANULE_TRACKING_GET", Status::SUCCESS, || {
                rmi::granule_tracking_get(base, top).0
            });
            rmi::activate();
            one_granule("RMI_GRANULE_RANGE_DELEGATE", "RMI_GRANULE_RANGE_UNDELEGATE");
        }
    }
}

/// The commands that move a granule, successful and refused, under their names in this dialect.
fn one_granule(delegate: &str, undelegate: &str) {
    let address = granule(0);
    let beyond = 1 << 40;
    let (give, take_back) = (|| rmi::delegate(address), || rmi::undelegate(address));
    // The first delegation reads the granule's memory. From then on the cost is the same each time.
    check::equal(format_args!("{delegate} succeeds"), give(), Status::SUCCESS);
    figure("Instructions", format_args!("{delegate}, the first time"), smc::last_visit().last);
    take_back();
    measure_pair(delegate, Status::SUCCESS, give, || {
        take_back();
    });
    give();
    check::equal(format_args!("{delegate} asks EL3 once"), smc::last_visit().services, 1);
    measure(format_args!("{delegate}, delegated already"), Status::ERROR_INPUT, give);
    take_back();
    measure(format_args!("{delegate}, unaligned"), Status::ERROR_INPUT, || {
        rmi::delegate(address + 1)
    });
    measure(format_args!("{delegate}, outside DRAM"), Status::ERROR_INPUT, || {
        rmi::delegate(beyond)
    });
    give();
    measure_pair(undelegate, Status::SUCCESS, take_back, || {
        give();
    });
    take_back();
    check::equal(format_args!("{undelegate} asks EL3 once"), smc::last_visit().services, 1);
    measure(format_args!("{undelegate}, not delegated"), Status::ERROR_INPUT, take_back);
}

/// Granules of a range of 16 MiB.
const RANGE: u64 = 4096;
/// Instructions of all CPUs to delegate and to undelegate their ranges, and the CPU whose turn it
/// is.
static DELEGATING: AtomicU64 = AtomicU64::new(0);
static UNDELEGATING: AtomicU64 = AtomicU64::new(0);
static TURN: AtomicU64 = AtomicU64::new(0);

/// Moves a range to its end. Gives the instructions of the RMM.
fn move_range(command: fn(u64, u64) -> (Status, u64), base: u64, top: u64) -> u64 {
    let mut at = base;
    let mut instructions = 0;
    while at < top {
        let (status, next) = command(at, top);
        instructions += smc::last_visit().last;
        let moves_on = status == Status::SUCCESS && next > at;
        if !moves_on {
            check::that(
                format_args!("the range is moved from {at:#x} on ({status:?}, to {next:#x})"),
                moves_on,
            );
            break;
        }
        at = next;
    }
    instructions
}

/// Each CPU moves a range of its own. They take turns, since there is a single instruction counter.
fn move_own_range(index: u64) {
    cpus::wait_until(|| TURN.load(Ordering::Acquire) == index);
    let (base, top) = (granule(index * RANGE), granule(index * RANGE) + RANGE * GRANULE);
    DELEGATING.fetch_add(move_range(rmi::range_delegate, base, top), Ordering::AcqRel);
    UNDELEGATING.fetch_add(move_range(rmi::range_undelegate, base, top), Ordering::AcqRel);
    TURN.fetch_add(1, Ordering::AcqRel);
}

/// Prints the cost per granule of a range of 16 MiB, with 1, 2, 4 and 8 CPUs that have a range
/// each.
pub fn range_instructions() {
    rmi::activate();
    // After this every granule has answered once.
    let top = granule(7 * RANGE) + RANGE * GRANULE;
    move_range(rmi::range_delegate, granule(0), top);
    move_range(rmi::range_undelegate, granule(0), top);
    for count in [1, 2, 4, 8] {
        for total in [&DELEGATING, &UNDELEGATING, &TURN] {
            total.store(0, Ordering::Release);
        }
        for index in 1..count {
            check::equal(
                format_args!("CPU {index} comes on"),
                cpus::start(index, move_own_range),
                psci::SUCCESS,
            );
        }
        move_own_range(0);
        (1..count).for_each(cpus::wait_until_off);
        for (name, total) in [
            ("RMI_GRANULE_RANGE_DELEGATE", &DELEGATING),
            ("RMI_GRANULE_RANGE_UNDELEGATE", &UNDELEGATING),
        ] {
            let granules = count * RANGE;
            // Rounded: at the end of an emulator's turn a few instructions of other CPUs are
            // counted.
            let each = (total.load(Ordering::Acquire) + granules / 2) / granules;
            check::that(
                format_args!("{name} on {count} CPUs is counted"),
                PLAUSIBLE.contains(&each),
            );
            figure(
                "Instructions",
                format_args!("{name} of 16 MiB, per granule, {count} CPUs"),
                each,
            );
        }
    }
}
