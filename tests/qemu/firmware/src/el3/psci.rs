// SPDX-License-Identifier: BSD-3-Clause
//! PSCI for the host: CPUs go on and off, and a CPU that comes on enters the RMM before the host.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm_test_firmware::registers::linear_index;
use rmm_test_firmware::semihosting;
use rmm_test_firmware::smccc::psci::*;

use crate::cpu::{Cpu, MAX_CPUS, RmmPhase};
use crate::rmmd;
use crate::world::{Frame, World};

const OFF: u64 = 0;
/// A CPU_ON is writing its request.
const CLAIMED: u64 = 1;
/// The request is complete.
const REQUESTED: u64 = 2;
const ON: u64 = 3;

/// Power state of a CPU, and the request that turns it on.
struct Power {
    state: AtomicU64,
    entry: AtomicU64,
    context: AtomicU64,
}

/// A CPU that was never released from reset counts as off, as in TF-A.
static POWER: [Power; MAX_CPUS] = [const {
    Power { state: AtomicU64::new(OFF), entry: AtomicU64::new(0), context: AtomicU64::new(0) }
}; MAX_CPUS];

/// The primary CPU is on without a request.
pub fn mark_on(index: usize) {
    POWER[index].state.store(ON, Ordering::Release);
}

/// Serves a PSCI function of the host. Gives the frame to resume; `None` if `fid` is not one.
pub fn serve(cpu: &mut Cpu, fid: u64) -> Option<*mut Frame> {
    let [x1, x2, x3] = [1, 2, 3].map(|index| cpu.world(World::Nonsecure).frame.x[index]);
    let result = match u32::try_from(fid).ok()? {
        function::VERSION => VERSION_1_1,
        function::CPU_ON_64 => cpu_on(x1, x2, x3),
        function::AFFINITY_INFO_64 => affinity_info(x1, x2),
        function::CPU_OFF => {
            cpu.phase = RmmPhase::Unentered;
            POWER[cpu.index].state.store(OFF, Ordering::Release);
            return Some(wait_for_cpu_on(cpu));
        }
        function::SYSTEM_OFF => semihosting::exit(0),
        _ => return None,
    };
    let frame = &mut cpu.world(World::Nonsecure).frame;
    frame.x[0] = result;
    Some(frame)
}

fn target(affinity: u64) -> Option<&'static Power> {
    let index = usize::try_from(linear_index(affinity)).ok()?;
    (affinity & !0xffff == 0 && affinity & 0xff < 16).then(|| POWER.get(index)).flatten()
}

fn cpu_on(affinity: u64, entry: u64, context: u64) -> u64 {
    let Some(power) = target(affinity) else { return INVALID_PARAMETERS };
    match power.state.compare_exchange(OFF, CLAIMED, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {}
        Err(ON) => return ALREADY_ON,
        Err(_) => return ON_PENDING,
    }
    power.entry.store(entry, Ordering::Relaxed);
    power.context.store(context, Ordering::Relaxed);
    power.state.store(REQUESTED, Ordering::Release);
    // SAFETY: wakes CPUs that wait for an event.
    unsafe { core::arch::asm!("dsb sy", "sev", options(nostack, preserves_flags)) };
    SUCCESS
}

fn affinity_info(affinity: u64, level: u64) -> u64 {
    match target(affinity) {
        Some(power) if level == 0 => match power.state.load(Ordering::Acquire) {
            OFF => AFFINITY_OFF,
            ON => AFFINITY_ON,
            _ => AFFINITY_ON_PENDING,
        },
        _ => INVALID_PARAMETERS,
    }
}

/// Waits until the host turns this CPU on, then enters the RMM, or the host if the RMM has failed
/// to boot.
pub fn wait_for_cpu_on(cpu: &mut Cpu) -> *mut Frame {
    let power = &POWER[cpu.index];
    while power.state.load(Ordering::Acquire) != REQUESTED {
        // SAFETY: a hint; CPU_ON sends the event.
        unsafe { core::arch::asm!("wfe", options(nomem, nostack, preserves_flags)) };
    }
    let entry = power.entry.load(Ordering::Relaxed);
    let context = power.context.load(Ordering::Relaxed);
    cpu.world(World::Nonsecure).reset(entry, &[context]);
    power.state.store(ON, Ordering::Release);
    rmmd::enter_warm(cpu)
}
