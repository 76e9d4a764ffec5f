// SPDX-License-Identifier: BSD-3-Clause
//! Accesses that may abort, and the table of the address at which each resumes if it does.
//!
//! One macro emits an access and its entry of the table; only this file uses it. The exception path
//! looks the aborted instruction up in `accesses` and resumes at the address of its entry, with all
//! registers unchanged. The code there returns `Aborted`.

/// An access aborted and was recovered: by a Granule Protection Fault, or an External abort of
/// memory that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted;

/// An entry of the table: two addresses, each relative to its own field, so that the image can be
/// loaded at any address.
#[repr(C)]
#[derive(Debug)]
pub struct RecoverableAccess {
    instruction: i32,
    resume: i32,
}

impl RecoverableAccess {
    /// An entry whose fields hold these offsets.
    #[cfg(test)]
    pub(crate) const fn new(instruction: i32, resume: i32) -> Self {
        Self { instruction, resume }
    }

    /// The address of the access instruction.
    pub fn instruction(&self) -> u64 {
        target(&self.instruction)
    }

    /// The address at which to resume if it aborts.
    pub fn resume(&self) -> u64 {
        target(&self.resume)
    }
}

/// The address of `offset` plus its value.
fn target(offset: &i32) -> u64 {
    (core::ptr::from_ref(offset).addr() as u64).wrapping_add_signed(i64::from(*offset))
}

/// The table of this image.
#[cfg(target_os = "none")]
pub fn accesses() -> &'static [RecoverableAccess] {
    unsafe extern "C" {
        static __recovery_start: [RecoverableAccess; 0];
        static __recovery_end: [RecoverableAccess; 0];
    }
    let start = (&raw const __recovery_start).cast::<RecoverableAccess>();
    let bytes = (&raw const __recovery_end).addr() - start.addr();
    // SAFETY: between the symbols the linker gathers the entries that `recoverable` emits, and
    // nothing else, in read-only memory.
    unsafe { core::slice::from_raw_parts(start, bytes / size_of::<RecoverableAccess>()) }
}

/// An access instruction and its entry of the table. After an abort execution resumes at the next
/// label 9 of the surrounding assembly, or at the label that is named.
#[cfg(target_os = "none")]
macro_rules! recoverable {
    ($access:literal) => {
        recoverable!($access, "9f")
    };
    ($access:literal, $resume:literal) => {
        concat!(
            "8: ",
            $access,
            "\n.pushsection .recovery, \"a\"\n.word 8b - .\n.word ",
            $resume,
            " - .\n.popsection\n"
        )
    };
}

/// Reads words at virtual address `from`: lines of 64 bytes by loads of 16 bytes, then the rest by
/// loads of 8. Each word is read once.
///
/// # Errors
///
/// [`Aborted`]. A load that aborts changes at most its own destination registers (Arm ARM (DDI 0487
/// L.a) D1.3.5), whose values are discarded.
///
/// # Safety
///
/// `from` is a multiple of 8 in the page of the Non-secure slot, which is mapped, and all the words
/// are in that page.
#[cfg(target_os = "none")]
pub(super) unsafe fn read_words(from: u64, words: &mut [u64]) -> Result<(), Aborted> {
    let mut aborted = 0_u64;
    // SAFETY: reads mapped memory by the caller's promise, and writes `words` only; an abort
    // resumes at label 9.
    unsafe {
        core::arch::asm!(
            "cbz {lines}, 3f",
            "2:",
            recoverable!("ldp {c}, {d}, [{from}, #16]"),
            recoverable!("ldp {e}, {f}, [{from}, #32]"),
            recoverable!("ldp {g}, {h}, [{from}, #48]"),
            recoverable!("ldp {a}, {b}, [{from}], #64"),
            "stp {c}, {d}, [{to}, #16]",
            "stp {e}, {f}, [{to}, #32]",
            "stp {g}, {h}, [{to}, #48]",
            "stp {a}, {b}, [{to}], #64",
            "sub {lines}, {lines}, #1",
            "cbnz {lines}, 2b",
            "3: cbz {words}, 7f",
            "4:",
            recoverable!("ldr {a}, [{from}]"),
            "str {a}, [{to}], #8",
            "add {from}, {from}, #8",
            "sub {words}, {words}, #1",
            "cbnz {words}, 4b",
            "b 7f",
            "9: mov {aborted}, #1",
            "7:",
            from = inout(reg) from => _, to = inout(reg) words.as_mut_ptr() => _,
            lines = inout(reg) words.len() / 8 => _, words = inout(reg) words.len() % 8 => _,
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
            e = out(reg) _, f = out(reg) _, g = out(reg) _, h = out(reg) _,
            aborted = inout(reg) aborted,
            options(nostack, preserves_flags)
        );
    }
    if aborted == 0 { Ok(()) } else { Err(Aborted) }
}

/// Writes words at virtual address `to`, as [`read_words`] reads them.
///
/// # Errors
///
/// [`Aborted`]. The aborted store may have written its first word, if the page was the host's when
/// that word was written. Words before it are written.
///
/// # Safety
///
/// As for [`read_words`].
#[cfg(target_os = "none")]
pub(super) unsafe fn write_words(to: u64, words: &[u64]) -> Result<(), Aborted> {
    let mut aborted = 0_u64;
    // SAFETY: writes the host's memory by the caller's promise; an abort resumes at label 9.
    unsafe {
        core::arch::asm!(
            "cbz {lines}, 3f",
            "2:",
            "ldp {a}, {b}, [{from}]",
            "ldp {c}, {d}, [{from}, #16]",
            "ldp {e}, {f}, [{from}, #32]",
            "ldp {g}, {h}, [{from}, #48]",
            recoverable!("stp {a}, {b}, [{to}]"),
            recoverable!("stp {c}, {d}, [{to}, #16]"),
            recoverable!("stp {e}, {f}, [{to}, #32]"),
            recoverable!("stp {g}, {h}, [{to}, #48]"),
            "add {from}, {from}, #64",
            "add {to}, {to}, #64",
            "sub {lines}, {lines}, #1",
            "cbnz {lines}, 2b",
            "3: cbz {words}, 7f",
            "4:",
            "ldr {a}, [{from}], #8",
            recoverable!("str {a}, [{to}]"),
            "add {to}, {to}, #8",
            "sub {words}, {words}, #1",
            "cbnz {words}, 4b",
            "b 7f",
            "9: mov {aborted}, #1",
            "7:",
            from = inout(reg) words.as_ptr() => _, to = inout(reg) to => _,
            lines = inout(reg) words.len() / 8 => _, words = inout(reg) words.len() % 8 => _,
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
            e = out(reg) _, f = out(reg) _, g = out(reg) _, h = out(reg) _,
            aborted = inout(reg) aborted,
            options(nostack, preserves_flags)
        );
    }
    if aborted == 0 { Ok(()) } else { Err(Aborted) }
}

/// Reads the word at virtual address `from`, once.
///
/// # Errors
///
/// As for [`read_words`].
///
/// # Safety
///
/// As for [`read_words`].
#[cfg(target_os = "none")]
pub(super) unsafe fn read_word(from: u64) -> Result<u64, Aborted> {
    let mut aborted = 0_u64;
    let word;
    // SAFETY: as in `read_words`.
    unsafe {
        core::arch::asm!(
            recoverable!("ldr {word}, [{from}]"),
            "b 7f",
            "9: mov {aborted}, #1",
            "7:",
            from = in(reg) from, word = out(reg) word, aborted = inout(reg) aborted,
            options(nostack, readonly, preserves_flags)
        );
    }
    if aborted == 0 { Ok(word) } else { Err(Aborted) }
}

/// Reads `N` words at virtual address `from` to `to`, each once, two an instruction.
///
/// # Errors
///
/// As for [`read_words`].
///
/// # Safety
///
/// As for [`read_words`]. `to` is valid for writes of `N` words, which others may access meanwhile.
#[cfg(target_os = "none")]
pub(super) unsafe fn read_array<const N: usize>(from: u64, to: *mut u64) -> Result<(), Aborted> {
    let mut aborted = 0_u64;
    // SAFETY: as in `read_words`.
    unsafe {
        core::arch::asm!(
            ".set array_offset, 0",
            ".rept {pairs}",
            recoverable!("ldp {a}, {b}, [{from}, #array_offset]"),
            "stp {a}, {b}, [{to}, #array_offset]",
            ".set array_offset, array_offset + 16",
            ".endr",
            ".rept {odd}",
            recoverable!("ldr {a}, [{from}, #array_offset]"),
            "str {a}, [{to}, #array_offset]",
            ".endr",
            "b 7f",
            "9: mov {aborted}, #1",
            "7:",
            pairs = const N / 2, odd = const N % 2,
            from = in(reg) from, to = in(reg) to, a = out(reg) _, b = out(reg) _,
            aborted = inout(reg) aborted,
            options(nostack, preserves_flags)
        );
    }
    if aborted == 0 { Ok(()) } else { Err(Aborted) }
}

/// Writes the `N` words at `from` to virtual address `to`, two an instruction. Each is read once.
///
/// # Errors
///
/// As for [`write_words`].
///
/// # Safety
///
/// As for [`read_words`]. `from` is valid for reads of `N` words, which others may change
/// meanwhile.
#[cfg(target_os = "none")]
pub(super) unsafe fn write_array<const N: usize>(to: u64, from: *const u64) -> Result<(), Aborted> {
    // SAFETY: as in `write_words`; an abort resumes at the block of operand `aborted`.
    unsafe {
        core::arch::asm!(
            ".set array_offset, 0",
            ".rept {pairs}",
            "ldp {a}, {b}, [{from}, #array_offset]",
            recoverable!("stp {a}, {b}, [{to}, #array_offset]", "{aborted}"),
            ".set array_offset, array_offset + 16",
            ".endr",
            ".rept {odd}",
            "ldr {a}, [{from}, #array_offset]",
            recoverable!("str {a}, [{to}, #array_offset]", "{aborted}"),
            ".endr",
            pairs = const N / 2, odd = const N % 2,
            from = in(reg) from, to = in(reg) to, a = out(reg) _, b = out(reg) _,
            aborted = label { return Err(Aborted) },
            options(nostack, preserves_flags)
        );
    }
    Ok(())
}

/// Writes two words at virtual address `to`.
///
/// # Errors
///
/// As for [`write_words`].
///
/// # Safety
///
/// As for [`read_words`].
#[cfg(target_os = "none")]
pub(super) unsafe fn write_pair(to: u64, [first, second]: [u64; 2]) -> Result<(), Aborted> {
    // SAFETY: as in `write_words`; an abort resumes at the block of operand `aborted`.
    unsafe {
        core::arch::asm!(
            recoverable!("stp {first}, {second}, [{to}]", "{aborted}"),
            to = in(reg) to, first = in(reg) first, second = in(reg) second,
            aborted = label { return Err(Aborted) },
            options(nostack, preserves_flags)
        );
    }
    Ok(())
}

/// Bytes that one DC ZVA zeroes where DCZID_EL0.BS is 4, as on the CPUs this firmware is for.
#[cfg(target_os = "none")]
const USUAL_ZERO_BLOCK: u64 = 64;

/// Zeroes Normal memory from virtual address `from` to the end of its granule, with DC ZVA (Arm ARM
/// (DDI 0487 L.a) C6.2, D7.5.9.8).
///
/// A load comes first: only a load is sure to abort synchronously if no memory answers.
///
/// # Errors
///
/// [`Aborted`]. Some of the granule may have been zeroed.
///
/// # Safety
///
/// The granule is mapped writable, `from` is its first byte or the first byte of its second half,
/// and there is no reference to what is zeroed.
#[cfg(target_os = "none")]
#[inline(never)]
pub(super) unsafe fn zero_to_end_of_granule(from: u64) -> Result<(), Aborted> {
    use super::sysreg::{DCZID_EL0, fields};
    use crate::address::GRANULE_SIZE;
    use tock_registers::interfaces::Readable;

    let mut aborted = 0_u64;
    // BS is at most 9, 2 KiB: a half granule is a whole number of blocks.
    let block = 4 << DCZID_EL0.read(fields::DCZID_EL0::BS);
    if block == USUAL_ZERO_BLOCK {
        // Unrolled by 32, a half granule: the loop's own instructions would cost as much as the
        // zeroing. Bit 11 is set after the first half only.
        // SAFETY: the blocks up to the end of the granule are the caller's to zero; an abort
        // resumes at label 9.
        unsafe {
            core::arch::asm!(
                recoverable!("ldr xzr, [{at}]"),
                "2:",
                ".rept 32",
                recoverable!("dc zva, {at}"),
                "add {at}, {at}, #64",
                ".endr",
                "tbnz {at}, #11, 2b",
                "b 7f",
                "9: mov {aborted}, #1",
                "7:",
                at = inout(reg) from => _, aborted = inout(reg) aborted,
                options(nostack, preserves_flags)
            );
        }
    } else {
        // SAFETY: as above, in blocks of another size.
        unsafe {
            core::arch::asm!(
                recoverable!("ldr xzr, [{at}]"),
                "2:",
                recoverable!("dc zva, {at}"),
                "add {at}, {at}, {block}",
                "sub {count}, {count}, #1",
                "cbnz {count}, 2b",
                "b 7f",
                "9: mov {aborted}, #1",
                "7:",
                at = inout(reg) from => _, block = in(reg) block,
                count = inout(reg) (GRANULE_SIZE - from % GRANULE_SIZE) / block => _,
                aborted = inout(reg) aborted,
                options(nostack, preserves_flags)
            );
        }
    }
    if aborted == 0 { Ok(()) } else { Err(Aborted) }
}
