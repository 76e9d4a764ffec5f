// SPDX-License-Identifier: BSD-3-Clause
//! Calls of the RMI: decodes registers to a command, and encodes its result. Only this file knows
//! the content of x0 to x8.
//!
//! A dialect is a table of commands ([`crate::command`]). A handler takes decoded arguments and
//! returns [`Outcome`].

pub use super::answer::{Failure, Outcome, Status};
use super::state::Rmm;
pub(super) use crate::abi::rmi::function;
use crate::abi::rmi::{status, version};
use crate::abi::rmi_v1::DataFlags;
use crate::abi::smccc::NOT_SUPPORTED;
use crate::address::PhysAddr;
use crate::arch::smc::Registers;
use crate::command::{self, Argument};
pub use crate::el3::version::Dialect;
use crate::granule::GranuleAddress;
use crate::percpu::Cpu;
use crate::xlat::Level;

impl Dialect {
    /// The version word: major in bits 30:16, minor in bits 15:0.
    pub const fn version(self) -> u64 {
        match self {
            Self::V1_0 => version::V1_0,
            Self::V2_0 => version::V2_0,
        }
    }
}

/// An address that need not be aligned, or that names a page of the host.
impl Argument for PhysAddr {
    fn decode(register: u64) -> Option<Self> {
        Some(Self::new(register))
    }
}

impl Argument for GranuleAddress {
    fn decode(register: u64) -> Option<Self> {
        Self::new(PhysAddr::new(register))
    }
}

/// A level of translation, signed.
impl Argument for Level {
    fn decode(register: u64) -> Option<Self> {
        Self::from_number(register.cast_signed())
    }
}

impl Argument for DataFlags {
    fn decode(register: u64) -> Option<Self> {
        Self::from_bits(register)
    }
}

/// Serves one command.
pub type Serve = fn(&Rmm<'_>, &mut Cpu, &mut Registers);

/// The prefix of command names.
pub(super) const INTERFACE: &str = "RMI";

/// The error of a call with an argument that cannot be decoded.
pub(super) const INVALID_ARGUMENT: Status = Status::INPUT;

/// Runs a command and writes its answer.
///
/// x0 to x3 are always written; x4 to x7 are unchanged (SMCCC 1.2) unless they are outputs.
pub(super) fn answer<const OUTPUTS: usize>(
    registers: &mut Registers,
    command: impl FnOnce() -> Outcome<OUTPUTS>,
) {
    const { assert!(OUTPUTS <= 4, "x1 to x4") };
    let (result, [x1, x2, x3]) = match command() {
        Ok(outputs) => {
            if let Some(x4) = outputs.get(3) {
                registers[4] = *x4;
            }
            (u64::from(status::SUCCESS), core::array::from_fn(|n| *outputs.get(n).unwrap_or(&0)))
        }
        Err(failure) => (failure.status.word(), failure.outputs),
    };
    let [r0, r1, r2, r3, ..] = registers;
    (*r0, *r1, *r2, *r3) = (result, x1, x2, x3);
}

/// The first function identifier of a table. The RMI begins at 0xC4000150; with that number the
/// compiler makes more instructions.
const FIRST: u32 = 0xC400_014F;

/// The commands of a dialect, by function identifier.
pub(super) type Dispatch<const FUNCTIONS: usize> = command::Dispatch<Serve, FIRST, FUNCTIONS>;

/// Serves the call in `registers` by `serve`: `None` if there is no such function.
pub(super) fn serve(serve: Option<Serve>, rmm: &Rmm<'_>, cpu: &mut Cpu, registers: &mut Registers) {
    match serve {
        Some(serve) => serve(rmm, cpu, registers),
        None => {
            let [r0, r1, r2, r3, ..] = registers;
            (*r0, *r1, *r2, *r3) = (NOT_SUPPORTED, 0, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::smccc::SVE_HINT;
    use crate::command::Trace;
    use crate::rmi::v1;

    #[test]
    fn a_call_is_traced_with_the_names_of_its_arguments_and_outputs() {
        let before = [u64::from(function::RTT_FOLD) | SVE_HINT, 0x1000, 0x4000_0000, 3, 4, 5, 6, 7];
        let after = [0, 0x2000, 0, 0, 4, 5, 6, 7];
        let line = Trace { commands: v1::COMMANDS, before: &before, after: &after }.to_string();
        assert_eq!(line, "RMI_RTT_FOLD rd=0x1000 ipa=0x40000000 level=0x3 -> 0x0 rtt=0x2000");
        let unknown = Trace::<Serve> { commands: &[], before: &before, after: &after }.to_string();
        assert_eq!(unknown, "unknown function 0xc4000166");
    }
}
