// SPDX-License-Identifier: BSD-3-Clause
//! RMI 2.0: structures in the host's memory, and values of arguments and outputs.

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// RmiMemCategory: conventional memory.
pub const CATEGORY_CONVENTIONAL: u64 = 0;

/// RmiTrackingState: granules cannot be delegated.
pub const TRACKING_NONE: u64 = 1;
/// RmiTrackingState: granules are delegated one by one.
pub const TRACKING_FINE: u64 = 2;

/// RmiRmmConfig 0x0 to 0xf: all fields that are not reserved.
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
    /// The fields.
    pub configuration: RmmConfiguration,
    _reserved: [u8; 0x1000 - 0x10],
}

layout!(RmiRmmConfig: 0x1000 { configuration: 0x0 });

/// RmiAddressRangeDescriptor of 4 KiB granules: mask of the block size. 0 is 4 KiB, 1 is 2 MiB,
/// 2 is 1 GiB, 3 is 512 GiB.
pub const RANGE_SIZE: u64 = 0x3;
/// RmiAddressRangeDescriptor: the lowest bit of the number of blocks.
pub const RANGE_COUNT_SHIFT: u32 = 2;
/// RmiAddressRangeDescriptor: the greatest number of blocks.
pub const MAX_RANGE_COUNT: u64 = 0x3ff;
/// RmiAddressRangeDescriptor: mask of the address, which is not shifted.
pub const RANGE_ADDRESS: u64 = 0xf_ffff_ffff_f000;
/// RmiAddressRangeDescriptor: mask of the memory's state, 0 if delegated. The beta versions of the
/// specification differ in which of the two bits means that it is not.
pub const RANGE_STATE: u64 = 0x3 << 62;

/// RmiOpMemDonateReq: the lowest bit of the number of blocks. All other fields are 0 in a request
/// for delegated blocks of 4 KiB that need not be contiguous.
pub const DONATE_COUNT_SHIFT: u32 = 2;

/// RmiRttMapFlags and RmiRttUnmapFlags: how addresses are passed.
pub const ADDRESS_TYPE: u64 = 0x3;
/// Addresses are not passed.
pub const ADDRESS_NONE: u64 = 0;
/// The addresses are one RmiAddressRangeDescriptor.
pub const ADDRESS_SINGLE: u64 = 1;
/// The addresses are a list in the host's memory.
pub const ADDRESS_LIST: u64 = 2;
/// RmiRttMapFlags: the lowest bit of the number of entries of the list, 14 bits.
pub const LIST_COUNT_SHIFT: u32 = 2;
/// The greatest number of entries of the list.
pub const MAX_LIST_COUNT: u64 = 0x3fff;
/// RmiRttUnprotMapFlags: the lowest bit of MemAttr\[2:0\] of stage 2.
pub const MEMORY_ATTRIBUTES_SHIFT: u32 = 16;
/// RmiRttUnprotMapFlags: the lowest bit of the access permissions, 4 bits: write, read.
pub const PERMISSIONS_SHIFT: u32 = 19;

/// RmiGptState: the platform has made the table.
pub const GPT_PLATFORM: u64 = 1;
/// RmiGptState: there is none.
pub const GPT_NOT_CREATED: u64 = 2;

bitflags! {
    /// RmiRealmFlags0 that RMI 1.0 does not have.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RealmFlags0: u64 {
        /// Devices may be assigned.
        const DEVICES = 1 << 3;
        /// Live activation of firmware is allowed.
        const LIVE_ACTIVATION = 1 << 5;
    }
}

/// RmiRealmParams 0x38: the fields that RMI 1.0 does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RmiRealmParams {
    _reserved0: [u8; 0x38],
    /// Auxiliary planes.
    pub num_aux_planes: u64,
    _reserved1: [u8; 0x440 - 0x40],
    /// The plane that ATS is for.
    pub ats_plane: u64,
    _reserved2: [u8; 0x820 - 0x448],
    /// RmiRealmFlags1.
    pub flags1: u64,
    _reserved3: [u8; 0x1000 - 0x828],
}

layout!(RmiRealmParams: 0x1000 { num_aux_planes: 0x38, ats_plane: 0x440, flags1: 0x820 });
