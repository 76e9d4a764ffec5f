// SPDX-License-Identifier: BSD-3-Clause
//! SHA-256 and SHA-512 by the CPU's own instructions, or by the crate `sha2`.
//!
//! The instructions use SIMD registers, which are saved on the stack and restored: their owner does
//! not change. Interrupts must be masked.

use sha2::block_api;
use tock_registers::interfaces::Readable;

use super::simd::{self, SimdFeatures};
use crate::arch::sha2 as instructions;
use crate::arch::sysreg::ID_AA64ISAR0_EL1;

/// A digest as little-endian words. A shorter digest is padded with zeros.
pub type Digest = [u64; 8];

/// Aligned, so that `T`'s bytes are copied by words.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
struct Aligned<T>(T);

/// The implementation that compresses blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The crate.
    Software,
    /// Instructions.
    Instructions {
        /// Whether the CPU has SVE.
        has_sve: bool,
    },
}

impl Engine {
    /// The fastest on this CPU for a function that needs this value in ID_AA64ISAR0_EL1.SHA2. The
    /// instructions are not available in streaming mode, in which the host may have left the CPU.
    fn fastest(needed: u64) -> Self {
        const SHA2: u32 = 12;
        if ID_AA64ISAR0_EL1.get() >> SHA2 & 0xf < needed {
            return Self::Software;
        }
        let features = SimdFeatures::read();
        if features.sme && simd::is_streaming() {
            return Self::Software;
        }
        Self::Instructions { has_sve: features.sve }
    }
}

/// A hash function with blocks of `BLOCK` bytes.
pub trait HashFunction<const BLOCK: usize> {
    /// The intermediate hash value.
    type State: Copy;
    /// The initial hash value (FIPS 180-4 5.3).
    const INITIAL: Self::State;
    /// The least value of ID_AA64ISAR0_EL1.SHA2 with instructions for this function.
    const NEEDED: u64;
    /// Bytes of a digest.
    const SIZE: usize;
    /// Bytes of the message length at the end of the last block.
    const LENGTH: usize;

    /// Compresses blocks into the state.
    fn compress(state: &mut Self::State, blocks: &[[u8; BLOCK]], by: Engine);
    /// The digest.
    fn digest(state: &Self::State) -> Digest;
}

/// SHA-256.
#[derive(Clone, Copy, Debug)]
pub struct Sha256;

/// SHA-512.
#[derive(Clone, Copy, Debug)]
pub struct Sha512;

impl HashFunction<64> for Sha256 {
    type State = [u32; 8];
    const INITIAL: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    const NEEDED: u64 = 1;
    const SIZE: usize = 32;
    const LENGTH: usize = 8;

    fn compress(state: &mut [u32; 8], blocks: &[[u8; 64]], by: Engine) {
        match by {
            Engine::Software => block_api::compress256(state, blocks),
            Engine::Instructions { has_sve } => {
                simd::while_open(|| instructions::compress256(state, blocks, has_sve));
            }
        }
    }

    fn digest(state: &[u32; 8]) -> Digest {
        let [a, b, c, d, e, f, g, h] = state.map(|word| u64::from(word.swap_bytes()));
        [a | b << 32, c | d << 32, e | f << 32, g | h << 32, 0, 0, 0, 0]
    }
}

impl HashFunction<128> for Sha512 {
    type State = [u64; 8];
    const INITIAL: [u64; 8] = [
        0x6a09_e667_f3bc_c908,
        0xbb67_ae85_84ca_a73b,
        0x3c6e_f372_fe94_f82b,
        0xa54f_f53a_5f1d_36f1,
        0x510e_527f_ade6_82d1,
        0x9b05_688c_2b3e_6c1f,
        0x1f83_d9ab_fb41_bd6b,
        0x5be0_cd19_137e_2179,
    ];
    const NEEDED: u64 = 2;
    const SIZE: usize = 64;
    const LENGTH: usize = 16;

    fn compress(state: &mut [u64; 8], blocks: &[[u8; 128]], by: Engine) {
        match by {
            Engine::Software => block_api::compress512(state, blocks),
            Engine::Instructions { has_sve } => {
                simd::while_open(|| instructions::compress512(state, blocks, has_sve));
            }
        }
    }

    fn digest(state: &[u64; 8]) -> Digest {
        state.map(u64::swap_bytes)
    }
}

/// A message that is being hashed.
#[derive(Debug)]
pub struct Hasher<F: HashFunction<BLOCK>, const BLOCK: usize> {
    state: F::State,
    engine: Engine,
    /// The bytes that do not fill a block yet.
    rest: Aligned<[u8; BLOCK]>,
    filled: usize,
    bytes: u64,
}

impl<F: HashFunction<BLOCK>, const BLOCK: usize> Default for Hasher<F, BLOCK> {
    fn default() -> Self {
        Self::by(Engine::fastest(F::NEEDED))
    }
}

impl<F: HashFunction<BLOCK>, const BLOCK: usize> Hasher<F, BLOCK> {
    /// The empty message. The CPU must have the instructions that `engine` uses.
    pub fn by(engine: Engine) -> Self {
        Self { state: F::INITIAL, engine, rest: Aligned([0; BLOCK]), filled: 0, bytes: 0 }
    }

    /// The implementation that compresses the blocks of this message.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Adds bytes to the message.
    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.wrapping_add(bytes.len() as u64);
        let bytes = if self.filled == 0 { bytes } else { self.fill(bytes) };
        let (blocks, others) = bytes.as_chunks::<BLOCK>();
        self.compress(blocks);
        self.fill(others);
    }

    /// Appends as many bytes as fit to the partial block. Returns the others.
    fn fill<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (first, others) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
        let end = self.filled + first.len();
        if let Some(room) = self.rest.0.get_mut(self.filled..end) {
            room.copy_from_slice(first);
        }
        self.filled = end % BLOCK;
        if end == BLOCK {
            F::compress(&mut self.state, core::slice::from_ref(&self.rest.0), self.engine);
        }
        others
    }

    fn compress(&mut self, blocks: &[[u8; BLOCK]]) {
        if !blocks.is_empty() {
            F::compress(&mut self.state, blocks, self.engine);
        }
    }

    /// The digest of the message.
    pub fn finish(mut self) -> Digest {
        const END: u8 = 0x80;
        let bits = self.bytes.wrapping_mul(8);
        let mut last = Aligned([self.rest.0, [0; BLOCK]]);
        let message = last.0.as_flattened_mut();
        let (_, end) = message.split_at_mut(self.filled);
        end.fill(0);
        if let Some(first) = end.first_mut() {
            *first = END;
        }
        let count = if self.filled + 1 + F::LENGTH <= BLOCK { 1 } else { 2 };
        if let Some(length) = message.get_mut(count * BLOCK - 8..count * BLOCK) {
            length.copy_from_slice(&bits.to_be_bytes());
        }
        self.compress(last.0.get(..count).unwrap_or_default());
        F::digest(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::*;

    fn hash<F: HashFunction<B>, const B: usize>(message: &[u8], cut: usize) -> [u8; 64] {
        let mut hasher = Hasher::<F, B>::default();
        let (first, second) = message.split_at(cut);
        hasher.update(first);
        hasher.update(second);
        zerocopy::transmute!(hasher.finish())
    }

    #[test]
    fn digests_are_those_of_sha2_for_every_length_up_to_three_blocks_and_every_cut() {
        let message: Vec<u8> = (0..385_u32).map(|byte| (byte * 0x9e37).to_le_bytes()[1]).collect();
        // Miri takes a minute for a few lengths.
        let step = if cfg!(miri) { 77 } else { 1 };
        for length in (0..=message.len()).step_by(step) {
            let message = &message[..length];
            let expected = (sha2::Sha256::digest(message), sha2::Sha512::digest(message));
            for cut in [0, 1, 63, 64, 65, 127, 128, 129, length].map(|cut| cut.min(length)) {
                let digest = hash::<Sha256, 64>(message, cut);
                assert_eq!(digest[..32], expected.0[..], "{length} {cut}");
                assert_eq!(digest[32..], [0; 32]);
                assert_eq!(hash::<Sha512, 128>(message, cut)[..], expected.1[..], "{length} {cut}");
            }
        }
    }
}
