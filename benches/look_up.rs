// SPDX-License-Identifier: BSD-3-Clause
//! Instructions of a look-up of a granule's state on the host, by the number of banks and their
//! size.
//!
//! A few banks are compared in line, a few instructions each; beyond that the figure grows with the
//! logarithm of their number. It does not depend on their size: a TiB, with an array of 512 MiB
//! that is mapped on first use, costs the same as 1 MiB.

mod callgrind;

use std::process::ExitCode;

use rmm::address::PhysAddr;
use rmm::granule::{
    BankError, Epochs, GranuleAddress, GranuleEntry, GranuleTable, MemoryRange, Waiters,
};

const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

/// The number of banks, and the bytes of each. The granule is in the middle of the last one.
const CASES: [(u64, u64); 9] = [
    (1, MIB),
    (1, TIB),
    (2, MIB),
    (3, MIB),
    (4, MIB),
    (16, MIB),
    (64, MIB),
    (64, TIB / 64),
    (256, MIB),
];

fn run(count: u64, size: u64) -> Result<(), BankError> {
    let banks = (0..count).map(|index| -> MemoryRange { (PhysAddr::new(2 * index * size), size) });
    let entries = GranuleTable::required(banks.clone(), &[])?;
    // SAFETY: all bits zero is a `GranuleEntry`.
    let mut storage = unsafe { Box::<[GranuleEntry]>::new_zeroed_slice(entries).assume_init() };
    let (waiters, epochs) = (Waiters::new(), Epochs::new());
    let table = GranuleTable::new(&mut storage, &waiters, &epochs, banks, &[])?;
    let middle = PhysAddr::new(2 * (count - 1) * size + size / 2);
    let look_up = || GranuleAddress::new(middle).and_then(|granule| table.state(granule));
    // What the host sets up at a thread's first access is not counted.
    assert!(look_up().is_some(), "the granule is in a bank");
    callgrind::measured(look_up);
    Ok(())
}

fn main() -> ExitCode {
    let names = CASES.map(|(count, size)| match count * size / TIB {
        0 => format!("the last of {count} banks"),
        tib => format!("the last of {count} banks, {tib} TiB in all"),
    });
    callgrind::main("Look-up of a granule, on the host", &names, |index| {
        CASES.get(index).map_or(Ok(()), |&(count, size)| run(count, size))
    })
}
