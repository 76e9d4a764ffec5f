// SPDX-License-Identifier: BSD-3-Clause
//! The optional features of the CPU that a Realm has.

/// What the host chose when it created the Realm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RealmFeatures {
    /// Whether the Realm has SVE.
    pub has_sve: bool,
    /// Its greatest vector length, encoded as in ZCR_EL2.LEN.
    pub sve_length: u8,
    /// Whether the Realm has a PMU.
    pub has_pmu: bool,
    /// Number of event counters. The cycle counter is not one of them.
    pub pmu_counters: u8,
}
