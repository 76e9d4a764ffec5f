// SPDX-License-Identifier: BSD-3-Clause
//! The result of a command: its status word, and the errors of lower rooms that it stands for.

use crate::abi::rmi::status;
use crate::granule::{LockError, ProbeError, WipeError};
use crate::mem::NsAccessError;
use crate::psci::PsciError;
use crate::realm::RealmError;
use crate::realm::stage2::{RangeError, WalkError};
use crate::run::EnterError;
use crate::xlat::Level;

/// Status of a command that failed, with its index, as in the result word: the status is bits 7:0,
/// the index bits 15:8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(u16);

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
    /// An argument is wrong.
    pub const INPUT: Self = Self::new(status::ERROR_INPUT, 0);
    /// The REC is in a wrong state.
    pub const REC: Self = Self::new(status::ERROR_REC, 0);
    /// The RMM is in a wrong state (2.0).
    pub const GLOBAL: Self = Self::new(status::ERROR_GLOBAL, 0);
    /// Another CPU works on it: the same call may succeed later (2.0).
    pub const BUSY: Self = Self::new(status::BUSY, 0);
    /// Operations that the host has not finished are in the way (2.0).
    pub const BLOCKED: Self = Self::new(status::BLOCKED, 0);
    /// The host may not change the Granule Protection Table (2.0).
    pub const GPT: Self = Self::new(status::ERROR_GPT, 0);

    /// The Realm is in a wrong state, or live. The index is 1 for RMI_REC_ENTER of a Realm in state
    /// SYSTEM_OFF, otherwise 0.
    pub const fn realm(index: u8) -> Self {
        Self::new(status::ERROR_REALM, index)
    }

    /// The RTTE is in a wrong state, in a table of this level.
    pub const fn rtt(level: Level) -> Self {
        Self::new(status::ERROR_RTT, level.number().to_le_bytes()[0])
    }

    /// The host continues the operation with further calls (2.0): what the RMM wants next, and
    /// whether the host may cancel it now.
    pub const fn incomplete(request: MemoryRequest, can_cancel: bool) -> Self {
        Self::new(status::INCOMPLETE, request as u8 | (can_cancel as u8) << 2)
    }

    const fn new(status: u8, index: u8) -> Self {
        Self(u16::from_le_bytes([status, index]))
    }

    /// The result word.
    pub fn word(self) -> u64 {
        self.0.into()
    }
}

/// Why a command failed, with outputs, which few commands have when they fail.
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

/// The result of a command: outputs in x1 and up, or a failure.
pub type Outcome<const OUTPUTS: usize = 0> = Result<[u64; OUTPUTS], Failure>;

impl From<WipeError> for Status {
    fn from(_: WipeError) -> Self {
        Self::INPUT
    }
}

impl From<ProbeError> for Status {
    fn from(_: ProbeError) -> Self {
        Self::INPUT
    }
}

impl From<LockError> for Status {
    fn from(_: LockError) -> Self {
        Self::INPUT
    }
}

impl From<NsAccessError> for Status {
    fn from(_: NsAccessError) -> Self {
        Self::INPUT
    }
}

impl From<RangeError> for Status {
    fn from(_: RangeError) -> Self {
        Self::INPUT
    }
}

impl From<PsciError> for Status {
    fn from(_: PsciError) -> Self {
        Self::INPUT
    }
}

impl From<WalkError> for Status {
    fn from(error: WalkError) -> Self {
        Self::rtt(error.level())
    }
}

impl From<EnterError> for Status {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::Input => Self::INPUT,
            EnterError::RealmNew => Self::realm(0),
            EnterError::RealmOff => Self::realm(1),
            EnterError::Rec => Self::REC,
        }
    }
}

impl From<RealmError> for Status {
    fn from(error: RealmError) -> Self {
        match error {
            RealmError::Granule(_)
            | RealmError::Memory
            | RealmError::VmidInUse
            | RealmError::Rec => Self::INPUT,
            RealmError::State | RealmError::Live | RealmError::Full => Self::realm(0),
            RealmError::RecRunning => Self::REC,
        }
    }
}
