// SPDX-License-Identifier: BSD-3-Clause
//! What the two test images share: the options on the semihosting command line, output through
//! semihosting, system-register access and the numbers both sides of an SMC must agree on.
//!
//! The images are `el3`, a monitor that serves an RMM as TF-A does, and `host`, a normal-world EL2
//! that drives the RMM through test scenarios. They never touch the UART: it belongs to the RMM.

#![no_std]

pub mod check;
pub mod console;
pub mod options;
pub mod realm_protocol;
pub mod registers;
pub mod semihosting;
#[cfg(target_os = "none")]
pub mod simd;
pub mod smccc;
