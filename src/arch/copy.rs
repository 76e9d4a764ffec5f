// SPDX-License-Identifier: BSD-3-Clause
//! memcpy and memset. Those of the compiler's library take three to four times as many
//! instructions.

#[cfg(target_os = "none")]
core::arch::global_asm!(include_str!("copy.S"));
