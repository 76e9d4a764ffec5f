// SPDX-License-Identifier: BSD-3-Clause
//! The stage that the boot of a CPU has reached. A debugger finds it in TPIDR_EL2, even before
//! there is a console; fatal reports print it.
//!
//! The order of the stages is defined here only. A test build panics when a boot leaves that order.

use core::fmt;

/// What a CPU is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// `entry.S`, from the first instruction to the first function in Rust.
    Entry = 0,
    /// Cold boot: the boot arguments.
    Arguments = 1,
    /// Cold boot: the manifest, and memory for what grows with the machine.
    Memory = 2,
    /// Cold boot: the Low VA map. The last stage of the first half.
    LowMap = 3,
    /// Cold boot, second half: the console.
    Console = 4,
    /// Cold boot: the High VA maps of all CPUs.
    HighMaps = 5,
    /// Cold boot: the granule array and the state of the RMM.
    Granules = 6,
    /// Warm boot: its arguments and the CPU's features are checked.
    Warm = 7,
    /// The boot is done.
    Online = 0x80,
}

impl Stage {
    /// The stages of a cold boot, in order.
    pub const COLD: [Self; 8] = [
        Self::Entry,
        Self::Arguments,
        Self::Memory,
        Self::LowMap,
        Self::Console,
        Self::HighMaps,
        Self::Granules,
        Self::Online,
    ];
    /// The stages of a warm boot, in order.
    pub const WARM: [Self; 3] = [Self::Entry, Self::Warm, Self::Online];

    /// The stage with this number.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::COLD.into_iter().chain(Self::WARM).find(|stage| *stage as u8 == number)
    }

    /// Whether a boot enters `next` right after this stage.
    pub(super) fn leads_to(self, next: Self) -> bool {
        let follows = |path: &[Self]| path.windows(2).any(|pair| pair == [self, next]);
        follows(&Self::COLD) || follows(&Self::WARM)
    }

    /// The map in force when the stage begins.
    pub const fn map(self) -> Map {
        match self {
            Self::Entry => Map::Off,
            Self::Arguments | Self::Memory | Self::LowMap => Map::Early,
            Self::Console | Self::HighMaps => Map::Low,
            Self::Granules | Self::Warm | Self::Online => Map::LowAndHigh,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entry => "entering, before any Rust runs",
            Self::Arguments => "checking the boot arguments",
            Self::Memory => "reading the manifest and finding memory",
            Self::LowMap => "building the Low VA map",
            Self::Console => "taking the console into use",
            Self::HighMaps => "building the High VA maps of all CPUs",
            Self::Granules => "making the granule array and the RMM",
            Self::Warm => "checking a warm boot",
            Self::Online => "serving calls",
        })
    }
}

/// An address map that is in force during part of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    /// None.
    Off,
    /// The early identity map.
    Early,
    /// The Low VA map.
    Low,
    /// The Low VA map, and the High VA map of the CPU.
    LowAndHigh,
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "MMU off",
            Self::Early => "early map",
            Self::Low => "Low VA map",
            Self::LowAndHigh => "Low and High VA map",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_leads_to_the_next_of_its_boot_and_to_no_other() {
        for (stage, next) in [(Stage::Entry, Stage::Arguments), (Stage::Entry, Stage::Warm)] {
            assert!(stage.leads_to(next));
        }
        assert!(Stage::Warm.leads_to(Stage::Online) && Stage::Granules.leads_to(Stage::Online));
        assert!(!Stage::Entry.leads_to(Stage::Online), "not without a check");
        assert!(!Stage::Arguments.leads_to(Stage::LowMap), "none is left out");
        assert!(!Stage::LowMap.leads_to(Stage::LowMap), "none is done twice");
        assert!(!Stage::Online.leads_to(Stage::Warm), "a boot begins at its entry");
    }

    #[test]
    fn each_stage_is_found_by_its_number() {
        for stage in Stage::COLD.into_iter().chain(Stage::WARM) {
            assert_eq!(Stage::from_number(stage as u8), Some(stage));
        }
        assert_eq!(Stage::from_number(0x7f), None);
    }
}
