// SPDX-License-Identifier: BSD-3-Clause
//! SHA-256 and SHA-512 by the CPU's own instructions. All SIMD registers are preserved.
//!
//! The caller has opened the traps of SIMD and SVE (CPTR_EL2). The CPU is not in streaming mode.

#[cfg(target_os = "none")]
core::arch::global_asm!(include_str!("sha2.S"), options(raw));

#[cfg(target_os = "none")]
unsafe extern "C" {
    fn sha256_compress(state: *mut [u32; 8], blocks: *const [u8; 64], count: usize, sve: u64);
    fn sha512_compress(state: *mut [u64; 8], blocks: *const [u8; 128], count: usize, sve: u64);
}

/// Compresses blocks into the state of a SHA-256. The CPU has FEAT_SHA256.
#[cfg_attr(not(target_os = "none"), expect(unused_variables, reason = "there is no SVE to keep"))]
pub fn compress256(state: &mut [u32; 8], blocks: &[[u8; 64]], has_sve: bool) {
    if blocks.is_empty() {
        return;
    }
    #[cfg(target_os = "none")]
    // SAFETY: reads the blocks, changes the state, keeps the SIMD registers on the stack.
    unsafe {
        sha256_compress(state, blocks.as_ptr(), blocks.len(), u64::from(has_sve));
    }
    #[cfg(not(target_os = "none"))]
    sha2::block_api::compress256(state, blocks);
}

/// Compresses blocks into the state of a SHA-512. The CPU has FEAT_SHA512.
#[cfg_attr(not(target_os = "none"), expect(unused_variables, reason = "there is no SVE to keep"))]
pub fn compress512(state: &mut [u64; 8], blocks: &[[u8; 128]], has_sve: bool) {
    if blocks.is_empty() {
        return;
    }
    #[cfg(target_os = "none")]
    // SAFETY: as for SHA-256.
    unsafe {
        sha512_compress(state, blocks.as_ptr(), blocks.len(), u64::from(has_sve));
    }
    #[cfg(not(target_os = "none"))]
    sha2::block_api::compress512(state, blocks);
}
