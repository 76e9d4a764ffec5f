// SPDX-License-Identifier: BSD-3-Clause
//! The Realm Descriptor: what the RMM keeps of a Realm, in the granule in state RD that the host
//! names it by.
//!
//! It is read and written under the lock of that granule. That RECs exist is counted by the
//! granule's references, one for each.

use super::measurement::{InitialMeasurement, MEASUREMENT_SLOTS, Measurement};
use super::parameters::RealmParameters;
use super::stage2::Stage2;
use crate::granule::state::Rd;
use crate::mem::Content;

/// RECs that a Realm may have: 2^[`MAX_RECS_ORDER`] - 1.
pub const MAX_RECS: u16 = (1 << MAX_RECS_ORDER) - 1;
/// MAX_RECS_ORDER of feature register 0. The references to a granule are counted in ten bits, and
/// each REC has one to its RD.
pub const MAX_RECS_ORDER: u32 = 10;

/// The state of a Realm (RMM specification 1.0, Realm life cycle).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RealmState {
    /// Being built: its content is measured, and it cannot run.
    New = 0,
    /// Measured, and runnable.
    Active = 1,
    /// Switched off by itself: it never runs again.
    SystemOff = 2,
}

/// A Realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmDescriptor {
    /// Its state.
    pub state: RealmState,
    /// The index of the next REC: as many as have been created, destroyed ones included.
    pub next_rec: u16,
    /// What its content was when it was built.
    pub initial_measurement: InitialMeasurement,
    /// The measurements that it extends itself.
    pub extensible_measurements: [Measurement; MEASUREMENT_SLOTS - 1],
    /// Its stage-2 translation.
    pub stage2: Stage2,
    /// What the host names it by in attestation.
    pub personalization: [u64; 8],
    /// Breakpoints that it has, less one.
    pub breakpoints: u8,
    /// Watchpoints that it has, less one.
    pub watchpoints: u8,
}

// SAFETY: numbers, and enumerations of which one value is 0; no other type is the content of an RD.
unsafe impl Content for RealmDescriptor {
    type State = Rd;
}

impl RealmDescriptor {
    /// Makes a descriptor that is all zero that of a new Realm with these parameters, its initial
    /// measurement begun.
    pub fn init(&mut self, parameters: &RealmParameters) {
        self.initial_measurement = InitialMeasurement::new(&parameters.measured);
        self.stage2 = parameters.stage2;
        self.personalization = parameters.personalization;
        self.breakpoints = parameters.breakpoints;
        self.watchpoints = parameters.watchpoints;
    }
}
