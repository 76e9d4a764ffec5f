// SPDX-License-Identifier: BSD-3-Clause
//! Work of a REC that takes long: it runs on the stack in the auxiliary granules, stops where an
//! interrupt comes, and goes on in a later run, perhaps on another CPU.

use core::ffi::c_void;

use super::auxiliary::{AuxiliaryContent, AuxiliaryPart, RunningAuxiliary};
use crate::arch::fiber::{self, FiberContext, Stopped};

/// Work that runs on the stack in the auxiliary granules.
///
/// # Safety
///
/// All bits zero is a value of the type, and no other content has the same `GRANULE`, which is not
/// of the stack's part. `run` uses nothing that a CPU has of its own.
pub unsafe trait Work: Sized {
    /// The number of the granule that holds it.
    const GRANULE: usize;

    /// Does the work. Interrupts are not masked.
    fn run(&mut self);
}

/// The content of that granule.
#[repr(C)]
#[derive(Debug)]
struct WorkGranule<W> {
    context: FiberContext,
    work: W,
}

// SAFETY: a context and, as `Work` promises, the work may be zero; the granule has this content
// alone.
unsafe impl<W: Work> AuxiliaryContent for WorkGranule<W> {
    const GRANULE: usize = W::GRANULE;
}

extern "C" fn run<W: Work>(work: *mut c_void) {
    // SAFETY: `start` gives a pointer to it, and nobody else uses it until the fiber has ended.
    unsafe { &mut *work.cast::<W>() }.run();
}

impl RunningAuxiliary<'_> {
    /// The work, unless it has started and not come to its end.
    pub fn work<W: Work>(&mut self) -> Option<&mut W> {
        let granule = self.content::<WorkGranule<W>>();
        // SAFETY: mapped for as long as `self` is borrowed, and a value, as `content` says. While a
        // fiber exists, which has `work`, only `context` is looked at.
        unsafe { if (*granule).context.exists() { None } else { Some(&mut (*granule).work) } }
    }

    /// Has work, which `prepare` sets up, begin when it is first [continued](Self::continue_work).
    /// Abandons what there was.
    ///
    /// # Errors
    ///
    /// That of `prepare`; then there is none.
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

    /// Sets up work that others do, and that never starts here. Abandons what there was.
    ///
    /// # Errors
    ///
    /// That of `prepare`; then there is none.
    pub fn prepare_work<W: Work, E>(
        &mut self,
        prepare: impl FnOnce(&mut W) -> Result<(), E>,
    ) -> Result<(), E> {
        self.abandon_work::<W>();
        prepare(&mut self.get::<WorkGranule<W>>().work)
    }

    /// Goes on with work that has started, to its end or to the next interrupt. Does nothing if
    /// there is none. At its end its stack is zeroed.
    ///
    /// HCR_EL2 routes interrupts to EL2, as while a Realm runs.
    pub fn continue_work<W: Work>(&mut self) -> Stopped {
        let granule = self.content::<WorkGranule<W>>();
        self.map(AuxiliaryPart::Stack);
        // SAFETY: mapped, and a value, as `content` says. `start_work` alone makes a fiber, of work
        // and stack that are mapped here at the addresses that every CPU has them at, and that
        // nothing else uses while it exists. At its end it goes.
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

    /// Zeroes work, and its stack if it has started and not come to its end.
    pub fn abandon_work<W: Work>(&mut self) {
        let granule = self.content::<WorkGranule<W>>();
        // SAFETY: mapped, and a value, as `content` says.
        let started = unsafe { (*granule).context.exists() };
        if started {
            self.zero(AuxiliaryPart::Stack);
        }
        // SAFETY: the same; zero is a value of it.
        unsafe { granule.write_bytes(0, 1) };
    }
}
