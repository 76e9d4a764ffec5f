// SPDX-License-Identifier: BSD-3-Clause
//! Atomic types: for locks, and for memory that a Realm can access at the same time.
//!
//! On the target they are the core library's, built with `+lse` (FEAT_LSE), so each `fetch_*` and
//! `compare_exchange` is one instruction. On a host they record which words a call touches, and
//! under a model checker they are its own: it runs the same lock under every interleaving.

pub use core::sync::atomic::Ordering;
#[cfg(target_os = "none")]
pub use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize};

#[cfg(not(target_os = "none"))]
pub use crate::host::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize};
