// SPDX-License-Identifier: BSD-3-Clause
//! The machine, one instruction or register a function, and no policy.
//!
//! This is the only host seam: on the target every function is its instruction; on a host each
//! calls the fake hardware in `src/host`, which records and models it. All code above is the same
//! on both. No other module holds `asm!`; `run` and `boot` include assembly files of their own.

pub mod atomic;
pub mod barrier;
pub mod cache;
mod copy;
pub mod el1;
pub mod fiber;
pub mod frame;
mod instruction;
pub mod interrupt;
pub mod memory;
pub mod random;

pub mod recovery;
pub mod sha2;
pub mod simd;
pub mod smc;
pub mod speculation;
pub mod sysreg;
pub mod tlbi;
pub mod tlbi_range;
pub mod wait;
pub mod window;
