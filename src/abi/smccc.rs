// SPDX-License-Identifier: BSD-3-Clause
//! SMC Calling Convention (DEN0028).

/// Function identifiers.
pub mod function {
    functions! {
        /// SMCCC_VERSION.
        VERSION = 0x8000_0000;
    }
}

/// SMCCC_VERSION returns 1.2.
pub const VERSION_1_2: u64 = 0x1_0002;

/// x0 after a call of a function that does not exist: NOT_SUPPORTED.
pub const NOT_SUPPORTED: u64 = u64::MAX;

/// Function identifier bit 16: the caller has no live SVE state. A hint, not part of the function.
pub const SVE_HINT: u64 = 1 << 16;
