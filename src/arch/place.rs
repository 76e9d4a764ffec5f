// SPDX-License-Identifier: BSD-3-Clause
//! Where this CPU is: the instruction that it executes, and its stack pointer. For reports.

/// A moment of a program: what a debugger needs to find the frames of the functions that are under
/// way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address of an instruction.
    pub instruction: u64,
    /// The stack pointer before it is executed.
    pub stack: u64,
}

/// Where the function is that calls this, which is part of it.
#[inline(always)]
pub fn here() -> Place {
    #[cfg(not(target_os = "none"))]
    return Place {
        instruction: crate::host::read_register("PC"),
        stack: crate::host::read_register("SP"),
    };
    #[cfg(target_os = "none")]
    {
        let (instruction, stack);
        // SAFETY: reads PC and SP only.
        unsafe {
            core::arch::asm!("adr {instruction}, .", "mov {stack}, sp",
                instruction = out(reg) instruction, stack = out(reg) stack, options(nomem, nostack, preserves_flags))
        };
        Place { instruction, stack }
    }
}
