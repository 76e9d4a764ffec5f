// SPDX-License-Identifier: BSD-3-Clause
//! The boot manifest's parser: what it accepts, what it refuses and why, and properties of both.

mod accepted;
mod properties;
mod refused;
mod refused_root_complexes;
