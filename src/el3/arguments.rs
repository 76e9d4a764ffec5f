// SPDX-License-Identifier: BSD-3-Clause
//! What EL3 hands over in registers when it enters the RMM, and what the RMM answers: the boot
//! arguments and the status of `RMM_BOOT_COMPLETE`.
//!
//! Arguments are checked in the order of the reference RMM, so that EL3 sees the same status for
//! the same mistake. A [`BootArguments`] exists only when all rules hold. Pure code: the boot path
//! calls it once for each CPU, and reports the result.

use core::fmt;
use core::ops::Range;

use super::manifest::ManifestError;
use super::version::{InterfaceVersion, VersionError};
use crate::address::{GRANULE_SIZE, PhysAddr};

/// The status that `RMM_BOOT_COMPLETE` passes in x1: the `E_RMM_BOOT` codes of the RMM-EL3
/// interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub enum BootStatus {
    /// This CPU is ready for RMI calls.
    Success = 0,
    /// For reasons that have no code of their own.
    Unknown = -1,
    /// EL3 speaks no version of the interface that the RMM does.
    VersionNotValid = -2,
    /// There are no CPUs, or more than the RMM has room for.
    CpusOutOfRange = -3,
    /// The CPU's index is not below the number of CPUs.
    CpuIdOutOfRange = -4,
    /// The shared buffer is nowhere that a shared buffer can be.
    InvalidSharedBuffer = -5,
    /// The boot manifest, or a part of it, is of an unknown version.
    ManifestVersionNotSupported = -6,
    /// The boot manifest's content breaks a rule.
    ManifestDataError = -7,
}

impl BootStatus {
    /// The status as x1 of `RMM_BOOT_COMPLETE`: sign-extended to 64 bits.
    pub const fn to_register(self) -> u64 {
        // Widens the discriminant's own type: no bits to lose.
        (self as i64).cast_unsigned()
    }
}

/// Why the RMM refuses to boot on this CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// x1: the version of the interface.
    Version(VersionError),
    /// x2: the number of CPUs is 0 or more than `limit`.
    CpuCount {
        /// As EL3 gave it.
        count: u64,
        /// The most that the RMM has room for.
        limit: usize,
    },
    /// x0: the index of this CPU is not below the number of CPUs.
    CpuId {
        /// As EL3 gave it.
        id: u64,
        /// The number of CPUs.
        count: usize,
    },
    /// x3: the shared buffer.
    SharedBuffer {
        /// As EL3 gave it.
        address: PhysAddr,
        /// What is wrong with it.
        rule: SharedBufferRule,
    },
    /// The boot manifest, which is in the shared buffer.
    Manifest(ManifestError),
    /// The memory that EL3 gave to the RMM is too small for what the manifest asks of it.
    Capacity {
        /// What does not fit.
        what: Consumer,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that there are.
        available: u64,
    },
    /// Memory that EL3 reserved for the RMM cannot be used.
    ReservedMemory {
        /// Where EL3 says that it is.
        base: PhysAddr,
        /// Bytes that were asked for.
        size: u64,
        /// What is wrong with it.
        rule: ReservedMemoryRule,
    },
    /// x4 of a cold boot or x1 of a warm one: a token that the RMM has not given out. It gives out
    /// 0, and takes no state over from another RMM.
    ActivationToken(u64),
    /// In this ID register, a CPU differs from the first one.
    CpuDiffers(&'static str),
    /// The machine or the image lacks something that the RMM cannot do without.
    Unsupported(&'static str),
}

/// The rule that the address of the shared buffer breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedBufferRule {
    /// It is not 0.
    Null,
    /// It is a multiple of 4 KiB.
    Misaligned,
    /// Its page ends at or below this end of the physical address range.
    BeyondPhysicalRange(PhysAddr),
    /// Its page is not within the RMM's image, which spans these addresses.
    OverlapsImage(PhysAddr, PhysAddr),
}

/// What takes memory in proportion to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// What each CPU has of its own: tables, stacks, context.
    Cpus,
    /// The states of all granules.
    Granules,
}

/// The rule that reserved memory breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservedMemoryRule {
    /// It is aligned as it was asked for.
    Misaligned,
    /// It ends at or below this end of the physical address range.
    BeyondPhysicalRange(PhysAddr),
    /// It has nothing of this range, which the RMM has already: the image, the shared page, or an
    /// earlier reservation.
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

impl From<VersionError> for BootError {
    fn from(error: VersionError) -> Self {
        Self::Version(error)
    }
}

impl From<ManifestError> for BootError {
    fn from(error: ManifestError) -> Self {
        Self::Manifest(error)
    }
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(error) => write!(f, "RMM-EL3 interface: {error}"),
            Self::CpuCount { count, limit } => {
                write!(f, "number of CPUs: {count} is not in the range 1 to {limit}")
            }
            Self::CpuId { id, count } => write!(f, "CPU index: {id} is not below the {count} CPUs"),
            Self::SharedBuffer { address, rule } => write!(f, "shared buffer at {address}: {rule}"),
            Self::Manifest(error) => write!(f, "boot manifest: {error}"),
            Self::Capacity { what, needed, available } => {
                write!(f, "{what}: {needed} bytes needed, {available} available")
            }
            Self::ReservedMemory { base, size, rule } => {
                write!(f, "{size:#x} bytes reserved by EL3 at {base}: {rule}")
            }
            Self::ActivationToken(token) => {
                write!(f, "activation token: {token:#x} is not the RMM's")
            }
            Self::CpuDiffers(register) => {
                write!(f, "{register} of this CPU differs from that of the first CPU")
            }
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
        }
    }
}

impl core::error::Error for BootError {}

impl fmt::Display for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpus => "memory of the CPUs",
            Self::Granules => "granule array",
        })
    }
}

impl fmt::Display for ReservedMemoryRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned => f.write_str("not aligned as asked for"),
            Self::BeyondPhysicalRange(limit) => {
                write!(f, "beyond the physical addresses, which end at {limit}")
            }
            Self::Overlaps(start, end) => {
                write!(f, "overlaps {start} to {end}, which the RMM has already")
            }
        }
    }
}

impl fmt::Display for SharedBufferRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("there is none"),
            Self::Misaligned => f.write_str("not aligned to 4 KiB"),
            Self::BeyondPhysicalRange(limit) => {
                write!(f, "beyond the physical addresses, which end at {limit}")
            }
            Self::OverlapsImage(start, end) => {
                write!(f, "within the RMM image from {start} to {end}")
            }
        }
    }
}

/// What the boot arguments are measured against: the limits of the machine and of this build.
#[derive(Clone, Debug)]
pub struct BootLimits {
    /// The most CPUs that the RMM has room for.
    pub cpus: usize,
    /// The first address beyond the physical addresses that the CPU can form.
    pub physical_limit: PhysAddr,
    /// The memory that holds the RMM's image.
    pub image: Range<PhysAddr>,
}

/// The arguments of a cold boot, all of which passed their checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootArguments {
    version: InterfaceVersion,
    cpu_count: usize,
    cpu_index: usize,
    shared_buffer: PhysAddr,
}

impl BootArguments {
    /// Checks x0 to x4 as they were when EL3 entered the RMM for the first time.
    ///
    /// # Errors
    ///
    /// [`BootError::Version`], then [`BootError::CpuCount`], [`BootError::CpuId`],
    /// [`BootError::SharedBuffer`] and [`BootError::ActivationToken`].
    pub fn check(registers: [u64; 5], limits: &BootLimits) -> Result<Self, BootError> {
        let [id, version, count, shared_buffer, activation_token] = registers;
        let version = InterfaceVersion::from_register(version)?;
        let cpu_count = match usize::try_from(count) {
            Ok(valid @ 1..) if valid <= limits.cpus => valid,
            _ => return Err(BootError::CpuCount { count, limit: limits.cpus }),
        };
        let cpu_index = check_cpu_index(id, cpu_count)?;
        let shared_buffer = PhysAddr::new(shared_buffer);
        check_shared_buffer(shared_buffer, limits)
            .map_err(|rule| BootError::SharedBuffer { address: shared_buffer, rule })?;
        check_token(activation_token)?;
        Ok(Self { version, cpu_count, cpu_index, shared_buffer })
    }

    /// The version of the interface that EL3 speaks.
    pub const fn version(&self) -> InterfaceVersion {
        self.version
    }

    /// How many CPUs there can be; at least 1. QEMU's TF-A always says 32.
    pub const fn cpu_count(&self) -> usize {
        self.cpu_count
    }

    /// The linear index of the CPU that boots, below [`Self::cpu_count`].
    pub const fn cpu_index(&self) -> usize {
        self.cpu_index
    }

    /// The page that the RMM and EL3 share, 4 KiB in Realm PAS; it begins with the boot manifest.
    pub const fn shared_buffer(&self) -> PhysAddr {
        self.shared_buffer
    }
}

/// The arguments of a warm boot, of a CPU that was off, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmBootArguments {
    cpu_index: usize,
}

impl WarmBootArguments {
    /// Checks x0 and x1 as they were when EL3 entered the RMM; `cpu_count` is what the cold boot
    /// established.
    ///
    /// # Errors
    ///
    /// [`BootError::CpuId`], then [`BootError::ActivationToken`].
    pub fn check(registers: [u64; 2], cpu_count: usize) -> Result<Self, BootError> {
        let [id, activation_token] = registers;
        let cpu_index = check_cpu_index(id, cpu_count)?;
        check_token(activation_token)?;
        Ok(Self { cpu_index })
    }

    /// The linear index of the CPU that boots, below the number of CPUs.
    pub const fn cpu_index(&self) -> usize {
        self.cpu_index
    }
}

fn check_cpu_index(id: u64, count: usize) -> Result<usize, BootError> {
    usize::try_from(id).ok().filter(|&index| index < count).ok_or(BootError::CpuId { id, count })
}

/// Every `RMM_BOOT_COMPLETE` of this RMM passes the token 0, which is also what EL3 has for a CPU
/// that has not booted yet.
fn check_token(token: u64) -> Result<(), BootError> {
    if token == 0 { Ok(()) } else { Err(BootError::ActivationToken(token)) }
}

fn check_shared_buffer(address: PhysAddr, limits: &BootLimits) -> Result<(), SharedBufferRule> {
    let BootLimits { physical_limit, ref image, .. } = *limits;
    if address == PhysAddr::new(0) {
        return Err(SharedBufferRule::Null);
    }
    if !address.is_aligned(GRANULE_SIZE) {
        return Err(SharedBufferRule::Misaligned);
    }
    match address.checked_add(GRANULE_SIZE) {
        Some(end) if end <= physical_limit => {
            if address < image.end && image.start < end {
                return Err(SharedBufferRule::OverlapsImage(image.start, image.end));
            }
            Ok(())
        }
        _ => Err(SharedBufferRule::BeyondPhysicalRange(physical_limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::el3::manifest::{List, Rule};
    use crate::el3::version::{Dialect, Version};

    const IMAGE: Range<PhysAddr> = PhysAddr::new(0x4010_0000)..PhysAddr::new(0x4020_0000);

    /// What TF-A on QEMU passes, with a few values replaced.
    fn check(replaced: &[(usize, u64)]) -> Result<BootArguments, BootError> {
        let mut registers = [0, 0x0002_0000, 0x20, 0x418F_F000, 0];
        for &(register, value) in replaced {
            registers[register] = value;
        }
        let limits = BootLimits { cpus: 64, physical_limit: PhysAddr::new(1 << 40), image: IMAGE };
        BootArguments::check(registers, &limits)
    }

    fn shared_buffer(address: u64, rule: SharedBufferRule) -> Result<BootArguments, BootError> {
        Err(BootError::SharedBuffer { address: PhysAddr::new(address), rule })
    }

    #[test]
    fn the_registers_seen_on_qemu_are_accepted() {
        let arguments = check(&[]).unwrap();
        assert_eq!(arguments.version().dialect(), Dialect::V2_0);
        assert_eq!(arguments.cpu_count(), 32);
        assert_eq!(arguments.cpu_index(), 0);
        assert_eq!(arguments.shared_buffer(), PhysAddr::new(0x418F_F000));
        assert_eq!(check(&[(1, 8)]).unwrap().version().dialect(), Dialect::V1_0);
    }

    #[test]
    fn each_register_arrives_in_its_own_field() {
        let arguments = check(&[(0, 7), (1, 4), (2, 9), (3, 0x5000)]).unwrap();
        assert_eq!(arguments.cpu_index(), 7);
        assert_eq!(arguments.version().version(), Version { major: 0, minor: 4 });
        assert_eq!(arguments.cpu_count(), 9);
        assert_eq!(arguments.shared_buffer(), PhysAddr::new(0x5000));
    }

    #[test]
    fn cpu_counts_are_refused_outside_1_to_the_limit() {
        for count in [0, 65, 1 << 32, u64::MAX] {
            assert_eq!(check(&[(2, count)]), Err(BootError::CpuCount { count, limit: 64 }));
        }
        assert_eq!(check(&[(2, 1)]).unwrap().cpu_count(), 1);
        assert_eq!(check(&[(2, 64)]).unwrap().cpu_count(), 64);
    }

    #[test]
    fn cpu_indices_are_refused_from_the_count_on() {
        for id in [32, 33, 1 << 32, u64::MAX] {
            assert_eq!(check(&[(0, id)]), Err(BootError::CpuId { id, count: 32 }));
        }
        assert_eq!(check(&[(0, 31)]).unwrap().cpu_index(), 31);
    }

    #[test]
    fn shared_buffers_are_refused_when_null_misaligned_or_not_addressable() {
        let beyond = SharedBufferRule::BeyondPhysicalRange(PhysAddr::new(1 << 40));
        for (address, rule) in [
            (0, SharedBufferRule::Null),
            (1, SharedBufferRule::Misaligned),
            (0x418F_F800, SharedBufferRule::Misaligned),
            (1 << 40, beyond),
            (!0xFFF, beyond),
        ] {
            assert_eq!(check(&[(3, address)]), shared_buffer(address, rule));
        }
        let last = (1 << 40) - 0x1000;
        assert_eq!(check(&[(3, last)]).unwrap().shared_buffer(), PhysAddr::new(last));
    }

    #[test]
    fn shared_buffers_are_refused_exactly_where_they_touch_the_image() {
        let rule = SharedBufferRule::OverlapsImage(IMAGE.start, IMAGE.end);
        for address in [0x4010_0000, 0x4018_0000, 0x401F_F000] {
            assert_eq!(check(&[(3, address)]), shared_buffer(address, rule));
        }
        for address in [0x400F_F000, 0x4020_0000] {
            assert!(check(&[(3, address)]).is_ok());
        }
    }

    #[test]
    fn with_several_mistakes_the_first_in_the_order_of_checks_is_reported() {
        let wrong = [(1, 0x1_0000), (2, 0), (0, 32), (3, 0), (4, 1)];
        let statuses: Vec<_> = (0..5)
            .map(|first| check(&wrong[first..]).unwrap_err().status().to_register())
            .collect();
        assert_eq!(statuses, [-2, -3, -4, -5, -1].map(i64::cast_unsigned));
    }

    #[test]
    fn warm_boots_are_held_to_the_count_of_the_cold_boot() {
        assert_eq!(WarmBootArguments::check([3, 0], 4).unwrap().cpu_index(), 3);
        for id in [4, u64::MAX] {
            assert_eq!(
                WarmBootArguments::check([id, 1], 4),
                Err(BootError::CpuId { id, count: 4 })
            );
        }
    }

    #[test]
    fn tokens_that_the_rmm_never_gave_out_are_refused() {
        for token in [1, 1 << 63, u64::MAX] {
            assert_eq!(check(&[(4, token)]), Err(BootError::ActivationToken(token)));
            assert_eq!(
                WarmBootArguments::check([3, token], 4),
                Err(BootError::ActivationToken(token))
            );
        }
    }

    #[test]
    fn each_refusal_has_its_status_and_a_sentence_that_names_what_was_wrong() {
        let data = ManifestError::Data {
            list: List::Dram,
            index: Some(3),
            rule: Rule::SizeMisaligned(0x800),
        };
        for (error, status, sentence) in [
            (
                check(&[(1, 0x1_0000)]).unwrap_err(),
                -2,
                "RMM-EL3 interface: the version 1.0 is neither 0.2 or a later 0.x, nor 2.x",
            ),
            (check(&[(2, 65)]).unwrap_err(), -3, "number of CPUs: 65 is not in the range 1 to 64"),
            (check(&[(0, 40)]).unwrap_err(), -4, "CPU index: 40 is not below the 32 CPUs"),
            (
                check(&[(3, 0x800)]).unwrap_err(),
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
            (check(&[(4, 0x70)]).unwrap_err(), -1, "activation token: 0x70 is not the RMM's"),
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
