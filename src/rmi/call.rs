// SPDX-License-Identifier: BSD-3-Clause
//! The types of the RMI ABI: function identifiers, versions, result words, and a call on its way
//! from arguments to answer.

use crate::abi::rmi::{status, version};
use crate::abi::smccc::{NOT_SUPPORTED, SVE_HINT};
use crate::arch::smc::Registers;
pub use crate::el3::version::Dialect;
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

/// The result of a command: a status, bits 7:0 of its result word, and an index, bits 15:8, 0
/// unless the variant says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Success,
    /// An argument is wrong.
    ErrorInput,
    /// The Realm is not in a state for this, or has something left that is in the way. The index is
    /// that of REC_ENTER alone: 0 for a Realm that is NEW, 1 for one that is SYSTEM_OFF.
    ErrorRealm(u8),
    /// The REC is not in a state for this.
    ErrorRec,
    /// The entry of the Realm's translation tables is not one for this. The index is the level of
    /// the table that it is in, as a signed byte.
    ErrorRtt(Level),
    /// Not in this state of the RMM (2.0).
    ErrorGlobal,
}

impl Status {
    /// The result word.
    pub const fn word(self) -> u64 {
        const fn word(status: u8, index: u8) -> u64 {
            u64::from_le_bytes([status, index, 0, 0, 0, 0, 0, 0])
        }
        match self {
            Self::Success => word(status::SUCCESS, 0),
            Self::ErrorInput => word(status::ERROR_INPUT, 0),
            Self::ErrorRealm(index) => word(status::ERROR_REALM, index),
            Self::ErrorRec => word(status::ERROR_REC, 0),
            Self::ErrorRtt(Level::MinusOne) => word(status::ERROR_RTT, 0xff),
            Self::ErrorRtt(Level::Zero) => word(status::ERROR_RTT, 0),
            Self::ErrorRtt(Level::One) => word(status::ERROR_RTT, 1),
            Self::ErrorRtt(Level::Two) => word(status::ERROR_RTT, 2),
            Self::ErrorRtt(Level::Three) => word(status::ERROR_RTT, 3),
            Self::ErrorGlobal => word(status::ERROR_GLOBAL, 0),
        }
    }
}

/// A command that has come in and is not answered yet.
///
/// Answering is the only way to get the [`Answered`] that every command returns, so none can end
/// without.
#[derive(Debug)]
pub struct Call<'a> {
    registers: &'a mut Registers,
}

/// Proof that a call has been answered.
#[derive(Debug)]
#[must_use]
pub struct Answered(());

impl<'a> Call<'a> {
    /// The call in x0-x7 as the host passed them.
    pub fn new(registers: &'a mut Registers) -> Self {
        Self { registers }
    }

    /// The function identifier, without the SVE hint.
    pub fn function(&self) -> u32 {
        // W0 alone names the function (SMCCC 2.5); the bits above it are not looked at.
        let [b0, b1, b2, b3, ..] = (self.registers[0] & !SVE_HINT).to_le_bytes();
        u32::from_le_bytes([b0, b1, b2, b3])
    }

    /// The first argument, x1.
    pub fn x1(&self) -> u64 {
        self.registers[1]
    }

    /// The second argument, x2.
    pub fn x2(&self) -> u64 {
        self.registers[2]
    }

    /// The third argument, x3.
    pub fn x3(&self) -> u64 {
        self.registers[3]
    }

    /// The fourth argument, x4.
    pub fn x4(&self) -> u64 {
        self.registers[4]
    }

    /// The fifth argument, x5.
    pub fn x5(&self) -> u64 {
        self.registers[5]
    }

    /// Answers with a status alone.
    pub fn answer(self, status: Status) -> Answered {
        self.answer_with(status, [0, 0, 0])
    }

    /// Answers with a status and x1-x3.
    pub fn answer_with(self, status: Status, outputs: [u64; 3]) -> Answered {
        self.respond(status.word(), outputs)
    }

    /// Answers with a status and x1-x4. For a command that defines x4 as an output; with all others
    /// x4 stays the caller's.
    pub fn answer_with_x4(self, status: Status, [x1, x2, x3, x4]: [u64; 4]) -> Answered {
        self.registers[4] = x4;
        self.respond(status.word(), [x1, x2, x3])
    }

    /// Answers that there is no such function.
    pub fn answer_unknown(self) -> Answered {
        self.respond(NOT_SUPPORTED, [0, 0, 0])
    }

    /// x0-x3 are written on every answer, so that nothing of the RMM's own is ever in them; x4-x7
    /// stay the caller's (SMCCC 1.2) unless the command defines them.
    fn respond(self, x0: u64, [x1, x2, x3]: [u64; 3]) -> Answered {
        let [r0, r1, r2, r3, ..] = self.registers;
        (*r0, *r1, *r2, *r3) = (x0, x1, x2, x3);
        Answered(())
    }
}
