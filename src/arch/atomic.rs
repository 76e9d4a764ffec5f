// SPDX-License-Identifier: BSD-3-Clause
//! The atomic types that locks are built from.
//!
//! They are the core library's. The name is here so that a model checker can put its own in this place and run the very same lock under every
//! interleaving. The target is built with `+lse` (Arm ARM FEAT_LSE), so each `fetch_*` and `compare_exchange` is one instruction.

pub use core::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
