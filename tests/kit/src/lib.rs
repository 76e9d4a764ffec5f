// SPDX-License-Identifier: BSD-3-Clause
//! What the tests of this machine share: the model machine behind the host seam, the table walker,
//! callers of the RMI, models of the ABI, and seeds.

pub mod calls;
pub mod el3;
pub mod machine;
pub mod manifest;
pub mod memory;
pub mod realm_fixture;
pub mod rmi;
pub mod seed;
pub mod stage2;
pub mod system;
pub mod walker;
pub mod xlat;
