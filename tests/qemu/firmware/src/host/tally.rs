// SPDX-License-Identifier: BSD-3-Clause
//! Instructions of the RMM by command, for all calls from [`begin`] on. Only for CPU 0.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::smc;

/// The number of function identifiers, which differ in these low bits.
const FUNCTIONS: usize = 0x100;

static IS_ON: AtomicBool = AtomicBool::new(false);
static CALLS: [AtomicU64; FUNCTIONS] = [const { AtomicU64::new(0) }; FUNCTIONS];
static INSTRUCTIONS: [AtomicU64; FUNCTIONS] = [const { AtomicU64::new(0) }; FUNCTIONS];

/// Counts from now on.
pub fn begin() {
    IS_ON.store(true, Ordering::Relaxed);
}

/// Counts the call that has just returned.
pub fn add(fid: u64) {
    if IS_ON.load(Ordering::Relaxed) {
        let index = fid as usize % FUNCTIONS;
        CALLS[index].fetch_add(1, Ordering::Relaxed);
        INSTRUCTIONS[index].fetch_add(smc::last_visit().last, Ordering::Relaxed);
    }
}

/// The number of calls of a command so far, and its RMM instructions.
pub fn of(fid: u32) -> (u64, u64) {
    let index = fid as usize % FUNCTIONS;
    (CALLS[index].load(Ordering::Relaxed), INSTRUCTIONS[index].load(Ordering::Relaxed))
}

/// The same for all commands together.
pub fn all() -> (u64, u64) {
    let sum = |of: &[AtomicU64; FUNCTIONS]| of.iter().map(|one| one.load(Ordering::Relaxed)).sum();
    (sum(&CALLS), sum(&INSTRUCTIONS))
}
