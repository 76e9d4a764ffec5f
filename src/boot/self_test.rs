// SPDX-License-Identifier: BSD-3-Clause
//! The hook of the image that tests the RMM from within (`tests/qemu/self_test/`): only with the
//! feature `self-test`, never in a product.

use super::handover;
use crate::address::native;
use crate::arch::smc::Registers;
use crate::percpu::stack_use::{self, Use};
use crate::percpu::{Cpu, CpuMemory};
use crate::rmi::Rmm;

/// What tells a token that asks for a fault from any other.
pub const FAULT_TOKEN: u64 = handover::FAULT_TOKEN;

/// Where the RMM asks the hook whether there is something to do.
#[derive(Debug)]
pub enum Moment<'a> {
    /// In cold boot, before its maps, with the activation token, which may be replaced.
    BeforeMaps(&'a mut u64),
    /// In cold boot, under its maps.
    AfterMaps,
    /// In a warm boot, with the activation token.
    WarmBoot(u64),
    /// At a call of the host, before the RMM looks at it.
    Call(&'a Rmm<'static>, &'a mut Cpu, &'a mut Registers),
}

unsafe extern "Rust" {
    /// Whether a call was answered; of no meaning at other moments. Defined by the image.
    safe fn rmm_self_test(moment: Moment<'_>) -> bool;
}

/// Asks the hook.
pub(super) fn at(moment: Moment<'_>) -> bool {
    rmm_self_test(moment)
}

/// How much the CPU with this index has used of its stack and of its exception stack; `None` if
/// there is no such CPU.
pub fn stack_use(cpu: u64) -> Option<[Use; 2]> {
    let cpus = handover::booted()?.arguments.cpu_count();
    let cpu = usize::try_from(cpu).ok().filter(|cpu| *cpu < cpus)?;
    let first = native(handover::first_cpu().get());
    let memory = core::ptr::with_exposed_provenance::<CpuMemory>(first).wrapping_add(cpu);
    // SAFETY: cold boot has built the maps of so many CPUs.
    Some(unsafe { stack_use::of(memory) })
}
