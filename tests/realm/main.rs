// SPDX-License-Identifier: BSD-3-Clause
//! The objects of a Realm, and the commands on Realms and RECs called as the host calls them, on the model machine.

mod measurement;
mod oracle;
#[path = "../rmi/seed.rs"]
mod seed;
