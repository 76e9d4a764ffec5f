// SPDX-License-Identifier: BSD-3-Clause
//! Exceptions and panics in the RMM: the one fault it recovers from, and the report that ends a
//! CPU.
//!
//! A report runs on the exception stack, or wherever a panic happened, in any state. It takes no
//! lock and trusts nothing but the frame it is given; a fault inside a report ends it without
//! another. It prints numbers: `make addr2line` decodes them.

pub mod address;
pub mod backtrace;
pub mod recoverable;
mod sink;

use core::fmt;
use core::panic::PanicInfo;

use aarch64_cpu::registers::ESR_EL2::EC;
use tock_registers::interfaces::Readable;

use crate::arch::atomic::{AtomicUsize, Ordering};
use crate::arch::frame;
use crate::arch::sysreg::TPIDR_EL2;
use crate::arch::wait::halt;
use crate::el3::error::BootStatus;
use crate::el3::services;
use crate::mem::low_va::Sections;
use crate::{console, cpu};
use address::{FaultAddress, StackPointer};
use backtrace::Memory;
use sink::Sink;

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
    /// Index of the vector, 0 to 15: its offset from VBAR_EL2 in units of 0x80 (Arm ARM
    /// (DDI 0487 L.a) D1.3.1.4).
    pub vector: u64,
}

static_assertions::const_assert_eq!(size_of::<ExceptionFrame>(), 37 * 8);

impl ExceptionFrame {
    /// Whether FAR_EL2 is about this exception: a synchronous instruction or data abort.
    fn has_fault_address(&self) -> bool {
        let aborts = [
            EC::InstrAbortLowerEL,
            EC::InstrAbortCurrentEL,
            EC::DataAbortLowerEL,
            EC::DataAbortCurrentEL,
        ];
        self.vector.is_multiple_of(4) && aborts.iter().any(|class| class.matches_all(self.esr))
    }
}

/// Whether reports print x0 to x30. They may hold secrets of a Realm, and the console is the
/// host's: never in a product.
const REGISTERS: bool = cfg!(any(debug_assertions, feature = "self-test"));

/// Which CPU is reporting: its TPIDR_EL2, 0 for none.
static REPORTING: AtomicUsize = AtomicUsize::new(0);

/// Reports an exception and ends this CPU. `sections` are those of the image; `memory` is what a
/// backtrace reads.
pub fn report_exception<const GUARDS: usize>(
    frame: &ExceptionFrame,
    sections: &Sections<GUARDS>,
    memory: Memory<'_>,
) -> ! {
    report(|line| {
        describe_exception(frame, sections, line);
        let [.., record, link] = frame.x;
        // A function that has not stored its frame record yet still has its caller here.
        if let Some(offset) = memory.return_offset(link) {
            line(format_args!("x30 image + {offset:#x}"));
        }
        backtrace::describe(memory, record, line);
    })
}

/// Reports a panic and ends this CPU, as [`report_exception`] does.
pub fn report_panic(info: &PanicInfo<'_>, memory: Memory<'_>) -> ! {
    report(|line| {
        match info.location() {
            Some(location) => line(format_args!("panic at {location}: {}", info.message())),
            None => line(format_args!("panic: {}", info.message())),
        }
        backtrace::describe(memory, frame::record(), line);
    })
}

fn report(body: impl FnOnce(Sink<'_>)) -> ! {
    // A CPU that has no index yet reads 0 here, which never counts as a second report.
    let me = usize::try_from(TPIDR_EL2.get()).unwrap_or(0);
    if REPORTING.swap(me, Ordering::Relaxed) != me || me == 0 {
        let mut line = |text: fmt::Arguments<'_>| {
            console::write_fatal(text);
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

/// Ends this CPU. A CPU that boots tells EL3 that the boot failed, and EL3 runs the host on it. A
/// CPU that serves a call stops here, without an answer.
fn stop() -> ! {
    if cpu::is_online() { halt() } else { services::refuse_boot(BootStatus::Unknown) }
}

fn describe_exception<const GUARDS: usize>(
    frame: &ExceptionFrame,
    sections: &Sections<GUARDS>,
    line: Sink<'_>,
) {
    let ExceptionFrame { x, sp, elr, spsr, esr, far, vector } = frame;
    line(format_args!("exception at vector {vector}: ESR {esr:#018x}  FAR {far:#018x}"));
    if frame.has_fault_address() {
        line(format_args!("FAR is at: {}", FaultAddress { address: *far, sections }));
    }
    match elr.checked_sub(sections.code.start.get()) {
        Some(offset) => {
            line(format_args!("ELR {elr:#018x} (image + {offset:#x})  SPSR {spsr:#018x}"));
        }
        None => line(format_args!("ELR {elr:#018x} (below the image)  SPSR {spsr:#018x}")),
    }
    if REGISTERS {
        for (number, value) in x.iter().enumerate() {
            line(format_args!("x{number:<2} {value:#018x}"));
        }
    }
    line(format_args!("sp  {sp:#018x} ({})", StackPointer(*sp)));
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
    fn an_exception_is_reported_with_every_register() {
        let lines = lines(&frame(4, 0x9600_004F), 0x4010_0000);
        assert_eq!(
            lines[..3],
            [
                "exception at vector 4: ESR 0x000000009600004f  FAR 0x0000000000001234",
                "FAR is at: Low VA range, outside the image",
                "ELR 0x0000000040100040 (image + 0x40)  SPSR 0x00000000000003c9",
            ]
        );
        for number in 0..31 {
            assert_eq!(lines[3 + number], format!("x{number:<2} {:#018x}", 0x100 + number));
        }
        assert_eq!(lines[34], "sp  0x0000000000005000 (on no stack of this CPU's map)");
        assert_eq!(lines.len(), 35);
    }

    #[test]
    fn only_an_abort_says_what_is_at_far() {
        let exception =
            |vector, class: u64, far| ExceptionFrame { far, ..frame(vector, class << 26 | 0x47) };
        let slot = SlotIndex::Delegated.address().get();
        for (frame, words) in [
            (exception(4, 0x25, 0x4010_0010), "FAR is at: the RMM's code"),
            (exception(4, 0x21, 0x4010_2000), "FAR is at: the RMM's data"),
            (exception(8, 0x24, slot + 8), "FAR is at: slot Delegated"),
            (
                exception(4, 0x25, STACK.base - 16),
                "FAR is at: the guard page below the stack: stack overflow",
            ),
            (exception(4, 0x00, slot), "ELR"),
            (exception(4, 0x0D, slot), "ELR"),
            // ESR_EL2 is not about an interrupt.
            (exception(5, 0x25, slot), "ELR"),
        ] {
            assert!(lines(&frame, 0x4010_0000)[1].starts_with(words), "{words}");
        }
    }

    #[test]
    fn an_address_below_the_image_has_no_offset() {
        assert!(lines(&frame(4, 0), 0x5000_0000)[1].contains("(below the image)"));
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
