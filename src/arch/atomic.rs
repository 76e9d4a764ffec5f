// SPDX-License-Identifier: BSD-3-Clause
//! The atomic types that locks are built from, and that memory of Realms is seen as.
//!
//! They are the core library's. The name is here so that a model checker can put its own in this
//! place and run the very same lock under every interleaving, and that the host can tell which
//! words a call touches. The target is built with `+lse` (Arm ARM FEAT_LSE), so each `fetch_*` and
//! `compare_exchange` is one instruction.

pub use core::sync::atomic::Ordering;
#[cfg(target_os = "none")]
pub use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize};

#[cfg(not(target_os = "none"))]
pub use crate::host::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize};
