// SPDX-License-Identifier: BSD-3-Clause
//! The types of the RMI ABI: function identifiers, versions, result words, and a call on its way
//! from arguments to answer.

use crate::arch::smc::Registers;
pub use crate::el3::version::Dialect;
use crate::xlat::Level;

impl Dialect {
    /// The version word: major in bits 30:16, minor in bits 15:0.
    pub const fn version(self) -> u64 {
        match self {
            Self::V1_0 => 0x1_0000,
            Self::V2_0 => 0x2_0000,
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
            Self::Success => word(0, 0),
            Self::ErrorInput => word(1, 0),
            Self::ErrorRealm(index) => word(2, index),
            Self::ErrorRec => word(3, 0),
            Self::ErrorRtt(Level::MinusOne) => word(4, 0xff),
            Self::ErrorRtt(Level::Zero) => word(4, 0),
            Self::ErrorRtt(Level::One) => word(4, 1),
            Self::ErrorRtt(Level::Two) => word(4, 2),
            Self::ErrorRtt(Level::Three) => word(4, 3),
            Self::ErrorGlobal => word(11, 0),
        }
    }
}

/// What x0 holds for a function that there is not (SMCCC: NOT_SUPPORTED).
const UNKNOWN_FUNCTION: u64 = u64::MAX;

/// What every function identifier of the RMI has above its number: a fast SMC64 call of the
/// standard service range.
const FUNCTION_BASE: u64 = 0xC400_0000;

/// Function numbers: function identifiers less 0xC400_0000.
pub mod function {
    /// RMI_VERSION.
    pub const VERSION: u32 = 0x150;
    /// RMI_GRANULE_DELEGATE (1.0).
    pub const GRANULE_DELEGATE: u32 = 0x151;
    /// RMI_GRANULE_UNDELEGATE (1.0).
    pub const GRANULE_UNDELEGATE: u32 = 0x152;
    /// RMI_DATA_CREATE (1.0).
    pub const DATA_CREATE: u32 = 0x153;
    /// RMI_DATA_CREATE_UNKNOWN (1.0).
    pub const DATA_CREATE_UNKNOWN: u32 = 0x154;
    /// RMI_DATA_DESTROY (1.0).
    pub const DATA_DESTROY: u32 = 0x155;
    /// RMI_REALM_ACTIVATE.
    pub const REALM_ACTIVATE: u32 = 0x157;
    /// RMI_REALM_CREATE.
    pub const REALM_CREATE: u32 = 0x158;
    /// RMI_REALM_DESTROY.
    pub const REALM_DESTROY: u32 = 0x159;
    /// RMI_REC_CREATE.
    pub const REC_CREATE: u32 = 0x15A;
    /// RMI_REC_DESTROY.
    pub const REC_DESTROY: u32 = 0x15B;
    /// RMI_REC_ENTER.
    pub const REC_ENTER: u32 = 0x15C;
    /// RMI_RTT_CREATE.
    pub const RTT_CREATE: u32 = 0x15D;
    /// RMI_RTT_DESTROY.
    pub const RTT_DESTROY: u32 = 0x15E;
    /// RMI_RTT_MAP_UNPROTECTED (1.0).
    pub const RTT_MAP_UNPROTECTED: u32 = 0x15F;
    /// RMI_RTT_READ_ENTRY.
    pub const RTT_READ_ENTRY: u32 = 0x161;
    /// RMI_RTT_UNMAP_UNPROTECTED (1.0).
    pub const RTT_UNMAP_UNPROTECTED: u32 = 0x162;
    /// RMI_PSCI_COMPLETE.
    pub const PSCI_COMPLETE: u32 = 0x164;
    /// RMI_FEATURES.
    pub const FEATURES: u32 = 0x165;
    /// RMI_RTT_FOLD.
    pub const RTT_FOLD: u32 = 0x166;
    /// RMI_REC_AUX_COUNT (1.0).
    pub const REC_AUX_COUNT: u32 = 0x167;
    /// RMI_RTT_INIT_RIPAS.
    pub const RTT_INIT_RIPAS: u32 = 0x168;
    /// RMI_RTT_SET_RIPAS.
    pub const RTT_SET_RIPAS: u32 = 0x169;
    /// RMI_RMM_CONFIG_SET (2.0).
    pub const RMM_CONFIG_SET: u32 = 0x16E;
    /// RMI_GRANULE_TRACKING_GET (2.0).
    pub const GRANULE_TRACKING_GET: u32 = 0x1E1;
    /// RMI_RMM_CONFIG_GET (2.0).
    pub const RMM_CONFIG_GET: u32 = 0x1EC;
    /// RMI_GRANULE_RANGE_DELEGATE (2.0).
    pub const GRANULE_RANGE_DELEGATE: u32 = 0x1F1;
    /// RMI_GRANULE_RANGE_UNDELEGATE (2.0).
    pub const GRANULE_RANGE_UNDELEGATE: u32 = 0x1F2;
    /// RMI_RMM_ACTIVATE (2.0).
    pub const RMM_ACTIVATE: u32 = 0x202;
}

/// FID bit 16: the caller has no live SVE state (SMCCC 1.3). A hint, not part of the function.
const SVE_HINT: u64 = 1 << 16;

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

    /// The function number, whatever the SVE hint; one that is not in [`function`] for an
    /// identifier outside the RMI's range.
    pub fn function(&self) -> u32 {
        // W0 alone names the function (SMCCC 2.5); the bits above it are not looked at.
        let [b0, b1, b2, b3, ..] = ((self.registers[0] & !SVE_HINT) ^ FUNCTION_BASE).to_le_bytes();
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
        self.respond(UNKNOWN_FUNCTION, [0, 0, 0])
    }

    /// x0-x3 are written on every answer, so that nothing of the RMM's own is ever in them; x4-x7
    /// stay the caller's (SMCCC 1.2) unless the command defines them.
    fn respond(self, x0: u64, [x1, x2, x3]: [u64; 3]) -> Answered {
        let [r0, r1, r2, r3, ..] = self.registers;
        (*r0, *r1, *r2, *r3) = (x0, x1, x2, x3);
        Answered(())
    }
}
