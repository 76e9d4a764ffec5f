// SPDX-License-Identifier: BSD-3-Clause
//! Instructions that looking a granule's state up takes on the host, by the number of banks and
//! their size.
//!
//! Bank by bank the figure should grow by a few instructions for those that are compared in line,
//! with the logarithm of their number beyond, and not at all with their size: a TiB, whose array of
//! 512 MiB is mapped where it is touched only, costs what 1 MiB does.

mod callgrind;

use std::process::ExitCode;

use rmm::address::PhysAddr;
use rmm::granule::{
    BankError, Epochs, GranuleAddress, GranuleEntry, GranuleTable, MemoryRange, Waiters,
};

const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

/// Number of banks, and bytes of each; the granule is in the middle of the last one.
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
    // What the host sets up at the first access of a thread is not counted.
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
