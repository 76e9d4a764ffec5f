// SPDX-License-Identifier: BSD-3-Clause
//! What cold boot leaves for the warm boots: `BOOT_CONFIGURATION`, read by `entry.S` with the MMU
//! off.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::address::PhysAddr;
use crate::arch::{barrier, cache};

/// CPU count (0 until cold boot is done), MAIR, TCR, TTBR0, SCTLR, address of the first CPU's
/// memory: the order `entry.S` relies on.
#[repr(C, align(64))]
struct BootConfiguration([AtomicU64; 6]);

// In .data: .bss is zeroed only after the cold path was chosen by the first word.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.boot_configuration")]
static BOOT_CONFIGURATION: BootConfiguration = BootConfiguration([const { AtomicU64::new(0) }; 6]);

/// Publishes the values to CPUs that read them with the MMU off: to the point of coherency.
pub(super) fn set(cpus: usize, mair: u64, tcr: u64, ttbr0: u64, sctlr: u64, per_cpu: PhysAddr) {
    for (word, value) in
        BOOT_CONFIGURATION.0.iter().zip([cpus as u64, mair, tcr, ttbr0, sctlr, per_cpu.get()])
    {
        word.store(value, Ordering::Relaxed);
    }
    // One line holds it all (its alignment); a CPU that enters with its MMU off reads memory, not
    // this cache.
    barrier::dsb_ish();
    cache::dc_civac(core::ptr::from_ref(&BOOT_CONFIGURATION).addr() as u64);
    barrier::dsb_sy();
}

/// The number of CPUs that EL3 announced.
pub(super) fn cpu_count() -> usize {
    usize::try_from(BOOT_CONFIGURATION.0[0].load(Ordering::Relaxed)).unwrap_or(0)
}

/// The first CPU's memory; those of the others follow.
#[cfg(feature = "self-test")]
pub(super) fn first_cpu() -> PhysAddr {
    PhysAddr::new(BOOT_CONFIGURATION.0[5].load(Ordering::Relaxed))
}
