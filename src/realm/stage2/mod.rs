// SPDX-License-Identifier: BSD-3-Clause
//! Stage 2 of a Realm: its Realm Translation Tables (RTTs), one granule each.
//!
//! The host builds and destroys them. `docs/design/rtt.md` describes the design. Invariants:
//!
//! - A walk locks each RTT on its way from a root table down, a child before its parent is
//!   unlocked. An RTT is changed only under its lock.
//! - Its references count its live entries ([`Entry::is_live`]). An RTT with live entries cannot be
//!   destroyed, only folded.
//! - The granules of an ASSIGNED entry are Data of this Realm, and the granule of a TABLE entry is
//!   an RTT of this Realm. No other entry points to them.
//! - Before a mapping or the granule that it pointed to is reused, no TLB holds an entry of it.

mod block;
mod control;
mod entries;
mod entry;
mod geometry;
pub mod memory;
mod table;
mod tables;
mod tlb;
mod walk;

pub use block::BlockMemory;
pub use control::{MAX_ROOT_TABLES, Stage2, Stage2Features};
pub use entries::{Taken, Unmapped, forget_instructions};
pub use entry::{Entry, Ripas, UnprotectedMapping};
pub use geometry::{EntryIndex, RangeError};
pub use table::RttTable;
pub use tlb::invalidate_realm;
pub use walk::Walk;

use crate::address::Ipa;
use crate::xlat::Level;

/// Why a command changed nothing, with the level that it reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkError {
    /// The walk ended above the level asked for.
    Short(Level),
    /// The entry is a TABLE already.
    IsTable(Level),
    /// The entry is not a TABLE.
    NoTable(Level),
    /// The table has live entries.
    Live(Level),
    /// The table is not homogeneous.
    NotHomogeneous(Level),
    /// There are no blocks at this level.
    NoBlock(Level),
    /// The entry is not UNASSIGNED.
    NotUnassigned(Level),
    /// The entry is not ASSIGNED, or ASSIGNED_NS.
    NotAssigned(Level),
    /// The range begins within the entry.
    Unaligned(Level),
    /// Not even the first entry of the range can be changed.
    NoProgress(Level),
}

impl WalkError {
    /// The level.
    pub const fn level(self) -> Level {
        match self {
            Self::Short(level)
            | Self::IsTable(level)
            | Self::NoTable(level)
            | Self::Live(level)
            | Self::NotHomogeneous(level)
            | Self::NoBlock(level)
            | Self::NotUnassigned(level)
            | Self::NotAssigned(level)
            | Self::Unaligned(level)
            | Self::NoProgress(level) => level,
        }
    }
}

/// Why nothing was unmapped, and the next IPA for the host to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnmapError {
    /// The reason.
    pub error: WalkError,
    /// The first live IPA from the one walked for on, or the end of the table.
    pub walk_top: Ipa,
}

/// Internal inconsistency. Unreachable from host input.
///
/// Continuing could give one Realm's memory to another.
fn corrupt(invariant: &str) -> ! {
    panic!("translation tables of a Realm: {invariant}")
}
