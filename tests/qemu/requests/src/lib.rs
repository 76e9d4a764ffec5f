// SPDX-License-Identifier: BSD-3-Clause
//! Numbers of the calls that only the self-test image answers, for that image and for the test
//! host.
#![no_std]

/// A function identifier that no version of the RMI has. x1 is a request, or the number of a fault
/// to cause, which is below all requests.
pub const SELF_TEST: u64 = 0xC400_018E;
/// Another one: x1 and x2 = used and total bytes of the stack of CPU x1, x3 and x4 of its exception
/// stack. x0 is -1 if there is no such CPU.
pub const STACK_USE: u64 = 0xC400_018D;

/// Requests in x1 of [`SELF_TEST`]. Arguments begin at x2. x0 of the answer is the status, x1 a
/// result.
pub mod request {
    /// Maps Delegated granule x3 in slot x2, and leaves it mapped.
    pub const KEEP: u64 = 0x100;
    /// x1 = the word at byte x3 of slot x2, whether mapped or not.
    pub const LOOK: u64 = 0x101;
    /// Stores x4 at byte x3 of slot x2, whether mapped or not.
    pub const STORE: u64 = 0x102;
    /// Unmaps slot x2.
    pub const RELEASE: u64 = 0x103;
    /// Maps Delegated granules x3 and x4 alternately in slot x2, x5 times. x1 = how often the wrong
    /// one was seen. With x6 = 1 the TLB is not invalidated.
    pub const ALTERNATE: u64 = 0x104;
    /// Maps the 11 Delegated granules from x2 on in the slots for auxiliary granules, in changing
    /// order, x3 times. x1 = how often a wrong one was seen.
    pub const ALTERNATE_GROUP: u64 = 0x105;
    /// Maps the host's pages x2 and x3, each of whose words is its own address, alternately in the
    /// Non-secure slot, x4 times. x1 = how often a wrong word was seen.
    pub const ALTERNATE_HOST: u64 = 0x106;
    /// Reads the host's page x2, whose words are 0 or x3 minus their index.
    pub const READ_HOST: u64 = 0x107;
    /// Writes x3 minus the index to every word of the host's page x2.
    pub const WRITE_HOST: u64 = 0x108;
    /// Fills Delegated granule x2 with x3.
    pub const FILL: u64 = 0x109;
    /// Checks that Delegated granule x2 still holds x3 in every word.
    pub const HOLDS: u64 = 0x10A;
    /// x1 = how often CPUs have waited for a granule, from bit 32 up; below, the longest wait in
    /// critical sections of other CPUs.
    pub const WAITS: u64 = 0x10B;
    /// Makes this CPU die with lock number x2 from now on.
    pub const DIE: u64 = 0x10C;
    /// Compares digests of messages computed from x2. x1 = how many were wrong; from bit 32 up, how
    /// many were computed by instructions.
    pub const HASH: u64 = 0x10D;
    /// Signs a digest; x2 selects digest and key. x1 = 1 if it succeeded.
    pub const SIGN: u64 = 0x10E;
    /// Makes the RMM take the Non-secure granule x2 for one whose memory has answered.
    pub const VOUCH: u64 = 0x10F;
    /// x1 = how many granules are lost.
    pub const LOST: u64 = 0x110;
}
