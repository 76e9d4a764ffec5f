// SPDX-License-Identifier: BSD-3-Clause
//! A Realm Management Monitor (RMM) for the Arm Confidential Compute Architecture: the firmware as
//! a library.
//!
//! It holds everything but the entry point, so that a host can build and test it. Which module may
//! use which is said, and checked, by `docs/design/overview.md`.
#![cfg_attr(target_os = "none", no_std)]
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
#![deny(
    clippy::undocumented_unsafe_blocks,
    clippy::missing_safety_doc,
    clippy::cast_possible_truncation
)]
#![warn(missing_debug_implementations)]

pub use rmm_abi as abi;

pub mod address;
pub mod arch;
pub mod attest;
pub mod boot;
pub mod command;
pub mod console;
pub mod cpu;
pub mod el3;
pub mod fault;
pub mod granule;
pub mod mem;
pub mod operation;
pub mod percpu;
pub mod psci;
pub mod realm;
pub mod rmi;
pub mod rsi;
pub mod run;
pub mod xlat;

#[cfg(not(target_os = "none"))]
pub mod host;
