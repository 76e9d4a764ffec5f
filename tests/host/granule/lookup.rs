// SPDX-License-Identifier: BSD-3-Clause
//! Which granules there are. Each is found at its address and nowhere else.

use std::time::Instant;

use kit::seed;
use rmm::granule::{
    BankError, Epochs, GranuleEntry, GranuleTable, LockError, MAX_BANKS, State, Waiters,
};

use super::*;

const GRANULE: u64 = 0x1000;

/// Ascending banks with random gaps, some without a gap.
fn random_banks(random: &mut fastrand::Rng, count: usize) -> Vec<(u64, u64)> {
    let mut next = random.u64(0..4) * GRANULE;
    (0..count)
        .map(|_| {
            let base = next + [0, random.u64(0..50) * GRANULE][random.usize(0..2)];
            let size = random.u64(1..20) * GRANULE;
            next = base + size;
            (base, size)
        })
        .collect()
}

#[test]
fn every_granule_of_1_to_64_random_banks_is_found_at_its_address_and_no_other_is() {
    let mut random = seed::generator("banks");
    for count in (1..=64).chain([65, 100, MAX_BANKS]) {
        let banks = random_banks(&mut random, count);
        let table = table(&banks, &[]).expect("the banks are right");
        let inside =
            |address| banks.iter().any(|&(base, size)| (base..base + size).contains(&address));
        let end = banks.last().map(|&(base, size)| base + size).expect("there is a bank");
        let granules: Vec<u64> = (0..end + 3 * GRANULE).step_by(0x1000).collect();
        for &address in &granules {
            assert_eq!(
                table.state(at(address)),
                inside(address).then_some(State::Ns),
                "{address:#x} in {banks:x?}"
            );
        }
        // Each address has its own record: delegating one changes no other.
        let chosen: Vec<u64> =
            banks.iter().flat_map(|&(base, size)| [base, base + size - GRANULE]).collect();
        for (index, &address) in chosen.iter().enumerate() {
            if table.state(at(address)) == Some(State::Ns) {
                delegate(&table, address);
            }
            let delegated = |address: &&u64| table.state(at(**address)) == Some(State::Delegated);
            let expected: std::collections::BTreeSet<_> = chosen[..=index].iter().collect();
            assert!(granules.iter().filter(delegated).eq(expected));
        }
    }
}

#[test]
fn an_address_outside_the_banks_cannot_be_locked() {
    let table = table(&[(0x4000_0000, 0x2000), (0x8000_0000, 0x1000), (0x9000_0000, 0x1000)], &[])
        .expect("right");
    for address in [0, 0x3fff_f000, 0x4000_2000, 0x7fff_f000, 0x8000_1000, 0x9000_1000, !0xfff] {
        assert_eq!(table.lock_ns(cpu(0), at(address)).unwrap_err(), LockError::Unknown);
        assert_eq!(table.state(at(address)), None);
    }
}

#[test]
fn excluded_ranges_are_unknown_whatever_the_banks_say() {
    let mut random = seed::generator("excluded");
    for _ in 0..seed::cases(200) {
        let count = random.usize(1..10);
        let banks = random_banks(&mut random, count);
        // Holes in any order: overlapping, unaligned, empty, in gaps and across banks.
        let holes: Vec<(u64, u64)> = (0..random.usize(0..6))
            .map(|_| {
                (
                    random.u64(0..200 * GRANULE),
                    [0, 1, random.u64(0..20 * GRANULE)][random.usize(0..3)],
                )
            })
            .collect();
        let table = table(&banks, &holes).expect("the banks are right");
        for address in (0..400 * GRANULE).step_by(0x1000) {
            let inside = banks.iter().any(|&(base, size)| (base..base + size).contains(&address));
            let hole = holes.iter().any(|&(base, size)| {
                size != 0 && base < address + GRANULE && base + size > address
            });
            assert_eq!(
                table.state(at(address)),
                (inside && !hole).then_some(State::Ns),
                "{address:#x}; {banks:x?} less {holes:x?}"
            );
        }
    }
    assert_eq!(
        table(&[(0x1000, 0x2000)], &[(0, u64::MAX)]).expect("right").state(at(0x1000)),
        None
    );
    assert_eq!(
        table(&[(0x1000, 0x2000)], &[(0x2000, u64::MAX)]).expect("right").state(at(0x2000)),
        None
    );
}

#[test]
fn banks_that_are_wrong_are_refused_with_the_reason() {
    let address = PhysAddr::new;
    for (banks, error) in [
        (&[(0x1000, 0)][..], BankError::Empty(address(0x1000))),
        (&[(0x1800, 0x1000)], BankError::Unaligned(address(0x1800))),
        (&[(0x1000, 0x1800)], BankError::Unaligned(address(0x1000))),
        (&[(!0xfff, 0x1000)], BankError::Wraps(address(!0xfff))),
        (&[(0x1000, !0xfff)], BankError::Wraps(address(0x1000))),
        (&[(0x2000, 0x1000), (0x1000, 0x1000)], BankError::NotAscending(address(0x1000))),
        (&[(0x1000, 0x2000), (0x2000, 0x1000)], BankError::NotAscending(address(0x2000))),
        (&[(0x1000, 0x1000), (0x1000, 0x1000)], BankError::NotAscending(address(0x1000))),
    ] {
        assert_eq!(table(banks, &[]).unwrap_err(), error);
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(
        BankError::TooManyBanks { needed: 257, available: 256 }.to_string(),
        "there are 257 memory banks and room for 256"
    );
    let many: Vec<_> = (0..=256).map(|index| (index * 0x2000, 0x1000)).collect();
    assert_eq!(
        table(&many, &[]).unwrap_err(),
        BankError::TooManyBanks { needed: 257, available: MAX_BANKS }
    );
    assert!(table(&many[1..], &[]).is_ok());
    // A hole at the beginning of a bank leaves no empty bank. One in the middle makes two banks.
    assert!(table(&many[1..], &[(many[1].0, 0x800)]).is_ok());
    let wide: Vec<_> = many[1..].iter().map(|(base, _)| (base << 4, 0x3000)).collect();
    let split = table(&wide, &[(wide[7].0 + 0x1000, 1)]).unwrap_err();
    assert_eq!(split, BankError::TooManyBanks { needed: 257, available: MAX_BANKS });
    assert!(table(&wide, &[(wide[7].0, 1)]).is_ok());
    assert!(table(&wide, &[(wide[7].0 + 0x2000, 1)]).is_ok());
}

#[test]
fn a_table_shows_its_banks_and_their_granules() {
    let table = table(&[(0x1000, 0x3000)], &[(0x2000, 1)]).expect("right");
    assert_eq!(format!("{table:?}"), "[(PhysAddr(0x1000), 1), (PhysAddr(0x3000), 1)]");
}

#[test]
fn too_little_storage_is_refused_with_both_numbers() {
    let banks = ranges(&[(0x1000, 0x3000), (0x8000, 0x2000)]);
    let excluded = ranges(&[(0x2000, 0x1000)]);
    assert_eq!(GranuleTable::required(banks.iter().copied(), &excluded), Ok(4));
    for available in 0..6 {
        let mut storage: Vec<_> = (0..available).map(|_| GranuleEntry::new()).collect();
        let (waiters, epochs) = (Waiters::new(), Epochs::new());
        let built =
            GranuleTable::new(&mut storage, &waiters, &epochs, banks.iter().copied(), &excluded);
        let error = BankError::TooFewEntries { needed: 4, available };
        assert_eq!(built.err(), (available < 4).then_some(error));
        assert_eq!(
            error.to_string(),
            format!("the granule array needs 4 entries and has {available}")
        );
    }
}

#[test]
fn runs_of_one_kind_end_where_the_kind_changes() {
    // The first two banks are adjacent and form one. Any address within a granule finds it.
    let table = table(&[(0x1000, 0x2000), (0x3000, 0x1000), (0x8000, 0x1000)], &[]).expect("right");
    for (address, tracked, end) in [
        (0, false, Some(0x1000)),
        (0xfff, false, Some(0x1000)),
        (0x1000, true, Some(0x4000)),
        (0x2800, true, Some(0x4000)),
        (0x3fff, true, Some(0x4000)),
        (0x4000, false, Some(0x8000)),
        (0x8000, true, Some(0x9000)),
        (0x9000, false, None),
        (u64::MAX, false, None),
    ] {
        let region = table.tracking_region(PhysAddr::new(address));
        assert_eq!(
            (region.is_tracked, region.end),
            (tracked, end.map(PhysAddr::new)),
            "{address:#x}"
        );
    }
}

#[test]
#[cfg_attr(miri, ignore = "it takes half a GiB")]
fn a_table_of_1_tib_works() {
    const TIB: u64 = 1 << 40;
    let banks = ranges(&[(TIB, TIB)]);
    let entries = GranuleTable::required(banks.iter().copied(), &[]).expect("right");
    assert_eq!(entries, 1 << 28);
    // SAFETY: all bits zero is a `GranuleEntry`. The operating system provides such memory on first
    // use.
    let mut storage = unsafe { Box::<[GranuleEntry]>::new_zeroed_slice(entries).assume_init() };
    let (waiters, epochs) = (Waiters::new(), Epochs::new());
    let table = GranuleTable::new(&mut storage, &waiters, &epochs, banks.iter().copied(), &[])
        .expect("right");
    for address in [TIB, TIB + 0x1000, TIB + (TIB >> 1), 2 * TIB - 0x1000] {
        delegate(&table, address);
        assert_eq!(table.state(at(address)), Some(State::Delegated));
    }
    for address in [TIB - 0x1000, 2 * TIB, 0, TIB + 0x2000] {
        assert_eq!(
            table.state(at(address)),
            (TIB..2 * TIB).contains(&address).then_some(State::Ns)
        );
    }
    print_cost("1 TiB in 1 bank", &table, TIB);
}

/// Prints the time of a look-up for information. Nothing is asserted.
fn print_cost(what: &str, table: &GranuleTable<'_>, base: u64) {
    const LOOK_UPS: u64 = 1_000_000;
    let start = Instant::now();
    let found = (0..LOOK_UPS)
        .filter(|index| table.state(at(base + (index % 64) * 0x1000)).is_some())
        .count();
    println!(
        "{what}: {:?} a look-up, {found} found",
        start.elapsed() / u32::try_from(LOOK_UPS).expect("small")
    );
}

#[test]
#[cfg_attr(miri, ignore = "it measures time")]
fn cost_of_a_look_up_is_printed_for_few_banks_and_for_many() {
    for count in [1_u64, 2, 3, 64, 256] {
        let banks: Vec<_> = (0..count).map(|index| (index * 0x10_0000, 0x4_0000)).collect();
        let table = table(&banks, &[]).expect("right");
        print_cost(&format!("the last of {count} banks"), &table, (count - 1) * 0x10_0000);
    }
}
