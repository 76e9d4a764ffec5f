// SPDX-License-Identifier: BSD-3-Clause
//! How long CPUs wait for granules: counted in test builds (feature `self-test`) only, for the
//! bound that `docs/design/granules.md` proves. The lock calls this, and a command of the self-test
//! reads it.
//!
//! The unit is a critical section of another CPU. The one under way when a CPU begins to wait
//! counts as one, and each time that another CPU is given the same granule, or takes it, while that
//! CPU waits, as one more. What happens between the instruction by which a CPU joins and the mark
//! that it has joined is not seen.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::cpu::{CpuIndex, MAX_CPUS};

/// Critical sections that each CPU has waited for, since it joined.
static SECTIONS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static WAITS: AtomicU64 = AtomicU64::new(0);
static LONGEST: AtomicU64 = AtomicU64::new(0);

/// CPU `me` has joined the queue of a granule, which another CPU holds.
pub(super) fn joined(me: CpuIndex) {
    SECTIONS[me.get()].store(1, Ordering::Relaxed);
}

/// Another CPU has got the granule that the CPU with this index waits for.
pub(super) fn overtaken(index: usize) {
    if let Some(sections) = SECTIONS.get(index) {
        sections.fetch_add(1, Ordering::Relaxed);
    }
}

/// CPU `me` has got the granule that it waited for.
pub(super) fn ended(me: CpuIndex) {
    LONGEST.fetch_max(SECTIONS[me.get()].load(Ordering::Relaxed), Ordering::Relaxed);
    WAITS.fetch_add(1, Ordering::Relaxed);
}

/// How many waits there were, on all CPUs, and how many critical sections of other CPUs the longest
/// of them was.
pub fn waits() -> (u64, u64) {
    (WAITS.load(Ordering::Relaxed), LONGEST.load(Ordering::Relaxed))
}
