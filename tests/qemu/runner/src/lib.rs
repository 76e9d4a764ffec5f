// SPDX-License-Identifier: BSD-3-Clause
//! What the programs of this package share. `rmm-test-system` runs [`scenarios`] on [`qemu`] and
//! judges each by its [`verdict`]; `mutation-proof` breaks the tree by [`mutations`] and runs them
//! again; `elf2bin` uses [`flatten`] to turn an ELF image into the flat binary that firmware
//! loaders expect; `performance` compares the figures of a run, by [`performance`], with those that
//! are kept; `profile` prints the [`profile`] of what an image executes; `addr2line` reads a
//! [`backtrace`] by the image's [`symbols`]; `linux` boots a guest of [`linux`]; `rim`
//! computes the measurement of a Realm by [`rim`].

pub mod backtrace;
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
