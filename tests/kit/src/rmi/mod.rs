// SPDX-License-Identifier: BSD-3-Clause
//! Callers of the RMI: a small machine with checks that hold for every call, and random calls
//! compared with a model.

pub mod fixture;
pub mod harness;
pub mod model;
