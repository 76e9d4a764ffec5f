// SPDX-License-Identifier: BSD-3-Clause
//! SHA-256 over blocks that are known when the image is built: zeros, which are most of what is
//! measured, since a structure of the ABI is a page with a few fields; and the block that ends a
//! message of known length.
//!
//! Such a block has no message schedule to be computed, which makes it two fifths cheaper than the
//! general compression function of the `sha2` crate. That difference decides whether
//! RMI_REALM_CREATE keeps its bound of instructions. Called by [`measurement`](super::measurement)
//! only.

/// The round constants (FIPS 180-4, 4.2.2).
#[rustfmt::skip]
const ROUND_CONSTANTS: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// A block as the rounds take it: each word of its message schedule plus the constant of the round.
#[derive(Debug)]
pub(super) struct KnownBlock([u32; 64]);

/// A block of zeros. These are statics so that they are loaded in pairs, instead of being assembled
/// from immediates.
pub(super) static ZEROS: KnownBlock = KnownBlock::new([0; 16]);

impl KnownBlock {
    /// The block of these words, for use in constants (FIPS 180-4, 6.2.2, step 1).
    const fn new(block: [u32; 16]) -> Self {
        let mut schedule = [0_u32; 64];
        let mut sums = ROUND_CONSTANTS;
        let mut t = 0;
        while t < 64 {
            schedule[t] = if t < 16 {
                block[t]
            } else {
                let (w15, w2) = (schedule[t - 15], schedule[t - 2]);
                let sigma0 = w15.rotate_right(7) ^ w15.rotate_right(18) ^ (w15 >> 3);
                let sigma1 = w2.rotate_right(17) ^ w2.rotate_right(19) ^ (w2 >> 10);
                sigma1
                    .wrapping_add(schedule[t - 7])
                    .wrapping_add(sigma0)
                    .wrapping_add(schedule[t - 16])
            };
            sums[t] = sums[t].wrapping_add(schedule[t]);
            t += 1;
        }
        Self(sums)
    }

    /// The block that ends a message of whole blocks, `bytes` long (FIPS 180-4, 5.1.1): a one bit,
    /// zeros, the length in bits.
    pub(super) const fn end(bytes: u32) -> Self {
        let mut block = [0; 16];
        block[0] = 1 << 31;
        block[15] = bytes * 8;
        Self::new(block)
    }

    /// Takes the block into `state`, `count` times, as as many calls of the compression function
    /// do.
    pub(super) fn compress(&self, state: &mut [u32; 8], count: usize) {
        // By eight rounds, after which every variable is back in its place: the loop moves nothing.
        let (groups, _none) = self.0.as_chunks::<8>();
        let mut chained = *state;
        for _ in 0..count {
            let mut working = chained;
            let mut changed = working[1] ^ working[2];
            for group in groups {
                for word in group {
                    working = round(working, &mut changed, *word);
                }
            }
            for (word, work) in chained.iter_mut().zip(working) {
                *word = word.wrapping_add(work);
            }
        }
        *state = chained;
    }
}

/// One round (FIPS 180-4, 6.2.2), with the round constant plus the message word. `changed` is b ^
/// c, and becomes the next round's.
fn round([a, b, c, d, e, f, g, h]: [u32; 8], changed: &mut u32, word: u32) -> [u32; 8] {
    let sum1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
    let choice = ((f ^ g) & e) ^ g;
    let t1 = h.wrapping_add(word).wrapping_add(choice).wrapping_add(sum1);
    let sum0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
    // Maj(a, b, c), with one exclusive or shared between two rounds.
    let a_or_b = a ^ b;
    let majority = (a_or_b & *changed) ^ b;
    *changed = a_or_b;
    [t1.wrapping_add(sum0).wrapping_add(majority), a, b, c, d.wrapping_add(t1), e, f, g]
}

#[cfg(test)]
mod tests {
    use sha2::block_api::compress256;

    use super::{KnownBlock, ZEROS};

    fn random_state() -> [u32; 8] {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        core::array::from_fn(|_| random.u32(..))
    }

    #[test]
    fn zeros_are_compressed_as_the_general_function_does() {
        for count in [0, 1, 2, 3, 63, 64] {
            let mut general = random_state();
            let mut special = general;
            compress256(&mut general, &vec![[0; 64]; count]);
            ZEROS.compress(&mut special, count);
            assert_eq!(special, general, "{count} blocks");
        }
    }

    #[test]
    fn the_end_of_a_message_is_compressed_as_the_general_function_does() {
        for bytes in [0_u32, 64, 256, 4096, 1 << 20] {
            let mut block = [0; 64];
            block[0] = 0x80;
            block[60..].copy_from_slice(&(bytes * 8).to_be_bytes());
            let mut general = random_state();
            let mut special = general;
            compress256(&mut general, &[block]);
            KnownBlock::end(bytes).compress(&mut special, 1);
            assert_eq!(special, general, "{bytes} bytes");
        }
    }
}
