// SPDX-License-Identifier: BSD-3-Clause
//! The console: log lines on a PL011 UART that EL3 has set up and shares with the RMM.
//!
//! Lines read `[RMM cpu0 INFO ] text` and come from the macros of the crate `log`. What a host or
//! Realm controls must not print without bound.
//!
//! One lock keeps the lines of several CPUs apart. A CPU that writes a fatal report ignores it and
//! ends locking for all CPUs: the holder may never release it, and a mixed line is better than a
//! CPU that waits forever. A buffer holds what is written before [`init`]; what does not fit is
//! lost. Locks need cacheable memory, so the MMU must be on.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use log::{Log, Metadata, Record};
use spin::Mutex;

use crate::address::VirtAddr;
use crate::arch::memory::{read_device, write_device};
use crate::cpu;

/// Data register, UARTDR (PL011 TRM (DDI 0183) 3.3.1).
const DATA: u64 = 0;
/// Flag register, UARTFR (PL011 TRM (DDI 0183) 3.3.3).
const FLAGS: u64 = 0x18;
/// UARTFR.BUSY: a byte is on its way.
const BUSY: u32 = 1 << 3;
/// UARTFR.TXFF: the transmit FIFO is full.
const TRANSMIT_FULL: u32 = 1 << 5;

/// Polls of a flag before the byte is given up and lost: many times what a byte takes at 9600 baud.
const MAX_POLLS: usize = 1_000_000;

/// Bytes of the buffer for what is written before the UART is known.
const EARLY_SIZE: usize = 2048;

static CONSOLE: Console = Console::new();

/// Counts an event that a host can cause as often as it likes: the first is logged, later ones are
/// only counted.
#[derive(Debug, Default)]
pub struct Occurrences(AtomicU64);

impl Occurrences {
    /// None yet.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one event. Gives whether it is the first.
    pub fn is_first(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) == 0
    }

    /// How many events were counted.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sends the lines of the crate `log` to the console.
pub fn init_log() {
    // A second call fails and changes nothing.
    let _set_already = log::set_logger(&CONSOLE);
    log::set_max_level(log::STATIC_MAX_LEVEL);
}

/// Makes the PL011 at `base` the console, and writes what is in the early buffer.
///
/// # Safety
///
/// The registers of a PL011 are mapped at `base` as Device memory, and stay so for as long as the
/// RMM runs.
pub unsafe fn init(base: VirtAddr) {
    CONSOLE.init(base);
}

/// Writes a line of a fatal report without the lock, and ends locking for all CPUs. Before [`init`]
/// the line is lost.
pub fn write_fatal(text: fmt::Arguments<'_>) {
    CONSOLE.write_unlocked(format_args!("{}", Line { level: "FATAL", text }));
}

/// Waits, within bounds, until the last byte has left the UART.
pub fn drain() {
    if let Some(uart) = CONSOLE.uart() {
        uart.wait_until_clear(BUSY);
    }
}

/// A line as this CPU prints it.
struct Line<'a> {
    level: &'static str,
    text: fmt::Arguments<'a>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { level, text } = self;
        match cpu::this_index() {
            Some(number) => writeln!(f, "[RMM cpu{number} {level:5}] {text}"),
            None => writeln!(f, "[RMM cpu? {level:5}] {text}"),
        }
    }
}

struct Console {
    /// Virtual address of the registers; 0 before they are known.
    base: AtomicU64,
    /// The lock, held while a line is written, and the early buffer.
    early: Mutex<Early>,
    /// Whether locking has ended: a CPU has died, perhaps with the lock held.
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

impl Log for Console {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = Line { level: record.level().as_str(), text: *record.args() };
        self.write(format_args!("{line}"));
    }

    fn flush(&self) {}
}

/// The early buffer: what is written before the UART is known, as far as it fits.
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

/// The UART. Exists only after the caller of `init` has promised that its registers are mapped.
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
            // SAFETY: the data register of the PL011 that the caller of `init` promised.
            unsafe { write_device(self.base + DATA, u32::from(byte)) };
        }
    }

    /// Whether `flag` was seen clear within [`MAX_POLLS`].
    fn wait_until_clear(&self, flag: u32) -> bool {
        (0..MAX_POLLS).any(|_| {
            // SAFETY: the flag register of the PL011 that the caller of `init` promised.
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
    use crate::host::{Event, preset_device, preset_register, record};

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
    #[cfg_attr(miri, ignore = "a million polls")]
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

    #[test]
    fn a_log_line_names_cpu_and_level() {
        let console = Console::new();
        console.init(BASE);
        for (tpidr, level, line) in [
            (0x80_0001, log::Level::Info, "[RMM cpu0 INFO ] up: 1\r\n"),
            (0x200, log::Level::Error, "[RMM cpu511 ERROR] up: 1\r\n"),
            (0x80_0000, log::Level::Debug, "[RMM cpu? DEBUG] up: 1\r\n"),
        ] {
            preset_register("TPIDR_EL2", tpidr);
            let text = sent(|| {
                console
                    .log(&Record::builder().level(level).args(format_args!("up: {}", 1)).build());
            });
            assert_eq!(text, line);
        }
    }
}
