// SPDX-License-Identifier: BSD-3-Clause
//! Tests of the boot manifest's parser: what it accepts, what it refuses and why, and properties of
//! both.

use super::{BdfMapping, Console, Header, List, Manifest, ManifestError, MemoryRegion, Rule, Smmu};
use crate::address::PhysAddr;

mod accepted;
pub(crate) mod builder;
mod model;
mod properties;
mod refused;
mod refused_root_complexes;

/// The first address beyond the physical addresses of the tests' machine, which has 40 bits of them
/// as TF-A configures QEMU's.
const PHYSICAL_LIMIT: PhysAddr = PhysAddr::new(1 << 40);

fn parse(bytes: &[u8; 4096], base: PhysAddr) -> Result<Manifest<'_>, ManifestError> {
    Header::read(bytes, base, PHYSICAL_LIMIT)?.validate()
}
