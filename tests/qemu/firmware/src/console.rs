// SPDX-License-Identifier: BSD-3-Clause
//! Whole lines of text through semihosting. A line is written with one call, so lines of several
//! CPUs never mix.

use core::ffi::CStr;
use core::fmt;

use crate::semihosting;

/// Longest line in bytes. The rest is cut.
const CAPACITY: usize = 384;

/// A line being assembled.
struct Line {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Two bytes stay free for the line end and the terminator.
        let room = CAPACITY - 2 - self.length;
        for byte in text.bytes().take(room) {
            self.bytes[self.length] = byte;
            self.length += 1;
        }
        Ok(())
    }
}

/// Prints one line; use the [`say!`](crate::say) macro.
pub fn print_line(text: fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; CAPACITY], length: 0 };
    // Writing to a Line cannot fail. If a Display implementation fails, the line ends there.
    let _ = fmt::write(&mut line, text);
    line.bytes[line.length] = b'\n';
    if let Ok(text) = CStr::from_bytes_until_nul(&line.bytes) {
        semihosting::write(text);
    }
}

/// Prints one line on the debugger's console.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => { $crate::console::print_line(format_args!($($part)*)) };
}
