// SPDX-License-Identifier: BSD-3-Clause
//! The slots and their virtual addresses. They are the same on every CPU; each CPU maps them in its
//! own table.

use crate::address::{GRANULE_SIZE, VirtAddr};

/// Slots for the auxiliary granules of a REC ([`AuxiliaryPart`](super::AuxiliaryPart)).
pub const REC_AUX: usize = 16;

/// A slot, as its page number in the range of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum SlotIndex {
    /// Memory of the host.
    Ns = 0,
    /// A Delegated granule, to be wiped.
    Delegated = 1,
    /// Realm Descriptor.
    Rd = 2,
    /// Realm Execution Context.
    Rec = 3,
    /// Another REC of the same Realm.
    SecondRec = 4,
    /// The first of [`REC_AUX`] slots for auxiliary granules of a REC.
    RecAux = 5,
    /// Realm Translation Table.
    Rtt = 5 + REC_AUX,
    /// The RTT above or below the one in `Rtt`.
    SecondRtt,
    /// Memory of a Realm.
    RealmData,
}

impl SlotIndex {
    /// The slot's virtual address.
    pub const fn address(self) -> VirtAddr {
        VirtAddr::new(BASE.get() + self as u64 * GRANULE_SIZE)
    }

    /// The slot that `address` is in, if any.
    pub fn at(address: VirtAddr) -> Option<Self> {
        let page = address.checked_sub(BASE).filter(|offset| *offset < SIZE)? / GRANULE_SIZE;
        // The last kind that begins at or below it: `RecAux` has several pages.
        Self::ALL.into_iter().rev().find(|slot| *slot as u64 <= page)
    }

    /// Every kind of slot, ascending.
    pub const ALL: [Self; 9] = [
        Self::Ns,
        Self::Delegated,
        Self::Rd,
        Self::Rec,
        Self::SecondRec,
        Self::RecAux,
        Self::Rtt,
        Self::SecondRtt,
        Self::RealmData,
    ];
}

/// How many slots there are.
pub const COUNT: usize = SlotIndex::RealmData as usize + 1;
/// The virtual address of the first slot: 32 pages below the end of the address space. Not all of
/// the pages are used.
pub const BASE: VirtAddr = VirtAddr::new(u64::MAX - 32 * GRANULE_SIZE + 1);
/// [`BASE`] for a debugger: debug information does not contain constants.
#[used]
static DEBUGGER_BASE: u64 = BASE.get();
/// Bytes of all slots.
pub const SIZE: u64 = COUNT as u64 * GRANULE_SIZE;

// The last page is not used, so the end address of a slot does not wrap.
static_assertions::const_assert!(COUNT < 32);
