// SPDX-License-Identifier: BSD-3-Clause
//! The callers of a function, by the frame records of the stack it is on.
//!
//! The image keeps frame pointers: x29 is the address of the last frame record, which holds the
//! caller's x29 and the return address (AAPCS64 6.4.6). The walk reads nothing outside one stack,
//! goes upwards only, and ends after `MAX_FRAMES` records.

use core::ops::Range;

use super::sink::Sink;
use crate::address::native;
use crate::mem::high_va::{EXCEPTION_STACK, STACK};

/// The most frame records that are followed.
const MAX_FRAMES: usize = 32;
/// Bytes of a frame record.
const RECORD: u64 = 16;

/// The code of the image, and the stacks that are not in the High VA range.
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
    /// The CPU that takes a backtrace may read the stacks of cold boot, and its own stacks in the
    /// High VA range if its frame pointer is there.
    pub const unsafe fn new(code: (u64, u64), boot_stacks: &'a [Range<u64>]) -> Self {
        Self { code, boot_stacks }
    }

    /// The stack that has a whole frame record at `record`.
    fn stack_of(&self, record: u64) -> Option<Range<u64>> {
        let own = [STACK, EXCEPTION_STACK].map(|part| part.base..part.top);
        let stack = own.iter().chain(self.boot_stacks).find(|stack| stack.contains(&record))?;
        (stack.end - record >= RECORD).then(|| stack.clone())
    }

    /// The offset in the image of a return address, without its signature; `None` for any other
    /// word.
    pub(super) fn return_offset(&self, word: u64) -> Option<u64> {
        let (start, end) = self.code;
        // Signatures are in bits that no address of the code needs.
        let address = word & (end.next_power_of_two() - 1);
        (start..end).contains(&address).then(|| address - start)
    }
}

/// Prints the return address in each frame record from `record` on.
pub(super) fn describe(memory: Memory<'_>, mut record: u64, line: Sink<'_>) {
    for number in 1..=MAX_FRAMES {
        if memory.stack_of(record).is_none() || !record.is_multiple_of(8) {
            return;
        }
        // SAFETY: an aligned pair of words on a stack that may be read. Volatile: it belongs to a
        // function that has not returned.
        let [caller, link] = unsafe {
            core::ptr::with_exposed_provenance::<[u64; 2]>(native(record)).read_volatile()
        };
        let Some(offset) = memory.return_offset(link) else { return };
        line(format_args!("#{number:<2} image + {offset:#x}"));
        if caller <= record {
            return;
        }
        record = caller;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: (u64, u64) = (0x4010_0000, 0x4014_0000);

    /// The offsets that are printed of a stack with these records: where the caller's record is,
    /// by its index, and the return address.
    fn offsets(records: &[(usize, u64)], first: usize) -> Vec<u64> {
        let mut words = vec![[0_u64; 2]; records.len()];
        let base = words.as_ptr().expose_provenance() as u64;
        for (word, (caller, link)) in words.iter_mut().zip(records) {
            *word = [base + *caller as u64 * RECORD, *link];
        }
        let stack = base..base + words.len() as u64 * RECORD;
        // SAFETY: `words` outlives the backtrace.
        let memory = unsafe { Memory::new(CODE, core::slice::from_ref(&stack)) };
        let mut found = Vec::new();
        describe(memory, base + first as u64 * RECORD, &mut |text| {
            let text = text.to_string();
            let (number, offset) = text.split_once("image + 0x").unwrap();
            found.push(u64::from_str_radix(offset, 16).unwrap());
            assert_eq!(number.trim(), format!("#{}", found.len()));
        });
        found
    }

    #[test]
    fn records_are_followed_and_signatures_taken_off() {
        let at = |offset| CODE.0 + offset;
        let signed = at(0x20) | 0xa57f << 48;
        let stack = [(0, 0), (3, at(0x10)), (0, at(0x99)), (4, signed), (0, at(0x30))];
        assert_eq!(offsets(&stack, 1), [0x10, 0x20, 0x30]);
    }

    #[test]
    fn a_chain_that_leaves_the_stack_or_the_code_or_turns_back_ends() {
        let at = |offset| CODE.0 + offset;
        assert_eq!(offsets(&[(1, at(4)), (2, at(8))], 0), [4, 8]);
        assert_eq!(offsets(&[(1, at(4)), (2, CODE.1), (3, at(12)), (4, at(12))], 0), [4]);
        assert_eq!(offsets(&[(1, at(4)), (0, at(8))], 0), [4, 8]);
        assert_eq!(offsets(&[(0, at(4))], 0), [4]);
    }

    #[test]
    fn a_long_chain_is_printed_in_part() {
        let records: Vec<_> = (1..=100).map(|next| (next, CODE.0 + 4)).collect();
        assert_eq!(offsets(&records, 0).len(), MAX_FRAMES);
    }

    #[test]
    fn a_wild_frame_pointer_is_not_followed() {
        let words = [[0, CODE.0 + 4]; 2];
        let base = words.as_ptr().expose_provenance() as u64;
        let stack = base..base + 2 * RECORD;
        // SAFETY: `words` outlives the backtraces.
        let memory = unsafe { Memory::new(CODE, core::slice::from_ref(&stack)) };
        for record in [0, 0x10_0000, u64::MAX, EXCEPTION_STACK.top - 8, base + 4, base + 24] {
            describe(memory, record, &mut |text| panic!("{record:#x}: {text}"));
        }
    }
}
