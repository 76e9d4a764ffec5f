// SPDX-License-Identifier: BSD-3-Clause
//! Which memory has granules: the banks that the boot manifest names, less the ranges that are
//! never delegable.
//!
//! Boot only. An excluded range is cut out of the banks, so that a granule in it is as unknown as
//! one outside all memory.

use core::fmt;

use crate::address::{GRANULE_SIZE, PhysAddr};

/// A range of physical memory: base and size in bytes.
pub type MemoryRange = (PhysAddr, u64);

/// Why no granule array can be built from the banks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The bank has no size.
    Empty(PhysAddr),
    /// Base or size of the bank is not a multiple of the granule size.
    Unaligned(PhysAddr),
    /// The bank ends beyond the 64-bit address space.
    Wraps(PhysAddr),
    /// The bank begins below the end of the one before it.
    NotAscending(PhysAddr),
    /// More banks, excluded ranges cut out, than the table holds.
    TooManyBanks {
        /// How many there are.
        needed: usize,
        /// How many it holds.
        available: usize,
    },
    /// Fewer entries of storage than the banks have granules.
    TooFewEntries {
        /// Granules in the banks.
        needed: usize,
        /// Entries of storage.
        available: usize,
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(base) => write!(f, "the memory bank at {base} is empty"),
            Self::Unaligned(base) => {
                write!(f, "the memory bank at {base} is not a whole number of granules")
            }
            Self::Wraps(base) => {
                write!(f, "the memory bank at {base} passes the end of the address space")
            }
            Self::NotAscending(base) => {
                write!(f, "the memory bank at {base} begins before the last one ends")
            }
            Self::TooManyBanks { needed, available } => {
                write!(f, "there are {needed} memory banks and room for {available}")
            }
            Self::TooFewEntries { needed, available } => {
                write!(f, "the granule array needs {needed} entries and has {available}")
            }
        }
    }
}

/// Hands each delegable piece of `banks` to `visit`, ascending, as its base and its number of
/// granules.
///
/// # Errors
///
/// A [`LayoutError`] about the banks themselves, or what `visit` returns.
pub(super) fn for_each_piece(
    banks: impl Iterator<Item = MemoryRange>,
    excluded: &[MemoryRange],
    mut visit: impl FnMut(u64, usize) -> Result<(), LayoutError>,
) -> Result<(), LayoutError> {
    let mut previous_end = 0;
    for (base, size) in banks {
        if size == 0 {
            return Err(LayoutError::Empty(base));
        }
        if !base.is_aligned(GRANULE_SIZE) || !PhysAddr::new(size).is_aligned(GRANULE_SIZE) {
            return Err(LayoutError::Unaligned(base));
        }
        let end = base.checked_add(size).ok_or(LayoutError::Wraps(base))?.get();
        if base.get() < previous_end {
            return Err(LayoutError::NotAscending(base));
        }
        previous_end = end;

        let mut at = base.get();
        while at < end {
            let hole = first_hole(excluded, at).unwrap_or((end, end));
            let piece_end = hole.0.clamp(at, end);
            if piece_end > at {
                let granules = usize::try_from((piece_end - at) / GRANULE_SIZE)
                    .map_err(|_| LayoutError::TooFewEntries { needed: usize::MAX, available: 0 })?;
                visit(at, granules)?;
            }
            at = hole.1.min(end).max(piece_end);
        }
    }
    Ok(())
}

/// The excluded range that comes first among those that end above `at`, as start and end, rounded
/// to whole granules outward.
fn first_hole(excluded: &[MemoryRange], at: u64) -> Option<(u64, u64)> {
    excluded
        .iter()
        .filter(|(_, size)| *size != 0)
        .map(|(base, size)| {
            let end = base.get().saturating_add(*size);
            (
                base.align_down(GRANULE_SIZE).get(),
                end.checked_next_multiple_of(GRANULE_SIZE).unwrap_or(u64::MAX),
            )
        })
        .filter(|(_, end)| *end > at)
        .min()
}
