// SPDX-License-Identifier: BSD-3-Clause
//! Which IPAs a stage 2 has, and the index at which a walk finds each.

use rmm::realm::stage2::RangeError;
use rmm::xlat::Level;

use crate::{granule, ipa, stage2};

#[test]
fn the_ipa_space_ends_where_its_bits_end_and_its_lower_half_is_protected() {
    for (bits, level) in [(32, Level::Two), (36, Level::One), (40, Level::One), (48, Level::Zero)] {
        let stage2 = stage2(bits, level, false);
        let (half, end) = (1 << (bits - 1), 1 << bits);
        for (address, granule, unprotected) in [
            (0, Ok(()), Err(RangeError::WrongHalf)),
            (half - 0x1000, Ok(()), Err(RangeError::WrongHalf)),
            (half, Err(RangeError::WrongHalf), Ok(())),
            (end - 0x1000, Err(RangeError::WrongHalf), Ok(())),
            (end, Err(RangeError::OutOfSpace), Err(RangeError::OutOfSpace)),
            (u64::MAX - 0xfff, Err(RangeError::OutOfSpace), Err(RangeError::OutOfSpace)),
            (u64::MAX, Err(RangeError::OutOfSpace), Err(RangeError::OutOfSpace)),
            (half - 1, Err(RangeError::Unaligned), Err(RangeError::Unaligned)),
            (half + 0x800, Err(RangeError::Unaligned), Err(RangeError::Unaligned)),
        ] {
            assert_eq!(stage2.protected_granule(address).map(drop), granule, "{address:#x}");
            assert_eq!(
                stage2.unprotected_entry(address, Level::Three).map(drop),
                unprotected,
                "{address:#x}"
            );
        }
    }
}

#[test]
fn an_entry_begins_at_a_multiple_of_what_it_maps() {
    let stage2 = stage2(48, Level::Zero, false);
    for level in [Level::Zero, Level::One, Level::Two, Level::Three] {
        let size = level.entry_size();
        assert_eq!(stage2.entry_ipa(size, level), Ok(ipa(size)));
        assert_eq!(stage2.entry_ipa(size / 2, level), Err(RangeError::Unaligned));
        assert_eq!(stage2.entry_ipa(size + 1, level), Err(RangeError::Unaligned));
    }
}

#[test]
fn a_protected_range_may_end_where_the_protected_half_does_and_no_later() {
    let stage2 = stage2(40, Level::One, false);
    let half = 1 << 39;
    for (base, top, expected) in [
        (0, half, Ok((ipa(0), ipa(half)))),
        (half - 0x1000, half, Ok((ipa(half - 0x1000), ipa(half)))),
        (0, half + 0x1000, Err(RangeError::WrongHalf)),
        (half, half + 0x1000, Err(RangeError::WrongHalf)),
        (0, !0xfff, Err(RangeError::WrongHalf)),
        (0x1000, 0x1000, Err(RangeError::Empty)),
        (0x2000, 0x1000, Err(RangeError::Empty)),
        (0, 0x1800, Err(RangeError::Unaligned)),
        (0x800, 0x2000, Err(RangeError::Unaligned)),
    ] {
        assert_eq!(stage2.protected_range(base, top), expected, "{base:#x} to {top:#x}");
    }
}

#[test]
fn concatenated_root_tables_follow_each_other() {
    for (bits, level, lpa2, count) in [
        (32, Level::One, false, 1),
        (39, Level::One, false, 1),
        (40, Level::One, false, 2),
        (43, Level::One, false, 16),
        (34, Level::Two, false, 16),
        (48, Level::Zero, false, 1),
        (52, Level::Zero, true, 16),
        (52, Level::MinusOne, true, 1),
    ] {
        let stage2 = stage2(bits, level, lpa2);
        assert_eq!(stage2.root_count, count);
        let span = level.entry_size() * 512;
        for table in 0..u64::from(count) {
            let expected = granule(0x8004_0000 + table * 0x1000);
            assert_eq!(stage2.root_table(ipa(table * span)), expected);
            let last = (table * span + span).min(1 << bits) - 0x1000;
            assert_eq!(stage2.root_table(ipa(last)), expected, "{last:#x}");
        }
    }
}
