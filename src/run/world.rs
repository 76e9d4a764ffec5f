// SPDX-License-Identifier: BSD-3-Clause
//! Saving and loading the registers of the host and of a REC, except those that `switch.S` moves.

use tock_registers::interfaces::{Readable, Writeable};

use super::controls::{self, OpenSimd, cnthctl, cptr, mdcr};
use crate::arch::barrier;
use crate::arch::el1::El1Registers;
use crate::arch::sysreg::el1::*;
use crate::arch::sysreg::{HCR_EL2, MIDR_EL1, VTCR_EL2, VTTBR_EL2};
use crate::realm::rec::RecState;
use crate::realm::rec::gic::GicFeatures;
use crate::realm::rec::timer::{Timer, Timers};

/// PMCR_EL0.E: the counters count.
const PMCR_E: u64 = 1 << 0;
/// PMCR_EL0.N: event counters.
const PMCR_N: u32 = 11;

/// The host's values of registers that a REC uses, or that the RMM changes while a REC runs.
pub(super) struct HostRegisters<'c> {
    el1: &'c mut El1Registers,
    timers: Timers,
    pmcr: u64,
    pmuserenr: u64,
}

impl<'c> HostRegisters<'c> {
    /// Saves them, the EL1 registers to `el1`. Stops the host's event counters: they must not count
    /// a Realm.
    ///
    /// If PMUSERENR_EL0.EN is 0, PMU accesses from EL0 trap to EL1; if it is 1, to the RMM. It is 1
    /// for a Realm with a PMU, which the RMM loads at the first access, and 0 for any other.
    pub(super) fn save(el1: &'c mut El1Registers, has_pmu: bool) -> Self {
        el1.save();
        let (pmcr, pmuserenr) = (PMCR_EL0.get(), PMUSERENR_EL0.get());
        PMCR_EL0.set(pmcr & !PMCR_E);
        PMUSERENR_EL0.set(u64::from(has_pmu));
        Self { el1, timers: Timers::save(), pmcr, pmuserenr }
    }

    /// Writes them back.
    pub(super) fn restore(&self) {
        self.el1.restore();
        self.timers.restore();
        PMCR_EL0.set(self.pmcr);
        PMUSERENR_EL0.set(self.pmuserenr);
    }
}

/// Loads the registers of a REC and the EL2 controls under which it runs.
pub(super) fn load(state: &RecState, features: GicFeatures) {
    VTCR_EL2.set(state.learned.vtcr);
    VTTBR_EL2.set(state.learned.vttbr);
    VMPIDR_EL2.set(state.learned.vmpidr);
    VPIDR_EL2.set(MIDR_EL1.get());
    MDCR_EL2.set(mdcr(PMCR_EL0.get() >> PMCR_N & 0x1f, false));
    CPTR_EL2.set(cptr(OpenSimd::None));
    // Boot has left the fine-grained traps zero, and HCRX_EL2 except MSCEn. Zero traps every
    // feature that has an enable bit there; the registers of these features are not switched.
    VDISR_EL2.set(state.registers.vdisr);
    state.registers.el1.restore();
    CNTHCTL_EL2.set(cnthctl(state.timers.asserted()));
    state.timers.restore();
    state.gic.restore(features);
}

/// Saves the registers of a REC, and clears those that restoring the host does not overwrite.
pub(super) fn unload(state: &mut RecState, features: GicFeatures) {
    state.timers = Timers::save();
    state.timers_reported = state.timers.asserted();
    state.gic.take(features);
    state.registers.el1.save();
    state.registers.vdisr = VDISR_EL2.get();
    VDISR_EL2.set(0);
    VSESR_EL2.set(0);
    CPTR_EL2.set(0);
    HCR_EL2.set(controls::hcr_of_rmm());
}

/// Updates the timers of a REC that is not loaded. Whether an output has changed since it was last
/// reported to the host.
pub(super) fn timers_to_report(state: &mut RecState) -> bool {
    state.timers.update();
    let now = state.timers.asserted();
    core::mem::replace(&mut state.timers_reported, now) != now
}

/// Masks each timer whose output is asserted. Whether an output differs from `reported`.
pub(super) fn timers_changed(reported: [bool; 2]) -> bool {
    let now = Timers {
        physical: Timer { ctl: CNTP_CTL_EL02.get(), cval: 0 },
        virtual_: Timer { ctl: CNTV_CTL_EL02.get(), cval: 0 },
    }
    .asserted();
    let masks = cnthctl(now);
    if CNTHCTL_EL2.get() != masks {
        CNTHCTL_EL2.set(masks);
        barrier::isb();
        wait_until_retired(now);
    }
    reported != now
}

/// Waits until the interrupt controller has seen that an output is masked, so that it does not
/// interrupt the REC at once. The number of polls is bounded: the host can keep these interrupts
/// pending.
fn wait_until_retired([physical, virtual_]: [bool; 2]) {
    const MAX_POLLS: u32 = 32;
    const VIRTUAL_TIMER: u64 = 27;
    const PHYSICAL_TIMER: u64 = 30;
    for _ in 0..MAX_POLLS {
        let pending = ICC_HPPIR1_EL1.get() & 0xff_ffff;
        if !(virtual_ && pending == VIRTUAL_TIMER || physical && pending == PHYSICAL_TIMER) {
            return;
        }
    }
}
