// SPDX-License-Identifier: BSD-3-Clause
//! Every state of a small machine: the real code, run from every state by everything that can
//! happen in it, until nothing new appears.
//!
//! `docs/security/exploration.md` says what is explored, what is checked and what is left out.

pub mod check;
pub mod configuration;
pub mod explorer;
pub mod interleavings;
pub mod letters;
pub mod machine;
pub mod ranges;
pub mod spec;
pub mod state;
pub mod stateful;
