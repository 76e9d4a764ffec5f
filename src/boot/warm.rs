// SPDX-License-Identifier: BSD-3-Clause
//! Warm boot in Rust, and what cold boot leaves for it: `BOOT_CONFIGURATION`, which `entry.S` reads
//! with the MMU off.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use super::cold;
use crate::address::PhysAddr;
use crate::arch::{barrier, cache};
use crate::cpu::{self, CpuFeatures, CpuIndex, Stage};
use crate::el3::arguments::WarmBootArguments;
use crate::el3::error::BootError;

/// Values that are the same on every CPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommonValues {
    /// The number of CPUs that EL3 announced.
    pub(super) cpu_count: usize,
    pub(super) mair: u64,
    pub(super) tcr: u64,
    pub(super) ttbr0: u64,
    pub(super) sctlr: u64,
    /// The memory of the first CPU, which that of the others follows.
    pub(super) first_cpu: PhysAddr,
}

/// [`CommonValues`] for `entry.S`, which takes the offsets from here. One cache line holds it.
#[repr(C, align(64))]
pub(super) struct BootConfiguration {
    /// 0 until cold boot has filled in all.
    cpu_count: AtomicU64,
    mair: AtomicU64,
    tcr: AtomicU64,
    ttbr0: AtomicU64,
    sctlr: AtomicU64,
    first_cpu: AtomicU64,
}

impl BootConfiguration {
    pub(super) const CPU_COUNT: usize = offset_of!(Self, cpu_count);
    pub(super) const MAIR: usize = offset_of!(Self, mair);
    pub(super) const TCR: usize = offset_of!(Self, tcr);
    pub(super) const TTBR0: usize = offset_of!(Self, ttbr0);
    pub(super) const SCTLR: usize = offset_of!(Self, sctlr);
    pub(super) const FIRST_CPU: usize = offset_of!(Self, first_cpu);
}

static_assertions::const_assert_eq!(size_of::<BootConfiguration>(), 64);

// In .data: .bss is zeroed only after the cold path was chosen by the first word.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.boot_configuration")]
static BOOT_CONFIGURATION: BootConfiguration = BootConfiguration {
    cpu_count: AtomicU64::new(0),
    mair: AtomicU64::new(0),
    tcr: AtomicU64::new(0),
    ttbr0: AtomicU64::new(0),
    sctlr: AtomicU64::new(0),
    first_cpu: AtomicU64::new(0),
};

/// Publishes the values to CPUs that read them with the MMU off: to the point of coherency.
pub(super) fn publish(values: CommonValues) {
    let to = &BOOT_CONFIGURATION;
    to.mair.store(values.mair, Ordering::Relaxed);
    to.tcr.store(values.tcr, Ordering::Relaxed);
    to.ttbr0.store(values.ttbr0, Ordering::Relaxed);
    to.sctlr.store(values.sctlr, Ordering::Relaxed);
    to.first_cpu.store(values.first_cpu.get(), Ordering::Relaxed);
    to.cpu_count.store(values.cpu_count as u64, Ordering::Relaxed);
    barrier::dsb_ish();
    cache::dc_civac(core::ptr::from_ref(to).addr() as u64);
    barrier::dsb_sy();
}

/// The memory of the first CPU, which that of the others follows.
#[cfg(feature = "self-test")]
pub(super) fn first_cpu() -> PhysAddr {
    PhysAddr::new(BOOT_CONFIGURATION.first_cpu.load(Ordering::Relaxed))
}

/// Checks a warm boot: EL3's x0 and x1, and that this CPU has the features of the first one.
pub(super) fn boot(registers: [u64; 2]) -> Result<(), BootError> {
    let [index, _] = registers;
    // For reports; entry.S has found the index in range before it took the stack that goes with it.
    if let Some(index) = usize::try_from(index).ok().and_then(CpuIndex::new) {
        cpu::identify(index, Stage::Warm);
    }
    let booted = cold::booted().ok_or(BootError::Unsupported("a warm boot before a cold one"))?;
    WarmBootArguments::check(registers, &booted.arguments)?;
    match booted.features.difference(&CpuFeatures::read()) {
        None => {
            cpu::enter_stage(Stage::Online);
            Ok(())
        }
        Some(register) => Err(BootError::CpuDiffers(register)),
    }
}
