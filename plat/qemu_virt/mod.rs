// SPDX-License-Identifier: BSD-3-Clause
//! QEMU `virt` with the Realm Management Extension, as TF-A describes it to an RMM.
//!
//! What is not as one would expect: TF-A announces 32 CPUs and 3 GiB of DRAM whatever the machine
//! has, its bank contains the memory that it sets aside for the RMM, and it has no memory to
//! reserve. The DRAM begins where the bank does, and goes on without a gap.

use crate::{Console, Limits, Machine, Range};

/// The machine.
pub const MACHINE: Machine = Machine {
    name: "qemu_virt",
    limits: Limits {
        cpus: 32,
        // Twice what TF-A says, for those who change that.
        dram: 6 << 30,
        carve_out: CARVE_OUT.size,
        // All but the shared page.
        image: CARVE_OUT.size - 4096,
    },
    cpus: 32,
    carve_out: CARVE_OUT,
    reserves_memory: false,
    root: None,
    dram: &[Range { base: 0x4000_0000, size: 3 << 30 }],
    consoles: &[Console {
        base: 0x0900_0000,
        map_pages: 1,
        name: *b"pl011\0\0\0",
        clock_hz: 1,
        baud_rate: 115_200,
    }],
    non_coherent: &[],
    coherent: &[],
    smmus: &[],
    root_complexes: &[],
};

const CARVE_OUT: Range = Range { base: 0x4010_0000, size: 24 << 20 };
