// SPDX-License-Identifier: BSD-3-Clause
//! Whole tables: unfolding and folding, the root tables of a Realm, and the search for live
//! entries.

use rmm::address::PhysAddr;
use rmm::realm::stage2::{Entry, EntryIndex, Ripas, RttTable, UnprotectedMapping};
use rmm::xlat::{DescriptorFormat, Level};

use crate::{granule, ipa};

const FORMAT: DescriptorFormat = DescriptorFormat::Bits48;

fn table() -> Box<RttTable> {
    // SAFETY: a wiped granule is an RTT.
    unsafe { Box::new_zeroed().assume_init() }
}

fn index(index: usize) -> EntryIndex {
    EntryIndex::of(ipa(u64::try_from(index).expect("small") * 0x1000), Level::Three)
}

fn ns(output: u64) -> Entry {
    Entry::AssignedNs(
        UnprotectedMapping::new(output | 0xd8, Level::Three, FORMAT).expect("allowed"),
    )
}

/// Entries at `level` into which a table can be folded, and from which it can be unfolded.
fn foldable(level: Level) -> Vec<Entry> {
    let block = PhysAddr::new(0x7f * level.entry_size());
    let mut entries = Vec::new();
    for ripas in [Ripas::Empty, Ripas::Ram, Ripas::Destroyed] {
        entries.push(Entry::Unassigned(ripas));
        entries.push(Entry::Assigned(ripas, block));
    }
    entries.push(ns(block.get()));
    entries
}

#[test]
fn unfolding_makes_entries_that_map_what_the_one_did_and_folding_makes_it_again() {
    for (parent, level) in [(Level::One, Level::Two), (Level::Two, Level::Three)] {
        for entry in foldable(parent) {
            let mut table = table();
            table.unfold(entry, level, FORMAT);
            for i in 0..512 {
                let offset = u64::try_from(i).expect("small") * level.entry_size();
                let expected = match entry {
                    Entry::Assigned(ripas, memory) => {
                        Entry::Assigned(ripas, PhysAddr::new(memory.get() + offset))
                    }
                    Entry::AssignedNs(mapping) => ns(mapping.output().get() + offset),
                    other => other,
                };
                assert_eq!(table.entry(index(i), level, FORMAT), expected, "entry {i}");
            }
            assert_eq!(table.folded(level, FORMAT), Some(entry));
        }
    }
}

#[test]
fn addresses_of_52_bits_unfold_and_fold() {
    let mut table = table();
    let entry = Entry::Assigned(Ripas::Ram, PhysAddr::new(0xf_ffff_c000_0000));
    table.unfold(entry, Level::Two, DescriptorFormat::Lpa2);
    let last = Entry::Assigned(Ripas::Ram, PhysAddr::new(0xf_ffff_ffe0_0000));
    assert_eq!(table.entry(index(511), Level::Two, DescriptorFormat::Lpa2), last);
    assert_eq!(table.folded(Level::Two, DescriptorFormat::Lpa2), Some(entry));
}

#[test]
fn one_entry_that_is_otherwise_keeps_a_table_from_being_folded() {
    for entry in foldable(Level::Two) {
        for at in [0, 1, 15, 16, 255, 511] {
            for other in foldable(Level::Three)
                .into_iter()
                .chain([Entry::Assigned(Ripas::Ram, PhysAddr::new(0))])
            {
                let mut table = table();
                table.unfold(entry, Level::Three, FORMAT);
                let before = table.entry(index(at), Level::Three, FORMAT);
                table.set(index(at), other, Level::Three, FORMAT);
                let folded = table.folded(Level::Three, FORMAT);
                assert_eq!(
                    folded,
                    (before == other).then_some(entry),
                    "{other:?} at {at} of {entry:?}"
                );
            }
        }
    }
}

#[test]
fn memory_that_begins_within_a_block_is_not_folded() {
    for misaligned in [0x1000, 0x10_0000] {
        let mut table = table();
        table.unfold(
            Entry::Assigned(Ripas::Ram, PhysAddr::new(0x20_0000 + misaligned)),
            Level::Three,
            FORMAT,
        );
        assert_eq!(table.folded(Level::Three, FORMAT), None);
        table.unfold(ns(0x20_0000 + misaligned), Level::Three, FORMAT);
        assert_eq!(table.folded(Level::Three, FORMAT), None);
    }
}

#[test]
fn tables_are_not_folded() {
    let mut table = table();
    for i in 0..512 {
        table.set(index(i), Entry::Table(granule(0x4000_0000)), Level::Two, FORMAT);
    }
    assert_eq!(table.folded(Level::Two, FORMAT), None);
}

#[test]
fn the_next_live_entry_is_found_wherever_it_is() {
    let live =
        [Entry::Assigned(Ripas::Empty, PhysAddr::new(0)), ns(0), Entry::Table(granule(0x1000))];
    let size = Level::Two.entry_size();
    let base = 0x40_0000_0000;
    for entry in live {
        for at in 0..512 {
            let mut table = table();
            table.unfold(Entry::Unassigned(Ripas::Destroyed), Level::Two, FORMAT);
            table.set(index(at), entry, Level::Two, FORMAT);
            for from in (0..512).step_by(if at % 37 == 0 { 1 } else { 73 }) {
                let within = 0x5000;
                let of = |index: usize| base + u64::try_from(index).expect("small") * size;
                let expected = match from.cmp(&at) {
                    core::cmp::Ordering::Less => of(at),
                    core::cmp::Ordering::Equal => of(from) + within,
                    core::cmp::Ordering::Greater => of(512),
                };
                let next = table.skip_non_live(ipa(of(from) + within), index(from), Level::Two);
                assert_eq!(next, ipa(expected), "from {from}, {entry:?} at {at}");
            }
        }
    }
}

#[test]
fn a_table_at_level_minus_one_ends_with_its_sixteen_entries() {
    let table = table();
    assert_eq!(table.skip_non_live(ipa(0x3000), index(0), Level::MinusOne), ipa(1 << 52));
    assert_eq!(table.skip_non_live(ipa(5 << 48), index(5), Level::MinusOne), ipa(1 << 52));
}
