// SPDX-License-Identifier: BSD-3-Clause
//! The order in which a CPU takes the locks of granules.
//!
//! On a host each step is reported to a checker, which fails the test that breaks the order. The
//! target checks nothing.

use core::fmt;

/// A class of locks. A CPU that holds a lock takes none of an earlier rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Granules that the host names.
    External,
    /// Granules that a table or another granule leads to.
    Internal,
}

impl Rank {
    /// Every rank, the first to be locked first.
    pub const ALL: [Self; 2] = [Self::External, Self::Internal];

    /// Whether granules of this rank are locked in ascending order of address. Internal ones are
    /// locked in the order in which each leads to the next.
    pub const fn is_ascending(self) -> bool {
        matches!(self, Self::External)
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::External => "named by the host",
            Self::Internal => "found by way of another",
        })
    }
}

/// A lock that a CPU takes, as the checker knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The linear index of the CPU.
    pub cpu: usize,
    /// The granule table, by an address in it.
    pub table: usize,
    /// The physical address of the granule.
    pub granule: u64,
    /// Its place in the order.
    pub rank: Rank,
}

/// The CPU is about to wait for the lock.
pub fn about_to_take(lock: Lock) {
    #[cfg(not(target_os = "none"))]
    crate::host::lock_order::about_to_take(lock);
    #[cfg(target_os = "none")]
    let _ = lock;
}

/// The CPU has released the lock of this granule.
pub fn released(cpu: usize, table: usize, granule: u64) {
    #[cfg(not(target_os = "none"))]
    crate::host::lock_order::released(cpu, table, granule);
    #[cfg(target_os = "none")]
    let _ = (cpu, table, granule);
}
