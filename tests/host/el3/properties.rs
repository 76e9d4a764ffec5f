// SPDX-License-Identifier: BSD-3-Clause
//! Properties: no page makes the parser panic; every accepted page keeps all rules, and every page
//! that keeps them is accepted.
//!
//! A failure prints the description of the smallest failing page. Its seed goes to
//! `proptest-regressions`.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use kit::manifest::builder::{
    Builder, ConsoleEntry, Image, PHYSICAL_LIMIT, PL011, RootComplexEntry, RootPortEntry,
};
use kit::manifest::model::{Model, seal};
use rmm::address::PhysAddr;
use rmm::el3::manifest::{BdfMapping, Header};

/// Parses the page. Gives whether it is accepted, and checks an accepted page against the rules.
fn examine(bytes: &[u8; 4096], base: PhysAddr, limit: PhysAddr) -> bool {
    let Ok(header) = Header::read(bytes, base, limit) else { return false };
    let early = header.consoles().map(Iterator::count);
    let Ok(manifest) = header.validate() else { return false };
    assert_eq!(early.ok(), Some(manifest.consoles().len()));
    Model::new(bytes, base).check(limit, &manifest);
    true
}

/// Values at the limits of what a parser handles.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..64_u64,
        (0..512_u64).prop_map(|offset| 0xFFBF_F000 + offset * 8),
        (0..0x10_0000_u64).prop_map(|granule| granule << 12),
        (0..64_u32).prop_map(|bit| 1 << bit),
        (0..64_u32).prop_map(|bit| u64::MAX << bit),
        (any::<u32>(), 0..8_u32).prop_map(|(low, high)| u64::from(low) | u64::from(high) << 32),
    ]
}

/// Turns gaps and sizes in granules into ascending regions from `base` on.
fn regions(base: u64, gaps: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut next = base;
    gaps.iter()
        .map(|&(gap, size)| {
            let region = (next + (gap << 12), size << 12);
            next = region.0 + region.1;
            region
        })
        .collect()
}

fn valid() -> impl Strategy<Value = Builder> {
    let gaps = |counts| vec((0..0x4_0000_u64, 1..0x4_0000_u64), counts);
    let console = (1..=16_u64, any::<[u8; 8]>(), any::<u64>(), any::<u64>(), 0..4_u64).prop_map(
        |(map_pages, name, clock_hz, baud_rate, gap)| {
            (ConsoleEntry { map_pages, name, clock_hz, baud_rate, ..PL011 }, gap)
        },
    );
    let mapping = (any::<u16>(), any::<u16>(), any::<u16>(), any::<Index>());
    let port = (any::<u16>(), proptest::option::of(mapping));
    let complex = (0..1_u64 << 28, any::<u8>(), vec(port, 0..4));
    (
        2..8_u16,
        gaps(1..64),
        vec(console, 0..8),
        gaps(0..8),
        gaps(0..8),
        0..6_u64,
        vec(complex, 0..6),
    )
        .prop_map(|(minor, dram, consoles, non_coherent, coherent, smmus, complexes)| {
            let mut next = 0x1000;
            let consoles = consoles
                .into_iter()
                .map(|(console, gap)| {
                    let base = next + (gap << 12);
                    next = base + (console.map_pages << 12);
                    ConsoleEntry { base, ..console }
                })
                .rev()
                .collect();
            let root_complexes = complexes
                .into_iter()
                .map(|(ecam, segment, ports)| RootComplexEntry {
                    ecam: ecam << 12,
                    segment,
                    root_ports: ports
                        .into_iter()
                        .map(|(id, mapping)| RootPortEntry {
                            id,
                            mappings: mapping
                                .into_iter()
                                .map(|(a, b, offset, smmu)| BdfMapping {
                                    base: a.min(b),
                                    top: a.max(b),
                                    offset,
                                    smmu_index: u16::try_from(
                                        smmu.index(usize::try_from(smmus.max(1)).unwrap()),
                                    )
                                    .unwrap(),
                                })
                                .collect(),
                        })
                        .collect(),
                })
                .collect();
            Builder {
                base: PhysAddr::new(0xFFBF_F000),
                minor,
                dram: regions(0x1_0000_0000, &dram),
                consoles,
                non_coherent: regions(0x60_0000_0000, &non_coherent),
                coherent: regions(0xA0_0000_0000, &coherent),
                smmus: (0..smmus)
                    .map(|smmu| (0x2B40_0000 - smmu * 0x10_0000, 0x2B42_0000 - smmu * 0x10_0000))
                    .collect(),
                root_complexes,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(u32::try_from(kit::seed::cases(2000)).unwrap()))]

    #[test]
    fn no_page_of_random_bytes_makes_the_parser_panic(
        mut bytes in vec(any::<u8>(), 4096)
            .prop_map(|bytes| <[u8; 4096]>::try_from(bytes).unwrap()),
        base in any::<u64>(),
        limit in any::<u64>(),
        minor in 0..8_u8,
        sealed in any::<bool>(),
    ) {
        let [base, limit] = [base & !0xFFF, limit].map(PhysAddr::new);
        examine(&bytes, base, limit);
        bytes[..4].copy_from_slice(&[minor, 0, 0, 0]);
        if sealed {
            seal(&mut bytes, base);
        }
        examine(&bytes, base, limit);
    }

    #[test]
    fn no_change_of_a_valid_manifest_makes_the_parser_panic_or_accept_what_breaks_a_rule(
        builder in prop_oneof![
            Just(Builder::minimal()), Just(Builder::fvp()), Just(Builder::full()), valid(),
        ],
        changes in vec(
            (prop_oneof![4 => 0..80_u64, 1 => 80..512_u64], word(), any::<bool>()), 0..5,
        ),
        sealed in prop_oneof![3 => Just(true), 1 => Just(false)],
    ) {
        let mut image = builder.build();
        for (index, word, whole) in changes {
            let offset = index * 8;
            image.set(offset, if whole { word } else { image.get(offset) ^ word });
        }
        if sealed {
            image = image.sealed();
        }
        examine(&image.bytes, image.base, PHYSICAL_LIMIT);
    }

    #[test]
    fn manifests_that_keep_the_rules_are_accepted(builder in valid()) {
        let Image { bytes, base } = builder.build();
        prop_assert!(examine(&bytes, base, PHYSICAL_LIMIT), "{:?}", builder.build().refusal());
    }
}
