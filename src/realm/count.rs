// SPDX-License-Identifier: BSD-3-Clause
//! How many Realms there are, and whether there may be any.
//!
//! Both are one word: no Realm is created at the moment when the host deactivates the RMM.

use crate::arch::atomic::{AtomicUsize, Ordering};

/// No Realm may be created: the RMM is not active. Realms are counted from the next bit on. Without
/// Realms an active RMM has zero here, so that no byte of the VMIDs is in the image.
const CLOSED: usize = 1 << 0;
const ONE: usize = 1 << 1;

/// The count. It orders no other access: what a Realm is made of is under locks.
#[derive(Debug)]
pub struct RealmCount(AtomicUsize);

impl RealmCount {
    /// No Realm, and there may be some.
    pub(super) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Whether Realms may be created.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed) & CLOSED == 0
    }

    /// From now on Realms may be created. Returns whether they might not: true once.
    pub fn open(&self) -> bool {
        // There is no Realm while there may be none: nothing else is in the word.
        self.0.compare_exchange(CLOSED, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// From now on no Realm may be created. Returns whether that changed, which it does not while
    /// there is a Realm.
    pub fn close(&self) -> bool {
        self.0.compare_exchange(0, CLOSED, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Counts a Realm, if it may be created.
    #[must_use = "a Realm that is counted is discounted"]
    pub fn add(&self) -> bool {
        let add = |word| (word & CLOSED == 0).then_some(word + ONE);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// Discounts a Realm that was counted.
    pub fn remove(&self) {
        self.0.fetch_sub(ONE, Ordering::Relaxed);
    }
}
