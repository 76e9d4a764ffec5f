// SPDX-License-Identifier: BSD-3-Clause
//! Which REC each CPU runs. A REC that waits for an interrupt is not entered until one comes. With
//! fewer CPUs than RECs, or if the options say so, RECs are preempted and move to other CPUs.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rmm_abi::psci;
use rmm_abi::rmi_v1::RecEnterFlags;
use rmm_test_firmware::registers::linear_index_of_this_cpu;
use spin::Once;

use crate::gic::MAX_RECS;
use crate::random::Random;
use crate::vcpu::Next;
use crate::vm::{self, MAX_REALMS, Vm};
use crate::{cpus, give_up, interrupts, machine, options};

/// Idle CPUs, a bit for each.
static IDLE: AtomicU64 = AtomicU64::new(0);

/// The number of list registers that the monitor uses.
pub fn list_registers() -> usize {
    static COUNT: Once<usize> = Once::new();
    *COUNT.call_once(interrupts::count_list_registers)
}

/// Makes idle CPUs look for work.
pub fn kick_idle() {
    let idle = IDLE.load(Ordering::SeqCst);
    (0..cpus::count()).filter(|cpu| idle & 1 << cpu != 0).for_each(machine::kick);
}

/// Makes all other CPUs check whether there is still work.
pub fn kick_all() {
    let this = linear_index_of_this_cpu();
    (0..cpus::count()).filter(|cpu| *cpu != this).for_each(machine::kick);
}

/// Serves the interrupts that are pending on this CPU.
pub fn serve_interrupts() -> Next {
    let pending = machine::acknowledge();
    if pending.input {
        take_input();
    }
    if pending.tick { Next::Yield } else { Next::Again }
}

/// Passes input to the first Realm.
fn take_input() {
    let Some(vm) = vm::all().next() else { return };
    let mut uart = vm.uart.lock();
    while let Some(byte) = machine::get() {
        uart.receive(byte);
    }
    let target = vm.gic.lock().set_line(0, crate::pl011::INTID, uart.line());
    drop(uart);
    if let Some(vcpu) = target.and_then(|target| vm.vcpu(target)) {
        vcpu.wake();
    }
}

/// Whether the Realms are built.
static BUILT: AtomicBool = AtomicBool::new(false);
/// The number of secondary CPUs that have finished with the Realms.
static FINISHED: AtomicU64 = AtomicU64::new(0);

/// Turns all other CPUs on. They wait here for the Realms, since a CPU that is off keeps QEMU busy.
pub fn start_others() {
    for cpu in cpus::others() {
        let status = cpus::start(cpu, run_other);
        if status != psci::SUCCESS {
            give_up(format_args!("CPU {cpu} does not come on: {status:#x}"));
        }
    }
}

fn run_other(cpu: u64) {
    machine::set_up_cpu();
    while !BUILT.load(Ordering::SeqCst) {
        machine::wait();
        machine::acknowledge();
    }
    run(cpu);
    FINISHED.fetch_add(1, Ordering::SeqCst);
    loop {
        machine::wait();
        machine::acknowledge();
    }
}

/// Runs the Realms on all CPUs until all have powered off.
pub fn run_all() {
    machine::set_up_cpu();
    BUILT.store(true, Ordering::SeqCst);
    kick_all();
    run(0);
    cpus::wait_until(|| FINISHED.load(Ordering::SeqCst) == cpus::count() - 1);
}

/// Runs RECs on the calling CPU until all Realms have powered off.
fn run(cpu: u64) {
    let recs = options().recs * options().realms;
    let is_crowded = recs > cpus::count();
    let preempts = options().preempt;
    let flags =
        if is_crowded || preempts != 0 { RecEnterFlags::TRAP_WFI } else { RecEnterFlags::empty() };
    let mut random = Random::new(cpu);
    let mut first = cpu as usize;
    while !vm::all_off() {
        let Some(place) = work(first) else {
            wait(cpu, first);
            continue;
        };
        let Some((vm, rec)) = at(place) else { continue };
        let Some(vcpu) = vm.vcpu(rec) else { continue };
        let Some(mut completion) = vcpu.completion.try_lock() else { continue };
        let slice = match (2 * machine::frequency()).checked_div(preempts) {
            Some(most) => random.below(most) + 1,
            None => machine::frequency() / 100,
        };
        if is_crowded || preempts != 0 {
            machine::set_tick(machine::now() + slice);
        }
        while !vm.is_off() && vcpu.enter(vm, rec, cpu, &mut completion, flags) == Next::Again {}
        drop(completion);
        machine::stop_tick();
        if preempts != 0 {
            vm.memory.lock().withhold(random.word());
        }
        first = if preempts != 0 { random.below(64) as usize } else { place + 1 };
    }
    kick_all();
}

/// The most places in the order in which RECs take their turns.
const PLACES: usize = MAX_REALMS * MAX_RECS;

fn at(place: usize) -> Option<(&'static Vm, usize)> {
    let (recs, realms) = (options().recs as usize, options().realms as usize);
    let place = place % (recs * realms);
    Some((vm::all().nth(place % realms)?, place / realms))
}

/// The next REC from `first` on that no CPU runs and that has something to do.
fn work(first: usize) -> Option<usize> {
    (first..first + PLACES).find(|place| {
        at(*place).is_some_and(|(vm, rec)| {
            vm.vcpu(rec).is_some_and(|vcpu| {
                !vm.is_off()
                    && vcpu.is_on()
                    && !vcpu.completion.is_locked()
                    && (vcpu.wake_at.load(Ordering::Relaxed) <= machine::now()
                        || vm.gic.lock().is_due(rec))
            })
        })
    })
}

/// Waits until there may be something to do.
fn wait(cpu: u64, first: usize) {
    IDLE.fetch_or(1 << cpu, Ordering::SeqCst);
    // If another CPU creates work after this check, it sees that this CPU is idle.
    if work(first).is_none() && !vm::all_off() {
        let waiting = vm::all()
            .flat_map(Vm::vcpus)
            .filter(|vcpu| vcpu.is_on() && !vcpu.completion.is_locked());
        let next = waiting.map(|vcpu| vcpu.wake_at.load(Ordering::Relaxed)).min();
        machine::set_tick(next.unwrap_or(u64::MAX));
        machine::wait();
        machine::stop_tick();
    }
    IDLE.fetch_and(!(1 << cpu), Ordering::SeqCst);
    serve_interrupts();
}
