// SPDX-License-Identifier: BSD-3-Clause
//! Manifests that must be refused, each with its exact error: versions, rules for every list, and
//! regions.

use kit::manifest::builder::{Builder, ConsoleEntry, HEADER_SIZE, Image, PHYSICAL_LIMIT, PL011};
use rmm::address::PhysAddr;
use rmm::el3::manifest::{Header, List, ManifestError, Rule};

/// Each list with the offsets of its count, pointer and checksum, and the words of an entry.
pub(super) const LISTS: [(List, [u64; 3], u64); 6] = [
    (List::Dram, [0x10, 0x18, 0x20], 2),
    (List::Console, [0x28, 0x30, 0x38], 6),
    (List::NonCoherent, [0x40, 0x48, 0x50], 2),
    (List::Coherent, [0x58, 0x60, 0x68], 2),
    (List::Smmu, [0x70, 0x78, 0x80], 2),
    (List::RootComplex, [0x88, 0x98, 0xA0], 3),
];

pub(super) fn of_list(list: List, rule: Rule) -> ManifestError {
    ManifestError::Data { list, index: None, rule }
}

pub(super) fn of_entry(list: List, index: usize, rule: Rule) -> ManifestError {
    ManifestError::Data { list, index: Some(index), rule }
}

/// The offset in the page of the array whose pointer is at offset `pointer`.
pub(super) fn array(image: &Image, pointer: u64) -> u64 {
    image.get(pointer) - image.base.get()
}

#[test]
fn versions_below_0_2_of_another_major_or_with_a_reserved_bit_are_refused() {
    for word in [0, 1, 0x0001_0000, 0x0001_0005, 0x7fff_0005, 0x8000_0005, 0xffff_ffff] {
        let image = Builder::full().build().with(0, u64::from(word));
        assert_eq!(image.refusal(), ManifestError::Version(word));
        let header = Header::read(&image.bytes, image.base, PHYSICAL_LIMIT);
        assert_eq!(header.err(), Some(ManifestError::Version(word)));
    }
}

#[test]
fn each_list_is_refused_when_any_word_that_it_sums_is_off() {
    let image = Builder::full().build();
    for (list, [count, pointer, checksum], entry_words) in LISTS {
        let first = array(&image, pointer);
        let words = image.get(count) * entry_words;
        for offset in (first..first + words * 8).step_by(8).chain([checksum]) {
            for change in [1, 1 << 63] {
                let changed = image.clone().with(offset, image.get(offset).wrapping_add(change));
                let refusal = changed.refusal();
                // The parser follows pointers to nested arrays before it computes checksums.
                let nested =
                    matches!(refusal, ManifestError::Data { list: List::RootPort { .. }, .. });
                assert!(
                    nested || refusal == of_list(list, Rule::Checksum(change)),
                    "{list}: {refusal}"
                );
            }
        }
    }
}

#[test]
fn each_list_is_refused_when_its_count_is_off_and_the_checksum_is_not() {
    let image = Builder::full().build();
    for (list, [count, ..], _) in LISTS {
        let less = image.clone().with(count, image.get(count) - 1);
        let ManifestError::Data { list: refused, index: None, rule: Rule::Checksum(_) } =
            less.refusal()
        else {
            panic!("{}", less.refusal());
        };
        assert_eq!(refused, list);
        // With no entries, the checksum no longer matches.
        let none = image.clone().with(count, 0);
        assert!(matches!(none.refusal(), ManifestError::Data { rule: Rule::Checksum(_), .. }));
    }
}

#[test]
fn consoles_from_0_4_on_are_not_summed_without_name_and_flags() {
    for minor in [4, 5] {
        let image = Builder { minor, ..Builder::fvp() }.build();
        let name = u64::from_le_bytes(PL011.name);
        let checksum = image.get(0x38).wrapping_add(name);
        let refused = of_list(List::Console, Rule::Checksum(name));
        assert_eq!(image.with(0x38, checksum).refusal(), refused);
    }
}

#[test]
fn consoles_before_0_4_are_refused_with_neither_sum() {
    let image = Builder { minor: 3, ..Builder::fvp() }.build();
    let image = image.clone().with(0x38, image.get(0x38) + 5);
    assert_eq!(image.refusal(), of_list(List::Console, Rule::Checksum(5)));
}

#[test]
fn each_list_is_refused_when_its_count_is_absurd_or_runs_off_the_page() {
    for (list, [count, pointer, _], entry_words) in LISTS {
        let image = Builder::full().build();
        let fit = (4096 - array(&image, pointer)) / (entry_words * 8);
        for entries in [fit + 1, 1 << 32, 1 << 60, 1 << 61, u64::MAX / 16 + 1, u64::MAX] {
            let refused = of_list(list, Rule::CountPastPage(entries));
            assert_eq!(image.clone().with(count, entries).sealed().refusal(), refused);
        }
        let fitting = image.with(count, fit).refusal();
        assert!(!matches!(
            fitting,
            ManifestError::Data { index: None, rule: Rule::CountPastPage(_), .. }
        ));
    }
}

#[test]
fn each_list_is_refused_when_its_pointer_is_null_outside_the_page_misaligned_or_in_the_fixed_part()
{
    for (list, [count, pointer, _], entry_words) in LISTS {
        let image = Builder::full().build();
        let base = image.base.get();
        let outside = |at| (at, Rule::PointerOutsidePage(PhysAddr::new(at)));
        let misaligned = |at| (at, Rule::PointerMisaligned(PhysAddr::new(at)));
        let in_header = |at| (at, Rule::PointerInHeader(PhysAddr::new(at)));
        for (at, rule) in [
            (0, Rule::PointerNull),
            outside(8),
            outside(base - 8),
            outside(base + 4096),
            outside(u64::MAX - 7),
            outside(u64::MAX),
            misaligned(base + 1),
            misaligned(base + 0x204),
            misaligned(base + 4095),
            in_header(base),
            in_header(base + HEADER_SIZE - 8),
            (base + 4096 - entry_words * 8 + 8, Rule::CountPastPage(image.get(count))),
        ] {
            assert_eq!(image.clone().with(pointer, at).sealed().refusal(), of_list(list, rule));
        }
    }
}

#[test]
fn arrays_are_refused_in_the_last_word_of_the_fixed_part_of_each_version() {
    for (minor, header_size) in [(2, 0x28), (3, 0x40), (4, 0x70), (5, 0xA8), (6, 0xA8)] {
        let pointer = Builder::minimal().base.get() + header_size - 8;
        let image = Builder { minor, ..Builder::minimal() }.build().with(0x18, pointer);
        let refused = of_list(List::Dram, Rule::PointerInHeader(PhysAddr::new(pointer)));
        assert_eq!(image.refusal(), refused, "version 0.{minor}");
    }
}

#[test]
fn manifests_without_dram_are_refused() {
    let refused = of_list(List::Dram, Rule::NoEntries);
    let image = Builder { dram: vec![], ..Builder::full() }.build();
    assert_eq!(image.refusal(), refused);
    let pointer = image.base.get() + HEADER_SIZE;
    assert_eq!(image.with(0x18, pointer).sealed().refusal(), refused);
}

type BuildRegions = fn(&[(u64, u64)]) -> Builder;

/// Builders of a manifest with given regions, for each list of regions.
fn with_regions() -> [(List, BuildRegions); 3] {
    [
        (List::Dram, |regions| Builder { dram: regions.to_vec(), ..Builder::minimal() }),
        (List::NonCoherent, |regions| Builder {
            non_coherent: regions.to_vec(),
            ..Builder::minimal()
        }),
        (List::Coherent, |regions| Builder { coherent: regions.to_vec(), ..Builder::minimal() }),
    ]
}

#[test]
fn regions_are_refused_when_empty_misaligned_wrapping_or_not_addressable() {
    let limit = PHYSICAL_LIMIT.get();
    let beyond = |end| Rule::BeyondPhysicalRange(PhysAddr::new(end), PHYSICAL_LIMIT);
    for (base, size, rule) in [
        (0x2_0000_0800, 0x1000, Rule::BaseMisaligned(PhysAddr::new(0x2_0000_0800))),
        (0x2_0000_0001, 0x1000, Rule::BaseMisaligned(PhysAddr::new(0x2_0000_0001))),
        (0x2_0000_0000, 0, Rule::SizeZero(PhysAddr::new(0x2_0000_0000))),
        (0x2_0000_0000, 0x1800, Rule::SizeMisaligned(0x1800)),
        (0x2_0000_0000, u64::MAX, Rule::SizeMisaligned(u64::MAX)),
        (0x2_0000_0000, !0xFFF, Rule::EndWraps(PhysAddr::new(0x2_0000_0000), !0xFFF)),
        (!0xFFF, 0x1000, Rule::EndWraps(PhysAddr::new(!0xFFF), 0x1000)),
        (limit - 0x1000, 0x2000, beyond(limit + 0x1000)),
        (limit, 0x1000, beyond(limit + 0x1000)),
    ] {
        for (list, builder) in with_regions() {
            let first = (0x1_8000_0000, 0x1000);
            let refused = of_entry(list, 1, rule);
            assert_eq!(builder(&[first, (base, size)]).build().refusal(), refused);
            let refused = of_entry(list, 0, rule);
            assert_eq!(builder(&[(base, size), first]).build().refusal(), refused);
        }
    }
}

#[test]
fn regions_are_refused_when_they_do_not_ascend() {
    for (list, builder) in with_regions() {
        let (low, high) = (0x2_0000_0000, 0x3_0000_0000);
        let refused =
            of_entry(list, 2, Rule::NotAscending(PhysAddr::new(low), PhysAddr::new(high)));
        let image =
            builder(&[(0x1_8000_0000, 0x1000), (high, 0x1000), (low, 0x1000), (low, 0x1000)])
                .build();
        assert_eq!(image.refusal(), refused);
    }
}

#[test]
fn regions_are_refused_when_they_overlap_another_of_their_list() {
    for (list, builder) in with_regions() {
        let refused = |index, with| of_entry(list, index, Rule::Overlaps(list, with));
        let first = (0x2_0000_0000, 0x4000);
        let equal = builder(&[first, first]).build();
        assert_eq!(equal.refusal(), refused(1, 0));
        let partly = builder(&[first, (0x2_0000_3000, 0x4000)]).build();
        assert_eq!(partly.refusal(), refused(1, 0));
        let contained = builder(&[first, (0x2_0000_1000, 0x1000), (0x2_0000_2000, 0x1000)]).build();
        assert_eq!(contained.refusal(), refused(1, 0));
        let later = builder(&[first, (0x3_0000_0000, 0x8000), (0x3_0000_7000, 0x1000)]).build();
        assert_eq!(later.refusal(), refused(2, 1));
    }
}

#[test]
fn whatever_occupies_memory_is_refused_when_it_overlaps_another_kind() {
    let minimal = Builder::minimal;
    let (bank, device) = ((0x4000_0000, 0x4000), (0x8000_0000, 0x4000));
    let console = |base| vec![ConsoleEntry { base, ..PL011 }];
    for (builder, list, other) in [
        (Builder { consoles: console(0x4000_3000), ..minimal() }, List::Console, List::Dram),
        (
            Builder { non_coherent: vec![(0x4000_0000, 0x1000)], ..minimal() },
            List::NonCoherent,
            List::Dram,
        ),
        (
            Builder { coherent: vec![(0x3FFF_F000, 0x2000)], ..minimal() },
            List::Coherent,
            List::Dram,
        ),
        (Builder { smmus: vec![(0x4000_2000, 0x1000)], ..minimal() }, List::Smmu, List::Dram),
        (Builder { smmus: vec![(0x1000, 0x4000_2000)], ..minimal() }, List::Smmu, List::Dram),
        (
            Builder { consoles: console(0x8000_2000), coherent: vec![device], ..minimal() },
            List::Coherent,
            List::Console,
        ),
        (
            Builder {
                non_coherent: vec![device],
                coherent: vec![(0x8000_3000, 0x8000)],
                ..minimal()
            },
            List::Coherent,
            List::NonCoherent,
        ),
        (
            Builder { non_coherent: vec![device], smmus: vec![(0x8000_0000, 0x1000)], ..minimal() },
            List::Smmu,
            List::NonCoherent,
        ),
    ] {
        let image = Builder { dram: vec![bank], ..builder }.build();
        assert_eq!(image.refusal(), of_entry(list, 0, Rule::Overlaps(other, 0)));
    }
}

#[test]
fn consoles_are_refused_for_the_same_reason_early_and_with_the_rest() {
    let base = 0x1C0C_0000;
    let first = ConsoleEntry { base: 0x1000, ..PL011 };
    for (console, rule) in [
        (ConsoleEntry { base: base + 8, ..PL011 }, Rule::BaseMisaligned(PhysAddr::new(base + 8))),
        (ConsoleEntry { map_pages: 0, ..PL011 }, Rule::SizeZero(PhysAddr::new(base))),
        (ConsoleEntry { map_pages: 17, ..PL011 }, Rule::PageCount(17, 16)),
        (ConsoleEntry { map_pages: 1 << 52, ..PL011 }, Rule::PageCount(1 << 52, 16)),
        (ConsoleEntry { map_pages: u64::MAX, ..PL011 }, Rule::PageCount(u64::MAX, 16)),
        (ConsoleEntry { base: !0xFFF, ..PL011 }, Rule::EndWraps(PhysAddr::new(!0xFFF), 0x1000)),
        (
            ConsoleEntry { base: PHYSICAL_LIMIT.get() - 0x1000, map_pages: 2, ..PL011 },
            Rule::BeyondPhysicalRange(PhysAddr::new(PHYSICAL_LIMIT.get() + 0x1000), PHYSICAL_LIMIT),
        ),
        (ConsoleEntry { base: 0, map_pages: 2, ..PL011 }, Rule::Overlaps(List::Console, 0)),
    ] {
        let image = Builder { consoles: vec![first, console], ..Builder::fvp() }.build();
        let refused = of_entry(List::Console, 1, rule);
        assert_eq!(image.refusal(), refused);
        let header = Header::read(&image.bytes, image.base, PHYSICAL_LIMIT).unwrap();
        assert_eq!(header.consoles().err(), Some(refused));
    }
}

#[test]
fn smmus_are_refused_when_either_page_is_misaligned_or_not_addressable_or_shared() {
    let first = (0x2B40_0000, 0x2B42_0000);
    let limit = PHYSICAL_LIMIT.get();
    let beyond = Rule::BeyondPhysicalRange(PhysAddr::new(limit + 0x1000), PHYSICAL_LIMIT);
    let wraps = Rule::EndWraps(PhysAddr::new(!0xFFF), 0x1000);
    for (smmu, rule) in [
        ((0x2B80_0010, 0x2B82_0000), Rule::BaseMisaligned(PhysAddr::new(0x2B80_0010))),
        ((0x2B80_0000, 0x2B82_0010), Rule::BaseMisaligned(PhysAddr::new(0x2B82_0010))),
        ((limit, 0x2B82_0000), beyond),
        ((0x2B80_0000, limit), beyond),
        ((!0xFFF, 0x2B82_0000), wraps),
        ((0x2B80_0000, !0xFFF), wraps),
        ((0x2B40_0000, 0x2B82_0000), Rule::Overlaps(List::Smmu, 0)),
        ((0x2B80_0000, 0x2B42_0000), Rule::Overlaps(List::Smmu, 0)),
        ((0x2B80_0000, 0x2B80_0000), Rule::Overlaps(List::Smmu, 1)),
    ] {
        let image = Builder { smmus: vec![first, smmu], ..Builder::minimal() }.build();
        assert_eq!(image.refusal(), of_entry(List::Smmu, 1, rule));
    }
}

#[test]
fn refusals_read_as_sentences() {
    for (error, sentence) in [
        (
            of_list(List::NonCoherent, Rule::Checksum(0x10)),
            "non-coherent device region list: the checksum leaves 0x10, not 0",
        ),
        (
            of_entry(List::Console, 2, Rule::PageCount(40, 16)),
            "console 2: 40 pages to map, more than 16",
        ),
        (of_entry(List::Smmu, 1, Rule::Overlaps(List::Dram, 0)), "SMMU 1: overlaps DRAM bank 0"),
        (
            of_entry(
                List::BdfMapping { root_complex: 1, root_port: 2 },
                3,
                Rule::MappingReversed(2, 1),
            ),
            "root complex 1, root port 2, BDF mapping 3: its base 0x2 is above its top 0x1",
        ),
        (
            of_list(List::RootPort { root_complex: 4 }, Rule::CountPastPage(900)),
            "root complex 4, root port list: 900 entries run past the end of the page",
        ),
    ] {
        assert_eq!(error.to_string(), sentence);
    }
}
