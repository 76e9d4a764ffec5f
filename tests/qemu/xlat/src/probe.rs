// SPDX-License-Identifier: BSD-3-Clause
//! Accesses to addresses of a tested context. A fault is returned as a value.

use core::fmt;

/// The result of an access.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded. The word read or returned; 0 for a store.
    Done(u64),
    /// A translation fault at this level.
    Translation(i8),
    /// A permission fault at this level.
    Permission(i8),
    /// The code that was called has no landing pad.
    BranchTarget,
    /// Any other fault, by its syndrome.
    Other(u64),
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(value) => write!(f, "{value:#x}"),
            Self::Translation(level) => write!(f, "translation fault at level {level}"),
            Self::Permission(level) => write!(f, "permission fault at level {level}"),
            Self::BranchTarget => write!(f, "branch target exception"),
            Self::Other(syndrome) => write!(f, "exception with ESR {syndrome:#x}"),
        }
    }
}

#[repr(C)]
struct Probed {
    value: u64,
    syndrome: u64,
}

unsafe extern "C" {
    fn probe_load(address: u64) -> Probed;
    fn probe_store(address: u64, value: u64) -> Probed;
    fn probe_call(address: u64) -> Probed;
}

/// The fault for a status code of ESR_ELx or PAR_EL1.
pub fn fault(status: u64) -> Option<Outcome> {
    let level = |bits: u64| i8::try_from(bits & 3).unwrap_or(0);
    match status & 0x3f {
        0b10_1011 => Some(Outcome::Translation(-1)),
        status @ 0b00_0100..=0b00_0111 => Some(Outcome::Translation(level(status))),
        status @ 0b00_1100..=0b00_1111 => Some(Outcome::Permission(level(status))),
        _ => None,
    }
}

impl Probed {
    fn outcome(self, class: u64) -> Outcome {
        const BRANCH_TARGET: u64 = 0x0d;
        match self.syndrome >> 26 & 0x3f {
            0 if self.syndrome == 0 => Outcome::Done(self.value),
            BRANCH_TARGET => Outcome::BranchTarget,
            taken if taken == class => {
                fault(self.syndrome).unwrap_or(Outcome::Other(self.syndrome))
            }
            _ => Outcome::Other(self.syndrome),
        }
    }
}

/// Exception class of a data abort without a change of level.
const DATA_ABORT: u64 = 0x25;
/// Exception class of an instruction abort without a change of level.
const INSTRUCTION_ABORT: u64 = 0x21;

/// Reads the word at an aligned address.
pub fn load(address: u64) -> Outcome {
    // SAFETY: a test gives an address of its own memory, or an unmapped one. A fault is recovered.
    unsafe { probe_load(address) }.outcome(DATA_ABORT)
}

/// Writes the word at an aligned address.
pub fn store(address: u64, value: u64) -> Outcome {
    // SAFETY: as in `load`; Rust keeps nothing in the test memory.
    let probed = unsafe { probe_store(address, value) };
    Probed { value: 0, ..probed }.outcome(DATA_ABORT)
}

/// Calls the code at an address.
pub fn call(address: u64) -> Outcome {
    // SAFETY: the test's own code there changes only x0. A fault is recovered.
    unsafe { probe_call(address) }.outcome(INSTRUCTION_ABORT)
}
