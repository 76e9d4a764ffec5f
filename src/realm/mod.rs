// SPDX-License-Identifier: BSD-3-Clause
//! The objects of a Realm: what its granules hold, and the rules that need no more than that.
//!
//! Nothing here but the walk of tables (`rtt`) locks or maps a granule; that is for the commands in
//! `rmi`, which lend the content of mapped granules to this module.

pub mod descriptor;
pub mod measurement;
pub mod parameters;
pub mod psci;
pub mod rec;
pub mod rec_parameters;
pub mod rtt;
mod sha256_known;
pub mod stage2;
pub mod vmid;
