// SPDX-License-Identifier: BSD-3-Clause
//! Deliberate faults for the system tests: only in images built with the feature `self-test`, never in a product.

use crate::address::native;
use crate::arch::smc::Registers;
use crate::mem::layout;

/// An RMI function identifier that no version of the RMI has.
const FAULT: u64 = 0xc400_018e;

static READ_ONLY: u64 = 1;

/// Commits the fault that x1 names, when the call asks for one. Whether it did; most do not come back.
pub(super) fn intercept(registers: &mut Registers) -> bool {
    if registers[0] != FAULT {
        return false;
    }
    let write = |address: u64| {
        // SAFETY: none: this is the fault.
        unsafe { core::ptr::with_exposed_provenance_mut::<u64>(native(address)).write_volatile(1) }
    };
    let execute = |address: u64| {
        // SAFETY: none: this is the fault.
        let function: extern "C" fn() = unsafe { core::mem::transmute(native(address)) };
        function();
    };
    match registers[1] {
        1 => write(layout::code().start.get()),
        2 => write(core::ptr::from_ref(&READ_ONLY).addr() as u64),
        3 => write(layout::low_tables().start.get()),
        4 => execute(layout::read_write().start.get()),
        // SAFETY: none: this is the fault.
        5 => unsafe { core::arch::asm!("udf #0") },
        6 => panic!("asked for by a self-test"),
        // SAFETY: none: this is the fault.
        7 => unsafe {
            let _ = core::ptr::without_provenance::<u64>(0x10).read_volatile();
        },
        // Past the landing pad of a function.
        8 => execute(super::rmi_entry::handle as *const () as u64 + 4),
        _ => return false,
    }
    registers[0] = u64::MAX;
    true
}
