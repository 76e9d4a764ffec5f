// SPDX-License-Identifier: BSD-3-Clause
//! Values of the control registers that boot writes, in the layout of E2H = 1.

/// HCR_EL2: E2H (34), RW (31, EL1 is AArch64), API and APK (41, 40: no traps of pointer
/// authentication).
pub(super) const HCR: u64 = 1 << 34 | 1 << 31 | 1 << 41 | 1 << 40;

/// SCTLR_EL2, what both maps have: the value at reset (bits 4, 5, 11, 16, 18, 22, 23, 28, 29, among
/// them EOS, EIS and SPAN), M (0), A (1, alignment checked), C (2), SA (3, stack alignment
/// checked), I (12). With the early identity map, of which all is writable and executable.
pub(super) const SCTLR_EARLY: u64 = 0x30c5_0830 | 1 << 12 | 0xf;

/// With the Low and High VA maps: WXN (19), nothing writable is executable, and EnIA (31) where
/// code signs return addresses.
pub(super) const SCTLR: u64 = SCTLR_EARLY | 1 << 19 | if cfg!(hardened) { 1 << 31 } else { 0 };

/// TCR_EL2.EPD1 (23): no High VA range yet.
pub(super) const TCR_NO_HIGH_RANGE: u64 = 1 << 23;

/// TCR_EL2 of the early map, less IPS: T0SZ 16 (48 bits), write-back inner-shareable walks, 4 KiB;
/// no High VA range; T1SZ 16 and TG1 4 KiB so that no field is reserved.
pub(super) const TCR_EARLY: u64 =
    16 | 1 << 8 | 1 << 10 | 3 << 12 | 16 << 16 | TCR_NO_HIGH_RANGE | 2 << 30;
