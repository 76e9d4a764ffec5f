// SPDX-License-Identifier: BSD-3-Clause
//! Work on other CPUs: turns one on to run a function, waits until it is off again, or makes all
//! CPUs run it.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::{MAX_CPUS, give_up, smc};
use crate::check;
use crate::registers::affinity;
use crate::smccc::psci;

unsafe extern "C" {
    fn secondary_entry();
}

/// The function that each CPU is to run, as an address; 0 for none.
static WORK: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];
/// The number of functions that each CPU has finished.
static FINISHED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// A function for a CPU. It gets the linear index; the CPU goes off when it returns.
pub type Work = fn(u64);

/// Turns CPU `index` on to run `work`. Gives the result of CPU_ON.
pub fn start(index: u64, work: Work) -> u64 {
    slot(&WORK, index).store(work as usize, Ordering::Release);
    let entry = (secondary_entry as *const ()).addr() as u64;
    smc::cpu_on(affinity(index), entry, index)
}

/// The number of functions that CPU `index` has finished.
pub fn finished(index: u64) -> u64 {
    slot(&FINISHED, index).load(Ordering::Acquire)
}

/// Waits until CPU `index` has finished its work and is off.
pub fn wait_until_off(index: u64) {
    wait_until(|| smc::affinity_info(affinity(index)) == psci::AFFINITY_OFF);
}

/// Waits until `done`. Gives way to other CPUs if the emulator makes them take turns.
pub fn wait_until(done: impl Fn() -> bool) {
    while !done() {
        // SAFETY: a hint.
        unsafe { core::arch::asm!("yield", options(nomem, nostack, preserves_flags)) };
    }
}

/// The number of CPUs of the machine.
pub fn count() -> u64 {
    super::options().machine_cpus
}

/// Indices of the secondary CPUs.
pub fn others() -> core::ops::Range<u64> {
    1..count()
}

/// Runs `work` on all CPUs, and waits until the others are off again.
pub fn on_every_cpu(work: Work) {
    for index in others() {
        let status = start(index, work);
        if status != psci::SUCCESS {
            check::equal(format_args!("CPU {index} comes on"), status, psci::SUCCESS);
        }
    }
    work(0);
    others().for_each(wait_until_off);
}

fn slot<T>(slots: &'static [T; MAX_CPUS], index: u64) -> &'static T {
    match usize::try_from(index).ok().and_then(|index| slots.get(index)) {
        Some(slot) => slot,
        None => give_up(format_args!("the host has no CPU {index}")),
    }
}

/// Runs the work of CPU `index`, which CPU_ON has started, and turns the CPU off.
pub fn work(index: u64) -> ! {
    let work = slot(&WORK, index).swap(0, Ordering::Acquire);
    if work != 0 {
        // SAFETY: `start` stored a `Work` there.
        let work = unsafe { core::mem::transmute::<usize, Work>(work) };
        work(index);
    }
    slot(&FINISHED, index).fetch_add(1, Ordering::Release);
    smc::cpu_off()
}
