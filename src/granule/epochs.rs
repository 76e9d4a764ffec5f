// SPDX-License-Identifier: BSD-3-Clause
//! Epochs of owners of granules: what a CPU has learned about an owner and its granules holds until
//! the owner's epoch ends. A CPU may announce that it goes by what it has learned.

use core::sync::atomic::AtomicU64;

use crate::arch::atomic::{AtomicUsize, Ordering};
use crate::cpu::{CpuIndex, MAX_CPUS};

/// How many counts of epochs there are. Owners whose numbers differ by a multiple share one.
const EPOCHS: usize = 64;

/// How many epochs have ended, on a cache line of its own.
#[repr(align(64))]
struct Count(AtomicU64);

/// What a CPU announces: one more than the number of the owner, or 0 if it goes by nothing that it
/// has learned. On a cache line of its own.
#[repr(align(64))]
struct User(AtomicUsize);

/// Epochs of all owners. When an owner's epoch ends, a CPU that runs for one with the same count
/// only learns again.
///
/// The counts come first: every entry looks at one.
#[repr(C)]
pub struct Epochs {
    ended: [Count; EPOCHS],
    users: [User; MAX_CPUS],
}

/// While this lives, a CPU goes by what it has learned about an owner.
#[derive(Debug)]
pub struct EpochUse<'e>(&'e AtomicUsize);

impl Drop for EpochUse<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl Epochs {
    /// No epoch has ended.
    pub const fn new() -> Self {
        Self {
            ended: [const { Count(AtomicU64::new(0)) }; EPOCHS],
            users: [const { User(AtomicUsize::new(0)) }; MAX_CPUS],
        }
    }

    fn ended(&self, owner: u16) -> &AtomicU64 {
        // In range: a remainder.
        let Count(count) = &self.ended[usize::from(owner) % EPOCHS];
        count
    }

    /// The epoch of the owner with this number; never 0.
    ///
    /// What is learned after this holds for as long as this returns the same.
    pub fn now(&self, owner: u16) -> u64 {
        self.ended(owner).load(Ordering::SeqCst).wrapping_add(1)
    }

    /// Announces that this CPU goes by what it learns from now on about the owner, or has learned.
    pub fn announce(&self, cpu: CpuIndex, owner: u16) -> EpochUse<'_> {
        // In range: an index of a CPU.
        let User(user) = &self.users[cpu.get()];
        user.store(usize::from(owner) + 1, Ordering::SeqCst);
        EpochUse(user)
    }

    /// Whether a CPU goes by what it has learned about the owner. After [`end`](Self::end) it is
    /// one that learned it before: those that announce it later find that the epoch has ended,
    /// since all four accesses are in one order.
    pub fn is_in_use(&self, owner: u16) -> bool {
        let announced = usize::from(owner) + 1;
        self.users.iter().any(|User(user)| user.load(Ordering::SeqCst) == announced)
    }

    /// Ends the epoch of the owner with this number.
    pub fn end(&self, owner: u16) {
        self.ended(owner).fetch_add(1, Ordering::SeqCst);
    }
}

impl Default for Epochs {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Epochs {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let ended: u64 = self.ended.iter().map(|Count(count)| count.load(Ordering::Relaxed)).sum();
        f.debug_struct("Epochs").field("ended", &ended).finish()
    }
}
