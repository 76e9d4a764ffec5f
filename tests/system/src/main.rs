// SPDX-License-Identifier: BSD-3-Clause
//! The system-test runner: boots an RMM under the test firmware on QEMU, scenario by scenario.

fn main() {}
