// SPDX-License-Identifier: BSD-3-Clause
//! The protocol of the host and the Realm payload: the payload's addresses, and the words that they
//! exchange by RSI_HOST_CALL.
//!
//! The payload calls the host, carries out the command in the answer, and calls again with the
//! result.

/// The IPA at which the payload is linked, in the protected half.
pub const BASE: u64 = 0x8000_0000;
/// Granules of the payload, with everything that it uses.
pub const PAGES: u64 = 64;
/// The address at which QEMU loads the payload.
pub const LOADED_AT: u64 = 0x6800_0000;
/// RECs for which the payload has stacks.
pub const RECS: usize = 8;

/// The immediate of the payload's calls when it waits for a command.
pub const WAITING: u16 = 0x5a01;
/// The immediate of host calls between which the payload does nothing.
pub const CALLING: u16 = 0x5a02;

/// Commands, in gprs\[0\] of an answer.
pub mod command {
    /// Does nothing.
    pub const NOTHING: u64 = 0;
    /// Executes the instruction gprs\[1\] with gprs\[2\] to gprs\[5\] in X0 to X3.
    ///
    /// Gives X0 to X3 in gprs\[1\] to gprs\[4\]. From gprs\[5\] on: the number of exceptions that
    /// the Realm took, and ESR_EL1, FAR_EL1, ELR_EL1, SPSR_EL1 and the vector's offset of the last
    /// one.
    pub const EXECUTE: u64 = 1;
    /// Fills the SVE registers with values computed from gprs\[1\].
    pub const FILL_SIMD: u64 = 0x100;
    /// Gives the bytes of a vector in gprs\[1\] and a sum over all SVE registers in gprs\[2\].
    pub const SHOW_SIMD: u64 = 0x101;
    /// Calls by SMC with gprs\[1\] and up in X0 and up, [`CALL_REGISTERS`](super::CALL_REGISTERS)
    /// of them, and marks in the other registers.
    ///
    /// Gives these registers in the same places, followed by the number of others that have
    /// changed.
    pub const CALL: u64 = 2;
    /// Runs the program gprs\[1\] with the arguments gprs\[2\] and up. Gives its results in
    /// gprs\[1\] and up.
    pub const PROGRAM: u64 = 3;
    /// Executes an instruction as [`EXECUTE`] does, gprs\[6\] times. Gives the results of the last
    /// time.
    pub const STORM: u64 = 5;
    /// Calls the host gprs\[1\] times with nothing in between, whatever the answers are.
    pub const CALL_HOST: u64 = 4;
}

/// Numbers of programs of the payload.
pub mod program {
    /// Queries the configuration of the Realm.
    pub const CONFIG: u64 = 1;
    /// Sets the RIPAS of a range: base, top, RIPAS, flags.
    pub const SET_RIPAS: u64 = 2;
    /// Queries the RIPAS of a range: base, top.
    pub const GET_RIPAS: u64 = 3;
    /// Reads [`WORDS`](super::WORDS) words from an address on.
    pub const READ_MEMORY: u64 = 4;
    /// Repeats a call: the number of times, and X0 to X3.
    pub const COUNT: u64 = 5;
    /// Turns another REC on and queries its state repeatedly: the REC, and the number of times.
    pub const POWER: u64 = 6;
    /// Fills the words of an RsiHostCall with different [`pattern`](super::pattern)s in turn: its
    /// address, and the number of times.
    pub const FLIP: u64 = 7;
    /// Announces itself in the second word at an address, waits until the first word is not 0, and
    /// gives the answers of RSI_VERSION and RSI_MEASUREMENT_EXTEND.
    pub const WAIT: u64 = 8;
    /// Executes random instructions: a seed, and the number of blocks of [`BLOCK`](super::BLOCK)
    /// instructions. Gives the exceptions that the Realm took.
    pub const RANDOM: u64 = 0x20;
    /// Writes to system registers with consecutive encodings: seed, first encoding, number. Gives
    /// the exceptions that the Realm took.
    pub const WRITE_REGISTERS: u64 = 0x21;
    /// Turns the MMU on and changes its tables at random during use: seed, number of times. Gives
    /// the exceptions that the Realm took.
    pub const TABLES: u64 = 0x22;
    /// Fills all registers from a seed, and checks them as often as the second argument says. Gives
    /// how many were lost since the last time, and in this one.
    pub const HOLD: u64 = 0x23;
    /// Sets all debug registers so that the event of the first argument, one of
    /// [`debug`](super::debug), is hit. The second argument is the context, the third the OS lock.
    /// Gives the addresses that are hit, and the registers.
    pub const SET_DEBUG: u64 = 0x24;
    /// Executes a few instructions at the level of the first argument, one at a time if the second
    /// is not 0. Gives what was hit, and the registers before.
    pub const RUN_DEBUG: u64 = 0x25;
    /// Executes the A32 instruction of the first argument at EL0 in AArch32, with the second
    /// argument in R0, then SVC. Gives what [`EXECUTE`](super::command::EXECUTE) gives.
    pub const AARCH32: u64 = 0x26;
    /// Executes the instruction of the first argument at EL0, with the others in X0 and X1, then
    /// SVC. Gives what [`EXECUTE`](super::command::EXECUTE) gives.
    pub const AT_EL0: u64 = 0x27;
}

/// The event that [`SET_DEBUG`](program::SET_DEBUG) prepares.
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
    /// A breakpoint and a watchpoint that MDSCR_EL1 disables.
    pub const ARMED: u64 = 5;
    /// The context.
    pub const CONTEXT: u64 = 0xc0de;
    /// The registers in the result: MDSCR_EL1, breakpoints, watchpoints, OSLSR_EL1.
    pub const REGISTERS: usize = 10;
}

/// Instructions of a block that [`RANDOM`](program::RANDOM) executes.
pub const BLOCK: u64 = 16;

/// Instructions of the Realm in each iteration of [`COUNT`](program::COUNT).
pub const TURN: u64 = 7;

/// What [`FLIP`](program::FLIP) writes to word `index` of an RsiHostCall in a turn.
#[must_use]
pub const fn pattern(turn: u64, index: usize) -> u64 {
    (0x1111_1111_0000_1111 * (turn % 2 + 1)) | ((index as u64) << 16)
}

/// The number of words that a program gives.
pub const WORDS: usize = 30;

/// A page that the payload does not use: for tokens.
pub const TOKEN_PAGE: u64 = BASE + (PAGES - 2) * 4096;

/// The registers of a [`CALL`](command::CALL) that the host sets and reads: X0 to X17.
pub const CALL_REGISTERS: usize = 18;

/// The number of result words of an [`EXECUTE`](command::EXECUTE).
pub const RESULTS: usize = 10;
