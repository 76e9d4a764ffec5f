// SPDX-License-Identifier: BSD-3-Clause
//! The order in which a CPU takes the locks of granules, told to whoever checks it: on a host
//! `src/host`, which fails the test that breaks it; on the target nobody.

use core::fmt;

/// What comes first in the order: a CPU that holds a lock takes none of an earlier rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The host names the granule.
    Named,
    /// A table or another granule leads to it.
    Found,
}

impl Rank {
    /// Every rank, the first to be locked first.
    pub const ALL: [Self; 2] = [Self::Named, Self::Found];

    /// Whether those of this rank are locked in ascending order of address. Found ones are locked
    /// in the order in which each leads to the next.
    pub const fn is_ascending(self) -> bool {
        matches!(self, Self::Named)
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Named => "named by the host",
            Self::Found => "found by way of another",
        })
    }
}

/// What a lock that a CPU takes is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The linear index of the CPU.
    pub cpu: usize,
    /// Which granule table it is in, by some address of the table's own.
    pub table: usize,
    /// The physical address of the granule.
    pub granule: u64,
    /// Where it comes in the order (`docs/design/granules.md`, section 4).
    pub rank: Rank,
}

/// The CPU is about to wait for the lock.
pub fn about_to_take(lock: Lock) {
    #[cfg(not(target_os = "none"))]
    crate::host::lock_order::about_to_take(lock);
    #[cfg(target_os = "none")]
    let _ = lock;
}

/// The CPU has given the lock of this granule back.
pub fn given_back(cpu: usize, table: usize, granule: u64) {
    #[cfg(not(target_os = "none"))]
    crate::host::lock_order::given_back(cpu, table, granule);
    #[cfg(target_os = "none")]
    let _ = (cpu, table, granule);
}
