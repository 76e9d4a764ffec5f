// SPDX-License-Identifier: BSD-3-Clause
//! Realm Translation Tables (RTTs): the stage-2 tables of a Realm, built and taken down by the
//! host, one granule each.
//!
//! `docs/design/rtt.md` tells how they work together. Invariants:
//!
//! - An RTT is reached by locking its way down from a root table, child before parent is let go,
//!   and changed only under its lock.
//! - Its references are as many as its live entries ([`Entry::is_live`]). Only an RTT without live
//!   entries goes out of use, other than by being folded.
//! - An ASSIGNED entry leads to Data of this Realm, to which no other entry leads; a TABLE entry
//!   leads to an RTT of this Realm, to which no other entry leads.
//! - What a TLB may hold of an entry is gone before the entry, or what it led to, becomes anything
//!   else.

mod control;
mod entries;
mod entry;
mod geometry;
mod table;
mod tables;
mod tlb;
mod walk;

pub use control::{MAX_ROOT_TABLES, Stage2, Stage2Features};
pub use entry::{Entry, Ripas, UnprotectedMapping};
pub use geometry::{EntryIndex, RangeError};
pub use table::RttTable;
pub use tlb::invalidate_realm;
pub use walk::Walk;

use crate::address::Ipa;
use crate::xlat::Level;

/// Why nothing was changed, and the level of the table that the reason is in, which is what the
/// host is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkError {
    /// The walk ended above the level that was wanted.
    Short(Level),
    /// There is a table already.
    IsTable(Level),
    /// There is no table.
    NoTable(Level),
    /// The table has live entries.
    Live(Level),
    /// The entries of the table do not make one entry.
    NotHomogeneous(Level),
    /// There are no blocks at this level.
    NoBlock(Level),
    /// The entry is not UNASSIGNED, or UNASSIGNED_NS.
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

/// A error, and the next IPA that the host has to look at when it takes a range down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnmapError {
    /// Why.
    pub error: WalkError,
    /// The first IPA from the one asked for on that is live, or where the table ends.
    pub walk_top: Ipa,
}

/// The invariants above do not hold any more. No host can bring that about; going on could give one
/// Realm's memory to another.
fn corrupt(invariant: &str) -> ! {
    panic!("translation tables of a Realm: {invariant}")
}
