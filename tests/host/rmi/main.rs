// SPDX-License-Identifier: BSD-3-Clause
//! The RMM called as the host calls it, on the model machine.

mod commands;
mod configuration;
mod properties;
mod services;
mod table;
mod threads;
