// SPDX-License-Identifier: BSD-3-Clause
//! The translation tables library: cases, random contexts against a reference walker, random
//! sequences of operations, and the maintenance that each operation does.

mod cases;
mod features;
mod imports;
mod in_use;
mod maintenance;
mod reference;
mod sequences;
