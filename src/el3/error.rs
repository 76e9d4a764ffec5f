// SPDX-License-Identifier: BSD-3-Clause
//! Why a boot is refused, and the status that EL3 gets for it.

use super::manifest::ManifestError;
use super::version::VersionError;
use crate::address::PhysAddr;

/// The status that `RMM_BOOT_COMPLETE` passes in x1: the `E_RMM_BOOT` codes of the RMM-EL3
/// interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub enum BootStatus {
    /// This CPU is ready for RMI calls.
    Success = 0,
    /// Any reason without a code of its own.
    Unknown = -1,
    /// The RMM does not support EL3's version of the interface.
    VersionNotValid = -2,
    /// No CPUs, or more than the RMM has room for.
    CpusOutOfRange = -3,
    /// The CPU's index is not below the number of CPUs.
    CpuIdOutOfRange = -4,
    /// The shared buffer is at an invalid address.
    InvalidSharedBuffer = -5,
    /// The boot manifest, or a part of it, has an unknown version.
    ManifestVersionNotSupported = -6,
    /// The boot manifest breaks a rule.
    ManifestDataError = -7,
}

impl BootStatus {
    /// The status as x1 of `RMM_BOOT_COMPLETE`: sign-extended to 64 bits.
    pub const fn to_register(self) -> u64 {
        // `i64` is the discriminant's own type: no bits are lost.
        (self as i64).cast_unsigned()
    }
}

/// Why the RMM refuses to boot on this CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootError {
    /// x1: the version of the interface.
    #[error("RMM-EL3 interface: {0}")]
    Version(#[from] VersionError),
    /// x2: the number of CPUs is 0 or more than `limit`.
    #[error("number of CPUs: {count} is not in the range 1 to {limit}")]
    CpuCount {
        /// As EL3 gave it.
        count: u64,
        /// The most that the RMM has room for.
        limit: usize,
    },
    /// x0: the index of this CPU is not below the number of CPUs.
    #[error("CPU index: {id} is not below the {count} CPUs")]
    CpuId {
        /// As EL3 gave it.
        id: u64,
        /// The number of CPUs.
        count: usize,
    },
    /// x3: the shared buffer.
    #[error("shared buffer at {address}: {rule}")]
    SharedBuffer {
        /// As EL3 gave it.
        address: PhysAddr,
        /// What is wrong with it.
        rule: SharedBufferRule,
    },
    /// The boot manifest, which is in the shared buffer.
    #[error("boot manifest: {0}")]
    Manifest(#[from] ManifestError),
    /// The RMM's memory is too small for the machine that the manifest describes.
    #[error("{what}: {needed} bytes needed, {available} available")]
    Capacity {
        /// What does not fit.
        what: Consumer,
        /// Bytes needed.
        needed: u64,
        /// Bytes available.
        available: u64,
    },
    /// Memory that EL3 reserved for the RMM cannot be used.
    #[error("{size:#x} bytes reserved by EL3 at {base}: {rule}")]
    ReservedMemory {
        /// Where EL3 says that it is.
        base: PhysAddr,
        /// Bytes that were asked for.
        size: u64,
        /// What is wrong with it.
        rule: ReservedMemoryRule,
    },
    /// x4 of a cold boot or x1 of a warm one is not 0, the only token that this RMM passes to EL3.
    /// Another token would be that of another RMM, whose state this RMM does not take over.
    #[error("activation token: {0:#x} is not the RMM's")]
    ActivationToken(u64),
    /// This ID register of a CPU differs from that of the first CPU.
    #[error("{0} of this CPU differs from that of the first CPU")]
    CpuDiffers(&'static str),
    /// The machine or the image lacks something that the RMM needs.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
}

/// What is wrong with the address of the shared buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SharedBufferRule {
    /// It is 0.
    #[error("there is none")]
    Null,
    /// It is not a multiple of 4 KiB.
    #[error("not aligned to 4 KiB")]
    Misaligned,
    /// Its page ends above this end of the physical address range.
    #[error("beyond the physical addresses, which end at {0}")]
    BeyondPhysicalRange(PhysAddr),
    /// Its page overlaps the RMM's image, which spans these addresses.
    #[error("within the RMM image from {0} to {1}")]
    OverlapsImage(PhysAddr, PhysAddr),
}

/// What takes memory in proportion to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Consumer {
    /// Memory of each CPU: tables, stacks, context.
    #[error("memory of the CPUs")]
    Cpus,
    /// The states of all granules.
    #[error("granule array")]
    Granules,
}

/// What is wrong with reserved memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReservedMemoryRule {
    /// It is not aligned as requested.
    #[error("not aligned as asked for")]
    Misaligned,
    /// It ends above this end of the physical address range.
    #[error("beyond the physical addresses, which end at {0}")]
    BeyondPhysicalRange(PhysAddr),
    /// It overlaps these addresses, which the RMM has already: the image, the shared page or an
    /// earlier reservation.
    #[error("overlaps {0} to {1}, which the RMM has already")]
    Overlaps(PhysAddr, PhysAddr),
}

impl BootError {
    /// The status to report to EL3. No other place chooses one.
    pub const fn status(&self) -> BootStatus {
        match self {
            Self::Version(_) => BootStatus::VersionNotValid,
            Self::CpuCount { .. } | Self::Capacity { what: Consumer::Cpus, .. } => {
                BootStatus::CpusOutOfRange
            }
            Self::CpuId { .. } => BootStatus::CpuIdOutOfRange,
            Self::SharedBuffer { .. } => BootStatus::InvalidSharedBuffer,
            Self::Manifest(ManifestError::Version(_) | ManifestError::RootComplexVersion(_)) => {
                BootStatus::ManifestVersionNotSupported
            }
            Self::Manifest(ManifestError::Data { .. }) => BootStatus::ManifestDataError,
            Self::Capacity { what: Consumer::Granules, .. }
            | Self::ReservedMemory { .. }
            | Self::ActivationToken(_)
            | Self::CpuDiffers(_)
            | Self::Unsupported(_) => BootStatus::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::el3::manifest::{List, Rule};
    use crate::el3::version::Version;

    #[test]
    fn each_refusal_has_its_status_and_a_sentence_that_names_what_was_wrong() {
        let data = ManifestError::Data {
            list: List::Dram,
            index: Some(3),
            rule: Rule::SizeMisaligned(0x800),
        };
        for (error, status, sentence) in [
            (
                VersionError::Unsupported(Version { major: 1, minor: 0 }).into(),
                -2,
                "RMM-EL3 interface: the version 1.0 is neither 0.2 or a later 0.x, nor 2.x",
            ),
            (
                BootError::CpuCount { count: 65, limit: 64 },
                -3,
                "number of CPUs: 65 is not in the range 1 to 64",
            ),
            (BootError::CpuId { id: 40, count: 32 }, -4, "CPU index: 40 is not below the 32 CPUs"),
            (
                BootError::SharedBuffer {
                    address: PhysAddr::new(0x800),
                    rule: SharedBufferRule::Misaligned,
                },
                -5,
                "shared buffer at 0x0000000000000800: not aligned to 4 KiB",
            ),
            (
                ManifestError::Version(0x0001_0000).into(),
                -6,
                "boot manifest: version 1.0 is neither 0.2 nor a later 0.x",
            ),
            (
                ManifestError::RootComplexVersion(0x8000_0000).into(),
                -6,
                "boot manifest: root complex version 0x80000000 has reserved bits set",
            ),
            (data.into(), -7, "boot manifest: DRAM bank 3: size 0x800 is not a multiple of 4 KiB"),
            (
                BootError::Capacity { what: Consumer::Granules, needed: 9, available: 5 },
                -1,
                "granule array: 9 bytes needed, 5 available",
            ),
            (
                BootError::Capacity { what: Consumer::Cpus, needed: 9, available: 5 },
                -3,
                "memory of the CPUs: 9 bytes needed, 5 available",
            ),
            (
                BootError::ReservedMemory {
                    base: PhysAddr::new(0x1000),
                    size: 0x2000,
                    rule: ReservedMemoryRule::Misaligned,
                },
                -1,
                "0x2000 bytes reserved by EL3 at 0x0000000000001000: not aligned as asked for",
            ),
            (BootError::ActivationToken(0x70), -1, "activation token: 0x70 is not the RMM's"),
            (
                BootError::CpuDiffers("CTR_EL0"),
                -1,
                "CTR_EL0 of this CPU differs from that of the first CPU",
            ),
            (BootError::Unsupported("FEAT_VHE"), -1, "not supported: FEAT_VHE"),
        ] {
            assert_eq!(error.status().to_register(), i64::cast_unsigned(status), "{error}");
            assert_eq!(error.to_string(), sentence);
        }
        assert_eq!(BootStatus::Success.to_register(), 0);
    }
}
