// SPDX-License-Identifier: BSD-3-Clause
//! Statistics of how long CPUs wait for granules, in test builds (feature `self-test`) only.
//!
//! The lock reports here, and a self-test command reads the result: it checks the bound that
//! `docs/design/memory.md` proves. The unit is a critical section of another CPU: one for the
//! section under way when a CPU begins to wait, and one more each time that another CPU gets the
//! same granule while it waits. A short gap, between joining the queue and the report of it, is not
//! seen.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::cpu::{CpuIndex, MAX_CPUS};

/// Critical sections that each CPU has waited for, since it joined.
static SECTIONS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static WAITS: AtomicU64 = AtomicU64::new(0);
static LONGEST: AtomicU64 = AtomicU64::new(0);

/// CPU `me` has joined the queue of a granule that another CPU holds.
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

/// The number of waits on all CPUs, and the longest of them in critical sections of other CPUs.
pub fn waits() -> (u64, u64) {
    (WAITS.load(Ordering::Relaxed), LONGEST.load(Ordering::Relaxed))
}
