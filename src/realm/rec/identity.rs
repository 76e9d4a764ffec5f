// SPDX-License-Identifier: BSD-3-Clause
//! The identity of a REC: what never changes while it exists.

use crate::granule::{GranuleAddress, state};
use crate::mem::{AUXILIARY, Content};
use crate::realm::features::RealmFeatures;
use crate::realm::stage2::Stage2;

/// RmiRecMpidr: the affinity fields of MPIDR_EL1, with 16 RECs at affinity level 0 and 256 at each
/// of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Mpidr(u32);

impl Mpidr {
    /// Aff0 is 4 bits at 0, Aff1 to Aff3 are 8 bits each at 8, 16 and 24.
    const DEFINED: u64 = 0xffff_ff0f;

    /// Decodes a register value; `None` if a bit outside the affinity fields is set.
    pub const fn new(value: u64) -> Option<Self> {
        if value & !Self::DEFINED != 0 {
            return None;
        }
        let [b0, b1, b2, b3, ..] = value.to_le_bytes();
        Some(Self(u32::from_le_bytes([b0, b1, b2, b3])))
    }

    /// Decodes affinity fields as MPIDR_EL1 has them: Aff0 to Aff2 in bits 23:0, Aff3 in bits
    /// 39:32. `None` if another bit is set.
    pub const fn from_affinity(value: u64) -> Option<Self> {
        const LOW: u64 = 0xff_ffff;
        const AFF3: u64 = 0xff << 32;
        if value & !(LOW | AFF3) == 0 { Self::new(value & LOW | (value & AFF3) >> 8) } else { None }
    }

    /// Aff0 to Aff2 in bits 23:0, Aff3 in bits 31:24.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The index of the REC: RECs are created in this order, from 0.
    pub const fn index(self) -> u32 {
        (self.0 & 0xf) | (self.0 >> 8) << 4
    }
}

/// The part of a REC that never changes. The holder of the granule's lock may read it even while
/// another CPU runs the REC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RecIdentity {
    /// The RD of its Realm, to which it holds a reference.
    pub realm: GranuleAddress,
    /// Its auxiliary granules.
    pub auxiliary: [GranuleAddress; AUXILIARY],
    /// Its MPIDR in its Realm.
    pub mpidr: Mpidr,
    /// The optional features of its Realm.
    pub features: RealmFeatures,
    /// The stage-2 translation of its Realm.
    pub stage2: Stage2,
}

// SAFETY: addresses and a number; a `Rec` begins with it.
unsafe impl Content for RecIdentity {
    type State = state::Rec;
}
