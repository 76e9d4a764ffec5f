// SPDX-License-Identifier: BSD-3-Clause
//! TLB invalidations as values.

/// Which TLB entries are invalidated, with the operand of the TLBI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalidation {
    /// Those of the last level for a page.
    Leaf(u64),
    /// Those of every level for a page.
    Walk(u64),
    /// Those of the last level for a page, of every ASID.
    LeafAnyAsid(u64),
    /// Those of every level for a page, of every ASID.
    WalkAnyAsid(u64),
    /// Those of the last level for a range.
    LeafRange(u64),
    /// Those of every level for a range.
    WalkRange(u64),
    /// Those of the last level for a range, of every ASID.
    LeafRangeAnyAsid(u64),
    /// Those of every level for a range, of every ASID.
    WalkRangeAnyAsid(u64),
    /// All of the regime.
    All,
}

/// Which entries of the walk for an address are invalidated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WalkPart {
    /// The last one.
    Leaf,
    /// Every one, because tables are removed as well.
    All,
}
