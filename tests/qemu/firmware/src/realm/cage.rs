// SPDX-License-Identifier: BSD-3-Clause
//! Runs instructions that may do anything, in the middle of memory without valid instructions and
//! with vectors that rely on no register.
//!
//! An instruction stream that goes astray ends soon. If it does not, as a branch to itself, the
//! host's timer interrupts it, and the host destroys the Realm.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;

/// Pages of the cage: everything that a TBZ in the middle can branch to.
pub const PAGES: usize = 20;
/// Words from the start of the cage to the instructions.
const BEFORE: usize = PAGES / 2 * 1024;
/// The most instructions that run at once.
pub const CAPACITY: usize = 64;
/// The number of exceptions after which the instructions are given up.
const MOST_EXCEPTIONS: u64 = 128;
/// BRK: the end of the instructions.
const END: u32 = 0xd420_0000;

/// The cage: zeros, which are undefined instructions, around the instructions.
#[repr(C, align(4096))]
struct Memory(UnsafeCell<[u32; PAGES * 1024]>);

// SAFETY: the host lets one REC at a time use it.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; PAGES * 1024]));

/// The initial registers and the results of the instructions. cage.S knows the layout.
#[repr(C, align(16))]
struct State {
    /// X0 to X30 and SP, set again after each exception.
    x: [u64; 32],
    exceptions: u64,
    most: u64,
    start: u64,
    end: u64,
    /// The former SCTLR_EL1 and CPACR_EL1.
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

/// The address of the cage, which the instructions may use as memory.
pub fn memory() -> u64 {
    (&raw const MEMORY).addr() as u64
}

/// Runs at most [`CAPACITY`] instructions with these values in X0 to X30 and SP. Gives the number
/// of exceptions that the Realm took; one of them ends the instructions if they get that far.
pub fn run(instructions: &[u32], x: [u64; 32]) -> u64 {
    unsafe extern "C" {
        fn realm_cage(state: *mut State);
    }
    let count = instructions.len().min(CAPACITY);
    // SAFETY: nothing else uses the cage and its state. The instructions may store anywhere in the
    // payload's memory; the host has asked for that, and rebuilds the payload if it is damaged.
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

/// The memory of the cage, for a program that uses it for something else.
///
/// # Safety
///
/// Nothing may run in the cage at that time.
pub unsafe fn pages() -> *mut u64 {
    MEMORY.0.get().cast()
}

global_asm!(include_str!("cage.S"));
