// SPDX-License-Identifier: BSD-3-Clause
//! The SIMD registers, filled and stored by `simd.S`. Host and Realm use the same code, so each can
//! compute what the other must find.

core::arch::global_asm!(include_str!("simd.S"));

/// The content of the SVE registers, at any vector length.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct Shown {
    /// Z0 to Z31.
    pub vectors: [u8; 32 * 256],
    /// P0 to P15 and, outside streaming mode, FFR.
    pub predicates: [u8; 17 * 32],
}

impl Shown {
    /// All zero.
    pub const NOTHING: Self = Self { vectors: [0; 32 * 256], predicates: [0; 17 * 32] };

    /// A sum of the whole content (FNV-1a).
    pub fn sum(&self) -> u64 {
        let bytes = self.vectors.iter().chain(&self.predicates);
        bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        })
    }
}

unsafe extern "C" {
    fn simd_fill(seed: u64, streaming: u64);
    fn simd_show(vectors: *mut u8, predicates: *mut u8, streaming: u64);
}

/// Fills all registers with values computed from `seed`.
///
/// # Safety
///
/// The registers must be accessible, and the caller must not keep values in them. `streaming` tells
/// whether the CPU is in streaming mode.
pub unsafe fn fill(seed: u64, streaming: bool) {
    // SAFETY: promised by the caller.
    unsafe { simd_fill(seed, u64::from(streaming)) };
}

/// Stores all registers.
///
/// # Safety
///
/// As for [`fill`].
pub unsafe fn show(shown: &mut Shown, streaming: bool) {
    *shown = Shown::NOTHING;
    // SAFETY: promised by the caller. The buffer is large enough for any vector length.
    unsafe {
        simd_show(shown.vectors.as_mut_ptr(), shown.predicates.as_mut_ptr(), u64::from(streaming));
    }
}
