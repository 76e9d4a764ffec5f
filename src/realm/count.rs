// SPDX-License-Identifier: BSD-3-Clause
//! How many Realms there are, and whether Realms may be created.
//!
//! Both are in one word, so that no Realm is created while the host deactivates the RMM.

use crate::arch::atomic::{AtomicUsize, Ordering};

/// No Realm may be created: the RMM is not active. An active RMM without Realms has zero here, so
/// that the initial value takes no space in the image.
const CLOSED: usize = 1 << 0;
/// One Realm. The count is in the bits from this one up.
const ONE: usize = 1 << 1;

/// The count. It orders no other access: locks protect everything that belongs to a Realm.
#[derive(Debug)]
pub struct RealmCount(AtomicUsize);

impl RealmCount {
    /// No Realm exists; Realms may be created.
    pub(super) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Whether Realms may be created.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed) & CLOSED == 0
    }

    /// Allows the creation of Realms. Returns whether that changed.
    pub fn open(&self) -> bool {
        // While CLOSED is set the count is 0.
        self.0.compare_exchange(CLOSED, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Forbids the creation of Realms, unless there is a Realm. Returns whether that changed.
    pub fn close(&self) -> bool {
        self.0.compare_exchange(0, CLOSED, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Counts a Realm, if it may be created.
    #[must_use = "a Realm that is counted must be removed from the count later"]
    pub fn add(&self) -> bool {
        let add = |word| (word & CLOSED == 0).then_some(word + ONE);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// Removes a Realm from the count.
    pub fn remove(&self) {
        self.0.fetch_sub(ONE, Ordering::Relaxed);
    }
}
