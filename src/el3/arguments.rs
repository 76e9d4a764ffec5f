// SPDX-License-Identifier: BSD-3-Clause
//! Boot arguments: what EL3 passes in registers when it enters the RMM.
//!
//! Arguments are checked in the order of TF-RMM, so that EL3 gets the same status for the same
//! error. A [`BootArguments`] exists only if all rules hold. Pure code.

use core::ops::Range;

use super::error::{BootError, SharedBufferRule};
use super::version::InterfaceVersion;
use crate::address::{GRANULE_SIZE, PhysAddr};

/// Limits of the machine and of this build that the boot arguments must keep.
#[derive(Clone, Debug)]
pub struct BootLimits {
    /// The most CPUs that the RMM has room for.
    pub cpus: usize,
    /// The first address above the physical address range of the CPU.
    pub physical_limit: PhysAddr,
    /// The memory that holds the RMM's image.
    pub image: Range<PhysAddr>,
}

/// The arguments of a cold boot, checked.
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
    /// [`BootError::SharedBuffer`] and, where the version defines a token,
    /// [`BootError::ActivationToken`].
    pub fn check(registers: [u64; 5], limits: &BootLimits) -> Result<Self, BootError> {
        let [id, version, count, shared_buffer, activation_token] = registers;
        let version = InterfaceVersion::from_register(version)?;
        let cpu_count = match usize::try_from(count) {
            Ok(valid @ 1..) if valid <= limits.cpus => valid,
            _ => return Err(BootError::CpuCount { count, limit: limits.cpus }),
        };
        let cpu_index = check_cpu_index(id, cpu_count)?;
        let shared_buffer = PhysAddr::new(shared_buffer);
        check_shared_buffer(shared_buffer, limits)?;
        if version.has_token() {
            check_token(activation_token)?;
        }
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

/// The arguments of a warm boot, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmBootArguments {
    cpu_index: usize,
}

impl WarmBootArguments {
    /// Checks x0 and x1 as they were when EL3 entered the RMM; `cold` are the arguments of the cold
    /// boot.
    ///
    /// # Errors
    ///
    /// [`BootError::CpuId`], then, where the version defines a token,
    /// [`BootError::ActivationToken`].
    pub fn check(registers: [u64; 2], cold: &BootArguments) -> Result<Self, BootError> {
        let [id, activation_token] = registers;
        let cpu_index = check_cpu_index(id, cold.cpu_count)?;
        if cold.version.has_token() {
            check_token(activation_token)?;
        }
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

/// The token must be 0: this RMM passes 0 in every `RMM_BOOT_COMPLETE`, and EL3 has 0 for a CPU
/// that has not booted yet.
fn check_token(token: u64) -> Result<(), BootError> {
    if token == 0 { Ok(()) } else { Err(BootError::ActivationToken(token)) }
}

/// Checks x3 of a cold boot.
///
/// # Errors
///
/// [`BootError::SharedBuffer`].
pub fn check_shared_buffer(address: PhysAddr, limits: &BootLimits) -> Result<(), BootError> {
    let BootLimits { physical_limit, ref image, .. } = *limits;
    let end = address.checked_add(GRANULE_SIZE).filter(|end| *end <= physical_limit);
    let rule = match end {
        _ if address == PhysAddr::new(0) => SharedBufferRule::Null,
        _ if !address.is_aligned(GRANULE_SIZE) => SharedBufferRule::Misaligned,
        None => SharedBufferRule::BeyondPhysicalRange(physical_limit),
        Some(end) if address < image.end && image.start < end => {
            SharedBufferRule::OverlapsImage(image.start, image.end)
        }
        Some(_) => return Ok(()),
    };
    Err(BootError::SharedBuffer { address, rule })
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let cold = check(&[(2, 4)]).unwrap();
        assert_eq!(WarmBootArguments::check([3, 0], &cold).unwrap().cpu_index(), 3);
        for id in [4, u64::MAX] {
            let refused = Err(BootError::CpuId { id, count: 4 });
            assert_eq!(WarmBootArguments::check([id, 1], &cold), refused);
        }
    }

    #[test]
    fn tokens_that_the_rmm_never_gave_out_are_refused_where_there_are_tokens() {
        for token in [1, 1 << 63, u64::MAX] {
            let refused = BootError::ActivationToken(token);
            assert_eq!(check(&[(4, token)]), Err(refused));
            let cold = check(&[]).unwrap();
            assert_eq!(WarmBootArguments::check([3, token], &cold), Err(refused));
            for version in [2, 4, 7] {
                let cold = check(&[(1, version), (4, token)]).unwrap();
                assert!(WarmBootArguments::check([3, token], &cold).is_ok());
            }
        }
    }
}
