// SPDX-License-Identifier: BSD-3-Clause
//! The destination of a report.

/// What takes the text of each line.
pub(super) type Sink<'a> = &'a mut dyn FnMut(core::fmt::Arguments<'_>);
