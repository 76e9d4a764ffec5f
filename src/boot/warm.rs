// SPDX-License-Identifier: BSD-3-Clause
//! Warm boot in Rust.

use super::handover;
#[cfg(feature = "self-test")]
use super::self_test::{self, Moment};
use crate::cpu::{self, CpuFeatures, CpuIndex, Stage};
use crate::el3::arguments::WarmBootArguments;
use crate::el3::error::BootError;

/// Checks a warm boot: EL3's x0 and x1, and that this CPU has the features of the first one.
/// `is_alike` says that all its ID registers are the same.
pub(super) fn boot(registers: [u64; 2], is_alike: bool) -> Result<(), BootError> {
    let [index, _] = registers;
    // For reports. entry.S checked the index before it took the stack of that CPU.
    if let Some(index) = usize::try_from(index).ok().and_then(CpuIndex::new) {
        cpu::identify(index, Stage::Warm);
    }
    #[cfg(feature = "self-test")]
    self_test::at(Moment::WarmBoot(registers[1]));
    let booted =
        handover::booted().ok_or(BootError::Unsupported("a warm boot before a cold one"))?;
    WarmBootArguments::check(registers, &booted.arguments)?;
    if !is_alike {
        cpu::errata::note_this_cpu();
        if let Some(register) = booted.features.difference(&CpuFeatures::read()) {
            return Err(BootError::CpuDiffers(register));
        }
    }
    cpu::enter_stage(Stage::Online);
    Ok(())
}
