// SPDX-License-Identifier: BSD-3-Clause
//! Cache maintenance (Arm ARM (DDI 0487 L.a) D7.5.9). None of these waits: a DSB must follow.

use super::instruction::instructions;

instructions! {
    /// Cleans the line that holds the virtual address, to the point of coherency.
    fn dc_cvac(address: u64) = "dc cvac";
    /// Cleans and invalidates the line that holds the virtual address, to the point of coherency.
    fn dc_civac(address: u64) = "dc civac";
    /// Cleans the line that holds the virtual address, to the point of unification.
    fn dc_cvau(address: u64) = "dc cvau";
    /// Invalidates the instruction caches of all CPUs in the Inner Shareable domain.
    fn ic_ialluis() = "ic ialluis";
}
