// SPDX-License-Identifier: BSD-3-Clause
//! The hook of the image that tests the RMM from within (`tests/qemu/self_test/`): only with the
//! feature `self-test`, never in a product.

use super::handover;
use crate::address::native;
use crate::arch::smc::Registers;
use crate::percpu::stack_use::{self, Use};
use crate::percpu::{Cpu, CpuMemory};
use crate::rmi::Rmm;

/// The bits of an activation token that ask for a fault.
pub const FAULT_TOKEN: u64 = handover::FAULT_TOKEN;

/// The moments at which the RMM calls the hook.
#[derive(Debug)]
pub enum Moment<'a> {
    /// In cold boot, before its maps. The hook may replace the activation token.
    BeforeMaps(&'a mut u64),
    /// In cold boot, under its maps.
    AfterMaps,
    /// In a warm boot, with the activation token.
    WarmBoot(u64),
    /// At a call of the host, before the RMM decodes it.
    Call(&'a Rmm<'static>, &'a mut Cpu, &'a mut Registers),
}

unsafe extern "Rust" {
    /// Returns whether it answered the call; ignored at other moments. Defined by the image.
    safe fn rmm_self_test(moment: Moment<'_>) -> bool;
}

/// Calls the hook.
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
