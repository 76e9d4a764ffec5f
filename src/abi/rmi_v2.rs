// SPDX-License-Identifier: BSD-3-Clause
//! RMI 2.0: structures in the host's memory, and values of arguments and outputs.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// RmiMemCategory: conventional memory.
pub const CATEGORY_CONVENTIONAL: u64 = 0;

/// RmiTrackingState: granules cannot be delegated.
pub const TRACKING_NONE: u64 = 1;
/// RmiTrackingState: granules are delegated one by one.
pub const TRACKING_FINE: u64 = 2;

/// RmiRmmConfig 0x0 to 0xf: its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RmmConfiguration {
    /// Size of the region that granules are tracked by; 0 is 1 GiB.
    pub tracking_region_size: u64,
    /// Size of an RMI granule; 0 is 4 KiB.
    pub rmi_granule_size: u64,
}

layout!(RmmConfiguration: 0x10 { tracking_region_size: 0x0, rmi_granule_size: 0x8 });

/// RmiRmmConfig.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RmiRmmConfig {
    /// Its fields.
    pub configuration: RmmConfiguration,
    _reserved: [u8; 0x1000 - 0x10],
}

layout!(RmiRmmConfig: 0x1000 { configuration: 0x0 });
