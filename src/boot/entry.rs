// SPDX-License-Identifier: BSD-3-Clause
//! The assembly of boot, and the functions that only it calls.

use core::panic::PanicInfo;

use tock_registers::interfaces::Readable;

use super::handover::{BootConfiguration, FAULT_TOKEN};
#[cfg(feature = "self-test")]
use super::self_test::{self, Moment};
use super::stacks::{BOOT_STACKS, BootStacks, GUARDS, boot_stacks, sections};
use super::{cold, registers, rmi_entry, warm};
use crate::arch::fiber;
use crate::arch::recovery;
use crate::arch::sysreg::HCR_EL2;
use crate::arch::wait::GIVE_UP_SYNDROME;
use crate::cpu;
use crate::el3::error::{BootError, BootStatus};
use crate::el3::services;
use crate::fault::{self, ExceptionFrame, backtrace, recoverable};
use crate::mem::{high_va, slot_layout};
use crate::percpu;
use crate::run::retreat;
use crate::xlat::mmu;

core::arch::global_asm!(
    include_str!("vectors.S"),
    handle_exception = sym handle_exception,
    online_bit = const cpu::ONLINE_BIT,
    resumer_sp_el0 = const fiber::RESUMER_SP_EL0,
);

// By these bits the vectors distinguish the stack of a fiber, which is among the slots, from
// others.
static_assertions::const_assert!(slot_layout::BASE.get() >> 20 == u64::MAX >> 20);
static_assertions::const_assert!(high_va::EXCEPTION_STACK.top & 1 << 20 == 0);
core::arch::global_asm!(
    include_str!("entry.S"),
    mair_early = const 0xff,
    tcr_early = const registers::TCR_EARLY,
    tcr_no_high = const registers::TCR_NO_HIGH_RANGE,
    sctlr_early = const registers::SCTLR_EARLY,
    mair = const mmu::MAIR,
    sctlr = const registers::SCTLR,
    boot_stacks = sym BOOT_STACKS,
    exception_guard = const GUARDS[1],
    boot_stack_top = const GUARDS[1],
    boot_exception_stack_top = const size_of::<BootStacks>(),
    prepare = sym prepare,
    finish = sym finish,
    warm = sym warm,
    service = sym rmi_entry::service,
    per_cpu_size = const size_of::<percpu::CpuMemory>(),
    stack_top = const high_va::STACK.top,
    exception_stack_top = const high_va::EXCEPTION_STACK.top,
    boot_complete = const services::BOOT_COMPLETE,
    request_complete = const services::REQUEST_COMPLETE,
    CPU_COUNT = const BootConfiguration::CPU_COUNT,
    TTBR0_AND_TCR = const BootConfiguration::TTBR0_AND_TCR,
    FIRST_CPU = const BootConfiguration::FIRST_CPU,
    SECRET = const BootConfiguration::SECRET,
    CONTROL_REGISTERS = const BootConfiguration::CONTROL_REGISTERS,
    FEATURES = const BootConfiguration::FEATURES,
    self_test = const cfg!(feature = "self-test") as u32,
    fault_token = const FAULT_TOKEN,
);

/// Called by the vectors, on the exception stack. Returns, with another address in `frame`, after
/// the abort of a recoverable access, and when this CPU gives up its call. Any other exception ends
/// this CPU.
extern "C" fn handle_exception(frame: &mut ExceptionFrame) {
    let synchronous = frame.vector == SYNCHRONOUS;
    if let Some(resume) = resume_address(frame).filter(|_| synchronous) {
        frame.elr = resume;
    } else if synchronous && frame.esr == GIVE_UP_SYNDROME && cold::is_abandoned() {
        // HCR_EL2 of a Realm enables stage 2, that of the RMM does not.
        if !HCR_EL2.is_set(aarch64_cpu::registers::HCR_EL2::VM) {
            frame.elr = (&raw const rmi_given_up).addr() as u64;
        } else {
            // The registers of a Realm are in the CPU: the host must not see them.
            [frame.elr, frame.x[0]] = retreat::begin();
        }
    } else {
        abandon_locks();
        fault::report_exception(frame, &sections(), backtrace_memory(&boot_stacks()));
    }
}

/// Vector: synchronous, from the current EL with SP_EL2.
const SYNCHRONOUS: u64 = 4;

unsafe extern "C" {
    /// Where `entry.S` answers a call that was given up.
    static rmi_given_up: [u32; 0];
}

/// Reports a panic and ends this CPU. For the binary's panic handler.
pub fn report_panic(info: &PanicInfo<'_>) -> ! {
    abandon_locks();
    fault::report_panic(info, backtrace_memory(&boot_stacks()))
}

/// Must be called before this CPU dies: once online it may hold locks, and other CPUs must not wait
/// for them.
fn abandon_locks() {
    if cpu::is_online() {
        cold::abandon();
    }
}

fn backtrace_memory(boot_stacks: &[core::ops::Range<u64>]) -> backtrace::Memory<'_> {
    let code = sections().code;
    // SAFETY: the early map and the Low VA map have code and boot stacks, without the guards; a CPU
    // that runs on its stacks in the High VA range has them mapped.
    unsafe { backtrace::Memory::new((code.start.get(), code.end.get()), boot_stacks) }
}

/// The address at which to resume after the abort of a recoverable access; `None` for any other
/// exception.
fn resume_address(frame: &ExceptionFrame) -> Option<u64> {
    let exception =
        recoverable::Exception { syndrome: frame.esr, instruction: frame.elr, address: frame.far };
    recoverable::resume_address(exception, recovery::accesses())
}

/// Called once, under the early map, with EL3's x0-x4. Returns the status to report.
extern "C" fn prepare(x0: u64, x1: u64, x2: u64, x3: u64, x4: u64) -> u64 {
    #[cfg(feature = "self-test")]
    let mut x4 = x4;
    #[cfg(feature = "self-test")]
    self_test::at(Moment::BeforeMaps(&mut x4));
    status(cold::prepare([x0, x1, x2, x3, x4]))
}

/// Called once, after [`prepare`], under the Low VA map. Returns the status to report.
extern "C" fn finish() -> u64 {
    status(cold::finish())
}

/// Called on each warm boot, on this CPU's own stack, with EL3's x0 and x1, and with whether all ID
/// registers are those of the CPU that booted cold (0 or 1). Returns the status to report.
extern "C" fn warm(x0: u64, x1: u64, is_alike: u64) -> u64 {
    status(warm::boot([x0, x1], is_alike != 0))
}

fn status(result: Result<(), BootError>) -> u64 {
    match result {
        Ok(()) => BootStatus::Success.to_register(),
        Err(refusal) => {
            log::error!("boot refused: {refusal}");
            refusal.status().to_register()
        }
    }
}
