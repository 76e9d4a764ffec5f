// SPDX-License-Identifier: BSD-3-Clause
//! The end of a CPU: an exception in the RMM that nothing recovers, or a panic, is reported on the
//! console, and the CPU stops.
//!
//! Called on the exception stack or wherever a panic happened, in any state: nothing here takes a
//! lock or trusts more than the frame it is given. A fault inside a report ends it without another.

pub mod address;
pub mod backtrace;
pub mod recoverable;
pub mod syndrome;

use core::fmt;
use core::panic::PanicInfo;

use tock_registers::interfaces::Readable;

use crate::arch::atomic::{AtomicUsize, Ordering};
use crate::arch::place::{self, Place};
use crate::arch::sysreg::TPIDR_EL2;
use crate::arch::wait::halt;
use crate::el3::error::BootStatus;
use crate::el3::services;
use crate::log::{Level, Line};
use crate::mem::low_va::Sections;

use crate::{console, cpu};
use address::{FaultAddress, StackPointer};
use backtrace::Memory;
use syndrome::Syndrome;

/// What the exception vectors save before they call [`report_exception`]. Their assembly knows this
/// layout.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct ExceptionFrame {
    /// x0 to x30.
    pub x: [u64; 31],
    /// The stack pointer when the exception was taken.
    pub sp: u64,
    /// ELR_EL2.
    pub elr: u64,
    /// SPSR_EL2.
    pub spsr: u64,
    /// ESR_EL2.
    pub esr: u64,
    /// FAR_EL2.
    pub far: u64,
    /// Index of the vector, 0 to 15: its offset from VBAR_EL2 in units of 0x80 (Arm ARM D1.3.1.4).
    pub vector: u64,
}

static_assertions::const_assert_eq!(size_of::<ExceptionFrame>(), 37 * 8);

/// Which CPU is reporting: its TPIDR_EL2, 0 for none.
static REPORTING: AtomicUsize = AtomicUsize::new(0);

/// Reports an exception and ends this CPU: it is refused to EL3 while it boots, and stopped later.
/// `sections` are those of the image; `memory` is what a backtrace is taken from.
pub fn report_exception<const GUARDS: usize>(
    frame: &ExceptionFrame,
    sections: &Sections<GUARDS>,
    memory: Memory<'_>,
) -> ! {
    report(|line| {
        describe_exception(frame, sections, line);
        let [.., link] = frame.x;
        backtrace::describe(
            memory,
            Place { instruction: frame.elr, stack: frame.sp },
            Some(link),
            line,
        );
    })
}

/// Reports a panic and ends this CPU: it is refused to EL3 while it boots, and stopped later.
/// `memory` is what a backtrace is taken from.
pub fn report_panic(info: &PanicInfo<'_>, memory: Memory<'_>) -> ! {
    report(|line| {
        match info.location() {
            Some(location) => line(format_args!("panic at {location}: {}", info.message())),
            None => line(format_args!("panic: {}", info.message())),
        }
        backtrace::describe(memory, place::here(), None, line);
    })
}

/// What takes the text of each line of a report.
type Sink<'a> = &'a mut dyn FnMut(fmt::Arguments<'_>);

fn report(body: impl FnOnce(Sink<'_>)) -> ! {
    // On a CPU that has no record yet the value is 0, which is never taken for a second report.
    let me = usize::try_from(TPIDR_EL2.get()).unwrap_or(0);
    if REPORTING.swap(me, Ordering::Relaxed) != me || me == 0 {
        let mut line = |text: fmt::Arguments<'_>| {
            console::write_unlocked(format_args!("{}", Line { level: Level::Fatal, text }));
        };
        body(&mut line);
        match cpu::stage() {
            Some(stage) => line(format_args!("CPU stopped while {stage} ({})", stage.map())),
            None => line(format_args!("CPU stopped")),
        }
        console::drain();
    }
    stop()
}

/// Ends this CPU. One that is still booting is refused to EL3, which then runs the host on it; one
/// that serves calls owes an answer that it does not have, and stays where it is.
fn stop() -> ! {
    if cpu::is_online() { halt() } else { services::refuse_boot(BootStatus::Unknown) }
}

fn describe_exception<const GUARDS: usize>(
    frame: &ExceptionFrame,
    sections: &Sections<GUARDS>,
    line: Sink<'_>,
) {
    let vector = Vector(frame.vector);
    if vector.has_syndrome() {
        line(format_args!("{vector}: {}", Syndrome(frame.esr)));
    } else {
        line(format_args!("{vector}"));
    }
    line(format_args!("ESR {:#018x}  FAR {:#018x}", frame.esr, frame.far));
    if vector.has_syndrome() && Syndrome(frame.esr).is_abort() {
        let mapped = if Syndrome(frame.esr).is_translation_fault() { ", not mapped" } else { "" };
        line(format_args!("FAR is at: {}{mapped}", FaultAddress { address: frame.far, sections }));
    }
    match frame.elr.checked_sub(sections.code.start.get()) {
        Some(offset) => line(format_args!(
            "ELR {:#018x} (image + {offset:#x})  SPSR {:#018x}",
            frame.elr, frame.spsr
        )),
        None => line(format_args!(
            "ELR {:#018x} (below the image)  SPSR {:#018x}",
            frame.elr, frame.spsr
        )),
    }
    for (number, value) in frame.x.iter().enumerate() {
        line(format_args!("x{number:<2} {value:#018x}"));
    }
    line(format_args!("sp  {:#018x} ({})", frame.sp, StackPointer(frame.sp)));
}

/// The index of an exception vector, in words: what kind of exception, and from where.
struct Vector(u64);

impl Vector {
    /// Whether ESR_EL2 is about this exception: it is not about interrupts.
    const fn has_syndrome(&self) -> bool {
        matches!(self.0 % 4, 0 | 3)
    }
}

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match self.0 / 4 {
            0 => "the current EL with SP_EL0",
            1 => "the current EL with SP_EL2",
            2 => "a lower EL in AArch64",
            3 => "a lower EL in AArch32",
            _ => return write!(f, "exception by unknown vector {:#x}", self.0),
        };
        let kind = match self.0 % 4 {
            0 => "synchronous exception",
            1 => "IRQ",
            2 => "FIQ",
            _ => "SError",
        };
        write!(f, "{kind} from {from}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::PhysAddr;
    use crate::host::{Event, preset_register, record, set_monitor};
    use crate::mem::high_va::STACK;
    use crate::mem::slot_layout::SlotIndex;

    fn frame(vector: u64, esr: u64) -> ExceptionFrame {
        let x = core::array::from_fn(|number| 0x100 + number as u64);
        ExceptionFrame { x, sp: 0x5000, elr: 0x4010_0040, spsr: 0x3C9, esr, far: 0x1234, vector }
    }

    fn lines(frame: &ExceptionFrame, image: u64) -> Vec<String> {
        let range = |offset| PhysAddr::new(image + offset)..PhysAddr::new(image + offset + 0x1000);
        let sections = Sections {
            code: range(0),
            read_only: range(0x1000),
            read_write: range(0x2000),
            guards: [],
            low_tables: range(0x3000),
        };
        let mut lines = Vec::new();
        describe_exception(frame, &sections, &mut |text| lines.push(text.to_string()));
        lines
    }

    #[test]
    fn an_exception_is_told_with_every_register() {
        let lines = lines(&frame(4, 0x9600_004F), 0x4010_0000);
        assert_eq!(
            lines[0],
            "synchronous exception from the current EL with SP_EL2: data abort from the current EL, \
             permission fault at level 3, by a write"
        );
        assert_eq!(lines[1], "ESR 0x000000009600004f  FAR 0x0000000000001234");
        assert_eq!(lines[2], "FAR is at: Low VA range, outside the image");
        assert_eq!(lines[3], "ELR 0x0000000040100040 (image + 0x40)  SPSR 0x00000000000003c9");
        for number in 0..31 {
            assert_eq!(lines[4 + number], format!("x{number:<2} {:#018x}", 0x100 + number));
        }
        assert_eq!(lines[35], "sp  0x0000000000005000 (on no stack of this CPU's map)");
        assert_eq!(lines.len(), 36);
    }

    #[test]
    fn a_fault_says_what_is_at_its_address_and_whether_it_is_mapped() {
        let abort =
            |class: u64, status: u64, far| ExceptionFrame { far, ..frame(4, class << 26 | status) };
        let slot = SlotIndex::Delegated.address().get();
        for (frame, words) in [
            (abort(0x25, 0x4F, 0x4010_0010), "FAR is at: the RMM's code"),
            (abort(0x25, 0x47, slot + 8), "FAR is at: slot Delegated, not mapped"),
            (abort(0x25, 0x2B, 0), "FAR is at: Low VA range, outside the image, not mapped"),
            (abort(0x21, 0x0F, 0x4010_2000), "FAR is at: the RMM's data"),
            (
                abort(0x25, 0x47, STACK.base - 16),
                "FAR is at: the guard page below the stack: stack overflow, not mapped",
            ),
        ] {
            assert_eq!(lines(&frame, 0x4010_0000)[2], words);
        }
        // Others than aborts leave FAR as it was.
        for frame in [
            abort(0, 0, slot),
            abort(0x0D, 1, slot),
            ExceptionFrame { vector: 5, ..abort(0x25, 7, slot) },
        ] {
            assert!(lines(&frame, 0x4010_0000)[2].starts_with("ELR"));
        }
    }

    #[test]
    fn an_address_below_the_image_has_no_offset() {
        assert!(lines(&frame(4, 0), 0x5000_0000)[2].contains("(below the image)"));
    }

    #[test]
    fn an_interrupt_is_told_without_a_stale_syndrome() {
        assert_eq!(lines(&frame(5, 0x9600_004F), 0)[0], "IRQ from the current EL with SP_EL2");
        assert_eq!(lines(&frame(10, 0x9600_004F), 0)[0], "FIQ from a lower EL in AArch64");
    }

    #[test]
    fn every_vector_has_words_of_its_own() {
        let words: std::collections::HashSet<_> =
            (0..17).map(|index| Vector(index).to_string()).collect();
        assert_eq!(words.len(), 17);
        assert_eq!(Vector(16).to_string(), "exception by unknown vector 0x10");
    }

    #[test]
    fn a_fault_inside_a_report_ends_it_without_another() {
        preset_register("TPIDR_EL2", 0x80_0077);
        let mut reports = 0;
        let nested = std::panic::AssertUnwindSafe(|| {
            report(|_| {
                reports += 1;
                report(|_| reports += 1)
            })
        });
        assert!(std::panic::catch_unwind(nested).is_err());
        assert_eq!(reports, 1);

        // CPUs that have no record yet cannot be told apart: each is reported.
        preset_register("TPIDR_EL2", 0);
        set_monitor(Box::new(|_| [0; 8]));
        for _ in 0..2 {
            let unnumbered = std::panic::AssertUnwindSafe(|| report(|_| reports += 1));
            assert!(std::panic::catch_unwind(unnumbered).is_err());
        }
        assert_eq!(reports, 3);
    }

    #[test]
    fn a_cpu_that_dies_in_its_boot_is_refused_to_el3_and_one_that_serves_is_not() {
        for (tpidr, calls) in [(0, 1), (0x21, 1), (0x80_0021, 0)] {
            preset_register("TPIDR_EL2", tpidr);
            set_monitor(Box::new(|registers| registers));
            let (outcome, events) = record(|| std::panic::catch_unwind(|| report(|_| ())));
            assert!(outcome.is_err(), "the CPU went on");
            let smcs = events.into_iter().filter(|event| matches!(event, Event::Smc(_)));
            let refusal = Event::Smc([0xC400_01CF, u64::MAX, 0, 0, 0, 0, 0, 0]);
            assert_eq!(smcs.collect::<Vec<_>>(), vec![refusal; calls], "TPIDR_EL2 {tpidr:#x}");
        }
    }
}
