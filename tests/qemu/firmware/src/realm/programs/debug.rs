// SPDX-License-Identifier: BSD-3-Clause
//! Breakpoints, watchpoints and software step, which the Realm sets and whose exceptions it takes.

use core::arch::global_asm;
use core::cell::UnsafeCell;

use rmm_test_firmware::realm_protocol::debug;
use rmm_test_firmware::{read_register, write_register};

use super::{WORDS, results};

/// What is executed, and the results. debug.S knows the layout.
#[repr(C)]
struct Debugged {
    pstate: u64,
    watched: u64,
    traps: u64,
    breakpoints: u64,
    broken_at: u64,
    watchpoints: u64,
    far: u64,
    watched_at: u64,
    steps: u64,
    end: u64,
    most: u64,
}

struct Shared(UnsafeCell<u64>);

// SAFETY: the host lets one REC at a time run this program.
unsafe impl Sync for Shared {}

static WATCHED: Shared = Shared(UnsafeCell::new(0));

unsafe extern "C" {
    fn realm_debug(debugged: *mut Debugged);
    static debug_target: u32;
    static debug_broken: u32;
}

/// Sets all debug registers for the chosen events, and CONTEXTIDR_EL1. Gives the addresses of the
/// instruction and of the word that are hit, and the registers' values then.
pub fn set(arguments: &[u64]) -> [u64; WORDS] {
    const MDE: u64 = 1 << 15;
    const KDE: u64 = 1 << 13;
    const SS: u64 = 1 << 0;
    // Enabled at EL1 and EL0, all bytes.
    const BREAKPOINT: u64 = 0xf << 5 | 3 << 1 | 1;
    const WATCHPOINT: u64 = 0xff << 5 | 3 << 3 | 3 << 1 | 1;
    // It compares a context, or is linked to a breakpoint that does.
    const CONTEXT: u64 = BREAKPOINT | 3 << 20;
    const LINKED: u64 = BREAKPOINT | 1 << 20 | 1 << 16;
    const LINKED_CONTEXT: u64 = debug::CONTEXT;
    let [what, context, locked, ..] = *arguments else { return [!0; WORDS] };
    let broken = (&raw const debug_broken).addr() as u64;
    let watched = WATCHED.0.get().addr() as u64;
    let (first, second, watchpoint, control) = match what {
        debug::BREAKPOINT => (BREAKPOINT, 0, 0, MDE | KDE),
        debug::LINKED => (LINKED, CONTEXT, 0, MDE | KDE),
        debug::WATCHPOINT => (0, 0, WATCHPOINT, MDE | KDE),
        debug::STEP => (0, 0, 0, SS | KDE),
        debug::ARMED => (BREAKPOINT, 0, WATCHPOINT, 0),
        _ => (0, 0, 0, 0),
    };
    // SAFETY: debug exceptions are masked except in `realm_debug`, whose vectors take them.
    unsafe {
        write_register!("oslar_el1", locked);
        write_register!("contextidr_el1", context);
        write_register!("dbgbvr0_el1", broken);
        write_register!("dbgbcr0_el1", first);
        write_register!("dbgbvr1_el1", LINKED_CONTEXT);
        write_register!("dbgbcr1_el1", second);
        write_register!("dbgwvr0_el1", watched);
        write_register!("dbgwcr0_el1", watchpoint);
        write_register!("dbgwvr1_el1", 0);
        write_register!("dbgwcr1_el1", 0);
        write_register!("mdscr_el1", control);
        core::arch::asm!("isb");
    }
    let mut results = results([broken, watched]);
    results[2..2 + debug::REGISTERS].copy_from_slice(&registers());
    results
}

/// The debug registers: MDSCR_EL1, then breakpoints, then watchpoints, value and control.
fn registers() -> [u64; debug::REGISTERS] {
    [
        read_register!("mdscr_el1"),
        read_register!("dbgbvr0_el1"),
        read_register!("dbgbcr0_el1"),
        read_register!("dbgbvr1_el1"),
        read_register!("dbgbcr1_el1"),
        read_register!("dbgwvr0_el1"),
        read_register!("dbgwcr0_el1"),
        read_register!("dbgwvr1_el1"),
        read_register!("dbgwcr1_el1"),
        read_register!("oslsr_el1"),
    ]
}

/// Executes a few instructions at the level of the first argument, one at a time if the second is
/// not 0. Gives the number of breakpoints, watchpoints and steps that were hit; the addresses of
/// the hits, from the instruction with the breakpoint on; the class of the last exception; and the
/// debug registers before.
pub fn run(arguments: &[u64]) -> [u64; WORDS] {
    // SErrors, IRQs and FIQs masked; debug exceptions not.
    const PSTATE: u64 = 7 << 6;
    const EL1H: u64 = 5;
    const SS: u64 = 1 << 21;
    // The number of exceptions after which it ends.
    const MOST: u64 = 64;
    let [level, steps, ..] = *arguments else { return [!0; WORDS] };
    let (target, broken) = ((&raw const debug_target).addr(), (&raw const debug_broken).addr());
    let before = registers();
    let watched = WATCHED.0.get().addr() as u64;
    let mut debugged = Debugged {
        pstate: PSTATE | if level == 1 { EL1H } else { 0 } | if steps == 0 { 0 } else { SS },
        watched,
        traps: level,
        breakpoints: 0,
        broken_at: target as u64,
        watchpoints: 0,
        far: 0,
        watched_at: target as u64,
        steps: 0,
        end: 0,
        most: MOST,
    };
    // SAFETY: the instructions change no memory and at most X0 to X13.
    unsafe { realm_debug(&raw mut debugged) };
    let Debugged { breakpoints, broken_at, watchpoints, far, watched_at, steps, end, .. } =
        debugged;
    let from = |address: u64| address.wrapping_sub(broken as u64);
    let mut results = results([
        breakpoints,
        watchpoints,
        steps,
        from(broken_at),
        from(watched_at),
        if watchpoints == 0 { 0 } else { far.wrapping_sub(watched) },
        end,
    ]);
    results[7..7 + debug::REGISTERS].copy_from_slice(&before);
    results
}

global_asm!(include_str!("debug.S"));
