// SPDX-License-Identifier: BSD-3-Clause
//! The granule manager: the state of every granule of delegable memory, its lock and its
//! references.
//!
//! `docs/design/granules.md` says how the parts work together and why they are right. A granule's
//! state is changed only through guards ([`LockedGranule`]), and only along the transitions listed
//! in [`state`].

mod address;
mod guard;
mod layout;
mod lock;
#[cfg(test)]
mod lock_tests;
mod several;
pub mod state;
mod table;
#[cfg(feature = "self-test")]
pub mod waits;

pub use address::GranuleAddress;
pub use guard::{LockedGranule, Reference, Wipe};
pub use layout::{LayoutError, MemoryRange};
pub use lock::{CountError, GranuleEntry, Waiters};
pub use several::{LockedSet, MAX_SET};
pub use state::State;
pub use table::{GranuleTable, KnownGranule, LockError, MAX_BANKS, NsGranule, Run};
