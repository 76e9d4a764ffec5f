// SPDX-License-Identifier: BSD-3-Clause
//! The machine that the tests run on, and calls to the RMM with the checks that hold for every
//! call.

use crate::el3::{El3, Pas};
use crate::machine::Machine;
use crate::memory::Memory;
use crate::system::System;
use rmm::address::PhysAddr;
use rmm::arch::smc::Registers;
use rmm::granule::{GranuleAddress, State};
use rmm::rmi::{Dialect, function};

pub const SUCCESS: u64 = 0;
pub const ERROR_INPUT: u64 = 1;
pub const UNKNOWN: u64 = u64::MAX;

/// Two banks. The first holds the carve-out of the RMM with the shared page, a granule of EL3 and a
/// granule of the Secure world.
pub const FIRST: (u64, u64) = (0x4000_0000, 0x60_000);
pub const SECOND: (u64, u64) = (0x8_8000_0000, 0x10_000);
pub const CARVE_OUT: (u64, u64) = (0x4001_0000, 0x8000);
pub const SECURE: u64 = 0x4003_0000;
pub const ROOT: u64 = 0x4003_1000;
/// A device outside all banks, accessible to any world.
pub const DEVICE: u64 = 0x0900_0000;

pub fn boot(dialect: Dialect) -> System<'static> {
    let el3 = El3::new(&[
        (FIRST.0, FIRST.1, Pas::NonSecure),
        (SECOND.0, SECOND.1, Pas::NonSecure),
        (DEVICE, 0x1000, Pas::Any),
    ]);
    for granule in (CARVE_OUT.0..CARVE_OUT.0 + CARVE_OUT.1).step_by(0x1000) {
        el3.set_pas(granule, Pas::Realm);
    }
    el3.set_pas(SECURE, Pas::Secure);
    el3.set_pas(ROOT, Pas::Root);
    let machine = Machine::new(Memory::new(&[FIRST, SECOND]), el3);
    let range = |(base, size)| (PhysAddr::new(base), size);
    System::boot(
        Box::leak(Box::default()),
        machine,
        dialect,
        &[range(FIRST), range(SECOND)],
        &[range(CARVE_OUT)],
    )
    .expect("the layout is right")
}

/// As [`boot`], and the host activates the RMM if the dialect has that command.
pub fn boot_active(dialect: Dialect) -> System<'static> {
    let system = boot(dialect);
    if dialect == Dialect::V2_0 {
        assert_eq!(call(&system, function::RMM_ACTIVATE, &[]), (SUCCESS, [0; 3]));
    }
    system
}

/// Calls the RMM, with a mark in every register that is not an argument. Checks that x4-x7 are
/// preserved and that x1-x3 hold only outputs. Gives x0 and the outputs.
pub fn call(system: &System<'_>, function: u32, arguments: &[u64]) -> (u64, [u64; 3]) {
    let mut registers: Registers =
        [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7].map(|mark| mark << 56 | mark);
    registers[0] = u64::from(function);
    registers[1..=arguments.len()].copy_from_slice(arguments);
    let before = registers;
    let after = system.call(&mut System::cpu(0), registers);
    assert_eq!(after[4..], before[4..], "x4-x7 come back");
    (after[0], [after[1], after[2], after[3]])
}

/// The granule that begins at `address`.
pub fn granule(address: u64) -> GranuleAddress {
    GranuleAddress::new(PhysAddr::new(address)).expect("aligned")
}

/// The state of the granule at `address` in the RMM's granule table.
pub fn state(system: &System<'_>, address: u64) -> Option<State> {
    system.rmm.granules().state(granule(address))
}
