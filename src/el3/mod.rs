// SPDX-License-Identifier: BSD-3-Clause
//! The interface between the RMM and the EL3 firmware.

pub mod arguments;
pub mod error;
pub mod manifest;
pub mod services;
pub mod version;
