// SPDX-License-Identifier: BSD-3-Clause
//! The SIMD registers of a REC, and the owner of the CPU's SIMD registers during a run.
//!
//! The host's registers stay in the CPU until the REC first uses one. Registers of SVE are in
//! auxiliary granules, V0 to V31 of a REC without SVE in its own granule.

use tock_registers::interfaces::{Readable, Writeable};

use super::auxiliary::{FeaturePage, HighVectors, LowVectors};
use crate::arch::barrier;
use crate::arch::simd::{self, Vectors};
use crate::arch::sysreg::el1::{FPCR, FPSR, ZCR_EL2, ZCR_EL12};
use crate::cpu::simd::{HostSimd, SimdFeatures, is_streaming, open};
use crate::mem::RunningAuxiliary;
use crate::realm::features::RealmFeatures;

/// The SIMD registers of a REC: V0 to V31 only if it has no SVE.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RecSimd {
    v: Vectors,
    fpsr: u64,
    fpcr: u64,
}

/// The owner of this CPU's SIMD registers during a run: the host, until the REC uses one.
#[derive(Debug)]
pub struct SimdOwner<'c> {
    host: &'c mut HostSimd,
    no_live_sve: bool,
    is_rec: bool,
}

impl<'c> SimdOwner<'c> {
    /// The host has them. They are saved to `host`: with `no_live_sve` only V0 to V31.
    pub fn host(host: &'c mut HostSimd, no_live_sve: bool) -> Self {
        Self { host, no_live_sve, is_rec: false }
    }

    /// Whether the REC has them.
    pub fn is_rec(&self) -> bool {
        self.is_rec
    }

    /// Whether the REC must have them before it runs: in the host's streaming mode SVE instructions
    /// would take other traps than those of SVE.
    pub fn is_needed_at_once(&self, realm: RealmFeatures) -> bool {
        realm.has_sve && SimdFeatures::read().sme && is_streaming()
    }

    /// Gives them to the REC, which has used one for the first time in this run.
    pub fn take(
        &mut self,
        rec: &RecSimd,
        realm: RealmFeatures,
        auxiliary: &mut RunningAuxiliary<'_>,
    ) {
        if self.is_rec {
            return;
        }
        open();
        self.host.save(SimdFeatures::read(), self.no_live_sve);
        if realm.has_sve {
            set_length(realm.sve_length);
            let registers = &auxiliary.get::<FeaturePage>().sve;
            ZCR_EL12.set(registers.zcr_el1);
            // FFR is loaded through P0.
            simd::load_ffr(&registers.ffr);
            simd::load_p(&registers.p);
            let (low, high) = auxiliary.pair::<LowVectors, HighVectors>();
            simd::load_z(&low.0, &high.0);
        } else {
            // Loading a V register zeroes the upper bits of its Z register.
            simd::load_v(&rec.v);
        }
        FPSR.set(rec.fpsr);
        FPCR.set(rec.fpcr);
        self.is_rec = true;
    }

    /// Gives them back to the host.
    pub fn give_back(
        &mut self,
        rec: &mut RecSimd,
        realm: RealmFeatures,
        auxiliary: &mut RunningAuxiliary<'_>,
    ) {
        if !self.is_rec {
            return;
        }
        open();
        rec.fpsr = FPSR.get();
        rec.fpcr = FPCR.get();
        if realm.has_sve {
            let (low, high) = auxiliary.pair::<LowVectors, HighVectors>();
            simd::save_z(&mut low.0, &mut high.0);
            let registers = &mut auxiliary.get::<FeaturePage>().sve;
            registers.zcr_el1 = ZCR_EL12.get();
            simd::save_p(&mut registers.p);
            simd::save_ffr(&mut registers.ffr);
        } else {
            simd::save_v(&mut rec.v);
        }
        self.host.load(SimdFeatures::read());
        self.is_rec = false;
    }
}

/// Sets the greatest vector length of EL1 and EL0, and that of the RMM's own accesses.
fn set_length(length: u8) {
    ZCR_EL2.set(u64::from(length));
    barrier::isb();
}
