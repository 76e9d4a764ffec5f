// SPDX-License-Identifier: BSD-3-Clause
//! Where a report goes.

/// What takes the text of each line.
pub(super) type Sink<'a> = &'a mut dyn FnMut(core::fmt::Arguments<'_>);
