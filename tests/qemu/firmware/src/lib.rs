// SPDX-License-Identifier: BSD-3-Clause
//! What the test images share: options on the semihosting command line, output through semihosting,
//! access to system registers, and numbers on which both sides of an SMC must agree.
//!
//! The images are `el3`, a monitor that serves an RMM as TF-A does, and `host`, a normal-world EL2
//! that runs test scenarios on the RMM. They do not use the UART, which belongs to the RMM.

#![no_std]

pub mod check;
pub mod console;
#[cfg(target_os = "none")]
pub mod host;
pub mod options;
pub mod realm_protocol;
pub mod registers;
pub mod semihosting;
#[cfg(target_os = "none")]
pub mod simd;
pub mod smccc;

/// The key that TF-A serves on QEMU and FVP.
pub const REALM_KEY: [u8; 48] = [
    0x20, 0x11, 0xc7, 0xf0, 0x3c, 0xee, 0x43, 0x25, 0x17, 0x6e, 0x52, 0x4f, 0x03, 0x3c, 0x0c, 0xe1,
    0xe2, 0x1a, 0x76, 0xe6, 0xc1, 0xa4, 0xf0, 0xb8, 0x39, 0xaa, 0x1d, 0xf6, 0x1e, 0x0e, 0x8a, 0x5c,
    0x8a, 0x05, 0x74, 0x0f, 0x9b, 0x69, 0xef, 0xa7, 0xeb, 0x1a, 0x41, 0x85, 0xbd, 0x11, 0x7f, 0x68,
];
