// SPDX-License-Identifier: BSD-3-Clause
//! Accesses that may abort, and the table of where each goes on when it does.
//!
//! One macro emits an access and its entry of the table. Only this file uses it. The exception path
//! looks the aborted instruction up in `accesses` and resumes where its entry says, with all
//! registers as they were; the code there returns `Aborted`.

/// An access was aborted, and recovered: a Granule Protection Fault, or an External abort of memory
/// that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted;

/// An entry of the table: two addresses, each relative to the field it is in, so that the image may
/// be loaded anywhere.
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

    /// Where the access is.
    pub fn instruction(&self) -> u64 {
        target(&self.instruction)
    }

    /// Where to go on when it aborts.
    pub fn resume(&self) -> u64 {
        target(&self.resume)
    }
}

/// The address that `offset` leads to from where it is.
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
    // SAFETY: the linker gathers between the symbols, in read-only memory, what `recoverable`
    // emits: whole entries.
    unsafe { core::slice::from_raw_parts(start, bytes / size_of::<RecoverableAccess>()) }
}

/// An access instruction and, beside it, its entry of the table. The assembly around it goes on at
/// its label 9 after an abort, or at the label that is named.
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

/// Reads words at virtual address `from`, 64 bytes at a time, 16 an instruction, then what is left
/// by 8. Each word is read once.
///
/// # Errors
///
/// [`Aborted`]. A load that aborts changes nothing but, perhaps, its own registers (Arm ARM D1.3.5),
/// which are given up.
///
/// # Safety
///
/// The page of the Non-secure slot is mapped there, and the words are all in it; `from` is a
/// multiple of 8.
#[cfg(target_os = "none")]
pub(super) unsafe fn read_words(from: u64, words: &mut [u64]) -> Result<(), Aborted> {
    let mut aborted = 0_u64;
    // SAFETY: reads what the caller says is there, into `words`; an abort ends it at label 9.
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
/// [`Aborted`]. The store, or its first half, may have had an effect: then while the page was the
/// host's.
///
/// # Safety
///
/// As for [`read_words`].
#[cfg(target_os = "none")]
pub(super) unsafe fn write_words(to: u64, words: &[u64]) -> Result<(), Aborted> {
    let mut aborted = 0_u64;
    // SAFETY: writes where the caller says that the host's memory is; an abort ends it at label 9.
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

/// Reads `N` words at virtual address `from`, each once, two an instruction.
///
/// # Errors
///
/// As for [`read_words`].
///
/// # Safety
///
/// As for [`read_words`].
#[cfg(target_os = "none")]
pub(super) unsafe fn read_array<const N: usize>(
    from: u64,
    words: &mut [u64; N],
) -> Result<(), Aborted> {
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
            from = in(reg) from, to = in(reg) words.as_mut_ptr(), a = out(reg) _, b = out(reg) _,
            aborted = inout(reg) aborted,
            options(nostack, preserves_flags)
        );
    }
    if aborted == 0 { Ok(()) } else { Err(Aborted) }
}

/// Writes `N` words at virtual address `to`, two an instruction.
///
/// # Errors
///
/// As for [`write_words`].
///
/// # Safety
///
/// As for [`read_words`].
#[cfg(target_os = "none")]
pub(super) unsafe fn write_array<const N: usize>(to: u64, words: &[u64; N]) -> Result<(), Aborted> {
    // SAFETY: as in `write_words`; an abort goes on at the last operand.
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
            from = in(reg) words.as_ptr(), to = in(reg) to, a = out(reg) _, b = out(reg) _,
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
    // SAFETY: as in `write_words`; an abort goes on at the last operand.
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

/// Zeroes the half granule that is mapped at virtual address `half`, as [`zero_granule`] does.
///
/// # Errors
///
/// As for [`write_words`].
///
/// # Safety
///
/// The page of the Non-secure slot is mapped there, and `half` is one of its two halves.
#[cfg(target_os = "none")]
pub(super) unsafe fn zero_half(half: u64) -> Result<(), Aborted> {
    use super::sysreg::{DCZID_EL0, fields};
    use crate::address::GRANULE_SIZE;
    use tock_registers::interfaces::Readable;

    const HALF: u64 = GRANULE_SIZE / 2;
    let mut aborted = 0_u64;
    let block = 4 << DCZID_EL0.read(fields::DCZID_EL0::BS);
    if block == USUAL_ZERO_BLOCK {
        // SAFETY: 32 blocks of 64 bytes are the half; an abort ends it at label 9.
        unsafe {
            core::arch::asm!(
                recoverable!("ldr xzr, [{at}]"),
                ".rept 32",
                recoverable!("dc zva, {at}"),
                "add {at}, {at}, #64",
                ".endr",
                "b 7f",
                "9: mov {aborted}, #1",
                "7:",
                at = inout(reg) half => _, aborted = inout(reg) aborted,
                options(nostack, preserves_flags)
            );
        }
    } else {
        // SAFETY: as above, in words.
        unsafe {
            core::arch::asm!(
                "2:",
                recoverable!("stp xzr, xzr, [{at}]"),
                "add {at}, {at}, #16",
                "sub {count}, {count}, #1",
                "cbnz {count}, 2b",
                "b 7f",
                "9: mov {aborted}, #1",
                "7:",
                at = inout(reg) half => _, count = inout(reg) HALF / 16 => _,
                aborted = inout(reg) aborted,
                options(nostack, preserves_flags)
            );
        }
    }
    if aborted == 0 { Ok(()) } else { Err(Aborted) }
}

/// Bytes that one DC ZVA zeroes where DCZID_EL0.BS is 4, as on the CPUs this firmware is for.
#[cfg(target_os = "none")]
const USUAL_ZERO_BLOCK: u64 = 64;

/// Zeroes the 4 KiB granule that is mapped, Normal memory, at virtual address `granule`, with DC
/// ZVA (Arm ARM C6.2, D7.5.9.8).
///
/// It is loaded from once before: only a load is sure to abort synchronously where there is no
/// memory.
///
/// # Errors
///
/// [`Aborted`]. Some of the granule may have been zeroed.
///
/// # Safety
///
/// The granule is mapped writable at `granule`, a multiple of its size, and nothing that Rust knows
/// of lives in it.
#[cfg(target_os = "none")]
pub(super) unsafe fn zero_granule(granule: u64) -> Result<(), Aborted> {
    use super::sysreg::{DCZID_EL0, fields};
    use crate::address::GRANULE_SIZE;
    use tock_registers::interfaces::Readable;

    let mut aborted = 0_u64;
    // BS is at most 9, 2 KiB, so that a whole number of blocks always makes a granule.
    let block = 4 << DCZID_EL0.read(fields::DCZID_EL0::BS);
    if block == USUAL_ZERO_BLOCK {
        // Unrolled by 32: the loop's own instructions would cost as much as the zeroing.
        // SAFETY: 64 blocks of 64 bytes are the granule, which the caller gives over; an abort ends
        // it at label 9.
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
                at = inout(reg) granule => _, aborted = inout(reg) aborted,
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
                at = inout(reg) granule => _, block = in(reg) block,
                count = inout(reg) GRANULE_SIZE / block => _, aborted = inout(reg) aborted,
                options(nostack, preserves_flags)
            );
        }
    }
    if aborted == 0 { Ok(()) } else { Err(Aborted) }
}
