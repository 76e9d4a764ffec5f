// SPDX-License-Identifier: BSD-3-Clause
//! Manifests that must be accepted, and what they must mean.

use kit::manifest::builder::{Builder, ConsoleEntry, HEADER_SIZE, Image, PHYSICAL_LIMIT, PL011};
use kit::manifest::model::Model;
use rmm::address::PhysAddr;
use rmm::el3::manifest::{BdfMapping, Console, Header, MemoryRegion, Smmu};

/// The page as TF-A of August 2026 leaves it on QEMU virt: 232 bytes, then zeros.
const QEMU: [u64; 29] = [
    0x0000_0000_0000_0005, // version 0.5
    0x0000_0000_0000_0000, // platform data
    0x0000_0000_0000_0001, // DRAM
    0x0000_0000_418F_F0A8,
    0xFFFF_FFFE_BE70_0F57,
    0x0000_0000_0000_0001, // consoles
    0x0000_0000_418F_F0B8,
    0xFFFF_FFCE_843D_E0D5,
    0x0000_0000_0000_0000, // non-coherent device regions
    0x0000_0000_0000_0000,
    0x0000_0000_0000_0000,
    0x0000_0000_0000_0000, // coherent device regions
    0x0000_0000_0000_0000,
    0x0000_0000_0000_0000,
    0x0000_0000_0000_0000, // SMMUs
    0x0000_0000_0000_0000,
    0x0000_0000_0000_0000,
    0x0000_0000_0000_0000, // root complexes, with a version and a pointer though there are none
    0x0000_0000_0000_0001,
    0x0000_0000_418F_F0E8,
    0xFFFF_FFFF_BE70_0F18,
    0x0000_0000_4000_0000, // the bank
    0x0000_0000_C000_0000,
    0x0000_0000_0900_0000, // the console
    0x0000_0000_0000_0001,
    0x0000_0031_3130_6C70,
    0x0000_0000_0000_0001,
    0x0000_0000_0001_C200,
    0x0000_0000_0000_0000,
];

fn regions(regions: impl Iterator<Item = MemoryRegion>) -> Vec<(u64, u64)> {
    regions.map(|region| (region.base().get(), region.size())).collect()
}

#[test]
fn the_page_seen_on_qemu_parses_to_its_known_values() {
    let image = Image::of_words(PhysAddr::new(0x418F_F000), &QEMU);
    let manifest = image.parse().unwrap();
    assert_eq!(manifest.version().to_string(), "0.5");
    assert_eq!(regions(manifest.dram()), [(0x4000_0000, 0xC000_0000)]);
    let console = Console {
        base: PhysAddr::new(0x0900_0000),
        map_pages: 1,
        name: *b"pl011\0\0\0",
        clock_hz: 1,
        baud_rate: 115_200,
    };
    assert_eq!(manifest.consoles().collect::<Vec<_>>(), [console]);
    assert_eq!(
        manifest.non_coherent().len() + manifest.coherent().len() + manifest.smmus().len(),
        0
    );
    assert_eq!(manifest.root_complexes().count(), 0);
    Model::new(&image.bytes, image.base).check(PHYSICAL_LIMIT, &manifest);
}

#[test]
fn what_tf_a_says_of_fvp_parses_to_its_values() {
    let image = Builder::fvp().build();
    let manifest = image.parse().unwrap();
    let dram: Vec<_> = manifest.dram().collect();
    assert_eq!(
        regions(manifest.dram()),
        [(0x8000_0000, 0x7C00_0000), (0x8_8000_0000, 0x8000_0000)]
    );
    assert_eq!(dram[1].end(), PhysAddr::new(0x9_0000_0000));
    assert_eq!(
        regions(manifest.non_coherent()),
        [(0x5000_0000, 0x1000_0000), (0x40_0000_0000, 0xC000_0000)]
    );
    assert_eq!(manifest.coherent().len(), 0);
    let console = manifest.consoles().next().unwrap();
    assert_eq!((console.base.get(), console.clock_hz), (0x1C0C_0000, 14_745_600));
    let smmu = Smmu { base: PhysAddr::new(0x2B40_0000), realm_base: PhysAddr::new(0x2B42_0000) };
    assert_eq!(manifest.smmus().collect::<Vec<_>>(), [smmu]);
    let root_complexes: Vec<_> = manifest.root_complexes().collect();
    assert_eq!(root_complexes.len(), 1);
    assert_eq!((root_complexes[0].ecam.get(), root_complexes[0].segment), (0x4000_0000, 0));
    let ports: Vec<_> = root_complexes[0].root_ports().collect();
    assert_eq!((ports.len(), ports[0].id), (1, 0));
    let mapping = BdfMapping { base: 0, top: 0x8000, offset: 0, smmu_index: 0 };
    assert_eq!(ports[0].mappings().collect::<Vec<_>>(), [mapping]);
}

#[test]
fn manifests_of_every_shape_keep_the_rules_as_stated_a_second_time() {
    for builder in [Builder::minimal(), Builder::fvp(), Builder::full()] {
        let image = builder.build();
        Model::new(&image.bytes, image.base).check(PHYSICAL_LIMIT, &image.parse().unwrap());
    }
}

#[test]
fn consoles_are_available_whatever_is_wrong_with_the_rest() {
    let image = Builder::fvp().build().with(0x10, 1 << 60).with(0x40, 1 << 60).with(0x88, 1 << 60);
    assert!(image.parse().is_err());
    let header = Header::read(&image.bytes, image.base, PHYSICAL_LIMIT).unwrap();
    assert_eq!(header.version().to_string(), "0.5");
    let consoles: Vec<_> = header.consoles().unwrap().collect();
    assert_eq!(consoles.len(), 1);
    assert_eq!(consoles[0].name, PL011.name);
}

#[test]
fn lists_are_read_only_from_the_version_that_added_them() {
    let console = ConsoleEntry { base: 0x1C0D_0000, ..PL011 };
    let counts = |minor| {
        let image = Builder {
            minor,
            coherent: vec![(0x7000_0000, 0x1000)],
            consoles: vec![console],
            ..Builder::fvp()
        }
        .build();
        let manifest = image.parse().unwrap();
        assert_eq!(manifest.version().minor, minor);
        [
            manifest.dram().len(),
            manifest.consoles().len(),
            manifest.non_coherent().len(),
            manifest.coherent().len(),
            manifest.smmus().len(),
            manifest.root_complexes().count(),
        ]
    };
    assert_eq!(counts(2), [2, 0, 0, 0, 0, 0]);
    assert_eq!(counts(3), [2, 1, 0, 0, 0, 0]);
    assert_eq!(counts(4), [2, 1, 2, 1, 0, 0]);
    assert_eq!(counts(5), [2, 1, 2, 1, 1, 1]);
    assert_eq!(counts(6), counts(5));
    assert_eq!(counts(u16::MAX), counts(5));
}

#[test]
fn words_of_lists_above_the_version_may_hold_anything() {
    for (minor, first) in [(2, 0x28), (3, 0x40), (4, 0x70)] {
        let mut image = Builder { minor, consoles: vec![], ..Builder::minimal() }.build();
        for offset in (first..HEADER_SIZE).step_by(8) {
            image.set(offset, u64::MAX);
        }
        assert_eq!(image.parse().unwrap().dram().len(), 1, "version 0.{minor}");
    }
}

#[test]
fn arrays_may_begin_right_after_the_fixed_part_of_their_version() {
    for (minor, header_size) in [(2, 0x28), (3, 0x40), (4, 0x70), (5, 0xA8), (6, 0xA8)] {
        let base = PhysAddr::new(0x4180_0000);
        let mut image = Image::of_words(base, &[minor, 0, 1, base.get() + header_size]);
        image.set(header_size, 0x4000_0000);
        image.set(header_size + 8, 0x1000);
        let image = image.sealed();
        assert_eq!(regions(image.parse().unwrap().dram()), [(0x4000_0000, 0x1000)]);
    }
}

#[test]
fn consoles_before_0_4_may_be_summed_without_name_and_flags() {
    let console = u64::from_le_bytes(PL011.name);
    let image = Builder { minor: 3, dram: vec![(0x8000_0000, 0x1000)], ..Builder::fvp() }.build();
    let checksum = image.get(0x38).wrapping_add(console);
    let image = image.with(0x38, checksum);
    assert_eq!(image.parse().unwrap().consoles().next().unwrap().name, PL011.name);
    let header = Header::read(&image.bytes, image.base, PHYSICAL_LIMIT).unwrap();
    assert_eq!(header.consoles().unwrap().count(), 1);
}

#[test]
fn empty_lists_may_have_any_pointer_that_their_checksum_covers() {
    for triple in [0x28, 0x40, 0x58, 0x70] {
        for pointer in [1, 0x418F_F0E8, u64::MAX] {
            let image = Builder::minimal().build();
            let image = image.with(triple + 8, pointer).with(triple + 16, pointer.wrapping_neg());
            assert!(image.parse().is_ok(), "list at {triple:#x}, pointer {pointer:#x}");
        }
    }
}

#[test]
fn as_many_banks_are_accepted_as_fit_into_the_page() {
    let most = (4096 - HEADER_SIZE) / 16;
    assert_eq!(most, 245);
    let dram: Vec<_> = (0..most).map(|bank| (bank * 0x2000, 0x1000)).collect();
    let image = Builder { dram: dram.clone(), ..Builder::minimal() }.build();
    assert_eq!(regions(image.parse().unwrap().dram()), dram);
}

#[test]
fn regions_may_touch_each_other_and_both_ends_of_the_address_range() {
    let top = PHYSICAL_LIMIT.get() - 0x1000;
    let image = Builder {
        dram: vec![(0, 0x1000), (0x1000, 0x1000), (top, 0x1000)],
        non_coherent: vec![(0x2000, 0x1000)],
        consoles: vec![ConsoleEntry { base: 0x3000, ..PL011 }],
        ..Builder::minimal()
    }
    .build();
    assert!(image.parse().is_ok());
}

#[test]
fn mappings_name_no_smmu_where_there_are_none() {
    let mut builder = Builder { smmus: vec![], ..Builder::full() };
    builder.root_complexes[0].root_ports[0].mappings[0].smmu_index = u16::MAX;
    assert!(builder.build().parse().is_ok());
}
