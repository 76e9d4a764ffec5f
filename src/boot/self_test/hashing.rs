// SPDX-License-Identifier: BSD-3-Clause
//! Digests by instructions, compared on the target with those of the crate `sha2`.

use sha2::Digest;

use crate::cpu::hash::{Engine, HashFunction, Hasher, Sha256, Sha512};

/// More than three blocks of SHA-512.
const LONGEST: usize = 400;

/// Hashes a random message of each length from 0 to three blocks, in two pieces. Gives how many
/// digests were wrong, and above bit 32 how many were computed by instructions.
///
/// Not inlined, for its buffers.
#[inline(never)]
pub(super) fn compare(seed: u64) -> u64 {
    let mut message = [0; LONGEST];
    let mut state = seed | 1;
    for byte in &mut message {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        [*byte, ..] = state.to_be_bytes();
    }
    let mut result = 0;
    for length in 0..LONGEST {
        let message = message.get(..length).unwrap_or_default();
        let cut = usize::from(state.to_le_bytes()[0]).min(length);
        state = state.rotate_left(8);
        result += check::<Sha256, 64>(message, cut, &sha2::Sha256::digest(message));
        result += check::<Sha512, 128>(message, cut, &sha2::Sha512::digest(message));
    }
    result
}

fn check<F: HashFunction<BLOCK>, const BLOCK: usize>(
    message: &[u8],
    cut: usize,
    expected: &[u8],
) -> u64 {
    let mut hasher = Hasher::<F, BLOCK>::default();
    let by_instructions = u64::from(hasher.engine() != Engine::Software) << 32;
    let (first, second) = message.split_at(cut);
    hasher.update(first);
    hasher.update(second);
    by_instructions + u64::from(!hasher.finish().starts_with(expected))
}
