// SPDX-License-Identifier: BSD-3-Clause
//! Root complexes that must be refused, each with its exact error. `refused.rs` tests the rules for
//! every list.

use super::refused::{array, of_entry, of_list};
use kit::manifest::builder::{Builder, HEADER_SIZE, Image, PHYSICAL_LIMIT};
use rmm::address::PhysAddr;
use rmm::el3::manifest::{BdfMapping, List, ManifestError, Rule};

const PORTS: List = List::RootPort { root_complex: 0 };
const MAPPINGS: List = List::BdfMapping { root_complex: 0, root_port: 0 };

/// The full manifest, with the offsets of its first root complex, that complex's root port, and
/// that port's mapping.
fn full() -> (Image, [u64; 3]) {
    let image = Builder::full().build();
    let complex = array(&image, 0x98);
    let port = array(&image, complex + 16);
    let mapping = array(&image, port + 8);
    (image, [complex, port, mapping])
}

#[test]
fn structures_of_another_version_are_refused_where_there_are_any() {
    for version in [0, 0x0001_0000, 0x0001_0001, 0x8000_0001] {
        let image = full().0.with(0x90, u64::from(version)).sealed();
        assert_eq!(image.refusal(), ManifestError::RootComplexVersion(version));
        assert!(Builder::minimal().build().with(0x90, u64::from(version)).parse().is_ok());
    }
    for version in [2, 0xFFFF] {
        assert!(full().0.with(0x90, version).parse().is_ok());
    }
}

#[test]
fn the_version_word_may_be_summed_or_not() {
    for version in [1, 0xFFFF_FFFF_0000_0001] {
        let image = full().0.with(0x90, version);
        assert!(image.parse().is_ok(), "as TF-A sums");
        let with_version = image.get(0xA0).wrapping_sub(version);
        assert!(image.clone().with(0xA0, with_version).parse().is_ok(), "as RF-A sums");
        let wrong = image.get(0xA0).wrapping_sub(1).wrapping_sub(version);
        let rule = Rule::Checksum(u64::MAX.wrapping_sub(version));
        assert_eq!(image.with(0xA0, wrong).refusal(), of_list(List::RootComplex, rule));
    }
    // An empty list has a version word too.
    let empty = Builder::minimal().build().with(0x90, 1).with(0xA0, u64::MAX);
    assert!(empty.parse().is_ok());
}

#[test]
fn the_words_of_nested_arrays_are_summed() {
    let (image, [_, port, mapping]) = full();
    for (offset, change) in
        [(port, 1), (mapping, 1 << 16), (mapping + 8, 1 << 32), (mapping + 16, 1 << 32)]
    {
        let changed = image.clone().with(offset, image.get(offset) + change);
        assert_eq!(changed.refusal(), of_list(List::RootComplex, Rule::Checksum(change)));
    }
}

#[test]
fn nested_pointers_are_refused_when_null_outside_the_page_misaligned_or_in_the_fixed_part() {
    let (image, [complex, port, _]) = full();
    let base = image.base.get();
    for (list, pointer) in [(PORTS, complex + 16), (MAPPINGS, port + 8)] {
        for (at, rule) in [
            (0, Rule::PointerNull),
            (8, Rule::PointerOutsidePage(PhysAddr::new(8))),
            (base - 8, Rule::PointerOutsidePage(PhysAddr::new(base - 8))),
            (base + 4096, Rule::PointerOutsidePage(PhysAddr::new(base + 4096))),
            (u64::MAX - 7, Rule::PointerOutsidePage(PhysAddr::new(u64::MAX - 7))),
            (base + 0x804, Rule::PointerMisaligned(PhysAddr::new(base + 0x804))),
            (base, Rule::PointerInHeader(PhysAddr::new(base))),
            (base + HEADER_SIZE - 8, Rule::PointerInHeader(PhysAddr::new(base + HEADER_SIZE - 8))),
            (base + 4096 - 8, Rule::CountPastPage(2)),
        ] {
            assert_eq!(image.clone().with(pointer, at).sealed().refusal(), of_list(list, rule));
        }
    }
}

#[test]
fn nested_counts_are_refused_when_they_run_off_the_page() {
    let (image, [complex, port, mapping]) = full();
    for (list, word, fit) in
        [(PORTS, complex + 8, (4096 - port) / 16), (MAPPINGS, port, (4096 - mapping) / 8)]
    {
        for count in [fit + 1, 1 << 31, u64::from(u32::MAX)] {
            let refused = of_list(list, Rule::CountPastPage(count));
            let low_half = image.get(word) & 0xFFFF_FFFF;
            assert_eq!(image.clone().with(word, low_half | count << 32).refusal(), refused);
        }
    }
}

#[test]
fn errors_in_later_nested_arrays_name_them() {
    let (image, [complex, ..]) = full();
    let last_complex = complex + 48;
    let image_with_ports = image.clone().with(last_complex + 16, 8);
    let refused =
        of_list(List::RootPort { root_complex: 2 }, Rule::PointerOutsidePage(PhysAddr::new(8)));
    assert_eq!(image_with_ports.refusal(), refused);
    let last_port = array(&image, last_complex + 16);
    let list = List::BdfMapping { root_complex: 2, root_port: 0 };
    let refused = of_list(list, Rule::PointerOutsidePage(PhysAddr::new(8)));
    assert_eq!(image.with(last_port + 8, 8).refusal(), refused);
}

#[test]
fn arrays_that_share_their_place_are_refused_once_they_count_for_more_than_a_page() {
    let (image, [complex, port, mapping]) = full();
    let ports = |count: u64| image.get(complex + 8) & 0xFFFF_FFFF | count << 32;
    // Each root port claims the rest of the page as its mappings. Together they exceed the page.
    let mut image = image.clone().with(complex + 8, ports(2));
    let mappings = (4096 - mapping) / 8;
    assert!(mappings * 2 > 512);
    for port in [port, port + 16] {
        image.set(port, mappings << 32);
        image.set(port + 8, image.base.get() + mapping);
    }
    assert_eq!(image.sealed().refusal(), of_list(List::RootComplex, Rule::NestedPastPage));
}

#[test]
fn configuration_spaces_are_refused_when_misaligned_or_not_addressable() {
    let limit = PHYSICAL_LIMIT.get();
    for (ecam, rule) in [
        (0x4000_0800, Rule::BaseMisaligned(PhysAddr::new(0x4000_0800))),
        (limit, Rule::BeyondPhysicalRange(PhysAddr::new(limit + 0x1000), PHYSICAL_LIMIT)),
        (!0xFFF, Rule::EndWraps(PhysAddr::new(!0xFFF), 0x1000)),
    ] {
        let mut builder = Builder::full();
        builder.root_complexes[1].ecam = ecam;
        assert_eq!(builder.build().refusal(), of_entry(List::RootComplex, 1, rule));
    }
}

#[test]
fn mappings_are_refused_when_reversed_overlapping_or_of_no_smmu() {
    let mapping = |base, top, smmu_index| BdfMapping { base, top, offset: 0, smmu_index };
    for (second, rule) in [
        (mapping(0x101, 0x100, 0), Rule::MappingReversed(0x101, 0x100)),
        (mapping(0x80, 0x180, 0), Rule::Overlaps(MAPPINGS, 0)),
        (mapping(0, 0x100, 1), Rule::Overlaps(MAPPINGS, 0)),
        (mapping(0x200, 0x300, 2), Rule::SmmuIndex(2, 2)),
        (mapping(0x200, 0x300, u16::MAX), Rule::SmmuIndex(u16::MAX, 2)),
    ] {
        let mut builder = Builder::full();
        builder.root_complexes[0].root_ports[0].mappings[1] = second;
        assert_eq!(builder.build().refusal(), of_entry(MAPPINGS, 1, rule));
    }
    for second in [mapping(0x100, 0x200, 0), mapping(0x300, 0x300, 1)] {
        let mut builder = Builder::full();
        builder.root_complexes[0].root_ports[0].mappings[1] = second;
        assert!(builder.build().parse().is_ok());
    }
}
