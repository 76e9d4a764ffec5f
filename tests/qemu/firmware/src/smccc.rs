// SPDX-License-Identifier: BSD-3-Clause
//! SMC function identifiers and result values used on both sides of the normal-world interface of
//! EL3.

pub use rmm_abi::psci;
pub use rmm_abi::smccc::{NOT_SUPPORTED as UNKNOWN, SVE_HINT};

/// Services of this test monitor that TF-A does not have. For the host only.
pub mod test_service {
    /// Instructions the calling CPU spent inside the RMM: returns x0 = in the last visit, x1 = in
    /// the cold boot (0 on CPUs that had none), x2 = in this CPU's last warm boot, x3 = services
    /// the RMM asked EL3 for in the last visit. Exact only with QEMU's `-icount shift=0,sleep=off`.
    pub const VISIT: u64 = 0xC700_0000;
    /// How the RMM booted: returns x0 = code of the last BOOT_COMPLETE on the calling CPU, x1 = 1
    /// when EL3 has given the RMM up.
    pub const BOOT_STATUS: u64 = 0xC700_0001;
    /// The Granule Protection Information of physical address x1: returns x0 = GPI, or
    /// [`super::UNKNOWN`] when the address is outside the Granule Protection Table.
    pub const GRANULE_GPI: u64 = 0xC700_0002;
    /// Looks through the granule at physical address x1, which is in the Realm PAS: returns x0 =
    /// words that are not zero, x1 = words that are a part of the Realm attestation key, x2 = words
    /// that are PSTATE of a fiber with DIT set.
    pub const GRANULE_SCAN: u64 = 0xC700_0003;
    /// Looks through the granule at physical address x1, which is in the Realm PAS: returns x0 =
    /// words that are one of x2 to x7, in either byte order.
    pub const GRANULE_SEARCH: u64 = 0xC700_0004;
    /// Where the fiber is whose context is in the granule at physical address x1, which is in the
    /// Realm PAS: returns x0 = its PC, or 0 if there is none.
    pub const GRANULE_FIBER: u64 = 0xC700_0005;
}
