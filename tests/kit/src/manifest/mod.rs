// SPDX-License-Identifier: BSD-3-Clause
//! Boot manifests: a builder, and the rules stated a second time.

pub mod builder;
pub mod model;
