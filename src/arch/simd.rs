// SPDX-License-Identifier: BSD-3-Clause
//! The SIMD registers, as memory. Their traps must be open (CPTR_EL2).

/// V0 to V31.
pub type Vectors = [u128; 32];

/// Bytes of a vector of the greatest length.
const MAX_VECTOR: usize = 256;

/// Z0 to Z31 at any vector length, one behind the other.
#[repr(C, align(16))]
#[derive(Clone, Debug)]
pub struct ScalableVectors([u8; 32 * MAX_VECTOR]);

/// P0 to P15 at any vector length, one behind the other.
#[repr(C, align(16))]
#[derive(Clone, Debug)]
pub struct Predicates([u8; 16 * MAX_VECTOR / 8]);

/// The First Fault Register at any vector length.
#[repr(C, align(16))]
#[derive(Clone, Debug)]
pub struct FirstFault([u8; MAX_VECTOR / 8]);

#[cfg(target_os = "none")]
core::arch::global_asm!(include_str!("simd.S"));

/// Defines a type's functions that move registers to and from memory.
macro_rules! moves {
    ($($type:ty: $save:ident = $save_symbol:ident, $load:ident = $load_symbol:ident;)*) => {
        #[cfg(target_os = "none")]
        unsafe extern "C" {
            $(fn $save_symbol(to: *mut $type);
            fn $load_symbol(from: *const $type);)*
        }

        $(
        /// Saves the registers.
        #[cfg_attr(not(target_os = "none"), expect(unused_variables, reason = "no such registers"))]
        pub fn $save(to: &mut $type) {
            #[cfg(target_os = "none")]
            // SAFETY: `to` has room for the registers at any vector length. No code of this image
            // keeps a value in them.
            unsafe { $save_symbol(to) };
            #[cfg(not(target_os = "none"))]
            crate::host::execute(stringify!($save), None);
        }

        /// Loads the registers.
        #[cfg_attr(not(target_os = "none"), expect(unused_variables, reason = "no such registers"))]
        pub fn $load(from: &$type) {
            #[cfg(target_os = "none")]
            // SAFETY: as for saving.
            unsafe { $load_symbol(from) };
            #[cfg(not(target_os = "none"))]
            crate::host::execute(stringify!($load), None);
        }
        )*
    };
}

moves! {
    Vectors: save_v = simd_save_v, load_v = simd_load_v;
    ScalableVectors: save_z = simd_save_z, load_z = simd_load_z;
    Predicates: save_p = simd_save_p, load_p = simd_load_p;
    FirstFault: save_ffr = simd_save_ffr, load_ffr = simd_load_ffr;
}

impl ScalableVectors {
    /// All zero.
    pub const ZERO: Self = Self([0; 32 * MAX_VECTOR]);
}

impl Predicates {
    /// All zero.
    pub const ZERO: Self = Self([0; 16 * MAX_VECTOR / 8]);
}

impl FirstFault {
    /// All zero.
    pub const ZERO: Self = Self([0; MAX_VECTOR / 8]);
}
