// SPDX-License-Identifier: BSD-3-Clause
//! The granule manager: the state of every granule of delegable memory, its lock and its
//! references.
//!
//! A granule's state changes only through guards ([`LockedGranule`]), and only along the
//! transitions listed in [`state`]. `docs/design/memory.md` tells how the parts work together.

mod address;
mod banks;
#[cfg(feature = "self-test")]
pub mod deliberate_death;
mod epochs;
mod guard;
mod lock;
pub mod lock_order;
mod lock_set;
pub mod state;
mod table;
#[cfg(test)]
mod tests;
#[cfg(feature = "self-test")]
pub mod wait_stats;

pub use address::GranuleAddress;
pub use banks::{BankError, MemoryRange};
pub use epochs::{EpochUse, Epochs};
pub use guard::{LockedGranule, Probe, ProbeError, Reference, Wipe, WipeError};
pub use lock::{CountError, GranuleEntry, Waiters};
pub use lock_set::{LockedSet, MAX_SET, sort_few, wipe_set};
pub use state::State;
pub use table::{GranuleTable, LockError, LockedNs, MAX_BANKS, NsGranule, TrackingRegion};
