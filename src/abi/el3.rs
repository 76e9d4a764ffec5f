// SPDX-License-Identifier: BSD-3-Clause
//! RMM-EL3 communication interface: services of EL3, and their status in x0.

/// RMM_RMI_REQ_COMPLETE: x1 and on are the answer to the host. Returns with its next call.
pub const REQ_COMPLETE: u64 = 0xC400_018F;
/// RMM_GTSI_DELEGATE.
pub const GRANULE_DELEGATE: u64 = 0xC400_01B0;
/// RMM_GTSI_UNDELEGATE.
pub const GRANULE_UNDELEGATE: u64 = 0xC400_01B1;
/// RMM_ATTEST_GET_REALM_KEY.
pub const ATTEST_GET_REALM_KEY: u64 = 0xC400_01B2;
/// RMM_ATTEST_GET_PLAT_TOKEN.
pub const ATTEST_GET_PLAT_TOKEN: u64 = 0xC400_01B3;
/// RMM_EL3_FEATURES.
pub const EL3_FEATURES: u64 = 0xC400_01B4;
/// RMM_RESERVE_MEMORY.
pub const RESERVE_MEMORY: u64 = 0xC400_01BB;
/// RMM_BOOT_COMPLETE: x1 the status of this CPU's boot, x2 the token for its next boot.
pub const BOOT_COMPLETE: u64 = 0xC400_01CF;

/// Status of a service.
pub mod status {
    /// Done.
    pub const OK: i64 = 0;
    /// No such service.
    pub const UNKNOWN: i64 = -1;
    /// EL3 does not manage this address.
    pub const BAD_ADDRESS: i64 = -2;
    /// The granule is not in the Physical Address Space that the service starts from.
    pub const BAD_PAS: i64 = -3;
    /// No memory.
    pub const NO_MEMORY: i64 = -4;
    /// An argument is wrong.
    pub const INVALID: i64 = -5;
    /// Not now: the same call is to be made again.
    pub const AGAIN: i64 = -6;
}
