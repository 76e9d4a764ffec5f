// SPDX-License-Identifier: BSD-3-Clause
//! Instructions that may do anything: they run in the middle of memory that holds no instructions,
//! with vectors of their own that trust no register.
//!
//! What goes astray from there ends soon. What does not, as a branch to itself, the host's timer
//! interrupts, and the host takes the Realm down.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;

/// Pages of the cage: whatever a TBZ in the middle of it may branch to.
pub const PAGES: usize = 20;
/// Words from the start of the cage to the instructions.
const BEFORE: usize = PAGES / 2 * 1024;
/// Instructions that it can run at once.
pub const CAPACITY: usize = 64;
/// Exceptions after which the instructions are given up.
const MOST_EXCEPTIONS: u64 = 128;
/// BRK: the end of the instructions.
const END: u32 = 0xd420_0000;

/// The cage: zeroes, which are no instructions, but for the instructions.
#[repr(C, align(4096))]
struct Memory(UnsafeCell<[u32; PAGES * 1024]>);

// SAFETY: the host has one REC at a time use it.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; PAGES * 1024]));

/// What the instructions begin with, and what comes of them. Layout known to cage.S.
#[repr(C, align(16))]
struct State {
    /// X0 to X30, again after each exception, and SP.
    x: [u64; 32],
    exceptions: u64,
    most: u64,
    start: u64,
    end: u64,
    /// SCTLR_EL1 and CPACR_EL1 as they were.
    sctlr: u64,
    cpacr: u64,
    /// SP and VBAR_EL1 of the payload.
    kept: [u64; 2],
}

struct Shared(UnsafeCell<State>);

// SAFETY: as for the memory.
unsafe impl Sync for Shared {}

#[unsafe(no_mangle)]
static CAGE_STATE: Shared = Shared(UnsafeCell::new(State {
    x: [0; 32],
    exceptions: 0,
    most: 0,
    start: 0,
    end: 0,
    sctlr: 0,
    cpacr: 0,
    kept: [0; 2],
}));

/// Memory that the instructions may use: the address of the cage.
pub fn memory() -> u64 {
    (&raw const MEMORY).addr() as u64
}

/// Runs these instructions, of which there are at most [`CAPACITY`], with these values in X0 to X30
/// and SP. The exceptions that the Realm took: one at the end, if they come there.
pub fn run(instructions: &[u32], x: [u64; 32]) -> u64 {
    unsafe extern "C" {
        fn realm_cage(state: *mut State);
    }
    let count = instructions.len().min(CAPACITY);
    // SAFETY: nobody else uses the cage and its state. The instructions may store anywhere in the
    // memory of the payload: the host has asked for that, and rebuilds it when it goes wrong.
    unsafe {
        let first = MEMORY.0.get().cast::<u32>().add(BEFORE);
        for (index, instruction) in instructions.iter().take(count).enumerate() {
            first.add(index).write_volatile(*instruction);
        }
        first.add(count).write_volatile(END);
        for line in (0..=count).step_by(16) {
            asm!("dc cvau, {0}", "dsb ish", "ic ivau, {0}", in(reg) first.add(line));
        }
        asm!("dsb ish", "isb");
        let state = &mut *CAGE_STATE.0.get();
        state.x = x;
        state.exceptions = 0;
        state.most = MOST_EXCEPTIONS;
        state.start = first.addr() as u64;
        state.end = first.add(count).addr() as u64;
        realm_cage(state);
        state.exceptions
    }
}

/// The memory of the cage, for a program that uses it as such.
///
/// # Safety
///
/// Nothing runs in the cage meanwhile.
pub unsafe fn pages() -> *mut u64 {
    MEMORY.0.get().cast()
}

global_asm!(include_str!("cage.S"));
