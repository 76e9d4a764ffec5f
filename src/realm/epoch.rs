// SPDX-License-Identifier: BSD-3-Clause
//! Epochs of Realms: RECs remember what they have learned of their Realm, and forget it when
//! something was taken from the Realm.
//!
//! So REC_ENTER neither locks the RD nor walks tables that other RECs of the Realm use. VMIDs share
//! epochs, and all values of `Rmm` do: what ends one epoch too many costs a look, no more.

use core::sync::atomic::{AtomicU64, Ordering};

use super::vmid::Vmid;
use crate::address::Ipa;
use crate::granule::GranuleAddress;

/// What a REC has learned of its Realm. It holds until the Realm's epoch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Learned {
    /// The epoch in which the Realm was found ACTIVE; 0 is none.
    pub epoch: u64,
    /// Where the page of the last host call is.
    pub call_page: CallPage,
    /// VTCR_EL2 of its stage 2. It and VTTBR_EL2 never change.
    pub vtcr: u64,
    /// VTTBR_EL2.
    pub vttbr: u64,
}

/// Where the page of a host call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CallPage {
    /// Not known.
    None,
    /// The Realm has this granule at this page.
    At(Ipa, GranuleAddress),
}

/// Epochs that there are. The VMID selects one.
const EPOCHS: usize = 64;

/// A count on a cache line of its own.
#[repr(align(64))]
struct Count(AtomicU64);

static ENDED: [Count; EPOCHS] = [const { Count(AtomicU64::new(0)) }; EPOCHS];

fn ended(vmid: Vmid) -> &'static AtomicU64 {
    let Count(count) = &ENDED[usize::from(vmid.get()) % EPOCHS];
    count
}

/// The epoch of the Realm with this VMID; never 0.
///
/// What is learned of the Realm after this holds for as long as this returns the same. A granule of
/// the Realm's memory must be locked meanwhile.
pub fn now(vmid: Vmid) -> u64 {
    ended(vmid).load(Ordering::Acquire).wrapping_add(1)
}

/// Ends the epoch: a mapping of protected memory was removed, or the Realm was switched off.
///
/// The caller still holds the lock of what was taken: the granule, its table, or the RD.
pub fn end(vmid: Vmid) {
    ended(vmid).fetch_add(1, Ordering::Release);
}
