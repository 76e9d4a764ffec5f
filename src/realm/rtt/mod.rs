// SPDX-License-Identifier: BSD-3-Clause
//! Realm Translation Tables (RTTs): the stage-2 tables of a Realm, built and taken down by the host, one granule each.
//!
//! `docs/design/rtt.md` tells how they work together. Invariants:
//!
//! - An RTT is reached by locking its way down from a root table, child before parent is let go, and changed only under its lock.
//! - Its references are as many as its live entries ([`Entry::is_live`]). Only an RTT without live entries goes out of use, other than by being folded.
//! - An ASSIGNED entry leads to Data of this Realm, to which no other entry leads; a TABLE entry leads to an RTT of this Realm, to which no other entry leads.
//! - What a TLB may hold of an entry is gone before the entry, or what it led to, becomes anything else.

mod entry;
mod geometry;
pub mod maintenance;
mod table;

pub use entry::{Entry, NsMapping, Ripas};
pub use geometry::{EntryIndex, RangeError};
pub use table::RttTable;
