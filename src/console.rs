// SPDX-License-Identifier: BSD-3-Clause
//! The console: a PL011 UART, which EL3 has set up and shares with the RMM.
//!
//! Lines of several CPUs do not mix, because each is written under one lock. A CPU that dies never
//! takes that lock, and from then on nobody does: its holder may be the dead one, and a mixed line
//! is better than a CPU that waits forever. Text from before [`init`] is kept, as far as it fits.
//! To be called with the MMU on, since locks need cacheable memory; not from an entry path.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use spin::Mutex;

use crate::address::VirtAddr;
use crate::arch::memory::{read_device, write_device};

/// Data register, UARTDR (PL011 TRM 3.3.1).
const DATA: u64 = 0;
/// Flag register, UARTFR (PL011 TRM 3.3.3).
const FLAGS: u64 = 0x18;
/// UARTFR.BUSY: a byte is on its way.
const BUSY: u32 = 1 << 3;
/// UARTFR.TXFF: the transmit FIFO is full.
const TRANSMIT_FULL: u32 = 1 << 5;

/// Looks at the flags before the UART is taken for dead and a byte is lost: many times what a byte
/// takes at 9600 baud.
const MOST_LOOKS: usize = 1_000_000;

/// Bytes kept of what is written before the UART is known.
const EARLY_SIZE: usize = 2048;

static CONSOLE: Console = Console::new();

/// Makes the PL011 at `base` the console, and writes what was kept until now.
///
/// # Safety
///
/// The registers of a PL011 are mapped at `base` as Device memory, and stay so for as long as the
/// RMM runs.
pub unsafe fn init(base: VirtAddr) {
    CONSOLE.init(base);
}

/// Writes `text`, whole lines, with no other CPU's text in between. `\n` becomes `\r\n`.
pub fn write(text: fmt::Arguments<'_>) {
    CONSOLE.write(text);
}

/// Writes `text` for a CPU that is about to stop, whoever holds the lock; ends locking for all.
/// Lost before [`init`].
pub fn write_unlocked(text: fmt::Arguments<'_>) {
    CONSOLE.write_unlocked(text);
}

/// Waits, within bounds, until the last byte has left the UART.
pub fn drain() {
    if let Some(uart) = CONSOLE.uart() {
        uart.wait_until_clear(BUSY);
    }
}

struct Console {
    /// Virtual address of the registers; 0 before they are known.
    base: AtomicU64,
    /// Held while a line is written; guards what was written before there was a UART.
    early: Mutex<Early>,
    /// Whether a CPU has died, so that the lock may never be released again.
    abandoned: AtomicBool,
}

impl Console {
    const fn new() -> Self {
        Self {
            base: AtomicU64::new(0),
            early: Mutex::new(Early { bytes: [0; EARLY_SIZE], length: 0 }),
            abandoned: AtomicBool::new(false),
        }
    }

    fn uart(&self) -> Option<Pl011> {
        match self.base.load(Ordering::Acquire) {
            0 => None,
            base => Some(Pl011 { base }),
        }
    }

    fn init(&self, base: VirtAddr) {
        self.locked(|early| {
            if let Some(early) = early {
                let mut uart = Pl011 { base: base.get() };
                early.bytes.iter().take(early.length).for_each(|&byte| uart.byte(byte));
                early.length = 0;
            }
            self.base.store(base.get(), Ordering::Release);
        });
    }

    fn write(&self, text: fmt::Arguments<'_>) {
        self.locked(|early| {
            // Neither writer fails; only a value's own formatting could, and then the rest of the
            // line is missing.
            let _ = match (self.uart(), early) {
                (Some(mut uart), _) => uart.write_fmt(text),
                (None, Some(early)) => early.write_fmt(text),
                (None, None) => Ok(()),
            };
        });
    }

    fn write_unlocked(&self, text: fmt::Arguments<'_>) {
        self.abandoned.store(true, Ordering::Relaxed);
        if let Some(mut uart) = self.uart() {
            // As in `write`.
            let _ = uart.write_fmt(text);
        }
    }

    /// Runs `body` with the lock held, or with `None` once locking has ended.
    fn locked(&self, body: impl FnOnce(Option<&mut Early>)) {
        while !self.abandoned.load(Ordering::Relaxed) {
            if let Some(mut early) = self.early.try_lock() {
                return body(Some(&mut early));
            }
            core::hint::spin_loop();
        }
        body(None);
    }
}

/// What was written before there was a UART. What does not fit is lost.
struct Early {
    bytes: [u8; EARLY_SIZE],
    length: usize,
}

impl Write for Early {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if let Some(free) = self.bytes.get_mut(self.length) {
                *free = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}

/// The UART. One exists only where `init` was promised its registers.
struct Pl011 {
    base: u64,
}

impl Pl011 {
    fn byte(&mut self, byte: u8) {
        if byte == b'\n' {
            self.raw_byte(b'\r');
        }
        self.raw_byte(byte);
    }

    fn raw_byte(&mut self, byte: u8) {
        if self.wait_until_clear(TRANSMIT_FULL) {
            // SAFETY: the data register of the PL011 that the caller of `init` vouched for.
            unsafe { write_device(self.base + DATA, u32::from(byte)) };
        }
    }

    /// Whether `flag` was seen clear, before patience ended.
    fn wait_until_clear(&self, flag: u32) -> bool {
        (0..MOST_LOOKS).any(|_| {
            // SAFETY: the flag register of the PL011 that the caller of `init` vouched for.
            let flags = unsafe { read_device(self.base + FLAGS) };
            flags & flag == 0
        })
    }
}

impl Write for Pl011 {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.byte(byte));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Event, preset_device, record};

    const BASE: VirtAddr = VirtAddr::new(0x0900_0000);

    /// What `body` sends to the data register.
    fn sent(body: impl FnOnce()) -> String {
        let (_, events) = record(body);
        let byte = |event| match event {
            Event::Device(0x0900_0000, value) => char::from_u32(value).unwrap(),
            other => panic!("not a byte sent: {other:?}"),
        };
        events.into_iter().map(byte).collect()
    }

    #[test]
    fn a_newline_is_sent_as_carriage_return_and_line_feed() {
        let console = Console::new();
        console.init(BASE);
        assert_eq!(sent(|| console.write(format_args!("a {}\n", 7))), "a 7\r\n");
    }

    #[test]
    fn early_text_is_sent_once_at_init() {
        let console = Console::new();
        assert_eq!(sent(|| console.write(format_args!("early\n"))), "");
        assert_eq!(sent(|| console.init(BASE)), "early\r\n");
        assert_eq!(sent(|| console.init(BASE)), "");
    }

    #[test]
    fn early_text_that_does_not_fit_is_lost() {
        let console = Console::new();
        console.write(format_args!("{:2047}|lost", ""));
        let text = sent(|| console.init(BASE));
        assert_eq!(text.len(), EARLY_SIZE);
        assert!(text.ends_with(" |"));
    }

    #[test]
    fn a_full_uart_loses_the_byte_and_does_not_hang() {
        let console = Console::new();
        console.init(BASE);
        preset_device(0x0900_0018, 1 << 5);
        assert_eq!(sent(|| console.write(format_args!("x"))), "");
        preset_device(0x0900_0018, !(1 << 5));
        assert_eq!(sent(|| console.write(format_args!("x"))), "x");
    }

    #[test]
    fn a_dying_holder_of_the_lock_blocks_neither_itself_nor_others() {
        let console = Console::new();
        console.init(BASE);
        let _held = console.early.lock();
        assert_eq!(sent(|| console.write_unlocked(format_args!("dying\n"))), "dying\r\n");
        assert_eq!(sent(|| console.write(format_args!("another\n"))), "another\r\n");
    }

    #[test]
    fn dying_before_init_sends_nothing() {
        let console = Console::new();
        assert_eq!(sent(|| console.write_unlocked(format_args!("dying\n"))), "");
    }
}
