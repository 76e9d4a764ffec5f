// SPDX-License-Identifier: BSD-3-Clause
//! Auxiliary granules with the registers of a REC's optional features.

use crate::arch::simd::{FirstFault, Predicates, ScalableVectors};
use crate::cpu::pmu::PmuRegisters;
use crate::mem::AuxiliaryContent;

/// The first granule: Z0 to Z15.
#[repr(transparent)]
pub(super) struct LowVectors(pub(super) ScalableVectors);

// SAFETY: bytes; the only content of the granule.
unsafe impl AuxiliaryContent for LowVectors {
    const GRANULE: usize = 0;
}

/// The second granule: Z16 to Z31.
#[repr(transparent)]
pub(super) struct HighVectors(pub(super) ScalableVectors);

// SAFETY: bytes; the only content of the granule.
unsafe impl AuxiliaryContent for HighVectors {
    const GRANULE: usize = 1;
}

/// The third granule: all smaller registers.
#[repr(C)]
pub(super) struct FeaturePage {
    /// SVE beside the vectors.
    pub(super) sve: SveRegisters,
    /// The PMU.
    pub(super) pmu: PmuRegisters,
}

// SAFETY: numbers; the only content of the granule.
unsafe impl AuxiliaryContent for FeaturePage {
    const GRANULE: usize = 2;
}

/// The registers of SVE beside the vectors.
#[repr(C)]
pub(super) struct SveRegisters {
    pub(super) p: Predicates,
    pub(super) ffr: FirstFault,
    pub(super) zcr_el1: u64,
}
