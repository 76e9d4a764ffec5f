// SPDX-License-Identifier: BSD-3-Clause
//! From registers to a command and back: the only place that knows what x0 to x8 hold.
//!
//! A dialect is a table of commands ([`crate::command`]). A handler takes decoded arguments and
//! returns [`Outcome`].

use super::state::Rmm;
pub(super) use crate::abi::rmi::function;
use crate::abi::rmi::{status, version};
use crate::abi::rmi_v1::DataFlags;
use crate::abi::smccc::NOT_SUPPORTED;
use crate::address::PhysAddr;
use crate::arch::smc::Registers;
use crate::command::{self, Argument};
pub use crate::el3::version::Dialect;
use crate::granule::{GranuleAddress, LockError, WipeError};
use crate::mem::NsAccessError;
use crate::percpu::Cpu;
use crate::psci::PsciError;
use crate::realm::RealmError;
use crate::realm::stage2::{RangeError, WalkError};
use crate::run::EnterError;
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

/// Status of a command that failed, with its index.
///
/// In the result word the status is bits 7:0, the index bits 15:8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// An argument is wrong.
    Input,
    /// The Realm is in a wrong state, or live. The index is not 0 only for RMI_REC_ENTER of a Realm
    /// in state SYSTEM_OFF: 1.
    Realm(u8),
    /// The REC is in a wrong state.
    Rec,
    /// The RTTE is in a wrong state. The index is the level of its table.
    Rtt(Level),
    /// The RMM is in a wrong state (2.0).
    Global,
    /// Another CPU is at it: the same call may succeed when it is repeated (2.0).
    Busy,
    /// An operation that the host has not finished is in the way (2.0).
    Blocked,
    /// The Granule Protection Table is not the host's to change (2.0).
    Gpt,
    /// The operation goes on with further calls of the host (2.0).
    Incomplete {
        /// What the RMM wants next.
        request: MemoryRequest,
        /// Whether the host may cancel it now.
        can_cancel: bool,
    },
}

/// RmiOpMemReq: what a stateful operation wants next (RMI 2.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MemoryRequest {
    /// RMI_OP_CONTINUE.
    None = 0,
    /// RMI_OP_MEM_DONATE.
    Donate = 1,
    /// RMI_OP_MEM_RECLAIM.
    Reclaim = 2,
}

impl Status {
    /// The result word.
    pub const fn word(self) -> u64 {
        let (status, index) = match self {
            Self::Input => (status::ERROR_INPUT, 0),
            Self::Realm(index) => (status::ERROR_REALM, index),
            Self::Rec => (status::ERROR_REC, 0),
            Self::Rtt(level) => (status::ERROR_RTT, level.number().to_le_bytes()[0]),
            Self::Global => (status::ERROR_GLOBAL, 0),
            Self::Busy => (status::BUSY, 0),
            Self::Blocked => (status::BLOCKED, 0),
            Self::Gpt => (status::ERROR_GPT, 0),
            Self::Incomplete { request, can_cancel } => {
                (status::INCOMPLETE, request as u8 | (can_cancel as u8) << 2)
            }
        };
        u64::from_le_bytes([status, index, 0, 0, 0, 0, 0, 0])
    }
}

/// Why a command failed, and its outputs, which few commands have then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status.
    pub status: Status,
    /// x1 to x3.
    pub outputs: [u64; 3],
}

impl<E: Into<Status>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { status: error.into(), outputs: [0; 3] }
    }
}

/// How a command ends: with outputs in x1 and up, or not.
pub type Outcome<const OUTPUTS: usize = 0> = Result<[u64; OUTPUTS], Failure>;

impl From<WipeError> for Status {
    fn from(_: WipeError) -> Self {
        Self::Input
    }
}

impl From<LockError> for Status {
    fn from(_: LockError) -> Self {
        Self::Input
    }
}

impl From<NsAccessError> for Status {
    fn from(_: NsAccessError) -> Self {
        Self::Input
    }
}

impl From<RangeError> for Status {
    fn from(_: RangeError) -> Self {
        Self::Input
    }
}

impl From<PsciError> for Status {
    fn from(_: PsciError) -> Self {
        Self::Input
    }
}

impl From<WalkError> for Status {
    fn from(error: WalkError) -> Self {
        Self::Rtt(error.level())
    }
}

impl From<EnterError> for Status {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::Input => Self::Input,
            EnterError::RealmNew => Self::Realm(0),
            EnterError::RealmOff => Self::Realm(1),
            EnterError::Rec => Self::Rec,
        }
    }
}

impl From<RealmError> for Status {
    fn from(error: RealmError) -> Self {
        match error {
            RealmError::Granule(_)
            | RealmError::Memory
            | RealmError::VmidInUse
            | RealmError::Rec => Self::Input,
            RealmError::State | RealmError::Live | RealmError::Full => Self::Realm(0),
            RealmError::RecRunning => Self::Rec,
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

/// The prefix of names.
pub(super) const INTERFACE: &str = "RMI";

/// What a command fails with if an argument cannot be decoded.
pub(super) const INVALID_ARGUMENT: Status = Status::Input;

/// Runs a command and writes its answer.
///
/// x0 to x3 are always written, so that nothing of the RMM is ever in them; x4 to x7 stay the
/// caller's (SMCCC 1.2) unless they are outputs.
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

/// The first function identifier that has a place in a table. The RMI begins at 0xC4000150; with
/// such a round number the compiler masks bits that it then compares.
const FIRST: u32 = 0xC400_014F;
/// Function identifiers from [`FIRST`] on that a table has room for.
const FUNCTIONS: usize = 0x100;

/// The commands of a dialect, by function identifier.
pub(super) type Dispatch = command::Dispatch<Serve, FIRST, FUNCTIONS>;

/// Serves the call in `registers`.
pub(super) fn serve(dispatch: &Dispatch, rmm: &Rmm<'_>, cpu: &mut Cpu, registers: &mut Registers) {
    match dispatch.find(command::function(registers[0])) {
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
