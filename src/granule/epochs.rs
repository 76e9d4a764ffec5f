// SPDX-License-Identifier: BSD-3-Clause
//! Epochs of owners of granules: what a CPU has learned about an owner and its granules holds until
//! the owner's epoch ends.

use core::sync::atomic::{AtomicU64, Ordering};

/// Epochs that there are. The number of an owner selects one.
const EPOCHS: usize = 64;

/// A count on a cache line of its own.
#[repr(align(64))]
struct Count(AtomicU64);

/// How many epochs of each owner have ended. Owners share counts: ending another owner's epoch only
/// makes it learn again.
pub struct Epochs([Count; EPOCHS]);

impl Epochs {
    /// No epoch has ended.
    pub const fn new() -> Self {
        Self([const { Count(AtomicU64::new(0)) }; EPOCHS])
    }

    fn ended(&self, owner: u16) -> &AtomicU64 {
        // In range: a remainder.
        let Count(count) = &self.0[usize::from(owner) % EPOCHS];
        count
    }

    /// The epoch of the owner with this number; never 0.
    ///
    /// What is learned after this holds for as long as this returns the same.
    pub fn now(&self, owner: u16) -> u64 {
        self.ended(owner).load(Ordering::Acquire).wrapping_add(1)
    }

    /// Ends the epoch of the owner with this number.
    pub fn end(&self, owner: u16) {
        self.ended(owner).fetch_add(1, Ordering::Release);
    }
}

impl Default for Epochs {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Epochs {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let ended: u64 = self.0.iter().map(|Count(count)| count.load(Ordering::Relaxed)).sum();
        f.debug_struct("Epochs").field("ended", &ended).finish()
    }
}
