// SPDX-License-Identifier: BSD-3-Clause
//! What the auxiliary granules of a REC hold of optional features.

use super::simd::SveRegisters;
use crate::mem::AuxiliaryContent;

/// The third auxiliary granule: what is small.
#[derive(Debug)]
#[repr(C)]
pub struct FeaturePage {
    /// SVE beside the vectors.
    pub sve: SveRegisters,
}

// SAFETY: numbers; the only content of the granule.
unsafe impl AuxiliaryContent for FeaturePage {
    const GRANULE: usize = 2;
}
