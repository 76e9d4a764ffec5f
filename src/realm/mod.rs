// SPDX-License-Identifier: BSD-3-Clause
//! The objects of a Realm: what its granules hold, and the rules that need no more than that.
//!
//! Nothing here but the walk of tables (`stage2`) locks or maps a granule; that is for the commands in
//! `rmi`, which lend the content of mapped granules to this module.

pub mod measurement;
pub mod parameters;
pub mod rd;
pub mod rec;
mod sha256_known;
pub mod stage2;
pub mod vmid;
