// SPDX-License-Identifier: BSD-3-Clause
//! Counts on the model machine, kept as figures. Each is asserted, and printed as a line `figure:
//! SECTION | NAME | NUMBER`, which `make bench` collects.

mod sharing;
mod slots;

use kit::machine::Machine;
use kit::system::{Storage, System};
use rmm::address::PhysAddr;
use rmm::granule::GranuleAddress;
use rmm::rmi::{Dialect, function};

/// The one bank of memory: base and bytes.
const BANK: (u64, u64) = (0x8000_0000, 256 << 20);

/// An RMM on a machine with one bank.
fn boot(dialect: Dialect) -> System<'static> {
    let storage = Box::leak(Box::new(Storage::default()));
    let bank = [(PhysAddr::new(BANK.0), BANK.1)];
    let system = System::boot(storage, Machine::with_dram(&[BANK]), dialect, &bank, &[])
        .expect("the bank is right");
    if dialect == Dialect::V2_0 {
        let registers = [u64::from(function::RMM_ACTIVATE), 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(system.call(&mut System::cpu(0), registers)[0], 0);
    }
    system
}

/// The granule with this number.
fn granule(number: u64) -> GranuleAddress {
    GranuleAddress::new(PhysAddr::new(BANK.0 + number * 0x1000)).expect("aligned")
}

fn figure(section: &str, name: &str, number: usize) {
    println!("figure: {section} | {name} | {number}");
}
