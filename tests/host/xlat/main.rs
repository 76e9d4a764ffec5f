// SPDX-License-Identifier: BSD-3-Clause
//! The translation tables library: single cases, random contexts compared with a reference walker,
//! random sequences of operations, and the maintenance of each operation.

mod cases;
mod features;
mod imports;
mod in_use;
mod maintenance;
mod reference;
mod sequences;
