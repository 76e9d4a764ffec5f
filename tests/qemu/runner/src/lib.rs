// SPDX-License-Identifier: BSD-3-Clause
//! The code that the programs of this package share. `rmm-test-system` runs [`scenarios`] on
//! [`qemu`] and judges each with [`verdict`]. `mutation-proof` breaks the tree with [`mutations`]
//! and runs them again. `elf2bin` uses [`flatten`] to turn an ELF image into the flat binary that
//! firmware loaders expect. `performance` compares measured figures with the kept ones, with
//! [`performance`]. `profile` prints the [`profile`] of an image. `addr2line` explains a
//! [`backtrace`] with the image's [`symbols`]. `linux` boots a guest of [`linux`]. `rim` computes
//! the measurement of a Realm with [`rim`].

pub mod backtrace;
pub mod exit;
pub mod flatten;
pub mod linux;
pub mod mutations;
pub mod performance;
pub mod profile;
pub mod protection;
pub mod qemu;
pub mod rim;
pub mod scenario;
pub mod scenarios;
pub mod symbols;
pub mod tree;
pub mod verdict;
