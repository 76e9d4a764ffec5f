// SPDX-License-Identifier: BSD-3-Clause
//! A CPU that dies with locks while others wait for them, in test builds (feature `self-test`)
//! only.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::lock::Waiters;
use crate::cpu::CpuIndex;

/// Looks for a CPU that waits, before the death comes anyway.
const MAX_POLLS: u64 = 1_000_000;

/// One more than the index of the CPU that is to die; 0 for none.
static WHO: AtomicUsize = AtomicUsize::new(0);
/// Locks that it still takes, the last of them the one it dies with.
static LOCKS: AtomicU64 = AtomicU64::new(0);

/// Has `cpu` die with the lock that it takes as number `locks` from now on.
pub fn arrange(cpu: CpuIndex, locks: u64) {
    LOCKS.store(locks, Ordering::Relaxed);
    WHO.store(cpu.get() + 1, Ordering::Relaxed);
}

/// CPU `me` has taken a lock.
pub(super) fn taken(me: CpuIndex, waiters: &Waiters) {
    if WHO.load(Ordering::Relaxed) == me.get() + 1 && LOCKS.fetch_sub(1, Ordering::Relaxed) == 1 {
        let is_waited_for = |_: &u64| waiters.somebody_waits();
        let _polls = (0..MAX_POLLS).find(is_waited_for);
        panic!("a death that a self-test asked for");
    }
}
