// SPDX-License-Identifier: BSD-3-Clause
//! Breakpoints, watchpoints and software step of a Realm, while all of the host's own are on at the
//! same addresses.

use rmm_test_firmware::realm_protocol::{debug, program};
use rmm_test_firmware::{read_register, say, write_register};

use crate::check::{self, Every};
use crate::guest::Guest;
use crate::rmi::Status;

/// MDSCR_EL1 of the host: MDE, KDE and TDCC. Nothing is hit at EL2.
const HOSTS_CONTROL: u64 = 1 << 15 | 1 << 13 | 1 << 12;
/// OSLSR_EL1: the OS lock exists; it is locked.
const LOCK_EXISTS: u64 = 1 << 3;
const LOCKED: u64 = 1 << 1;
/// Exception classes: SVC.
const SVC: u64 = 0x15;

/// Lists the debug registers that the host fills, with the value for each. `broken` and `watched`
/// are addresses of the Realm.
macro_rules! hosts {
    ($($name:literal = |$broken:ident, $watched:ident| $value:expr;)*) => {
        const NAMES: &[&str] = &[$($name),*];

        /// Fills them.
        fn fill([broken, watched]: [u64; 2], locked: u64) {
            // SAFETY: no debug exception is taken at EL2.
            unsafe {
                $(write_register!($name, (|$broken: u64, $watched: u64| $value)(broken, watched));)*
                write_register!("oslar_el1", locked);
                core::arch::asm!("isb");
            }
        }

        fn hosts() -> [u64; [$($name),*].len() + 1] {
            [$(read_register!($name),)* read_register!("oslsr_el1")]
        }
    };
}

/// A breakpoint at EL1 and EL0, for all bytes.
const BREAKPOINT: u64 = 0xf << 5 | 3 << 1 | 1;
const WATCHPOINT: u64 = 0xff << 5 | 3 << 3 | 3 << 1 | 1;

hosts! {
    "mdscr_el1" = |_broken, _watched| HOSTS_CONTROL;
    "dbgbvr0_el1" = |broken, _watched| broken + 4;
    "dbgbvr1_el1" = |broken, _watched| broken;
    "dbgbvr2_el1" = |broken, _watched| broken - 4;
    "dbgbvr4_el1" = |broken, _watched| broken + 8;
    "dbgbvr5_el1" = |broken, _watched| broken;
    "dbgbcr0_el1" = |_broken, _watched| BREAKPOINT;
    "dbgbcr1_el1" = |_broken, _watched| BREAKPOINT;
    "dbgbcr2_el1" = |_broken, _watched| BREAKPOINT;
    "dbgbcr3_el1" = |_broken, _watched| 0x1e6;
    "dbgbcr4_el1" = |_broken, _watched| BREAKPOINT;
    "dbgbcr5_el1" = |_broken, _watched| BREAKPOINT;
    "dbgwvr0_el1" = |_broken, watched| watched;
    "dbgwvr1_el1" = |_broken, watched| watched;
    "dbgwvr3_el1" = |_broken, watched| watched;
    "dbgwcr0_el1" = |_broken, _watched| WATCHPOINT;
    "dbgwcr1_el1" = |_broken, _watched| WATCHPOINT;
    "dbgwcr2_el1" = |_broken, _watched| 0x1e;
    "dbgwcr3_el1" = |_broken, _watched| WATCHPOINT;
}

/// The debug events of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hits {
    breakpoints: u64,
    watchpoints: u64,
    steps: u64,
    /// Bytes from the instruction with the breakpoint to the address of the hit.
    broken_at: i64,
    watched_at: i64,
}

/// Nothing is hit: the addresses are those of the first instruction.
const NONE: Hits = Hits { breakpoints: 0, watchpoints: 0, steps: 0, broken_at: -4, watched_at: -4 };
const BREAKPOINT_HIT: Hits = Hits { breakpoints: 1, broken_at: 0, ..NONE };
const WATCHPOINT_HIT: Hits = Hits { watchpoints: 1, watched_at: 4, ..NONE };

/// The number of entries of the host with its own debug registers.
struct Session {
    guest: Guest,
    addresses: [u64; 2],
    entries: u64,
}

impl Session {
    /// Makes a REC run a program. Before it the host fills all debug registers with its own values,
    /// and after it checks them.
    fn program<const N: usize>(&mut self, rec: u64, number: u64, arguments: &[u64]) -> [u64; N] {
        // The host's OS lock, alternately on and off.
        let locked = self.entries % 2;
        self.entries += 1;
        fill(self.addresses, locked);
        let before = hosts();
        let entered = self.guest.begin_program(rec, number, arguments);
        let after = hosts();
        check::equal("the Realm is entered", entered, Status::SUCCESS);
        for (name, (before, after)) in
            NAMES.iter().chain(&["oslsr_el1"]).zip(before.into_iter().zip(after))
        {
            if before != after {
                check::equal(format_args!("{name} of the host"), after, before);
            }
        }
        self.guest.program_results(rec)
    }

    fn set(&mut self, rec: u64, what: u64, context: u64, locked: u64) -> [u64; debug::REGISTERS] {
        let [broken, watched, registers @ ..] = self.program::<{ 2 + debug::REGISTERS }>(
            rec,
            program::SET_DEBUG,
            &[what, context, locked],
        );
        self.addresses = [broken, watched];
        registers
    }

    /// Runs the instructions at a level. Gives what was hit, and the registers as the Realm saw
    /// them before.
    fn run(&mut self, rec: u64, level: u64, steps: u64) -> (Hits, [u64; debug::REGISTERS]) {
        let results =
            self.program::<{ 7 + debug::REGISTERS }>(rec, program::RUN_DEBUG, &[level, steps]);
        let [breakpoints, watchpoints, steps, broken_at, watched_at, far, end, registers @ ..] =
            results;
        check::equal("the watched word, and the end", (far, end), (0, SVC));
        let (broken_at, watched_at) = (broken_at.cast_signed(), watched_at.cast_signed());
        (Hits { breakpoints, watchpoints, steps, broken_at, watched_at }, registers)
    }
}

/// A Realm that debugs itself.
pub fn debug() {
    let guest = Guest::start(2);
    let mut session = Session { guest, addresses: [0x8000_0000; 2], entries: 0 };
    session.set(0, debug::NONE, 0, 0);
    let mut hit = Every::new("what a Realm sets is hit, once and where, and nothing else is");
    let mut kept = Every::new("a REC finds its debug registers as it set them");
    for level in [0, 1] {
        // At EL1 there are two more instructions. One of them traps to the RMM.
        let steps = Hits { steps: 4 + 2 * level, ..NONE };
        for (what, context, locked, expected) in [
            (debug::NONE, 0, 0, NONE),
            (debug::BREAKPOINT, 0, 0, BREAKPOINT_HIT),
            (debug::WATCHPOINT, 0, 0, WATCHPOINT_HIT),
            (debug::STEP, 0, 0, steps),
            (debug::LINKED, debug::CONTEXT, 0, BREAKPOINT_HIT),
            (debug::LINKED, debug::CONTEXT + 1, 0, NONE),
            (debug::ARMED, 0, 0, NONE),
            (debug::BREAKPOINT, 0, 1, NONE),
            (debug::STEP, 0, 1, NONE),
        ] {
            let set = session.set(0, what, context, locked);
            // Another REC in between has no debug events.
            let of_other = session.run(1, level, 0);
            let of_this = session.run(0, level, u64::from(what == debug::STEP));
            let [.., lock] = set;
            let case = format_args!("{what} in {context:#x} at EL{level}, lock {locked}");
            hit.equal(case, (of_this.0, of_other.0), (expected, NONE));
            hit.equal(case, lock, LOCK_EXISTS | (locked * LOCKED));
            kept.equal(case, of_this.1, set);
            let reset = [1 << 12, 0, 0, 0, 0, 0, 0, 0, 0, LOCK_EXISTS];
            kept.equal(case, of_other.1, reset);
        }
    }
    drop((hit, kept));
    let Session { guest, entries, .. } = session;
    // SAFETY: restores the value from before the scenario.
    unsafe { write_register!("mdscr_el1", 1 << 12) };
    numbers(&guest);
    guest.destroy();
    say!("a Realm has its own breakpoints and watchpoints, {entries} entries");
}

/// The numbers in the ID register and in the feature register agree.
fn numbers(guest: &Guest) {
    /// `mrs x0, id_aa64dfr0_el1`, `dbgbvr2_el1`, `dbgwcr2_el1`.
    const ID: u32 = 0xd538_0500;
    const BEYOND: [u32; 2] = [0xd530_0280, 0xd530_02e0];
    let id = guest.execute(0, ID, [0; 4]).x[0];
    let (_, features) = crate::rmi::features(0);
    let said = (id >> 12 & 0xf, id >> 20 & 0xf, features >> 14 & 0x3f, features >> 20 & 0x3f);
    check::equal(
        "two of each, and one compares contexts",
        (said, id >> 28 & 0xf),
        ((1, 1, 1, 1), 0),
    );
    for register in BEYOND {
        let executed = guest.execute(0, register, [!0, 0, 0, 0]);
        check::equal("none beyond", (executed.x[0], executed.exceptions), (0, 0));
    }
}
