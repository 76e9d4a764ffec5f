// SPDX-License-Identifier: BSD-3-Clause
//! Epochs of Realms: a REC caches facts about its Realm, which hold until the Realm's epoch ends.
//! It ends when memory is taken from the Realm, or the Realm leaves state ACTIVE.
//!
//! With this cache REC_ENTER neither locks the RD nor walks tables that other RECs use.

use super::vmid::Vmid;
use crate::address::Ipa;
use crate::cpu::CpuIndex;
use crate::granule::{EpochUse, Epochs, GranuleAddress};

/// What a REC has learned about its Realm. It holds until the Realm's epoch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Learned {
    /// The epoch in which the Realm was found ACTIVE; 0 if it was not.
    pub epoch: u64,
    /// Where the page of the last host call is.
    pub call_page: CallPage,
    /// VTCR_EL2 of its stage 2. Like VTTBR_EL2 it never changes.
    pub vtcr: u64,
    /// VTTBR_EL2.
    pub vttbr: u64,
    /// VMPIDR_EL2 of the REC.
    pub vmpidr: u64,
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
/// What a caller learns about the Realm after this call holds as long as later calls return the
/// same value. A granule of the Realm's memory must be locked while it learns.
pub fn now(epochs: &Epochs, vmid: Vmid) -> u64 {
    epochs.now(vmid.get())
}

/// Ends the epoch: a mapping of protected memory was removed, or the Realm was switched off.
///
/// The caller still holds the lock of the granule that was taken, of its table, or of the RD.
pub fn end(epochs: &Epochs, vmid: Vmid) {
    epochs.end(vmid.get());
}

/// Announces that this CPU enters or runs a REC of the Realm. It must read the epoch afterwards.
pub fn announce(epochs: &Epochs, cpu: CpuIndex, vmid: Vmid) -> EpochUse<'_> {
    epochs.announce(cpu, vmid.get())
}

/// Ends the epoch. Returns whether a CPU that announced the Realm before still runs one of its
/// RECs.
///
/// The caller holds the lock of the RD: a CPU that announces the Realm later waits for that lock.
pub fn end_and_look(epochs: &Epochs, vmid: Vmid) -> bool {
    end(epochs, vmid);
    epochs.is_in_use(vmid.get())
}
