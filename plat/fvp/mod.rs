// SPDX-License-Identifier: BSD-3-Clause
//! Arm's Fixed Virtual Platform (the Base Platform, RevC), as TF-A describes it to an RMM.
//!
//! Two banks of DRAM with almost 30 GiB between them; what the first lacks at its end is the RMM's
//! memory and EL3's. TF-A has RESERVE_MEMORY there: from the shared page down, to where two images
//! of 3 MiB each would end (one may take the other's place at run time).

use crate::{BdfMapping, Console, Limits, Machine, Range, RootComplex, RootPort, Smmu};

/// The machine.
pub const MACHINE: Machine = Machine {
    name: "fvp",
    limits: Limits {
        cpus: 8,
        // Both banks, for releases of TF-A without RESERVE_MEMORY.
        dram: 4 << 30,
        carve_out: CARVE_OUT.size,
        image: 6 << 20,
    },
    cpus: 8,
    carve_out: CARVE_OUT,
    reserves_memory: true,
    // EL3's own memory and the Granule Protection Tables.
    root: Some(Range { base: 0xffc0_0000, size: 4 << 20 }),
    dram: &[
        Range { base: 0x8000_0000, size: 0x7c00_0000 },
        Range { base: 0x8_8000_0000, size: 0x8000_0000 },
    ],
    // UART 3.
    consoles: &[Console {
        base: 0x1c0c_0000,
        map_pages: 1,
        name: *b"pl011\0\0\0",
        clock_hz: 14_745_600,
        baud_rate: 115_200,
    }],
    // The two windows for PCIe devices; of the second TF-A names the first 3 GiB of 256.
    non_coherent: &[
        Range { base: 0x5000_0000, size: 256 << 20 },
        Range { base: 0x40_0000_0000, size: 3 << 30 },
    ],
    coherent: &[],
    smmus: &[Smmu { base: 0x2b40_0000, realm_base: 0x2b42_0000 }],
    root_complexes: &[RootComplex {
        ecam: 0x4000_0000,
        segment: 0,
        root_ports: &[RootPort {
            id: 0,
            mappings: &[BdfMapping { base: 0, top: 0x8000, offset: 0, smmu_index: 0 }],
        }],
    }],
};

const CARVE_OUT: Range = Range { base: 0xfdc0_0000, size: 32 << 20 };
