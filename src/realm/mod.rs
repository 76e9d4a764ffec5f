// SPDX-License-Identifier: BSD-3-Clause
//! Realms: the content of their granules, and how they are created, changed and destroyed.
//!
//! `rmi` decodes the host's commands and encodes their results.

pub mod count;
pub mod epoch;
pub mod features;
pub mod lifecycle;
pub mod measurement;
pub mod parameters;
pub mod rd;
pub mod rec;
pub mod running;
pub mod stage2;
pub mod vmid;

use crate::granule::{LockError, WipeError};

/// Why a Realm or REC could not be created, changed or destroyed. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealmError {
    /// A granule does not exist, is in the wrong state, or is named twice.
    Granule(LockError),
    /// The memory of a granule does not answer.
    Memory,
    /// Another Realm has the VMID, no VMID is free, or no Realm may be created now.
    VmidInUse,
    /// The Realm is in the wrong state.
    State,
    /// The Realm has RECs, running RECs, or live RTTEs.
    Live,
    /// The Realm has the greatest number of RECs.
    Full,
    /// The parameters are not those of the Realm's next REC.
    Rec,
    /// The REC is running.
    RecRunning,
}

impl From<WipeError> for RealmError {
    fn from(_: WipeError) -> Self {
        Self::Memory
    }
}

impl From<LockError> for RealmError {
    fn from(error: LockError) -> Self {
        Self::Granule(error)
    }
}
