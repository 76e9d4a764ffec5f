// SPDX-License-Identifier: BSD-3-Clause
//! Long work of a REC. It runs on the stack in the auxiliary granules. An interrupt suspends it; a
//! later run resumes it, perhaps on another CPU.

use core::ffi::c_void;

use super::auxiliary::{AuxiliaryContent, AuxiliaryPart, RunningAuxiliary};
use crate::arch::fiber::{self, FiberContext, Stopped};

/// Work that runs on the stack in the auxiliary granules.
///
/// # Safety
///
/// All bits zero is a value of the type. No other content has the same `GRANULE`, and that granule
/// is not in the part of the stack. `run` uses no per-CPU state.
pub unsafe trait Work: Sized {
    /// The number of the granule that holds the work.
    const GRANULE: usize;

    /// Does the work. Interrupts are not masked.
    fn run(&mut self);
}

/// The content of granule `W::GRANULE`.
#[repr(C)]
#[derive(Debug)]
struct WorkGranule<W> {
    context: FiberContext,
    work: W,
}

// SAFETY: all bits zero is a value of `FiberContext` and, by the promise of `Work`, of `W`. The
// granule has no other content.
unsafe impl<W: Work> AuxiliaryContent for WorkGranule<W> {
    const GRANULE: usize = W::GRANULE;
}

extern "C" fn run<W: Work>(work: *mut c_void) {
    // SAFETY: `start_work` passes a pointer to a `W`, and nothing else uses it until the fiber has
    // ended.
    unsafe { &mut *work.cast::<W>() }.run();
}

impl RunningAuxiliary<'_> {
    /// The work; `None` if it has started and not ended.
    pub fn work<W: Work>(&mut self) -> Option<&mut W> {
        let granule = self.content::<WorkGranule<W>>();
        // SAFETY: mapped as long as `self` is borrowed, and a valid value (`content`). While a
        // fiber exists it alone uses `work`: only `context` is read.
        unsafe { if (*granule).context.exists() { None } else { Some(&mut (*granule).work) } }
    }

    /// Abandons any former work and starts new work, which `prepare` sets up. It begins to run in
    /// the first [`continue_work`](Self::continue_work).
    ///
    /// # Errors
    ///
    /// That of `prepare`; then there is no work.
    pub fn start_work<W: Work, E>(
        &mut self,
        prepare: impl FnOnce(&mut W) -> Result<(), E>,
    ) -> Result<(), E> {
        self.prepare_work(prepare)?;
        let stack = self.map(AuxiliaryPart::Stack);
        let granule: &mut WorkGranule<W> = self.get();
        let work = (&raw mut granule.work).cast();
        granule.context.init(run::<W>, work, stack.end.get());
        Ok(())
    }

    /// Abandons any former work and sets up new work that is done elsewhere: it never runs here.
    ///
    /// # Errors
    ///
    /// That of `prepare`; then there is no work.
    pub fn prepare_work<W: Work, E>(
        &mut self,
        prepare: impl FnOnce(&mut W) -> Result<(), E>,
    ) -> Result<(), E> {
        self.abandon_work::<W>();
        prepare(&mut self.get::<WorkGranule<W>>().work)
    }

    /// Runs work that has started, until it ends or an interrupt is pending. Does nothing if no
    /// work has started. When the work ends its stack is zeroed.
    ///
    /// HCR_EL2 must route interrupts to EL2, as while a Realm runs.
    pub fn continue_work<W: Work>(&mut self) -> Stopped {
        let granule = self.content::<WorkGranule<W>>();
        self.map(AuxiliaryPart::Stack);
        // SAFETY: mapped, and a valid value (`content`). Only `start_work` makes a fiber. Its work
        // and stack are mapped here, at the same addresses as on every CPU, and nothing else uses
        // them while it exists. A fiber that has ended is set to NONE.
        unsafe {
            if !(*granule).context.exists() {
                return Stopped::AtItsEnd;
            }
            let stopped = fiber::resume(&raw mut (*granule).context);
            if stopped == Stopped::AtItsEnd {
                (*granule).context = FiberContext::NONE;
                self.zero(AuxiliaryPart::Stack);
            }
            stopped
        }
    }

    /// Zeroes the work, and its stack if the work has started and not ended.
    pub fn abandon_work<W: Work>(&mut self) {
        let granule = self.content::<WorkGranule<W>>();
        // SAFETY: mapped, and a valid value (`content`).
        let started = unsafe { (*granule).context.exists() };
        if started {
            self.zero(AuxiliaryPart::Stack);
        }
        // SAFETY: as above; all bits zero is a value of it, and no fiber uses it from now on.
        unsafe { granule.write_bytes(0, 1) };
    }
}
