// SPDX-License-Identifier: BSD-3-Clause
//! The objects of a Realm, and the commands on Realms and RECs as the host calls them.

mod activation;
mod calls;
mod decisions;
mod hostile;
mod hosts_2_0;
mod interleaved;
mod life;
mod measurement;
mod measurement_reference;
mod operations;
mod operations_threads;
mod parameters;
mod psci;
mod random_records;
mod random_runs;
mod refused;
mod round_trips;
mod run;
mod run_2_0;
mod terminate;
mod threads;
mod tokens;
