// SPDX-License-Identifier: BSD-3-Clause
//! The PMU of a REC, and the owner of the CPU's PMU during a run.
//!
//! If the REC's counters do not count, its PMU is loaded when the REC first accesses it. The host's
//! counters count nothing of a Realm in either case.

use super::auxiliary::FeaturePage;
use crate::cpu::pmu::{self, PmuRegisters};
use crate::mem::RunningAuxiliary;

/// The owner of this CPU's PMU during a run.
#[derive(Debug)]
pub struct PmuOwner<'c> {
    host: &'c mut PmuRegisters,
    is_rec: bool,
}

impl<'c> PmuOwner<'c> {
    /// The host has it, stopped. Its registers are saved to `host`.
    pub fn host(host: &'c mut PmuRegisters) -> Self {
        Self { host, is_rec: false }
    }

    /// Whether the REC has it.
    pub fn is_rec(&self) -> bool {
        self.is_rec
    }

    /// Gives it to the REC.
    pub fn take(&mut self, auxiliary: &mut RunningAuxiliary<'_>) {
        if !self.is_rec {
            let counters = pmu::event_counters();
            self.host.save(counters);
            auxiliary.get::<FeaturePage>().pmu.load(counters);
            self.is_rec = true;
        }
    }

    /// Gives it back to the host, stopped. Returns the status of the REC's.
    #[inline(always)]
    pub fn give_back(&mut self, auxiliary: &mut RunningAuxiliary<'_>) -> PmuStatus {
        if !self.is_rec {
            return PmuStatus::default();
        }
        let counters = pmu::event_counters();
        let registers = &mut auxiliary.get::<FeaturePage>().pmu;
        registers.save(counters);
        self.host.load(counters);
        self.is_rec = false;
        PmuStatus {
            is_counting: registers.is_counting(),
            has_overflowed: registers.is_interrupting(),
        }
    }
}

/// What REC_ENTER needs to know of a REC's PMU before its auxiliary granules are mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PmuStatus {
    /// Whether its counters count: the REC needs them in the CPU.
    pub is_counting: bool,
    /// Whether an overflow asserts the interrupt (pmu_ovf_status).
    pub has_overflowed: bool,
}
