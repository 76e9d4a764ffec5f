// SPDX-License-Identifier: BSD-3-Clause
//! The SIMD registers: those of a REC, and what is kept of the host's while a REC has them.
//!
//! The host's stay in the CPU until the REC first uses any. A REC that uses none costs nothing.

use tock_registers::interfaces::{Readable, Writeable};

use crate::arch::barrier;
use crate::arch::simd::{self, FirstFault, Predicates, ScalableVectors, Vectors};
use crate::arch::sysreg::el1::{
    CPTR_EL2, FPCR, FPMR, FPSR, ID_AA64PFR0_EL1, ID_AA64PFR1_EL1, ID_AA64PFR2_EL1,
    ID_AA64SMFR0_EL1, SMCR_EL2, SVCR, ZCR_EL2,
};
use crate::arch::sysreg::fields;

/// Which SIMD registers the CPU has beside V0 to V31.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimdFeatures {
    /// SVE.
    pub sve: bool,
    /// SME.
    pub sme: bool,
    /// All of SVE in streaming mode (FEAT_SME_FA64).
    pub fa64: bool,
    /// FPMR.
    pub fpmr: bool,
}

impl SimdFeatures {
    /// Reads the ID registers of this CPU.
    pub fn read() -> Self {
        const FA64: u64 = 1 << 63;
        let sme = ID_AA64PFR1_EL1.get() >> 24 & 0xf != 0;
        Self {
            sve: ID_AA64PFR0_EL1.get() >> 32 & 0xf != 0,
            sme,
            fa64: sme && ID_AA64SMFR0_EL1.get() & FA64 != 0,
            fpmr: ID_AA64PFR2_EL1.get() >> 32 & 0xf != 0,
        }
    }
}

/// SVCR.SM: streaming mode.
const STREAMING: u64 = 1 << 0;
/// ZCR_EL2.LEN and SMCR_EL2.LEN: the greatest length.
const MAX_LENGTH: u64 = 0xf;

/// Opens all SIMD registers to the RMM.
fn open() {
    let open = fields::CPTR_EL2::FPEN::None + fields::CPTR_EL2::ZEN::None;
    CPTR_EL2.set((open + fields::CPTR_EL2::SMEN::None).value);
    barrier::isb();
}

/// The SIMD registers of a REC. It has no SVE.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RecSimd {
    v: Vectors,
    fpsr: u64,
    fpcr: u64,
}

impl RecSimd {
    fn save(&mut self) {
        simd::save_v(&mut self.v);
        self.fpsr = FPSR.get();
        self.fpcr = FPCR.get();
    }

    /// What is above V0 to V31 becomes zero: a write to V does that.
    fn load(&self) {
        simd::load_v(&self.v);
        FPSR.set(self.fpsr);
        FPCR.set(self.fpcr);
    }
}

/// What is kept of the host's SIMD registers, at the greatest vector length.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct HostSimd {
    z: ScalableVectors,
    p: Predicates,
    ffr: FirstFault,
    fpsr: u64,
    fpcr: u64,
    fpmr: u64,
    svcr: u64,
    zcr: u64,
    smcr: u64,
    v: Vectors,
}

impl HostSimd {
    /// Nothing is kept.
    pub const NONE: Self = Self {
        z: ScalableVectors::ZERO,
        p: Predicates::ZERO,
        ffr: FirstFault::ZERO,
        fpsr: 0,
        fpcr: 0,
        fpmr: 0,
        svcr: 0,
        zcr: 0,
        smcr: 0,
        v: [0; 32],
    };

    /// Whether FFR can be accessed in the mode that SVCR says.
    const fn has_ffr(&self, features: SimdFeatures) -> bool {
        self.svcr & STREAMING == 0 || features.fa64
    }

    /// Saves the host's registers and leaves streaming mode. ZA and ZT0 stay where they are: a Realm
    /// cannot reach them.
    fn save(&mut self, features: SimdFeatures) {
        self.svcr = if features.sme { SVCR.get() } else { 0 };
        let streaming = self.svcr & STREAMING != 0;
        self.fpsr = FPSR.get();
        self.fpcr = FPCR.get();
        self.fpmr = if features.fpmr { FPMR.get() } else { 0 };
        if features.sve {
            self.zcr = ZCR_EL2.get();
            ZCR_EL2.set(MAX_LENGTH);
        }
        if streaming {
            self.smcr = SMCR_EL2.get();
            SMCR_EL2.set(self.smcr | MAX_LENGTH);
        }
        if features.sve || streaming {
            barrier::isb();
            simd::save_z(&mut self.z);
            simd::save_p(&mut self.p);
            if self.has_ffr(features) {
                simd::save_ffr(&mut self.ffr);
            }
        } else {
            simd::save_v(&mut self.v);
        }
        if streaming {
            SVCR.set(self.svcr & !STREAMING);
            barrier::isb();
        }
    }

    fn load(&self, features: SimdFeatures) {
        let streaming = self.svcr & STREAMING != 0;
        if streaming {
            SVCR.set(self.svcr);
            barrier::isb();
        }
        if features.sve || streaming {
            // FFR is loaded through P0.
            if self.has_ffr(features) {
                simd::load_ffr(&self.ffr);
            }
            simd::load_z(&self.z);
            simd::load_p(&self.p);
        } else {
            simd::load_v(&self.v);
        }
        if features.sve {
            ZCR_EL2.set(self.zcr);
        }
        if streaming {
            SMCR_EL2.set(self.smcr);
        }
        FPSR.set(self.fpsr);
        FPCR.set(self.fpcr);
        if features.fpmr {
            FPMR.set(self.fpmr);
        }
    }
}

/// Who has the SIMD registers of this CPU during a run: the host, until the REC uses them.
#[derive(Debug)]
pub struct SimdOwner<'c> {
    host: &'c mut HostSimd,
    is_rec: bool,
}

impl<'c> SimdOwner<'c> {
    /// The host has them; `host` is where its own are kept.
    pub fn host(host: &'c mut HostSimd) -> Self {
        Self { host, is_rec: false }
    }

    /// Gives them to the REC, which has used one for the first time in this run.
    pub fn take(&mut self, rec: &RecSimd) {
        if !self.is_rec {
            open();
            self.host.save(SimdFeatures::read());
            rec.load();
            self.is_rec = true;
        }
    }

    /// Gives them back to the host.
    pub fn give_back(&mut self, rec: &mut RecSimd) {
        if self.is_rec {
            open();
            rec.save();
            self.host.load(SimdFeatures::read());
            self.is_rec = false;
        }
    }
}
