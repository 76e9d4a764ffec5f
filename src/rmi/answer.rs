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

/// Status of a command that failed, with its index.
///
/// In the result word the status is bits 7:0, the index bits 15:8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// An argument is wrong.
    Input,
    /// The Realm is in a wrong state, or live. The index is 1 for RMI_REC_ENTER of a Realm in state
    /// SYSTEM_OFF, otherwise 0.
    Realm(u8),
    /// The REC is in a wrong state.
    Rec,
    /// The RTTE is in a wrong state. The index is the level of its table.
    Rtt(Level),
    /// The RMM is in a wrong state (2.0).
    Global,
    /// Another CPU works on it: the same call may succeed later (2.0).
    Busy,
    /// Operations that the host has not finished are in the way (2.0).
    Blocked,
    /// The host may not change the Granule Protection Table (2.0).
    Gpt,
    /// The host continues the operation with further calls (2.0).
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
        Self::Input
    }
}

impl From<ProbeError> for Status {
    fn from(_: ProbeError) -> Self {
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
