// SPDX-License-Identifier: BSD-3-Clause
//! SMC Calling Convention (DEN0028).

/// x0 after a call of a function that does not exist: NOT_SUPPORTED.
pub const NOT_SUPPORTED: u64 = u64::MAX;

/// Function identifier bit 16: the caller has no live SVE state. A hint, not part of the function.
pub const SVE_HINT: u64 = 1 << 16;
