// SPDX-License-Identifier: BSD-3-Clause
//! Entries as descriptors. The bits are written a second time, from the architecture.

use rmm::address::PhysAddr;
use rmm::realm::stage2::{Entry, Ripas, UnprotectedMapping};
use rmm::xlat::{DescriptorFormat, Level};

use crate::granule;

const FORMATS: [DescriptorFormat; 2] = [DescriptorFormat::Bits48, DescriptorFormat::Lpa2];
const RIPAS: [Ripas; 3] = [Ripas::Empty, Ripas::Ram, Ripas::Destroyed];

/// A low address, the highest one of 48 bits, and one of 52 bits.
fn addresses(level: Level, format: DescriptorFormat) -> Vec<PhysAddr> {
    let highest = |bits: u32| (1_u64 << bits) - level.entry_size();
    let mut addresses = vec![0, level.entry_size(), highest(48)];
    if format == DescriptorFormat::Lpa2 {
        addresses.extend([1 << 48, 1 << 50, 1 << 51, highest(52)]);
    }
    // At the coarsest level some are equal.
    addresses.sort_unstable();
    addresses.dedup();
    addresses.into_iter().map(PhysAddr::new).collect()
}

fn leaf_levels() -> [Level; 3] {
    [Level::One, Level::Two, Level::Three]
}

/// Every possible entry at `level`, with a few addresses for each kind that has one.
fn entries(level: Level, format: DescriptorFormat) -> Vec<Entry> {
    let mut entries: Vec<_> = RIPAS.map(Entry::Unassigned).into();
    for address in addresses(level, format) {
        if leaf_levels().contains(&level) {
            entries.extend(RIPAS.map(|ripas| Entry::Assigned(ripas, address)));
            for attributes in [0, 0x18 | 0xc0, 0xc, 0x80] {
                let low = address.get() & 0x0003_ffff_ffff_f000;
                let descriptor = low | address.get() >> 50 << 8 | attributes;
                let mapping = UnprotectedMapping::new(descriptor, level, format)
                    .expect("the host may ask for it");
                entries.push(Entry::AssignedNs(mapping));
            }
        }
        if level != Level::Three {
            entries.push(Entry::Table(granule(address.get())));
        }
    }
    entries
}

#[test]
fn every_entry_is_what_its_descriptor_says() {
    for format in FORMATS {
        for level in Level::ALL {
            for entry in entries(level, format) {
                let raw = entry.encode(level, format);
                assert_eq!(
                    Entry::decode(raw, level, format),
                    entry,
                    "{raw:#x} at level {level}, {format:?}"
                );
            }
        }
    }
}

#[test]
fn different_entries_have_different_descriptors() {
    for format in FORMATS {
        for level in Level::ALL {
            let entries = entries(level, format);
            let raw: std::collections::BTreeSet<_> =
                entries.iter().map(|entry| entry.encode(level, format)).collect();
            assert_eq!(raw.len(), entries.len());
        }
    }
}

#[test]
fn only_ram_unprotected_mappings_and_tables_are_valid_to_the_walker() {
    for format in FORMATS {
        for level in Level::ALL {
            for entry in entries(level, format) {
                let valid = entry.encode(level, format) & 1 != 0;
                let table = matches!(entry, Entry::Table(_));
                assert_eq!(valid, entry.is_mapping() || table, "{entry:?}");
            }
        }
    }
}

#[test]
fn a_wiped_granule_is_unassigned_and_empty() {
    for format in FORMATS {
        for level in Level::ALL {
            assert_eq!(Entry::decode(0, level, format), Entry::Unassigned(Ripas::Empty));
        }
    }
}

#[test]
fn descriptors_have_the_bits_of_the_architecture() {
    use DescriptorFormat::{Bits48, Lpa2};
    let memory = PhysAddr::new(0x8_4020_0000);
    let ram = Entry::Assigned(Ripas::Ram, memory);
    // Page or block, MemAttr 0b0110, S2AP 0b11, SH 0b11, AF.
    assert_eq!(ram.encode(Level::Three, Bits48), 0x8_4020_07db);
    assert_eq!(ram.encode(Level::Two, Bits48), 0x8_4020_07d9);
    // With LPA2 the SH field holds address bits 51:50.
    assert_eq!(ram.encode(Level::Three, Lpa2), 0x8_4020_04db);
    let high = Entry::Assigned(Ripas::Ram, PhysAddr::new(0x9_8000_0000_0000));
    assert_eq!(high.encode(Level::Two, Lpa2), 0x1_8000_0000_06d9);
    let highest = Entry::Assigned(Ripas::Ram, PhysAddr::new(0xf_ffff_ffff_f000));
    assert_eq!(highest.encode(Level::Three, Lpa2), 0x3_ffff_ffff_f7db);
    // The host's attributes, with NS (55), XN 0b10 (54), AF and SH added.
    let mapping =
        UnprotectedMapping::new(0x8_4020_0000 | 0b11 << 6 | 0b110 << 2, Level::Two, Bits48)
            .expect("allowed");
    let unprotected = Entry::AssignedNs(mapping);
    assert_eq!(unprotected.encode(Level::Three, Bits48), 0x00c0_0008_4020_07db);
    assert_eq!(unprotected.encode(Level::One, Bits48), 0x00c0_0008_4020_07d9);
    assert_eq!(unprotected.encode(Level::Two, Lpa2), 0x00c0_0008_4020_04d9);
    let table = Entry::Table(granule(0x8_4020_1000));
    assert_eq!(table.encode(Level::Two, Bits48), 0x8_4020_1003);
    assert_eq!(
        Entry::Table(granule(0xc_0000_4020_1000)).encode(Level::MinusOne, Lpa2),
        0x4020_1303
    );
}

#[test]
fn the_host_chooses_output_address_memory_type_and_permissions_and_nothing_else() {
    for format in FORMATS {
        for level in leaf_levels() {
            for address in addresses(level, format) {
                let low = address.get() & 0x0003_ffff_ffff_f000 | address.get() >> 50 << 8;
                for bit in 0..64 {
                    let descriptor = low | 1 << bit;
                    let address_bit = match format {
                        DescriptorFormat::Bits48 => (level.shift()..48).contains(&bit),
                        DescriptorFormat::Lpa2 => {
                            (level.shift()..50).contains(&bit) || bit == 8 || bit == 9
                        }
                    };
                    // MemAttr[2] alone is a reserved value.
                    let chosen = address_bit || [2, 3, 6, 7].contains(&bit);
                    let mapping = UnprotectedMapping::new(descriptor, level, format);
                    assert_eq!(mapping.is_some(), chosen, "bit {bit} at level {level}, {format:?}");
                    if let Some(mapping) = mapping {
                        assert_eq!(
                            mapping.descriptor(),
                            descriptor,
                            "the host reads what it wrote"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn of_the_memory_types_only_the_reserved_one_is_refused() {
    for attributes in 0..8_u64 {
        let mapping =
            UnprotectedMapping::new(attributes << 2, Level::Three, DescriptorFormat::Bits48);
        assert_eq!(mapping.is_some(), attributes != 0b100, "{attributes:#b}");
    }
}
