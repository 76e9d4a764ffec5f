// SPDX-License-Identifier: BSD-3-Clause
//! The running CPU: its features, its index and the stage of its boot. The last two are kept in
//! TPIDR_EL2.
//!
//! | TPIDR_EL2 | Meaning |
//! | --- | --- |
//! | 15:0 | the index plus 1; 0 until boot has checked it |
//! | 23:16 | the [`Stage`] of its boot; bit 23 is set once it is online |
//!
//! `entry.S` clears the register when EL3 enters the RMM on a CPU, and boot writes it. Everything
//! else only reads it, for reports.

pub mod debug;
pub mod errata;
mod features;
pub mod hash;
mod index;
pub mod pmu;
pub mod simd;
mod stage;

pub use features::CpuFeatures;
pub use index::{CpuIndex, MAX_CPUS};
pub use stage::{Map, Stage};

use tock_registers::interfaces::{Readable, Writeable};

use crate::arch::sysreg::TPIDR_EL2;

const STAGE_SHIFT: u32 = 16;
const INDEX: u64 = (1 << STAGE_SHIFT) - 1;
/// Set in TPIDR_EL2 when the CPU has finished its boot. The exception vectors test it.
pub const ONLINE_BIT: u32 = 23;

static_assertions::const_assert_eq!((Stage::Online as u64) << STAGE_SHIFT, 1 << ONLINE_BIT);
static_assertions::const_assert!(MAX_CPUS < 1 << STAGE_SHIFT);

/// Records the running CPU's index, and the stage of its boot.
pub fn identify(index: CpuIndex, stage: Stage) {
    TPIDR_EL2.set((index.get() as u64 + 1) | (stage as u64) << STAGE_SHIFT);
}

/// Records that the running CPU begins a stage of its boot. From [`Stage::Online`] on the boot can
/// no longer be refused.
pub fn enter_stage(next: Stage) {
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

/// The stage of the running CPU; `None` if TPIDR_EL2 holds no valid stage.
pub fn stage() -> Option<Stage> {
    let [_, _, number, ..] = TPIDR_EL2.get().to_le_bytes();
    Stage::from_number(number)
}

/// Whether the running CPU has finished its boot.
pub fn is_online() -> bool {
    TPIDR_EL2.get() >> ONLINE_BIT & 1 != 0
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
    fn a_cpu_is_known_from_identify_on_and_online_when_its_boot_is_done() {
        preset_register("TPIDR_EL2", 0);
        assert_eq!((this_index(), is_online()), (None, false));
        for index in [0, MAX_CPUS - 1] {
            identify(CpuIndex::new(index).unwrap(), Stage::Granules);
            assert_eq!((this_index(), is_online()), (Some(index), false));
            enter_stage(Stage::Online);
            assert_eq!((this_index(), is_online()), (Some(index), true));
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
                    enter_stage(*next);
                }
                assert_eq!(this_index().is_some(), index == 1);
            }
        }
    }

    #[test]
    #[should_panic(expected = "from Some(Arguments) to LowMap")]
    fn a_boot_that_leaves_a_stage_out_is_stopped() {
        preset_register("TPIDR_EL2", 0);
        enter_stage(Stage::Arguments);
        enter_stage(Stage::LowMap);
    }
}
