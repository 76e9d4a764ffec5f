// SPDX-License-Identifier: BSD-3-Clause
//! The SIMD registers of a CPU: which there are, and what is kept of the host's while somebody else
//! has them.

use tock_registers::interfaces::{Readable, Writeable};

use crate::arch::barrier;
use crate::arch::simd::{self, FirstFault, Predicates, ScalableVectors, Vectors};
use crate::arch::sysreg::el1::{
    CPTR_EL2, FPCR, FPMR, FPSR, ID_AA64PFR0_EL1, ID_AA64PFR1_EL1, ID_AA64PFR2_EL1,
    ID_AA64SMFR0_EL1, SMCR_EL2, SVCR, ZCR_EL2, ZCR_EL12,
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
pub fn open() {
    let open = fields::CPTR_EL2::FPEN::None + fields::CPTR_EL2::ZEN::None;
    CPTR_EL2.set((open + fields::CPTR_EL2::SMEN::None).value);
    barrier::isb();
}

/// Has `body` look at SIMD registers, with traps as they were after it.
pub fn while_open<R>(body: impl FnOnce() -> R) -> R {
    let traps = CPTR_EL2.get();
    open();
    let result = body();
    CPTR_EL2.set(traps);
    result
}

/// Whether this CPU is in streaming mode. It has SME.
pub fn is_streaming() -> bool {
    while_open(|| SVCR.get() & STREAMING != 0)
}

/// The greatest vector length of this CPU, as ZCR_EL2.LEN has it; `None` without SVE.
pub fn greatest_length() -> Option<u8> {
    if !SimdFeatures::read().sve {
        return None;
    }
    let bytes = while_open(|| {
        let hosts = ZCR_EL2.get();
        ZCR_EL2.set(MAX_LENGTH);
        barrier::isb();
        let bytes = simd::vector_bytes();
        ZCR_EL2.set(hosts);
        bytes
    });
    u8::try_from((bytes / 16).saturating_sub(1)).ok()
}

/// What is kept of the host's SIMD registers, at the greatest vector length.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct HostSimd {
    z: [ScalableVectors; 2],
    p: Predicates,
    ffr: FirstFault,
    fpsr: u64,
    fpcr: u64,
    fpmr: u64,
    svcr: u64,
    zcr: u64,
    zcr_el1: u64,
    smcr: u64,
    v: Vectors,
    /// Whether V0 to V31 are all there is: without SVE, or because the host has said so.
    only_v: bool,
}

impl HostSimd {
    /// Nothing is kept.
    pub const NONE: Self = Self {
        z: [ScalableVectors::ZERO; 2],
        p: Predicates::ZERO,
        ffr: FirstFault::ZERO,
        fpsr: 0,
        fpcr: 0,
        fpmr: 0,
        svcr: 0,
        zcr: 0,
        zcr_el1: 0,
        smcr: 0,
        v: [0; 32],
        only_v: false,
    };

    /// Whether FFR can be accessed in the mode that SVCR says.
    const fn has_ffr(&self, features: SimdFeatures) -> bool {
        self.svcr & STREAMING == 0 || features.fa64
    }

    /// Saves the host's registers and leaves streaming mode. The vector length is the greatest
    /// then. ZA and ZT0 stay where they are: nobody else can reach them.
    ///
    /// With `no_live_sve` the host needs V0 to V31 alone, outside streaming mode.
    pub fn save(&mut self, features: SimdFeatures, no_live_sve: bool) {
        self.svcr = if features.sme { SVCR.get() } else { 0 };
        let streaming = self.svcr & STREAMING != 0;
        self.fpsr = FPSR.get();
        self.fpcr = FPCR.get();
        self.fpmr = if features.fpmr { FPMR.get() } else { 0 };
        if features.sve {
            self.zcr = ZCR_EL2.get();
            self.zcr_el1 = ZCR_EL12.get();
            ZCR_EL2.set(MAX_LENGTH);
        }
        if streaming {
            self.smcr = SMCR_EL2.get();
            SMCR_EL2.set(self.smcr | MAX_LENGTH);
        }
        barrier::isb();
        self.only_v = !streaming && (no_live_sve || !features.sve);
        if self.only_v {
            simd::save_v(&mut self.v);
        } else {
            let [low, high] = &mut self.z;
            simd::save_z(low, high);
            simd::save_p(&mut self.p);
            if self.has_ffr(features) {
                simd::save_ffr(&mut self.ffr);
            }
        }
        if streaming {
            SVCR.set(self.svcr & !STREAMING);
            barrier::isb();
        }
    }

    /// Loads the host's registers. What another had in them is gone.
    pub fn load(&self, features: SimdFeatures) {
        let streaming = self.svcr & STREAMING != 0;
        if features.sve {
            ZCR_EL2.set(MAX_LENGTH);
            barrier::isb();
        }
        if streaming {
            SVCR.set(self.svcr);
            barrier::isb();
        }
        if self.only_v {
            // What is above V0 to V31 becomes zero: a write to V does that.
            simd::load_v(&self.v);
            if features.sve {
                simd::clear_p();
            }
        } else {
            // FFR is loaded through P0.
            if self.has_ffr(features) {
                simd::load_ffr(&self.ffr);
            }
            let [low, high] = &self.z;
            simd::load_z(low, high);
            simd::load_p(&self.p);
        }
        if features.sve {
            ZCR_EL2.set(self.zcr);
            ZCR_EL12.set(self.zcr_el1);
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
