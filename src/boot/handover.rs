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

/// The results of cold boot, once it is complete.
pub(super) fn booted() -> Option<&'static Booted> {
    BOOTED.get()
}

/// Completes cold boot.
pub(super) fn complete(booted: Booted) {
    BOOTED.call_once(|| booted);
}

/// Values that are the same on every CPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommonValues {
    /// The number of CPUs that EL3 announced.
    pub(super) cpu_count: usize,
    pub(super) ttbr0: u64,
    pub(super) tcr: u64,
    /// The memory of the first CPU. That of the others follows it.
    pub(super) first_cpu: PhysAddr,
    /// The features of the CPU that booted cold.
    pub(super) features: CpuFeatures,
}

/// [`CommonValues`] for `entry.S`, which takes the offsets from here.
#[repr(C, align(64))]
pub(super) struct BootConfiguration {
    /// 0 until cold boot has filled in all.
    cpu_count: AtomicU64,
    ttbr0: AtomicU64,
    tcr: AtomicU64,
    first_cpu: AtomicU64,
    /// Random, made by `entry.S` on the cold boot: part of every CPU's keys.
    secret: [AtomicU64; 2],
    /// Which optional control registers the CPU that booted cold has, as `entry.S` found.
    control_registers: AtomicU64,
    features: [AtomicU64; CpuFeatures::COUNT],
}

impl BootConfiguration {
    pub(super) const CPU_COUNT: usize = offset_of!(Self, cpu_count);
    pub(super) const TTBR0_AND_TCR: usize = offset_of!(Self, ttbr0);
    pub(super) const FIRST_CPU: usize = offset_of!(Self, first_cpu);
    pub(super) const SECRET: usize = offset_of!(Self, secret);
    pub(super) const CONTROL_REGISTERS: usize = offset_of!(Self, control_registers);
    pub(super) const FEATURES: usize = offset_of!(Self, features);
}

// `entry.S` loads both at once.
static_assertions::const_assert_eq!(
    offset_of!(BootConfiguration, ttbr0) + 8,
    offset_of!(BootConfiguration, tcr)
);

// In .data: the first word decides between cold and warm boot, and .bss is zeroed only after that.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data.boot_configuration")]
static BOOT_CONFIGURATION: BootConfiguration = BootConfiguration {
    cpu_count: AtomicU64::new(0),
    ttbr0: AtomicU64::new(0),
    tcr: AtomicU64::new(0),
    first_cpu: AtomicU64::new(0),
    secret: [const { AtomicU64::new(0) }; 2],
    control_registers: AtomicU64::new(0),
    features: [const { AtomicU64::new(0) }; CpuFeatures::COUNT],
};

/// Publishes the values to CPUs that read them with the MMU off, by cleaning them to the point of
/// coherency.
pub(super) fn publish(values: CommonValues) {
    let to = &BOOT_CONFIGURATION;
    to.ttbr0.store(values.ttbr0, Ordering::Relaxed);
    to.tcr.store(values.tcr, Ordering::Relaxed);
    to.first_cpu.store(values.first_cpu.get(), Ordering::Relaxed);
    to.cpu_count.store(values.cpu_count as u64, Ordering::Relaxed);
    for (to, register) in to.features.iter().zip(values.features.registers()) {
        to.store(register, Ordering::Relaxed);
    }
    barrier::dsb_ish();
    let start = core::ptr::from_ref(to).addr();
    let line = 4 << values.features.data_line();
    for address in (start..start + size_of::<BootConfiguration>()).step_by(line) {
        cache::dc_civac(address as u64);
    }
    barrier::dsb_sy();
}

/// The memory of the first CPU. That of the others follows it.
#[cfg(feature = "self-test")]
pub(super) fn first_cpu() -> PhysAddr {
    PhysAddr::new(BOOT_CONFIGURATION.first_cpu.load(Ordering::Relaxed))
}
