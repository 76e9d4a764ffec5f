// SPDX-License-Identifier: BSD-3-Clause
//! Describes an address in words, for the report of a fault. Pure code: it knows the layout of the
//! maps, and reads no table.

use core::fmt;
use core::ops::Range;

use crate::address::{GRANULE_SIZE, PhysAddr, VirtAddr};
use crate::mem::high_va::{self, CONTEXT, EXCEPTION_STACK, HighVaPart, STACK};
use crate::mem::low_va::{self, Sections};
use crate::mem::slot_layout::SlotIndex;

/// A virtual address; `Display` describes what is mapped there.
#[derive(Debug)]
pub struct FaultAddress<'a, const GUARDS: usize> {
    /// The address.
    pub address: u64,
    /// The image.
    pub sections: &'a Sections<GUARDS>,
}

impl<const GUARDS: usize> fmt::Display for FaultAddress<'_, GUARDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        if let Some(slot) = SlotIndex::at(VirtAddr::new(address)) {
            return write!(f, "slot {slot:?}");
        }
        match self.part_of_image() {
            Some(part) => part.fmt(f),
            None => f.write_str(if address >= high_va::BASE { high(address) } else { self.low() }),
        }
    }
}

impl<const GUARDS: usize> FaultAddress<'_, GUARDS> {
    /// The part of the image that the address is in, the guard pages being in none.
    fn part_of_image(&self) -> Option<low_va::LowVaPart> {
        let Sections { code, read_only, read_write, guards: _, low_tables } = self.sections;
        let parts = [
            (code, low_va::LowVaPart::Code),
            (read_only, low_va::LowVaPart::ReadOnly),
            (read_write, low_va::LowVaPart::ReadWrite),
            (low_tables, low_va::LowVaPart::LowTables),
        ];
        let within = |range: &Range<PhysAddr>| range.contains(&PhysAddr::new(self.address));
        let found = parts.into_iter().find(|(range, _)| within(range)).map(|(_, part)| part);
        found.filter(|_| !self.is_guard())
    }

    /// Whether the address is in a guard page of the image.
    fn is_guard(&self) -> bool {
        let address = PhysAddr::new(self.address);
        let within = |guard: &PhysAddr| {
            address.checked_sub(*guard).is_some_and(|offset| offset < GRANULE_SIZE)
        };
        self.sections.guards.iter().any(within)
    }

    /// What is at an address outside the parts of the image, below the High VA range.
    fn low(&self) -> &'static str {
        if self.is_guard() {
            "a guard page below a stack of the cold boot: stack overflow"
        } else if self.address >> 52 == 0 {
            "Low VA range, outside the image"
        } else if self.address >= high_va::BASE - HUGE_FRAME {
            "below the High VA range, by a large frame: stack overflow"
        } else {
            "in neither VA range"
        }
    }
}

/// An address this close below the stack is reported as an overflow of the stack.
const HUGE_FRAME: u64 = 1 << 30;

/// What is at an address of the High VA range that no slot has.
const fn high(address: u64) -> &'static str {
    const fn within(part: HighVaPart, address: u64) -> bool {
        part.base <= address && address < part.top
    }
    if address < STACK.base {
        "the guard page below the stack: stack overflow"
    } else if within(STACK, address) {
        "the stack"
    } else if address < EXCEPTION_STACK.base {
        "the guard page above the stack: stack underflow"
    } else if within(EXCEPTION_STACK, address) {
        "the exception stack"
    } else if address < CONTEXT.base {
        "the guard page above the exception stack"
    } else if within(CONTEXT, address) {
        "this CPU's context"
    } else {
        "High VA range, where nothing is"
    }
}

/// A stack pointer; `Display` says what it is in, and how much of it is in use.
#[derive(Debug)]
pub struct StackPointer(pub u64);

impl fmt::Display for StackPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sp = self.0;
        for HighVaPart { name, base, top } in [STACK, EXCEPTION_STACK] {
            if base <= sp && sp <= top {
                return write!(f, "{} of {} bytes of the {name} used", top - sp, top - base);
            }
        }
        if (high_va::BASE - HUGE_FRAME..STACK.base).contains(&sp) {
            return write!(f, "{} bytes below the stack", STACK.base - sp);
        }
        f.write_str("on no stack of this CPU's map")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTIONS: Sections<1> = Sections {
        code: PhysAddr::new(0x10_0000)..PhysAddr::new(0x10_4000),
        read_only: PhysAddr::new(0x10_4000)..PhysAddr::new(0x10_6000),
        read_write: PhysAddr::new(0x10_6000)..PhysAddr::new(0x10_a000),
        guards: [PhysAddr::new(0x10_8000)],
        low_tables: PhysAddr::new(0x10_a000)..PhysAddr::new(0x10_b000),
    };

    fn at(address: u64) -> String {
        FaultAddress { address, sections: &SECTIONS }.to_string()
    }

    #[test]
    fn each_end_of_each_part_is_named() {
        for (first, last, words) in [
            (0, 0xf_ffff, "Low VA range, outside the image"),
            (0x10_0000, 0x10_3fff, "the RMM's code"),
            (0x10_4000, 0x10_5fff, "the RMM's read-only data"),
            (0x10_6000, 0x10_7fff, "the RMM's data"),
            (0x10_8000, 0x10_8fff, "a guard page below a stack of the cold boot: stack overflow"),
            (0x10_9000, 0x10_9fff, "the RMM's data"),
            (0x10_a000, 0x10_afff, "the tables of the Low VA map"),
            (0x10_b000, (1 << 52) - 1, "Low VA range, outside the image"),
            (1 << 52, high_va::BASE - (1 << 30) - 1, "in neither VA range"),
            (
                high_va::BASE - (1 << 30),
                high_va::BASE - 1,
                "below the High VA range, by a large frame: stack overflow",
            ),
            (high_va::BASE, STACK.base - 1, "the guard page below the stack: stack overflow"),
            (STACK.base, STACK.top - 1, "the stack"),
            (
                STACK.top,
                EXCEPTION_STACK.base - 1,
                "the guard page above the stack: stack underflow",
            ),
            (EXCEPTION_STACK.base, EXCEPTION_STACK.top - 1, "the exception stack"),
            (EXCEPTION_STACK.top, CONTEXT.base - 1, "the guard page above the exception stack"),
            (CONTEXT.base, CONTEXT.top - 1, "this CPU's context"),
            (CONTEXT.top, SlotIndex::Ns.address().get() - 1, "High VA range, where nothing is"),
            (SlotIndex::Ns.address().get(), SlotIndex::Delegated.address().get() - 1, "slot Ns"),
            (SlotIndex::RecAux.address().get(), SlotIndex::Rtt.address().get() - 1, "slot RecAux"),
            (u64::MAX - 0xfff, u64::MAX, "High VA range, where nothing is"),
        ] {
            assert_eq!(at(first), words, "{first:#x}");
            assert_eq!(at(last), words, "{last:#x}");
        }
    }

    #[test]
    fn stack_pointers_say_how_much_is_used_and_by_how_much_it_is_too_much() {
        let size = STACK.top - STACK.base;
        for (sp, words) in [
            (STACK.top - 64, format!("64 of {size} bytes of the stack used")),
            (STACK.base, format!("{size} of {size} bytes of the stack used")),
            (STACK.base - 16, "16 bytes below the stack".to_owned()),
            (
                EXCEPTION_STACK.top,
                format!(
                    "0 of {} bytes of the exception stack used",
                    EXCEPTION_STACK.top - EXCEPTION_STACK.base
                ),
            ),
            (0x10_9000, "on no stack of this CPU's map".to_owned()),
        ] {
            assert_eq!(StackPointer(sp).to_string(), words);
        }
    }
}
