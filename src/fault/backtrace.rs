// SPDX-License-Identifier: BSD-3-Clause
//! Who called whom, as far as the stack tells: every word on it that may be a return address, as an
//! offset in the image.
//!
//! The image keeps no frame pointers: they would cost a command seven instructions. So a word
//! counts if it is the address of an instruction of the image that follows a call, less the
//! signature that return addresses have in a hardened image. Some of these are left over from
//! functions that have returned; the host's tool, which has the unwind tables that the image does
//! not carry, tells which.
//!
//! Only within the stack that the CPU is on, and only so many lines: it never faults, and ends.

use core::ops::Range;

use super::Sink;
use super::address::is_below_stack;
use crate::address::native;
use crate::arch::place::Place;
use crate::mem::high_va::{EXCEPTION_STACK, STACK};

/// The most return addresses that are printed.
const MOST: usize = 32;
/// Set in an address of the upper VA range; where a signature leaves this bit as it was (Arm ARM
/// D8.10).
const UPPER_RANGE: u64 = 1 << 55;

/// The memory that a backtrace is taken from.
#[derive(Clone, Copy, Debug)]
pub struct Memory<'a> {
    code: (u64, u64),
    boot_stacks: &'a [Range<u64>],
}

impl<'a> Memory<'a> {
    /// The code of the image, and the stacks of cold boot.
    ///
    /// # Safety
    ///
    /// All of it is mapped and may be read by the CPU that takes a backtrace, as are its own stacks
    /// in the High VA range if its stack pointer is there.
    pub const unsafe fn new(code: (u64, u64), boot_stacks: &'a [Range<u64>]) -> Self {
        Self { code, boot_stacks }
    }

    /// The words from `pointer` to the end of the stack that it is on.
    fn stack_from(&self, pointer: u64) -> Option<Range<u64>> {
        // An overflow leaves the stack pointer below; all of the stack is in use then.
        let pointer = if is_below_stack(pointer) { STACK.base } else { pointer };
        let own = [STACK, EXCEPTION_STACK].map(|part| part.base..part.top);
        let stack = own.iter().chain(self.boot_stacks).find(|stack| stack.contains(&pointer))?;
        Some(pointer.next_multiple_of(8)..stack.end)
    }

    /// The offset in the image of the place that `word` returns to, if it is a return address.
    fn return_offset(&self, word: u64) -> Option<u64> {
        let (start, end) = self.code;
        // A signature takes bits that no address in the code needs.
        let address = word & (end.next_power_of_two() - 1);
        let is_after_one = address.is_multiple_of(4) && start < address && address < end;
        if word & UPPER_RANGE != 0 || !is_after_one {
            return None;
        }
        // SAFETY: an instruction of the code, which may be read.
        let before = unsafe {
            core::ptr::with_exposed_provenance::<u32>(native(address - 4)).read_volatile()
        };
        is_call(before).then_some(address - start)
    }
}

/// BL, or BLR (Arm ARM C6.2).
const fn is_call(instruction: u32) -> bool {
    instruction >> 26 == 0b10_0101 || instruction & 0xffff_fc1f == 0xd63f_0000
}

/// Tells the calls that led to `place`; `link` is what x30 held then, where that is known.
pub(super) fn describe(memory: Memory<'_>, place: Place, link: Option<u64>, line: Sink<'_>) {
    let Some(stack) = memory.stack_from(place.stack) else {
        return line(format_args!("no backtrace: the stack pointer is on no stack"));
    };
    let sp = place.stack;
    let at = place.instruction.wrapping_sub(memory.code.0);
    line(format_args!(
        "backtrace from image + {at:#x}, sp {sp:#018x}: what may be return addresses"
    ));
    if let Some(offset) = link.and_then(|link| memory.return_offset(link)) {
        line(format_args!("  x30: image + {offset:#x}"));
    }
    let mut found = 0;
    for address in stack.step_by(8) {
        // SAFETY: a word of the stack, which may be read. Volatile: it belongs to a function that
        // is under way.
        let word =
            unsafe { core::ptr::with_exposed_provenance::<u64>(native(address)).read_volatile() };
        let Some(offset) = memory.return_offset(word) else { continue };
        if found == MOST {
            return line(format_args!("  and more"));
        }
        found += 1;
        line(format_args!("  sp + {:#x}: image + {offset:#x}", address - sp));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BL, RET, BLR x8, NOP: places 4 and 12 follow a call.
    static CODE: [u32; 5] = [0x9400_0001, 0xd65f_03c0, 0xd63f_0100, 0xd503_201f, 0xd503_201f];

    fn code() -> (u64, u64) {
        let start = CODE.as_ptr().expose_provenance() as u64;
        (start, start + size_of_val(&CODE) as u64)
    }

    /// What is told of a stack of these words, entered `skipped` bytes above its base.
    fn lines(words: &[u64], skipped: u64, link: Option<u64>) -> Vec<String> {
        let base = words.as_ptr().expose_provenance() as u64;
        let stack = base..base + size_of_val(words) as u64;
        let stacks = [stack];
        let mut lines = Vec::new();
        // SAFETY: both outlive the backtrace.
        let memory = unsafe { Memory::new(code(), &stacks) };
        let place = Place { instruction: code().0 + 8, stack: base + skipped };
        describe(memory, place, link, &mut |text| lines.push(text.to_string()));
        assert_eq!(
            lines[0],
            format!(
                "backtrace from image + 0x8, sp {:#018x}: what may be return addresses",
                base + skipped
            )
        );
        lines.split_off(1)
    }

    #[test]
    fn only_places_after_a_call_count_and_signatures_are_taken_off() {
        let at = |offset| code().0 + offset;
        // The signature of an address of the lower range leaves bit 55.
        let signature = 0xa57f << 48;
        let words = [
            at(4),
            7,
            at(8),
            at(12),
            at(16),
            at(0),
            at(20),
            at(5),
            at(12) | signature,
            at(4) | UPPER_RANGE,
        ];
        assert_eq!(
            lines(&words, 0, None),
            ["  sp + 0x0: image + 0x4", "  sp + 0x18: image + 0xc", "  sp + 0x40: image + 0xc"]
        );
    }

    #[test]
    fn nothing_below_the_stack_pointer_is_told() {
        let words = [code().0 + 4, code().0 + 12, code().0 + 4];
        assert_eq!(lines(&words, 1, None), ["  sp + 0x7: image + 0xc", "  sp + 0xf: image + 0x4"]);
    }

    #[test]
    fn the_link_register_comes_first_if_it_is_a_return_address() {
        let words = [code().0 + 12];
        assert_eq!(
            lines(&words, 0, Some(code().0 + 4)),
            ["  x30: image + 0x4", "  sp + 0x0: image + 0xc"]
        );
        assert_eq!(lines(&words, 0, Some(code().0 + 8)), ["  sp + 0x0: image + 0xc"]);
    }

    #[test]
    fn a_deep_stack_is_told_in_part() {
        let lines = lines(&[code().0 + 4; 100], 0, None);
        assert_eq!(lines.len(), MOST + 1);
        assert_eq!(lines[MOST], "  and more");
    }

    #[test]
    fn a_wild_stack_pointer_is_not_followed() {
        // SAFETY: as above; no stack is there.
        let memory = unsafe { Memory::new(code(), &[]) };
        for stack in [0, 0x10_0000, u64::MAX, EXCEPTION_STACK.top] {
            let mut lines = Vec::new();
            describe(memory, Place { instruction: 0, stack }, None, &mut |text| {
                lines.push(text.to_string())
            });
            assert_eq!(lines, ["no backtrace: the stack pointer is on no stack"]);
        }
    }

    #[test]
    fn after_an_overflow_all_of_the_stack_is_taken() {
        // SAFETY: nothing of it is read.
        let memory = unsafe { Memory::new(code(), &[]) };
        assert_eq!(memory.stack_from(STACK.base - 16), Some(STACK.base..STACK.top));
        assert_eq!(memory.stack_from(STACK.top - 16), Some(STACK.top - 16..STACK.top));
    }
}
