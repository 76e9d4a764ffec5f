// SPDX-License-Identifier: BSD-3-Clause
//! The order in which a CPU takes the locks of granules, told to whoever checks it: on a host `plat/host`, which fails the test that breaks it; on the
//! target nobody.

/// What a lock that a CPU takes is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The linear index of the CPU.
    pub cpu: usize,
    /// Which granule table it is in, by some address of the table's own.
    pub table: usize,
    /// The physical address of the granule.
    pub granule: u64,
    /// Whether the host names it (`docs/design/granules.md`), rather than a table or another granule leading there.
    pub is_named: bool,
}

/// The CPU is about to wait for the lock.
#[inline(always)]
pub fn about_to_take(lock: Lock) {
    #[cfg(not(target_os = "none"))]
    crate::host::lock_order::about_to_take(lock);
    #[cfg(target_os = "none")]
    let _ = lock;
}

/// The CPU has given the lock of this granule back.
#[inline(always)]
pub fn given_back(cpu: usize, table: usize, granule: u64) {
    #[cfg(not(target_os = "none"))]
    crate::host::lock_order::given_back(cpu, table, granule);
    #[cfg(target_os = "none")]
    let _ = (cpu, table, granule);
}
