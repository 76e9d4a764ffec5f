// SPDX-License-Identifier: BSD-3-Clause
//! The types of the RMI ABI: function identifiers, versions, result words, and a call on its way from arguments to answer.

use crate::arch::smc::Registers;

/// Which RMI the host speaks. EL3's interface version decides it, once, at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RMM specification 1.0; EL3 interface 0.x.
    V1_0,
    /// RMM specification 2.0; EL3 interface 2.x.
    V2_0,
}

impl Dialect {
    /// The version word: major in bits 30:16, minor in bits 15:0.
    #[inline]
    pub const fn version(self) -> u64 {
        match self {
            Self::V1_0 => 0x1_0000,
            Self::V2_0 => 0x2_0000,
        }
    }
}

/// The status of a command: bits 7:0 of its result word. Bits 15:8, an index, are 0 for all of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Status {
    /// Done.
    Success = 0,
    /// An argument is wrong.
    ErrorInput = 1,
    /// Not in this state of the RMM (2.0).
    ErrorGlobal = 11,
}

/// What x0 holds for a function that there is not (SMCCC: NOT_SUPPORTED).
const UNKNOWN_FUNCTION: u64 = u64::MAX;

/// What every function identifier of the RMI has above its number: a fast SMC64 call of the standard service range.
const FUNCTION_BASE: u64 = 0xC400_0000;

/// Function numbers: function identifiers less 0xC400_0000.
pub mod function {
    /// RMI_VERSION.
    pub const VERSION: u32 = 0x150;
    /// RMI_GRANULE_DELEGATE (1.0).
    pub const GRANULE_DELEGATE: u32 = 0x151;
    /// RMI_GRANULE_UNDELEGATE (1.0).
    pub const GRANULE_UNDELEGATE: u32 = 0x152;
    /// RMI_FEATURES.
    pub const FEATURES: u32 = 0x165;
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
/// Answering is the only way to get the [`Answered`] that every command returns, so none can end without.
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
    #[inline]
    pub fn new(registers: &'a mut Registers) -> Self {
        Self { registers }
    }

    /// The function number, whatever the SVE hint; one that is not in [`function`] for an identifier outside the RMI's range.
    #[inline]
    pub fn function(&self) -> u32 {
        // W0 alone names the function (SMCCC 2.5); the bits above it are not looked at.
        let [b0, b1, b2, b3, ..] = ((self.registers[0] & !SVE_HINT) ^ FUNCTION_BASE).to_le_bytes();
        u32::from_le_bytes([b0, b1, b2, b3])
    }

    /// The first argument, x1.
    #[inline]
    pub fn x1(&self) -> u64 {
        self.registers[1]
    }

    /// The second argument, x2.
    #[inline]
    pub fn x2(&self) -> u64 {
        self.registers[2]
    }

    /// Answers with a status alone.
    #[inline]
    pub fn answer(self, status: Status) -> Answered {
        self.answer_with(status, [0, 0, 0])
    }

    /// Answers with a status and x1-x3.
    #[inline]
    pub fn answer_with(self, status: Status, outputs: [u64; 3]) -> Answered {
        self.respond(status as u64, outputs)
    }

    /// Answers that there is no such function.
    #[inline]
    pub fn answer_unknown(self) -> Answered {
        self.respond(UNKNOWN_FUNCTION, [0, 0, 0])
    }

    /// x0-x3 are written on every answer, so that nothing of the RMM's own is ever in them; x4-x7 stay the caller's (SMCCC 1.2).
    #[inline]
    fn respond(self, x0: u64, [x1, x2, x3]: [u64; 3]) -> Answered {
        let [r0, r1, r2, r3, ..] = self.registers;
        (*r0, *r1, *r2, *r3) = (x0, x1, x2, x3);
        Answered(())
    }
}
