// SPDX-License-Identifier: BSD-3-Clause
//! What a run borrows of the host's CPU state, and how it is given back.

use tock_registers::interfaces::Writeable;

use super::controls::{self, OpenSimd};
use super::world::{self, HostRegisters};
use crate::arch::sysreg::el1::{CPTR_EL2, MDCR_EL2};
use crate::realm::features::RealmFeatures;
use crate::realm::rec::RecState;
use crate::realm::rec::debug::DebugOwner;
use crate::realm::rec::gic::GicFeatures;
use crate::realm::rec::pmu::PmuOwner;
use crate::realm::rec::simd::SimdOwner;
use crate::realm::running::RunningRealm;

/// What a run borrows. Registers are taken when the REC first needs them.
pub(super) struct Lent<'r, 'g> {
    pub(super) realm: RunningRealm<'r, 'g>,
    pub(super) simd: SimdOwner<'r>,
    pub(super) pmu: PmuOwner<'r>,
    pub(super) debug: DebugOwner<'r>,
    pub(super) features: RealmFeatures,
}

impl Lent<'_, '_> {
    /// Gives the REC the SIMD registers.
    pub(super) fn open_simd(&mut self, state: &RecState) {
        self.simd.take(&state.simd, self.features, &mut self.realm.auxiliary);
        let open = if self.features.has_sve { OpenSimd::Sve } else { OpenSimd::Vectors };
        CPTR_EL2.set(controls::cptr(open));
    }

    /// Gives the REC the PMU.
    pub(super) fn open_pmu(&mut self) {
        self.pmu.take(&mut self.realm.auxiliary);
        MDCR_EL2.set(controls::mdcr(u64::from(self.features.pmu_counters), true));
    }
}

/// Saves the REC's registers and restores the host's.
#[inline(always)]
pub(super) fn take_out(
    state: &mut RecState,
    features: GicFeatures,
    lent: &mut Lent<'_, '_>,
    host: &HostRegisters<'_>,
) {
    state.pmu = lent.pmu.give_back(&mut lent.realm.auxiliary);
    lent.simd.give_back(&mut state.simd, lent.features, &mut lent.realm.auxiliary);
    lent.debug.give_back();
    world::unload(state, features);
    host.restore();
}
