// SPDX-License-Identifier: BSD-3-Clause
//! Digests by the CPU's instructions, compared on the target with those of the crate `sha2`. Also
//! copies and fills.

use sha2::Digest;
use zerocopy::IntoBytes;

use rmm::cpu::hash::{Engine, HashFunction, Hasher, Sha256, Sha512};

/// More than three blocks of SHA-512.
const LONGEST: usize = 400;

/// Hashes a random message of each length from 0 to three blocks, in two pieces. Gives the number
/// of wrong digests, and from bit 32 up the number of those computed by instructions.
///
/// Not inlined because of its buffers.
#[inline(never)]
pub fn compare(seed: u64) -> u64 {
    let mut message = [0; LONGEST];
    let mut state = seed | 1;
    for byte in &mut message {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        [*byte, ..] = state.to_be_bytes();
    }
    let mut result = wrong_copies(&message);
    for length in 0..LONGEST {
        let message = message.get(..length).unwrap_or_default();
        let cut = usize::from(state.to_le_bytes()[0]).min(length);
        state = state.rotate_left(8);
        result += check::<Sha256, 64>(message, cut, &sha2::Sha256::digest(message));
        result += check::<Sha512, 128>(message, cut, &sha2::Sha512::digest(message));
    }
    result
}

/// Copies and fills of every length up to 140, from and to every alignment. Gives how many were
/// wrong.
#[inline(never)]
fn wrong_copies(message: &[u8; LONGEST]) -> u64 {
    const MARK: u8 = 0x5a;
    let mut wrong = 0;
    for (from, to) in (0..8).flat_map(|from| (0..8).map(move |to| (from, to))) {
        for length in 0..140 {
            let mut copy = [MARK; 160];
            let source = message.get(from..from + length).unwrap_or_default();
            let filled = source.first().copied().unwrap_or(0);
            if let Some(place) = copy.get_mut(to..to + length) {
                place.copy_from_slice(source);
            }
            let is_copied = (0..).zip(&copy).all(|(index, byte): (usize, &u8)| {
                let inside = index.checked_sub(to).and_then(|index| source.get(index));
                byte == inside.unwrap_or(&MARK)
            });
            if let Some(place) = copy.get_mut(to..to + length) {
                place.fill(filled);
            }
            let is_filled = (0..).zip(&copy).all(|(index, byte)| {
                *byte == if (to..to + length).contains(&index) { filled } else { MARK }
            });
            wrong += u64::from(!is_copied) + u64::from(!is_filled);
        }
    }
    wrong
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
    by_instructions + u64::from(!hasher.finish().as_bytes().starts_with(expected))
}
