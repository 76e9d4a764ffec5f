// SPDX-License-Identifier: BSD-3-Clause
//! The stacks of cold boot, which runs before there is a High VA map.

use core::mem::offset_of;
use core::ops::Range;

/// Bytes of the stack that cold boot runs on, and of that for exceptions during it.
pub const BOOT_STACK_SIZE: usize = 0x1_0000;
/// Bytes of the guard below each.
pub const GUARD_SIZE: usize = 4096;

/// Both stacks. The guards are mapped by neither the early nor the Low VA map.
#[repr(C, align(4096))]
#[allow(missing_debug_implementations)]
pub struct BootStacks {
    guard: [u8; GUARD_SIZE],
    stack: [u8; BOOT_STACK_SIZE],
    exception_guard: [u8; GUARD_SIZE],
    exception_stack: [u8; BOOT_STACK_SIZE],
}

impl BootStacks {
    /// Their initial content.
    pub const NEW: Self = Self {
        guard: [0; GUARD_SIZE],
        stack: [0; BOOT_STACK_SIZE],
        exception_guard: [0; GUARD_SIZE],
        exception_stack: [0; BOOT_STACK_SIZE],
    };
}

/// Offsets of the guard pages, each below a stack.
pub const GUARDS: [usize; 2] =
    [offset_of!(BootStacks, guard), offset_of!(BootStacks, exception_guard)];

/// Offsets of the two stacks.
pub const STACKS: [Range<usize>; 2] = [
    offset_of!(BootStacks, stack)..offset_of!(BootStacks, exception_guard),
    offset_of!(BootStacks, exception_stack)..size_of::<BootStacks>(),
];

#[cfg(target_os = "none")]
mod target {
    use core::cell::UnsafeCell;
    use core::ops::Range;

    use super::{BootStacks, GUARDS, STACKS};
    use crate::address::PhysAddr;
    use crate::mem::linker;
    use crate::mem::low_va::Sections;

    /// Memory that only the stack pointer reaches.
    #[repr(transparent)]
    pub struct StackCell<T>(UnsafeCell<T>);

    // SAFETY: Rust never accesses the content; it is the stack pointer's.
    unsafe impl<T> Sync for StackCell<T> {}

    #[unsafe(link_section = ".boot_stacks")]
    pub static BOOT_STACKS: StackCell<BootStacks> = StackCell(UnsafeCell::new(BootStacks::NEW));

    /// Both stacks, without their guards.
    pub fn boot_stacks() -> [Range<u64>; 2] {
        let base = (&raw const BOOT_STACKS).addr();
        STACKS.map(|stack| (base + stack.start) as u64..(base + stack.end) as u64)
    }

    /// The image as the Low VA map has it: without the guards of these stacks.
    pub fn sections() -> Sections<2> {
        let stacks = (&raw const BOOT_STACKS).addr();
        linker::sections(GUARDS.map(|guard| PhysAddr::new((stacks + guard) as u64)))
    }
}

#[cfg(target_os = "none")]
pub(super) use target::{BOOT_STACKS, boot_stacks, sections};
