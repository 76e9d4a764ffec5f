// SPDX-License-Identifier: BSD-3-Clause
//! Hosts that build stage-2 tables, with a model of the commands, a table walker and TLBs.

pub mod host;
pub mod model;
pub mod objects;
pub mod ranges;
pub mod sharing;
pub mod tlb;
pub mod walker;
