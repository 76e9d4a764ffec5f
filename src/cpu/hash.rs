// SPDX-License-Identifier: BSD-3-Clause
//! SHA-256 and SHA-512 by whatever is fastest on this CPU: its instructions, or the crate `sha2`.
//!
//! Whoever has the SIMD registers keeps them. Only where interrupts are masked: what is kept lies on
//! the stack.

use sha2::block_api;
use tock_registers::interfaces::Readable;

use super::simd::{self, SimdFeatures};
use crate::arch::sha2 as instructions;
use crate::arch::sysreg::ID_AA64ISAR0_EL1;

/// Bytes of the longest digest.
pub const MAX_DIGEST: usize = 64;

/// What compresses blocks.
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
    /// The fastest on this CPU for a function that needs this value in ID_AA64ISAR0_EL1.SHA2: the
    /// instructions do not work in the host's streaming mode.
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
    /// What is known of the message so far.
    type State: Copy;
    /// That of the empty message.
    const INITIAL: Self::State;
    /// The value of ID_AA64ISAR0_EL1.SHA2 that says that there are instructions.
    const NEEDED: u64;
    /// Bytes of a digest.
    const SIZE: usize;
    /// Bytes of the length at the end of the last block.
    const LENGTH: usize;

    /// Adds blocks.
    fn compress(state: &mut Self::State, blocks: &[[u8; BLOCK]], by: Engine);
    /// The digest, with zeros behind it.
    fn digest(state: &Self::State) -> [u8; MAX_DIGEST];
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

    fn digest(state: &[u32; 8]) -> [u8; MAX_DIGEST] {
        let mut digest = [0; MAX_DIGEST];
        for (to, from) in digest.chunks_exact_mut(4).zip(state) {
            to.copy_from_slice(&from.to_be_bytes());
        }
        digest
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

    fn digest(state: &[u64; 8]) -> [u8; MAX_DIGEST] {
        let mut digest = [0; MAX_DIGEST];
        for (to, from) in digest.chunks_exact_mut(8).zip(state) {
            to.copy_from_slice(&from.to_be_bytes());
        }
        digest
    }
}

/// A message that is being hashed.
#[derive(Debug)]
pub struct Hasher<F: HashFunction<BLOCK>, const BLOCK: usize> {
    state: F::State,
    engine: Engine,
    /// The bytes that do not fill a block yet.
    rest: [u8; BLOCK],
    filled: usize,
    bytes: u64,
}

impl<F: HashFunction<BLOCK>, const BLOCK: usize> Default for Hasher<F, BLOCK> {
    fn default() -> Self {
        Self::by(Engine::fastest(F::NEEDED))
    }
}

impl<F: HashFunction<BLOCK>, const BLOCK: usize> Hasher<F, BLOCK> {
    /// The empty message. The CPU can do what `engine` says.
    pub fn by(engine: Engine) -> Self {
        Self { state: F::INITIAL, engine, rest: [0; BLOCK], filled: 0, bytes: 0 }
    }

    /// What compresses its blocks.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Adds bytes to the message.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.bytes = self.bytes.wrapping_add(bytes.len() as u64);
        if self.filled != 0 {
            let count = bytes.len().min(BLOCK - self.filled);
            let (first, others) = bytes.split_at(count);
            for (to, from) in self.rest.iter_mut().skip(self.filled).zip(first) {
                *to = *from;
            }
            self.filled += count;
            bytes = others;
            if self.filled < BLOCK {
                return;
            }
            F::compress(&mut self.state, core::slice::from_ref(&self.rest), self.engine);
        }
        let (blocks, others) = bytes.as_chunks::<BLOCK>();
        F::compress(&mut self.state, blocks, self.engine);
        for (to, from) in self.rest.iter_mut().zip(others) {
            *to = *from;
        }
        self.filled = others.len();
    }

    /// The digest of the message, with zeros behind it.
    pub fn finish(mut self) -> [u8; MAX_DIGEST] {
        const END: u8 = 0x80;
        let bits = self.bytes.wrapping_mul(8);
        let mut last = [[0; BLOCK]; 2];
        let [first, second] = &mut last;
        for (to, from) in first.iter_mut().zip(self.rest.iter().take(self.filled).chain(&[END])) {
            *to = *from;
        }
        let count = if self.filled + 1 + F::LENGTH <= BLOCK { 1 } else { 2 };
        let end = if count == 1 { first } else { second };
        for (to, from) in end.iter_mut().rev().zip(bits.to_le_bytes()) {
            *to = from;
        }
        F::compress(&mut self.state, last.get(..count).unwrap_or_default(), self.engine);
        F::digest(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use sha2::Digest;

    use super::*;

    fn hash<F: HashFunction<B>, const B: usize>(message: &[u8], cut: usize) -> [u8; MAX_DIGEST] {
        let mut hasher = Hasher::<F, B>::default();
        let (first, second) = message.split_at(cut);
        hasher.update(first);
        hasher.update(second);
        hasher.finish()
    }

    #[test]
    fn digests_are_those_of_sha2_for_every_length_up_to_three_blocks_and_every_cut() {
        let message: Vec<u8> = (0..3 * 128 + 1).map(|byte: u32| (byte * 37 >> 2) as u8).collect();
        for length in 0..=message.len() {
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
