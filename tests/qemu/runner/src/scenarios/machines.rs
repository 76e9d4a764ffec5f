// SPDX-License-Identifier: BSD-3-Clause
//! The machines of `plat/` besides QEMU `virt`, which all other scenarios use: the same image,
//! loaded at its address on that machine, with an EL3 that reports that machine. The memory is that
//! machine's; the console and the rest are QEMU's.

use rmm_plat::{Machine, fvp, qemu_virt};

use crate::scenario::Scenario;

const GIB: u64 = 1 << 30;

/// A row for a machine, with DRAM up to the end of the machine's own.
fn on(machine: &Machine, scenario: Scenario) -> Scenario {
    let start = qemu_virt::MACHINE.dram[0].base;
    let end = machine.dram.last().map_or(start, |bank| bank.end());
    let gib = u32::try_from((end - start).div_ceil(GIB)).expect("the machine can be emulated");
    scenario.machine(machine).memory_gib(gib)
}

/// FVP: two banks, the second above 32 GiB.
pub fn fvp() -> Vec<Scenario> {
    const FIRST_BANK: &str = "test-memory=0x90000000";
    const SECOND_BANK: &str = "test-memory=0x880000000";
    let new = |name: &str, host: &str, asserts: &str| {
        on(&fvp::MACHINE, Scenario::new(name, host, asserts))
    };
    let told = |scenario: Scenario| {
        scenario
            .expect(r"^\[RMM cpu0 INFO \] RMM .* at 0x0*fdc00000, interface \d\.\d, manifest 0\.5, 8 CPUs$")
            .expect(r"^\[RMM cpu0 INFO \] DRAM 0x0*80000000 to 0x0*fc000000$")
            .expect(r"^\[RMM cpu0 INFO \] DRAM 0x0*880000000 to 0x0*900000000$")
    };
    let addresses =
        |name: &str, asserts: &str| told(new(name, "bad-addresses", asserts)).option(SECOND_BANK);
    vec![
        addresses(
            "fvp-addresses",
            "on FVP both banks are delegable, nothing between them, and no device",
        )
        .expect(r"memory of the granules: .*, reserved by EL3$"),
        addresses(
            "fvp-addresses-2.0",
            "on FVP both banks are delegable, and nothing else, under interface 2.0",
        )
        .interface("2.0"),
        addresses("fvp-own-memory", "the image's own memory serves FVP where EL3 reserves none")
            .option("reserve-memory=unknown")
            .expect(r"memory of the CPUs: .*, in the image$")
            .expect(r"memory of the granules: .*, in the image$"),
        new("fvp-first-bank", "random-granules", "granules of FVP's first bank follow the model")
            .option(FIRST_BANK),
        new("fvp-second-bank", "random-granules", "granules of FVP's second bank follow the model")
            .option(SECOND_BANK),
        new(
            "fvp-banks-apart",
            "banks-apart",
            "granules at equal offsets in FVP's banks are two, each with its own state",
        ),
        new(
            "fvp-session",
            "session",
            "the demonstration of an RMM, on FVP, with a granule above 32 GiB",
        )
        .option(SECOND_BANK),
        new("fvp-realm", "realm-life", "a Realm with two RECs is built above 32 GiB")
            .option(SECOND_BANK),
        new("fvp-warm-boots", "warm-boots", "CPUs come and go on FVP").cpus(4).option(SECOND_BANK),
    ]
}
