// SPDX-License-Identifier: BSD-3-Clause
//! What the programs of this package are made of: [`flatten`] turns an ELF image into the flat binary that
//! firmware loaders expect, [`performance`] compares figures with those that are kept. The
//! runner's own modules live beside its `main.rs`.

pub mod flatten;
pub mod performance;
