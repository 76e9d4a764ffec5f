// SPDX-License-Identifier: BSD-3-Clause
//! The state of the RMM. It is a plain value: the target has one, tests have many.

use super::features::Features;
use super::operations::OperationPool;
use crate::attest::platform::Platform;
use crate::console::Occurrences;
use crate::cpu::CpuFeatures;
use crate::el3::version::Dialect;
use crate::granule::GranuleTable;
use crate::realm::vmid::VmidTable;

/// Everything that all CPUs share.
#[derive(Debug)]
pub struct Rmm<'a> {
    pub(super) granules: GranuleTable<'a>,
    pub(super) dialect: Dialect,
    pub(super) features: Features,
    pub(super) vmids: &'a VmidTable,
    /// `None`: Realms get no tokens.
    pub(super) attestation: Option<&'static Platform>,
    /// Operations that the host has begun and not finished (RMI 2.0).
    pub(super) operations: &'a OperationPool,
    /// How often EL3 refused to take back a granule: never unless EL3 and the RMM disagree.
    pub(super) refused_undelegates: Occurrences,
}

impl<'a> Rmm<'a> {
    /// An RMM with these granules, VMIDs and operations, which no other RMM uses, on CPUs with
    /// these features. Realms get tokens if there is `attestation`.
    pub fn new(
        granules: GranuleTable<'a>,
        vmids: &'a VmidTable,
        operations: &'a OperationPool,
        dialect: Dialect,
        cpu: &CpuFeatures,
        attestation: Option<&'static Platform>,
    ) -> Self {
        if dialect == Dialect::V2_0 {
            // Until the host activates the RMM.
            vmids.realms().close();
        }
        Self {
            granules,
            dialect,
            features: Features::new(cpu, dialect),
            vmids,
            attestation,
            operations,
            refused_undelegates: Occurrences::new(),
        }
    }

    /// The RMI that the host speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What tokens of Realms need, if EL3 gave it.
    pub fn attestation(&self) -> Option<&'static Platform> {
        self.attestation
    }

    /// The granule array.
    pub fn granules(&self) -> &GranuleTable<'a> {
        &self.granules
    }

    /// Whether the global state is ACTIVE rather than INIT (RMI 2.0).
    pub(super) fn is_active(&self) -> bool {
        self.vmids.realms().is_open()
    }

    /// Changes the global state from INIT to ACTIVE. Returns whether it was INIT: true once.
    pub(super) fn activate(&self) -> bool {
        self.vmids.realms().open()
    }

    /// Changes the global state from ACTIVE to INIT, unless there is a Realm, which could not be
    /// destroyed in INIT. Returns whether the state changed.
    pub(super) fn deactivate(&self) -> bool {
        self.vmids.realms().close()
    }

    /// How often EL3 refused to take back a granule: 0 unless EL3 and the RMM disagree.
    pub fn refused_undelegates(&self) -> u64 {
        self.refused_undelegates.count()
    }
}
