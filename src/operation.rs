// SPDX-License-Identifier: BSD-3-Clause
//! Work that is done in steps, so that a pending interrupt of the host does not wait for all of it.
//!
//! Interrupts are masked in the RMM. Each step is short; between two steps the work can be left.

use crate::arch::interrupt;

/// What remains after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More work.
    Continue,
    /// Nothing that this operation can do: the work is complete, or it cannot continue.
    Done,
}

/// Work in steps.
pub trait Operation {
    /// Does the next step.
    fn step(&mut self) -> Step;

    /// Steps until the work is done or an interrupt is pending, at least once.
    fn run(&mut self) {
        while self.step() == Step::Continue && !interrupt::is_pending() {}
    }
}
