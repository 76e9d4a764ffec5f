// SPDX-License-Identifier: BSD-3-Clause
//! The stage-2 translation of a Realm: what its tables are built and walked by.
//!
//! A [`Stage2`] is made once, from validated Realm parameters, lives in the RD and never changes.

use super::vmid::Vmid;
use crate::granule::GranuleAddress;
use crate::xlat::Level;

/// The most root tables that are concatenated (Arm ARM D8.2.2).
pub const MAX_ROOT_TABLES: u8 = 16;

/// The stage-2 translation of one Realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage2 {
    /// Bits of an Intermediate Physical Address. The lower half of what they span is protected.
    pub ipa_bits: u8,
    /// The level of the root tables.
    pub start_level: Level,
    /// The number of root tables, concatenated: 1 to [`MAX_ROOT_TABLES`].
    pub root_count: u8,
    /// Whether descriptors are those of LPA2, with 52-bit addresses.
    pub lpa2: bool,
    /// What tags the translations of this Realm.
    pub vmid: Vmid,
    /// The first root table; the others follow it.
    pub root: GranuleAddress,
}
