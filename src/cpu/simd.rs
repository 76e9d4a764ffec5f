// SPDX-License-Identifier: BSD-3-Clause
//! The SIMD registers of a CPU: which it has, and how the host's are saved while the RMM or a Realm
//! uses them.

use tock_registers::interfaces::{Readable, Writeable};

use crate::arch::barrier;
use crate::arch::simd::{self, FirstFault, Predicates, ScalableVectors, Vectors};
use crate::arch::sysreg::el1::{
    CPTR_EL2, FPCR, FPMR, FPSR, ID_AA64PFR0_EL1, ID_AA64PFR1_EL1, ID_AA64PFR2_EL1,
    ID_AA64SMFR0_EL1, SMCR_EL2, SVCR, ZCR_EL2, ZCR_EL12,
};
use crate::arch::sysreg::fields;

/// The SIMD registers that the CPU has beyond V0 to V31.
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

/// Runs `body` with all SIMD registers open to it, then restores the traps.
pub fn while_open<R>(body: impl FnOnce() -> R) -> R {
    let traps = CPTR_EL2.get();
    open();
    let result = body();
    CPTR_EL2.set(traps);
    result
}

/// Whether this CPU, which has SME, is in streaming mode.
pub fn is_streaming() -> bool {
    while_open(|| SVCR.get() & STREAMING != 0)
}

/// The greatest vector length of this CPU, encoded as in ZCR_EL2.LEN; `None` without SVE.
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

/// The host's SIMD registers, saved at the greatest vector length.
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
    /// Whether only V0 to V31 are live: the CPU has no SVE, or the host has given the SVE hint.
    only_v: bool,
}

impl HostSimd {
    /// Nothing is saved.
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

    /// Whether FFR can be accessed in the mode of the saved SVCR.
    const fn has_ffr(&self, features: SimdFeatures) -> bool {
        self.svcr & STREAMING == 0 || features.fa64
    }

    /// Saves the host's registers, leaves streaming mode and sets the greatest vector length. ZA
    /// and ZT0 stay in place: neither the RMM nor a Realm accesses them.
    ///
    /// With `no_live_sve` only V0 to V31 are live for the host, unless it is in streaming mode.
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

    /// Loads the host's registers. Nothing of their former content remains.
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
            // Loading a V register zeroes the upper bits of its Z register.
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
