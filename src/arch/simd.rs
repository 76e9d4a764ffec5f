// SPDX-License-Identifier: BSD-3-Clause
//! Saving and loading the SIMD registers. The caller has opened their traps (CPTR_EL2).

/// V0 to V31.
pub type Vectors = [u128; 32];

/// Bytes of a vector of the greatest length, 2048 bits (Arm ARM (DDI 0487 L.a), ZCR_EL2.LEN).
const MAX_VECTOR: usize = 256;

/// Z0 to Z15, or Z16 to Z31, contiguous at the vector length in force.
#[repr(C, align(16))]
#[derive(Clone, Debug)]
pub struct ScalableVectors([u8; 16 * MAX_VECTOR]);

/// P0 to P15, contiguous at the vector length in force.
#[repr(C, align(16))]
#[derive(Clone, Debug)]
pub struct Predicates([u8; 16 * MAX_VECTOR / 8]);

/// The First Fault Register, at the vector length in force.
#[repr(C, align(16))]
#[derive(Clone, Debug)]
pub struct FirstFault([u8; MAX_VECTOR / 8]);

#[cfg(target_os = "none")]
core::arch::global_asm!(include_str!("simd.S"));

/// Defines the functions that save registers in a type and load them from it.
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
    Predicates: save_p = simd_save_p, load_p = simd_load_p;
    FirstFault: save_ffr = simd_save_ffr, load_ffr = simd_load_ffr;
}

#[cfg(target_os = "none")]
unsafe extern "C" {
    fn simd_save_z(low: *mut ScalableVectors, high: *mut ScalableVectors);
    fn simd_load_z(low: *const ScalableVectors, high: *const ScalableVectors);
    fn simd_clear_p();
    fn simd_vector_bytes() -> u64;
}

/// Saves Z0 to Z15 in `low` and Z16 to Z31 in `high`.
#[cfg_attr(not(target_os = "none"), expect(unused_variables, reason = "no such registers"))]
pub fn save_z(low: &mut ScalableVectors, high: &mut ScalableVectors) {
    #[cfg(target_os = "none")]
    // SAFETY: there is room at any vector length. No code of this image keeps a value in registers
    // of SVE.
    unsafe {
        simd_save_z(low, high);
    }
    #[cfg(not(target_os = "none"))]
    crate::host::execute("save_z", None);
}

/// Loads Z0 to Z15 from `low` and Z16 to Z31 from `high`.
#[cfg_attr(not(target_os = "none"), expect(unused_variables, reason = "no such registers"))]
pub fn load_z(low: &ScalableVectors, high: &ScalableVectors) {
    #[cfg(target_os = "none")]
    // SAFETY: as for saving.
    unsafe {
        simd_load_z(low, high);
    }
    #[cfg(not(target_os = "none"))]
    crate::host::execute("load_z", None);
}

/// Zeroes P0 to P15 and the First Fault Register.
pub fn clear_p() {
    #[cfg(target_os = "none")]
    // SAFETY: as for saving.
    unsafe {
        simd_clear_p();
    }
    #[cfg(not(target_os = "none"))]
    crate::host::execute("clear_p", None);
}

/// The bytes of a vector at the current length.
pub fn vector_bytes() -> u64 {
    #[cfg(target_os = "none")]
    // SAFETY: reads a number.
    return unsafe { simd_vector_bytes() };
    #[cfg(not(target_os = "none"))]
    crate::host::read_register("VECTOR_BYTES")
}

impl ScalableVectors {
    /// All zero.
    pub const ZERO: Self = Self([0; 16 * MAX_VECTOR]);
}

impl Predicates {
    /// All zero.
    pub const ZERO: Self = Self([0; 16 * MAX_VECTOR / 8]);
}

impl FirstFault {
    /// All zero.
    pub const ZERO: Self = Self([0; MAX_VECTOR / 8]);
}
