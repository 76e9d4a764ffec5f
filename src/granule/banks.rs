// SPDX-License-Identifier: BSD-3-Clause
//! Which memory has granules: the banks of the boot manifest, less the ranges that are never
//! delegable.
//!
//! Boot only. Excluded ranges are cut out of the banks, so that a granule in one is as unknown as a
//! granule outside all memory.

use crate::address::{GRANULE_SIZE, PhysAddr};

/// A range of physical memory: base and size in bytes.
pub type MemoryRange = (PhysAddr, u64);

/// Why no granule array can be built from the banks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BankError {
    /// The bank has no size.
    #[error("the memory bank at {0} is empty")]
    Empty(PhysAddr),
    /// Base or size of the bank is not a multiple of the granule size.
    #[error("the memory bank at {0} is not a whole number of granules")]
    Unaligned(PhysAddr),
    /// The bank ends beyond the 64-bit address space.
    #[error("the memory bank at {0} passes the end of the address space")]
    Wraps(PhysAddr),
    /// The bank begins below the end of the one before it.
    #[error("the memory bank at {0} begins before the last one ends")]
    NotAscending(PhysAddr),
    /// More banks, excluded ranges cut out, than the table holds.
    #[error("there are {needed} memory banks and room for {available}")]
    TooManyBanks {
        /// How many there are.
        needed: usize,
        /// How many the table holds.
        available: usize,
    },
    /// Fewer entries of storage than the banks have granules.
    #[error("the granule array needs {needed} entries and has {available}")]
    TooFewEntries {
        /// Granules in the banks.
        needed: usize,
        /// Entries of storage.
        available: usize,
    },
}

/// Hands each delegable piece of `banks` to `visit`, ascending, as its base and its number of
/// granules.
///
/// # Errors
///
/// A [`BankError`] about the banks themselves, or what `visit` returns.
pub(super) fn for_each_piece(
    banks: impl Iterator<Item = MemoryRange>,
    excluded: &[MemoryRange],
    mut visit: impl FnMut(u64, usize) -> Result<(), BankError>,
) -> Result<(), BankError> {
    let mut previous_end = 0;
    for (base, size) in banks {
        if size == 0 {
            return Err(BankError::Empty(base));
        }
        if !base.is_aligned(GRANULE_SIZE) || !PhysAddr::new(size).is_aligned(GRANULE_SIZE) {
            return Err(BankError::Unaligned(base));
        }
        let end = base.checked_add(size).ok_or(BankError::Wraps(base))?.get();
        if base.get() < previous_end {
            return Err(BankError::NotAscending(base));
        }
        previous_end = end;

        let mut at = base.get();
        while at < end {
            let hole = first_hole(excluded, at).unwrap_or((end, end));
            let piece_end = hole.0.clamp(at, end);
            if piece_end > at {
                let granules = usize::try_from((piece_end - at) / GRANULE_SIZE)
                    .map_err(|_| BankError::TooFewEntries { needed: usize::MAX, available: 0 })?;
                visit(at, granules)?;
            }
            at = hole.1.min(end).max(piece_end);
        }
    }
    Ok(())
}

/// The first excluded range that ends above `at`, as start and end, rounded outward to whole
/// granules.
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
