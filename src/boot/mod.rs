// SPDX-License-Identifier: BSD-3-Clause
//! Boot: from EL3's entry to the first RMI call, cold and warm. `entry.S` is the only code that
//! runs with the MMU off.
//!
//! Cold boot runs once, on one CPU, before any other CPU can enter; what it leaves behind is then
//! only read. Warm boot runs on any CPU each time EL3 powers it on, and may do so any number of
//! times. `docs/design/boot.md` describes both.

pub mod memory_plan;
pub mod stacks;

#[cfg(target_os = "none")]
mod cold;
#[cfg(target_os = "none")]
mod entry;
#[cfg(target_os = "none")]
mod handover;
pub mod registers;
#[cfg(target_os = "none")]
mod rmi_entry;
#[cfg(all(target_os = "none", feature = "self-test"))]
pub mod self_test;
#[cfg(test)]
mod tests;
#[cfg(target_os = "none")]
mod warm;

#[cfg(target_os = "none")]
pub use entry::report_panic;

/// Does nothing; a binary that names it is linked with this module, and so with the entry point.
pub fn keep() {}
