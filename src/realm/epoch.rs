// SPDX-License-Identifier: BSD-3-Clause
//! Epochs of Realms: RECs remember what they have learned of their Realm, and forget it when
//! something was taken from the Realm.
//!
//! So REC_ENTER neither locks the RD nor walks tables that other RECs of the Realm use.

use super::vmid::Vmid;
use crate::address::Ipa;
use crate::granule::{Epochs, GranuleAddress};

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

/// The epoch of the Realm with this VMID; never 0.
///
/// What is learned of the Realm after this holds for as long as this returns the same. A granule of
/// the Realm's memory must be locked meanwhile.
pub fn now(epochs: &Epochs, vmid: Vmid) -> u64 {
    epochs.now(vmid.get())
}

/// Ends the epoch: a mapping of protected memory was removed, or the Realm was switched off.
///
/// The caller still holds the lock of what was taken: the granule, its table, or the RD.
pub fn end(epochs: &Epochs, vmid: Vmid) {
    epochs.end(vmid.get());
}
