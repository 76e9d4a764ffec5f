// SPDX-License-Identifier: BSD-3-Clause
//! Results of cold boot: `BOOT_CONFIGURATION`, which `entry.S` reads with the MMU off, and
//! [`Booted`], which everything later reads.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::address::PhysAddr;
use crate::arch::{barrier, cache};
use crate::cpu::CpuFeatures;
use crate::el3::arguments::BootArguments;
use crate::rmi::Rmm;

/// An activation token with which the self-test image commits a fault at boot: bits 15:8 select the
/// moment, bits 7:0 the fault.
pub(super) const FAULT_TOKEN: u64 = 0x7e57_fa17_0000_0000;

/// Results of cold boot that stay for the lifetime of the RMM.
#[derive(Debug)]
pub(super) struct Booted {
    pub(super) rmm: Rmm<'static>,
    pub(super) arguments: BootArguments,
    pub(super) features: CpuFeatures,
}

static BOOTED: spin::Once<Booted> = spin::Once::new();

/// What cold boot left, once it is done.
pub(super) fn booted() -> Option<&'static Booted> {
    BOOTED.get()
}

/// Ends cold boot.
pub(super) fn complete(booted: Booted) {
    BOOTED.call_once(|| booted);
}

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
    /// Random, made by `entry.S` on the cold boot: part of every CPU's keys.
    secret: [AtomicU64; 2],
}

impl BootConfiguration {
    pub(super) const CPU_COUNT: usize = offset_of!(Self, cpu_count);
    pub(super) const MAIR: usize = offset_of!(Self, mair);
    pub(super) const TCR: usize = offset_of!(Self, tcr);
    pub(super) const TTBR0: usize = offset_of!(Self, ttbr0);
    pub(super) const SCTLR: usize = offset_of!(Self, sctlr);
    pub(super) const FIRST_CPU: usize = offset_of!(Self, first_cpu);
    pub(super) const SECRET: usize = offset_of!(Self, secret);
}

static_assertions::const_assert_eq!(size_of::<BootConfiguration>(), 64);

// In .data: the first word decides between cold and warm boot, and .bss is zeroed only after that.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.boot_configuration")]
static BOOT_CONFIGURATION: BootConfiguration = BootConfiguration {
    cpu_count: AtomicU64::new(0),
    mair: AtomicU64::new(0),
    tcr: AtomicU64::new(0),
    ttbr0: AtomicU64::new(0),
    sctlr: AtomicU64::new(0),
    first_cpu: AtomicU64::new(0),
    secret: [const { AtomicU64::new(0) }; 2],
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
