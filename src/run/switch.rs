// SPDX-License-Identifier: BSD-3-Clause
//! The world switch: `switch.S` as a function.

use crate::realm::rec::Registers;
use crate::realm::rec::syndrome::Vector;

#[cfg(target_os = "none")]
core::arch::global_asm!(
    include_str!("../arch/registers.S"),
    include_str!("switch.S"),
    sp_el0 = const core::mem::offset_of!(Registers, sp_el0),
    pc = const core::mem::offset_of!(Registers, pc),
    keys = const core::mem::offset_of!(Registers, keys),
);

static_assertions::const_assert_eq!(core::mem::offset_of!(Registers, gprs), 0);
static_assertions::const_assert_eq!(
    core::mem::offset_of!(Registers, pstate),
    core::mem::offset_of!(Registers, pc) + 8
);

/// Runs a Realm on this CPU until it takes an exception to EL2. Returns the vector.
///
/// General registers, SP_EL0, PC, PSTATE and pointer authentication keys are those of `registers`.
/// The caller has loaded the EL1 registers and the EL2 controls.
pub fn enter(registers: &mut Registers) -> Vector {
    #[cfg(target_os = "none")]
    let vector = {
        unsafe extern "C" {
            fn realm_enter(registers: *mut Registers) -> u64;
        }
        // SAFETY: `registers` is valid for reads and writes until the function returns, and its
        // fields are at the offsets that the assembly is given. Callee-saved registers, SP and the
        // RMM's key are restored. Stage 2 keeps the Realm out of the RMM's memory.
        unsafe { realm_enter(registers) }
    };
    #[cfg(not(target_os = "none"))]
    let vector = crate::host::run_realm(registers);
    match vector {
        0 => Vector::Synchronous,
        1 => Vector::Irq,
        2 => Vector::Fiq,
        _ => Vector::SError,
    }
}
