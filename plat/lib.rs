// SPDX-License-Identifier: BSD-3-Clause
//! The machines that the image is built for, one folder each, and what they have in common: types
//! and no code.
//!
//! One image serves all of them: the boot manifest describes the machine. This crate has
//!
//! - the [`Limits`] of each machine, which shape the image before there is a manifest. The image is
//!   built with [`LIMITS`], which suits every machine of [`MACHINES`]. Nothing else of this crate
//!   is in the image.
//! - each [`Machine`] itself, as EL3 describes it in boot arguments and manifest. Only tests use
//!   it: those of this computer, the EL3 test firmware, and the runner that loads the image.
//!
//! A new machine is a folder with both, and a line in [`MACHINES`]. The model machine of the
//! host's tests is in `tests/kit`.

#![no_std]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod fvp;
pub mod qemu_virt;

/// Every machine that the image is built for.
pub const MACHINES: [&Machine; 2] = [&qemu_virt::MACHINE, &fvp::MACHINE];

/// The limits that the image is built with.
pub const LIMITS: Limits = Limits::of_all(&MACHINES);

/// What shapes the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// CPUs for which the pool has room, if EL3 reserves no memory for the RMM.
    pub cpus: usize,
    /// Bytes of delegable DRAM for whose granules the pool has room, if EL3 reserves no memory.
    pub dram: u64,
    /// The greatest size of the memory that EL3 sets aside for the RMM, from the image to the
    /// shared page, in bytes.
    pub carve_out: u64,
    /// The greatest size of the image in memory, in bytes.
    pub image: u64,
}

impl Limits {
    /// Limits that suit all of `machines`: the most of each demand, the least of the room.
    const fn of_all(machines: &[&Machine]) -> Self {
        let mut all = machines[0].limits;
        let mut index = 1;
        while index < machines.len() {
            let one = machines[index].limits;
            if one.cpus > all.cpus {
                all.cpus = one.cpus;
            }
            if one.dram > all.dram {
                all.dram = one.dram;
            }
            if one.carve_out > all.carve_out {
                all.carve_out = one.carve_out;
            }
            if one.image < all.image {
                all.image = one.image;
            }
            index += 1;
        }
        all
    }
}

/// A machine as EL3 describes it, under TF-A. Addresses are physical.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// The name of its folder.
    pub name: &'static str,
    /// What it asks of the image.
    pub limits: Limits,
    /// CPUs that EL3 announces.
    pub cpus: u64,
    /// The memory that EL3 sets aside for the RMM, in Realm PAS. The image is loaded at its start
    /// and entered there; its last page is the one that both share.
    pub carve_out: Range,
    /// Whether EL3 gives out, as reserved memory, what the carve-out has beyond [`Limits::image`].
    pub reserves_memory: bool,
    /// DRAM beside the banks that EL3 keeps to itself, in Root PAS.
    pub root: Option<Range>,
    /// The DRAM banks, ascending.
    pub dram: &'static [Range],
    /// The consoles for the RMM.
    pub consoles: &'static [Console],
    /// Device memory that is not coherent, ascending.
    pub non_coherent: &'static [Range],
    /// Device memory that is coherent, ascending.
    pub coherent: &'static [Range],
    /// The SMMUs.
    pub smmus: &'static [Smmu],
    /// The PCIe root complexes.
    pub root_complexes: &'static [RootComplex],
}

impl Machine {
    /// Where the image is loaded and entered.
    pub const fn load_address(&self) -> u64 {
        self.carve_out.base
    }

    /// The page that EL3 and the RMM share, which begins with the manifest.
    pub const fn shared_page(&self) -> u64 {
        self.carve_out.end() - 4096
    }
}

/// A range of physical addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub base: u64,
    /// Bytes.
    pub size: u64,
}

impl Range {
    /// First byte after the range.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.base.saturating_add(self.size)
    }
}

/// A console.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// Its registers.
    pub base: u64,
    /// Pages that they take.
    pub map_pages: u64,
    /// What it is.
    pub name: [u8; 8],
    /// Its clock in Hz.
    pub clock_hz: u64,
    /// Its speed in bits per second.
    pub baud_rate: u64,
}

/// An SMMU.
#[derive(Clone, Copy, Debug)]
pub struct Smmu {
    /// Its registers.
    pub base: u64,
    /// Those for the Realm world.
    pub realm_base: u64,
}

/// A PCIe root complex.
#[derive(Clone, Copy, Debug)]
pub struct RootComplex {
    /// Its configuration space.
    pub ecam: u64,
    /// Its segment.
    pub segment: u8,
    /// Its root ports.
    pub root_ports: &'static [RootPort],
}

/// A root port of a root complex.
#[derive(Clone, Copy, Debug)]
pub struct RootPort {
    /// Its device identifier.
    pub id: u16,
    /// Which streams of which SMMU its devices are.
    pub mappings: &'static [BdfMapping],
}

/// The streams of a range of PCIe devices.
#[derive(Clone, Copy, Debug)]
pub struct BdfMapping {
    /// The first device: bus, device and function.
    pub base: u16,
    /// The first device beyond.
    pub top: u16,
    /// The distance from device to stream.
    pub offset: u16,
    /// Which of the SMMUs.
    pub smmu_index: u16,
}
