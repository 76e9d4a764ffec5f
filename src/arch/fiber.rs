// SPDX-License-Identifier: BSD-3-Clause
//! A fiber: a function with a stack of its own. An interrupt suspends it; it is resumed later,
//! perhaps on another CPU.
//!
//! Its context holds its registers and the key that signs its return addresses. A fiber must not
//! use any other per-CPU state.

use core::ffi::c_void;

/// The function that a fiber runs. `argument` is that of [`FiberContext::init`].
pub type Entry = extern "C" fn(argument: *mut c_void);

/// Registers of a suspended fiber. All zero: there is no fiber.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiberContext {
    gprs: [u64; 31],
    sp: u64,
    pc: u64,
    pstate: u64,
    key: [u64; 2],
}

/// Offset from SP_EL2, while a fiber runs, of the resumer's SP_EL0 on the resumer's stack.
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

/// Why [`resume`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The function has returned.
    AtItsEnd,
    /// An interrupt suspended the fiber. It is still pending.
    ByInterrupt,
}

impl FiberContext {
    /// There is no fiber.
    pub const NONE: Self = Self { gprs: [0; 31], sp: 0, pc: 0, pstate: 0, key: [0; 2] };

    /// Makes a fiber that will run `entry(argument)` on the stack that ends at `stack_end`.
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
        // SAFETY: stores this CPU's key in `self.key`, which is borrowed as `&mut`.
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
///   changed it since then. The fiber's function has not returned.
/// - The fiber's argument and stack are at the addresses that [`FiberContext::init`] was given,
///   with the content that the fiber left there, and nothing else uses them.
/// - The stack is in the VA range of the slots: the vectors recognize a fiber by that.
/// - HCR_EL2 routes interrupts to EL2.
pub unsafe fn resume(context: *mut FiberContext) -> Stopped {
    #[cfg(target_os = "none")]
    // SAFETY: the caller's promise. Callee-saved registers, stack pointers and key are restored.
    let vector = unsafe { fiber_resume(context) };
    #[cfg(not(target_os = "none"))]
    // SAFETY: the same.
    let vector = unsafe { crate::host::run_fiber(&(&raw const (*context).gprs).read()) };
    if vector == 0 { Stopped::AtItsEnd } else { Stopped::ByInterrupt }
}
