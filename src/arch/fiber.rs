// SPDX-License-Identifier: BSD-3-Clause
//! A fiber: a function that runs on a stack of its own and stops where an interrupt comes, to go on
//! later, perhaps on another CPU.
//!
//! Its context holds all that it needs of a CPU: its registers and its key for return addresses. It
//! must not use anything else that a CPU has of its own.

use core::ffi::c_void;

/// Runs on a fiber with the argument that it was given.
pub type Entry = extern "C" fn(argument: *mut c_void);

/// Registers of a fiber that does not run. Zero: there is no fiber.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiberContext {
    gprs: [u64; 31],
    sp: u64,
    pc: u64,
    pstate: u64,
    key: [u64; 2],
}

/// Where the stack of who runs a fiber keeps SP_EL0, from SP_EL2 on.
pub const RESUMER_SP_EL0: usize = 24;

#[cfg(target_os = "none")]
core::arch::global_asm!(
    include_str!("registers.S"),
    include_str!("fiber.S"),
    sp = const core::mem::offset_of!(FiberContext, sp),
    pc = const core::mem::offset_of!(FiberContext, pc),
    key = const core::mem::offset_of!(FiberContext, key),
    resumer_sp_el0 = const RESUMER_SP_EL0,
);

#[cfg(target_os = "none")]
unsafe extern "C" {
    fn fiber_resume(context: *mut FiberContext) -> u64;
    fn fiber_take_key(context: *mut FiberContext);
    static fiber_start: [u32; 0];
}

static_assertions::const_assert_eq!(core::mem::offset_of!(FiberContext, gprs), 0);
static_assertions::const_assert_eq!(
    core::mem::offset_of!(FiberContext, pstate),
    core::mem::offset_of!(FiberContext, pc) + 8
);

/// Why [`resume`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The function has returned.
    AtItsEnd,
    /// An interrupt is pending, and still to be taken.
    ByInterrupt,
}

impl FiberContext {
    /// There is no fiber.
    pub const NONE: Self = Self { gprs: [0; 31], sp: 0, pc: 0, pstate: 0, key: [0; 2] };

    /// Makes this one a fiber that is about to run `entry` on the stack that ends at `stack_end`.
    pub fn init(&mut self, entry: Entry, argument: *mut c_void, stack_end: u64) {
        /// EL2 on SP_EL0, with D and A masked, I and F not, and DIT set.
        const PSTATE: u64 = 0b01000 | 1 << 8 | 1 << 9 | 1 << 24;
        #[cfg(target_os = "none")]
        let pc = (&raw const fiber_start).expose_provenance() as u64;
        #[cfg(not(target_os = "none"))]
        let pc = 1;
        let [x0, x1, gprs @ ..] = &mut self.gprs;
        *x0 = argument.expose_provenance() as u64;
        *x1 = (entry as *const ()).expose_provenance() as u64;
        *gprs = [0; 29];
        (self.sp, self.pc, self.pstate) = (stack_end, pc, PSTATE);
        #[cfg(target_os = "none")]
        // SAFETY: writes the key of the context.
        unsafe {
            fiber_take_key(self)
        };
    }

    /// Whether there is a fiber.
    pub fn exists(&self) -> bool {
        self.pc != 0
    }
}

/// Runs a fiber until it ends or is interrupted.
///
/// # Safety
///
/// - `context` is valid. [`FiberContext::init`] made it a fiber, and nothing but this function has
///   changed it since then. The fiber has not come to its end.
/// - Argument and stack of the fiber are what they were when it was made: at the same addresses, with
///   the same content, and used by nothing else.
/// - The stack is in the range of the slots, by which vectors know a fiber.
/// - HCR_EL2 routes interrupts to EL2.
pub unsafe fn resume(context: *mut FiberContext) -> Stopped {
    #[cfg(target_os = "none")]
    // SAFETY: as the caller says; callee-saved registers, stacks and the key come back as they were.
    let vector = unsafe { fiber_resume(context) };
    #[cfg(not(target_os = "none"))]
    // SAFETY: the same.
    let vector = unsafe { crate::host::run_fiber(&(&raw const (*context).gprs).read()) };
    if vector == 0 { Stopped::AtItsEnd } else { Stopped::ByInterrupt }
}
