// SPDX-License-Identifier: BSD-3-Clause
//! Which CPU: the linear index that EL3 gives each CPU at boot, and what TPIDR_EL2 says of the
//! running one.
//!
//! | TPIDR_EL2 | Meaning |
//! | --- | --- |
//! | 15:0 | the index plus 1; 0 until boot has checked it |
//! | 23:16 | the [`Stage`] of its boot; from bit 23 on it serves calls |
//!
//! `entry.S` clears it when a CPU enters, and boot writes it on each CPU; all else only reads it,
//! and for reports only.

mod stage;

pub use stage::{Map, Stage};

use tock_registers::interfaces::{Readable, Writeable};

use crate::arch::sysreg::TPIDR_EL2;

/// CPUs that one image serves. EL3 names its own count at boot; more than this is a refused boot.
pub const MAX_CPUS: usize = 512;

const STAGE_SHIFT: u32 = 16;
const INDEX: u64 = (1 << STAGE_SHIFT) - 1;
/// The bit of TPIDR_EL2 that tells a CPU that serves calls from one that boots, which the exception
/// vectors test.
pub const SERVES_BIT: u32 = 23;

static_assertions::const_assert_eq!((Stage::Serving as u64) << STAGE_SHIFT, 1 << SERVES_BIT);
static_assertions::const_assert!(MAX_CPUS < 1 << STAGE_SHIFT);

/// The linear index of a CPU, always less than [`MAX_CPUS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuIndex(usize);

impl CpuIndex {
    /// The index EL3 passed in x0; `None` from [`MAX_CPUS`] on.
    pub const fn new(index: usize) -> Option<Self> {
        if index < MAX_CPUS { Some(Self(index)) } else { None }
    }

    /// The index, less than [`MAX_CPUS`].
    pub const fn get(self) -> usize {
        self.0
    }
}

/// Makes `index` the running CPU's, which is at `stage` of its boot.
pub fn identify(index: CpuIndex, stage: Stage) {
    TPIDR_EL2.set((index.get() as u64 + 1) | (stage as u64) << STAGE_SHIFT);
}

/// Says that the running CPU begins a stage of its boot. From [`Stage::Serving`] on it cannot be
/// refused to EL3.
pub fn enter(next: Stage) {
    let word = TPIDR_EL2.get();
    if cfg!(any(debug_assertions, feature = "self-test")) {
        assert!(
            stage().is_some_and(|stage| stage.leads_to(next)),
            "a boot goes from {:?} to {next:?}",
            stage()
        );
    }
    TPIDR_EL2.set((word & INDEX) | (next as u64) << STAGE_SHIFT);
}

/// What the running CPU is doing; `None` if the register was written by somebody else.
pub fn stage() -> Option<Stage> {
    let [_, _, number, ..] = TPIDR_EL2.get().to_le_bytes();
    Stage::from_number(number)
}

/// Whether the running CPU has finished its boot.
pub fn serves() -> bool {
    TPIDR_EL2.get() >> SERVES_BIT & 1 != 0
}

/// The linear index of the running CPU, for reports; `None` before [`identify`].
pub fn this_index() -> Option<usize> {
    let [low, high, ..] = TPIDR_EL2.get().to_le_bytes();
    usize::from(u16::from_le_bytes([low, high])).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::preset_register;

    #[test]
    fn a_cpu_is_known_from_identify_on_and_serves_when_its_boot_is_done() {
        preset_register("TPIDR_EL2", 0);
        assert_eq!((this_index(), serves()), (None, false));
        for index in [0, MAX_CPUS - 1] {
            identify(CpuIndex::new(index).unwrap(), Stage::Granules);
            assert_eq!((this_index(), serves()), (Some(index), false));
            enter(Stage::Serving);
            assert_eq!((this_index(), serves()), (Some(index), true));
        }
        assert_eq!(CpuIndex::new(MAX_CPUS), None);
    }

    #[test]
    fn a_boot_goes_through_its_stages_with_and_without_an_index() {
        for path in [Stage::COLD.as_slice(), Stage::WARM.as_slice()] {
            for index in [0, 1] {
                preset_register("TPIDR_EL2", index);
                for (current, next) in path.iter().zip(&path[1..]) {
                    assert_eq!(stage(), Some(*current));
                    enter(*next);
                }
                assert_eq!(this_index().is_some(), index == 1);
            }
        }
    }

    #[test]
    #[should_panic(expected = "from Some(Arguments) to LowMap")]
    fn a_boot_that_leaves_a_stage_out_is_stopped() {
        preset_register("TPIDR_EL2", 0);
        enter(Stage::Arguments);
        enter(Stage::LowMap);
    }
}
