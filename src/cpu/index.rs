// SPDX-License-Identifier: BSD-3-Clause
//! The linear index that EL3 gives each CPU at boot.

/// CPUs that one image serves. EL3 announces its own count at boot; a larger one is refused.
pub const MAX_CPUS: usize = 512;

/// The linear index of a CPU, always less than [`MAX_CPUS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuIndex(usize);

impl CpuIndex {
    /// The index that EL3 passed in x0; `None` unless it is less than [`MAX_CPUS`].
    pub const fn new(index: usize) -> Option<Self> {
        if index < MAX_CPUS { Some(Self(index)) } else { None }
    }

    /// The index, less than [`MAX_CPUS`].
    pub const fn get(self) -> usize {
        self.0
    }
}
