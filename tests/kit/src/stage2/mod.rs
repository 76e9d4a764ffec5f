// SPDX-License-Identifier: BSD-3-Clause
//! Hosts that build stage-2 tables, and the model, table walker and TLBs they are checked with.

pub mod host;
pub mod model;
pub mod objects;
pub mod ranges;
pub mod sharing;
pub mod tlb;
pub mod walker;
