// SPDX-License-Identifier: BSD-3-Clause
//! memcpy and memset in place of those of the compiler's library, which take three to four times as
//! many instructions.

#[cfg(target_os = "none")]
core::arch::global_asm!(include_str!("copy.S"));
