// SPDX-License-Identifier: BSD-3-Clause
//! SMC function identifiers and result values used on both sides of the normal-world interface of
//! EL3.

pub use rmm_abi::psci;
pub use rmm_abi::smccc::{NOT_SUPPORTED as UNKNOWN, SVE_HINT};

/// Services of this test monitor that TF-A does not have. Only the host may call them.
pub mod test_service {
    /// Instructions of the RMM on the calling CPU. Returns x0 = in the last visit, x1 = in the cold
    /// boot (0 on other CPUs), x2 = in this CPU's last warm boot, x3 = EL3 services called in the
    /// last visit. Exact only with QEMU's `-icount shift=0,sleep=off`.
    pub const VISIT: u64 = 0xC700_0000;
    /// The result of the RMM's boot. Returns x0 = code of the last BOOT_COMPLETE on the calling
    /// CPU, x1 = 1 if the RMM has failed to boot on some CPU.
    pub const BOOT_STATUS: u64 = 0xC700_0001;
    /// The GPI of physical address x1. Returns x0 = GPI, or [`super::UNKNOWN`] if the address is
    /// outside the Granule Protection Table.
    pub const GRANULE_GPI: u64 = 0xC700_0002;
    /// Scans the granule at physical address x1 in the Realm PAS. Returns x0 = words that are not
    /// zero, x1 = words that are part of the attestation key, x2 = words that are a fiber's PSTATE
    /// with DIT set.
    pub const GRANULE_SCAN: u64 = 0xC700_0003;
    /// Searches the granule at physical address x1 in the Realm PAS. Returns x0 = words that equal
    /// one of x2 to x7, in either byte order.
    pub const GRANULE_SEARCH: u64 = 0xC700_0004;
    /// Finds the fiber whose context is in the granule at physical address x1 in the Realm PAS.
    /// Returns x0 = its PC, or 0 if there is none.
    pub const GRANULE_FIBER: u64 = 0xC700_0005;
}
