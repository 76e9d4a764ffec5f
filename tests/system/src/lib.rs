// SPDX-License-Identifier: BSD-3-Clause
//! What the two programs of this package share: [`flatten`] turns an ELF image into the flat binary
//! that firmware loaders expect. The runner's own modules live beside its `main.rs`.

pub mod flatten;
