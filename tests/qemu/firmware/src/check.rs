// SPDX-License-Identifier: BSD-3-Clause
//! The assertions of scenarios. A failed check is counted and printed; the scenario continues.

use core::fmt::{Debug, Display};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::say;

static FAILURES: AtomicU64 = AtomicU64::new(0);

/// Failed checks so far, on all CPUs.
pub fn failures() -> u64 {
    FAILURES.load(Ordering::Acquire)
}

/// Asserts that two values are equal.
pub fn equal<T: PartialEq + Debug>(what: impl Display, got: T, expected: T) {
    if got == expected {
        say!("ok: {what}");
    } else {
        fail(what, &got, &expected);
    }
}

/// Asserts that a condition holds.
pub fn that(what: impl Display, holds: bool) {
    equal(what, holds, true);
}

fn fail(what: impl Display, got: &dyn Debug, expected: &dyn Debug) {
    FAILURES.fetch_add(1, Ordering::AcqRel);
    say!("FAILED: {what}: expected {expected:x?}, got {got:x?}");
}

/// One assertion about many cases. Each failure is printed, the first few in full; success is
/// printed once, when the value is dropped.
pub struct Every<'a> {
    what: &'a str,
    checked: u64,
    failed: u64,
    may_be_empty: bool,
}

impl<'a> Every<'a> {
    /// The number of failures printed in full.
    const REPORTED: u64 = 8;

    /// Starts an assertion.
    pub fn new(what: &'a str) -> Self {
        Self { what, checked: 0, failed: 0, may_be_empty: false }
    }

    /// Accepts an assertion without any case, which otherwise fails.
    pub fn may_be_empty(&mut self) {
        self.may_be_empty = true;
    }

    /// Asserts one case.
    pub fn equal<T: PartialEq + Debug>(&mut self, case: impl Display, got: T, expected: T) {
        self.checked += 1;
        if got != expected {
            self.failed += 1;
            if self.failed <= Self::REPORTED {
                fail(format_args!("{} ({case})", self.what), &got, &expected);
            }
        }
    }
}

impl Drop for Every<'_> {
    fn drop(&mut self) {
        if self.checked == 0 && self.may_be_empty {
            return;
        }
        if self.failed == 0 && self.checked != 0 {
            say!("ok: {} ({} cases)", self.what, self.checked);
        } else {
            FAILURES.fetch_add(1, Ordering::AcqRel);
            say!("FAILED: {} ({} of {} cases)", self.what, self.failed, self.checked);
        }
    }
}
