// SPDX-License-Identifier: BSD-3-Clause
//! The address of a granule.

use core::fmt;

use crate::address::{GRANULE_SIZE, PhysAddr};

/// The physical address of a granule: a multiple of [`GRANULE_SIZE`]. There need not be memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct GranuleAddress(PhysAddr);

impl GranuleAddress {
    /// The granule that begins at `address`; `None` when `address` is not aligned.
    pub const fn new(address: PhysAddr) -> Option<Self> {
        if address.is_aligned(GRANULE_SIZE) { Some(Self(address)) } else { None }
    }

    /// The granule that holds the byte at `address`.
    pub const fn containing(address: PhysAddr) -> Self {
        Self(address.align_down(GRANULE_SIZE))
    }

    /// The physical address.
    pub const fn get(self) -> PhysAddr {
        self.0
    }

    /// The next granule up; `None` at the end of the 64-bit address space.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(GRANULE_SIZE) {
            Some(address) => Some(Self(address)),
            None => None,
        }
    }
}

impl fmt::Debug for GranuleAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GranuleAddress({:#x})", self.0.get())
    }
}

impl fmt::Display for GranuleAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
