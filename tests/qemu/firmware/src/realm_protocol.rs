// SPDX-License-Identifier: BSD-3-Clause
//! What the host and the Realm payload agree on: where the payload lies, and the words that they
//! exchange by RSI_HOST_CALL.
//!
//! The payload calls the host, does what the answer asks for, and calls again with what came of it.

/// The IPA that the payload is linked at, in the protected half.
pub const BASE: u64 = 0x8000_0000;
/// Granules of the payload, all that it uses included.
pub const PAGES: u64 = 64;
/// Where QEMU loads the payload for the host.
pub const LOADED_AT: u64 = 0x6800_0000;
/// RECs that the payload has stacks for.
pub const RECS: usize = 8;

/// The immediate of the payload's calls: it waits for something to do.
pub const WAITING: u16 = 0x5a01;
/// The immediate of calls between which the payload does nothing.
pub const CALLING: u16 = 0x5a02;

/// Commands: gprs\[0\] of an answer.
pub mod command {
    /// Does nothing.
    pub const NOTHING: u64 = 0;
    /// Executes the instruction gprs\[1\] with gprs\[2\] to gprs\[5\] in X0 to X3.
    ///
    /// Comes back with X0 to X3 in gprs\[1\] to gprs\[4\] and what the Realm took in between from
    /// gprs\[5\] on: the number of exceptions, and of the last ESR_EL1, FAR_EL1, ELR_EL1, SPSR_EL1
    /// and the offset of the vector.
    pub const EXECUTE: u64 = 1;
    /// Fills the registers of SVE with what follows from gprs\[1\].
    pub const FILL_SIMD: u64 = 0x100;
    /// Comes back with the bytes of a vector in gprs\[1\] and a sum of all that is in the registers
    /// of SVE in gprs\[2\].
    pub const SHOW_SIMD: u64 = 0x101;
    /// Calls by SMC with gprs\[1\] and up in X0 and up, as many as
    /// [`CALL_REGISTERS`](super::CALL_REGISTERS), and marks in the other registers.
    ///
    /// Comes back with these registers in the same places, and behind them how many of the others
    /// have changed.
    pub const CALL: u64 = 2;
    /// Runs the program gprs\[1\] with gprs\[2\] and up, and comes back with its results in
    /// gprs\[1\] and up.
    pub const PROGRAM: u64 = 3;
    /// Executes an instruction as [`EXECUTE`] does, gprs\[6\] times, and comes back as it does with
    /// what came of the last.
    pub const STORM: u64 = 5;
    /// Calls the host gprs\[1\] times with nothing in between, whatever it answers.
    pub const CALL_HOST: u64 = 4;
}

/// Numbers of programs of the payload.
pub mod program {
    /// Asks for the configuration of the Realm.
    pub const CONFIG: u64 = 1;
    /// Sets RIPAS of a range: base, top, RIPAS, flags.
    pub const SET_RIPAS: u64 = 2;
    /// Asks for RIPAS of a range: base, top.
    pub const GET_RIPAS: u64 = 3;
    /// Shows [`WORDS`](super::WORDS) words from an address on.
    pub const READ_MEMORY: u64 = 4;
    /// Makes the same call many times: how often, and X0 to X3 of it.
    pub const COUNT: u64 = 5;
    /// Has another REC turned on, and asks whether it is, many times: the REC, and how often.
    pub const POWER: u64 = 6;
    /// Fills the words of an RsiHostCall with [`pattern`](super::pattern)s in turn: its address,
    /// and how often.
    pub const FLIP: u64 = 7;
    /// Says in the second word at an address that it is there, waits until the first is not 0, and
    /// comes back with what RSI_VERSION and RSI_MEASUREMENT_EXTEND say.
    pub const WAIT: u64 = 8;
    /// Executes random instructions: a seed, and how many blocks of
    /// [`BLOCK`](super::BLOCK) instructions. Comes back with the exceptions that the Realm took.
    pub const RANDOM: u64 = 0x20;
    /// Writes to system registers, by their encodings from one on: seed, the first encoding, and
    /// how many. Comes back with the exceptions that the Realm took.
    pub const WRITE_REGISTERS: u64 = 0x21;
    /// Turns the MMU on and changes its tables at random while they are used: seed, and how often.
    /// Comes back with the exceptions that the Realm took.
    pub const TABLES: u64 = 0x22;
    /// Fills all registers with what follows from a seed, and looks at them as often as the second
    /// argument says. Comes back with how many were lost since the last time, and in this one.
    pub const HOLD: u64 = 0x23;
    /// Sets all debug registers so that what the first argument names in [`debug`](super::debug) is
    /// hit, with the second as context; with the OS lock as the third says. Comes back with the
    /// addresses that are hit, and the registers.
    pub const SET_DEBUG: u64 = 0x24;
    /// Executes a few instructions at the level that the first argument says, one at a time if the
    /// second is not 0. Comes back with what was hit, and the registers as they were before.
    pub const RUN_DEBUG: u64 = 0x25;
    /// Executes an instruction of A32, the first argument, at EL0 in AArch32 with the second in R0,
    /// and SVC behind it. Comes back as [`EXECUTE`](super::command::EXECUTE) does.
    pub const AARCH32: u64 = 0x26;
    /// Executes an instruction, the first argument, at EL0 with the others in X0 and X1, and SVC
    /// behind it. Comes back as [`EXECUTE`](super::command::EXECUTE) does.
    pub const AT_EL0: u64 = 0x27;
}

/// What [`SET_DEBUG`](program::SET_DEBUG) prepares.
pub mod debug {
    /// Nothing.
    pub const NONE: u64 = 0;
    /// A breakpoint.
    pub const BREAKPOINT: u64 = 1;
    /// A breakpoint in the context [`CONTEXT`].
    pub const LINKED: u64 = 2;
    /// A watchpoint.
    pub const WATCHPOINT: u64 = 3;
    /// Software step.
    pub const STEP: u64 = 4;
    /// Breakpoint and watchpoint, which MDSCR_EL1 keeps off.
    pub const ARMED: u64 = 5;
    /// The context.
    pub const CONTEXT: u64 = 0xc0de;
    /// Registers that come back: MDSCR_EL1, breakpoints, watchpoints, OSLSR_EL1.
    pub const REGISTERS: usize = 10;
}

/// Instructions of a block that [`RANDOM`](program::RANDOM) executes.
pub const BLOCK: u64 = 16;

/// Instructions of the Realm in each turn of [`COUNT`](program::COUNT).
pub const TURN: u64 = 7;

/// What [`FLIP`](program::FLIP) writes to word `index` of an RsiHostCall in a turn.
#[must_use]
pub const fn pattern(turn: u64, index: usize) -> u64 {
    (0x1111_1111_0000_1111 * (turn % 2 + 1)) | ((index as u64) << 16)
}

/// Words that a program gives.
pub const WORDS: usize = 30;

/// A page that the payload does not use: for tokens.
pub const TOKEN_PAGE: u64 = BASE + (PAGES - 2) * 4096;

/// Registers of a [`CALL`](command::CALL) that the host chooses and sees: X0 to X17.
pub const CALL_REGISTERS: usize = 18;

/// Words of an [`EXECUTE`](command::EXECUTE) that come back.
pub const RESULTS: usize = 10;
