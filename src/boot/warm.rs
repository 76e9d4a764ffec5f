// SPDX-License-Identifier: BSD-3-Clause
//! Warm boot in Rust.

use super::handover;
#[cfg(feature = "self-test")]
use super::self_test::{self, Moment};
use crate::cpu::{self, CpuFeatures, CpuIndex, Stage};
use crate::el3::arguments::WarmBootArguments;
use crate::el3::error::BootError;

/// Checks a warm boot: EL3's x0 and x1, and that this CPU has the features of the first one.
pub(super) fn boot(registers: [u64; 2]) -> Result<(), BootError> {
    let [index, _] = registers;
    // For reports; entry.S has found the index in range before it took the stack that goes with it.
    if let Some(index) = usize::try_from(index).ok().and_then(CpuIndex::new) {
        cpu::identify(index, Stage::Warm);
    }
    cpu::errata::note_this_cpu();
    #[cfg(feature = "self-test")]
    self_test::at(Moment::WarmBoot(registers[1]));
    let booted =
        handover::booted().ok_or(BootError::Unsupported("a warm boot before a cold one"))?;
    WarmBootArguments::check(registers, &booted.arguments)?;
    match booted.features.difference(&CpuFeatures::read()) {
        None => {
            cpu::enter_stage(Stage::Online);
            Ok(())
        }
        Some(register) => Err(BootError::CpuDiffers(register)),
    }
}
