// SPDX-License-Identifier: BSD-3-Clause
//! The operand of a TLBI of a range (FEAT_TLBIRANGE, Arm ARM (DDI 0487 L.a) D8.17.5).
//!
//! An instruction covers (NUM + 1) * 2^(5 * SCALE + 1) granules from a base address on. The operand
//! holds the base in bits 36:0, TTL in 38:37, NUM in 43:39, SCALE in 45:44, TG in 47:46, and for
//! stage 1 the ASID in 63:48. The base counts granules, or with 52-bit addresses (DS) 64 KiB.

/// Low bit of TTL\[1:0\]: the level of the leaves, 0 for any.
pub const TTL_SHIFT: u32 = 37;
const NUM_SHIFT: u32 = 39;
const SCALE_SHIFT: u32 = 44;
/// TG\[1:0\]: granules of 4 KiB.
const TG_4KIB: u64 = 1 << 46;
/// Bits of the base address.
pub const BASE_MASK: u64 = (1 << 37) - 1;
/// The most granules that one instruction covers: 8 GiB.
pub const MAX_GRANULES: u64 = 32 << 16;

/// The first part of `granules` granules that one instruction covers: how many, and NUM, SCALE and
/// TG of its operand. `None` for fewer than two.
pub const fn first_part(granules: u64) -> Option<(u64, u64)> {
    let mut scale = 4;
    while scale > 0 {
        scale -= 1;
        let unit = 5 * scale + 1;
        let units = granules >> unit;
        if units > 0 {
            let units = if units > 32 { 32 } else { units };
            return Some((
                units << unit,
                (units - 1) << NUM_SHIFT | scale << SCALE_SHIFT | TG_4KIB,
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many granules an operand covers.
    fn covered(operand: u64) -> u64 {
        let (num, scale) = (operand >> NUM_SHIFT & 0x1f, operand >> SCALE_SHIFT & 3);
        (num + 1) << (5 * scale + 1)
    }

    #[test]
    fn a_part_is_what_its_operand_covers_and_never_more_than_there_is() {
        let interesting = (0..22).flat_map(|bit| {
            let at = 1u64 << bit;
            [at - 1, at, at + 1, 3 * at, 31 * at, 32 * at, 33 * at]
        });
        for granules in interesting.chain([u64::MAX]) {
            let Some((part, fields)) = first_part(granules) else {
                assert!(granules < 2, "{granules}");
                continue;
            };
            assert_eq!(part, covered(fields), "{granules}");
            assert!(part <= granules && part <= MAX_GRANULES, "{granules}");
            // More than half of it, so that few parts are enough.
            assert!(part > granules / 2 || part == MAX_GRANULES, "{granules}");
            assert_eq!(fields & !(0x1f << NUM_SHIFT | 3 << SCALE_SHIFT), TG_4KIB, "{granules}");
        }
    }

    #[test]
    fn at_most_four_parts_and_a_granule_make_any_range_of_8_gib() {
        for granules in [2, 3, 65, 0x1_ffff, 0x12_3456, MAX_GRANULES - 1, MAX_GRANULES] {
            let mut rest = granules;
            let parts = core::iter::from_fn(|| {
                let (part, _) = first_part(rest)?;
                rest -= part;
                Some(part)
            });
            assert!(parts.count() <= 4, "{granules}");
            assert!(rest < 2, "{granules}");
        }
    }
}
