// SPDX-License-Identifier: BSD-3-Clause
//! The objects of a Realm, and the commands on Realms and RECs called as the host calls them, on
//! the model machine.

#[path = "../rmi/fixture.rs"]
mod fixture;
mod hostile;
mod life;
mod measurement;
mod oracle;
mod parameters;
mod psci;
mod refused;
#[path = "../rmi/seed.rs"]
mod seed;
mod threads;
mod world;
