// SPDX-License-Identifier: BSD-3-Clause
//! Memory accesses that the compiler must neither split, merge nor drop: descriptors and device
//! registers.

use core::sync::atomic::{AtomicU64, Ordering};

/// Stores a translation table descriptor in one single-copy atomic access.
///
/// Table walkers observe the store as other CPUs do. The caller issues the barrier after which they
/// must have observed it.
pub fn store_descriptor(entry: &AtomicU64, value: u64) {
    #[cfg(not(target_os = "none"))]
    crate::host::store_descriptor(entry, value);
    // Release: an observer of the entry also observes earlier writes, such as those to the content
    // of a table (Arm ARM (DDI 0487 L.a) B2.3).
    entry.store(value, Ordering::Release);
}

/// Loads a translation table descriptor in one single-copy atomic access.
pub fn load_descriptor(entry: &AtomicU64) -> u64 {
    entry.load(Ordering::Acquire)
}

/// Replaces the descriptor `old` with `new` in one atomic access. Returns whether `old` was there.
///
/// Otherwise as [`store_descriptor`].
pub fn exchange_descriptor(entry: &AtomicU64, old: u64, new: u64) -> bool {
    let exchanged = entry.compare_exchange(old, new, Ordering::Release, Ordering::Relaxed).is_ok();
    #[cfg(not(target_os = "none"))]
    if exchanged {
        crate::host::store_descriptor(entry, new);
    }
    exchanged
}

/// Stores the descriptor `new` in one atomic access. Returns the one that it replaces.
///
/// Otherwise as [`store_descriptor`].
pub fn swap_descriptor(entry: &AtomicU64, new: u64) -> u64 {
    let old = entry.swap(new, Ordering::Release);
    #[cfg(not(target_os = "none"))]
    if old != new {
        crate::host::store_descriptor(entry, new);
    }
    old
}

/// Makes every descriptor of a table that no walker can reach invalid (zero).
///
/// A later [`store_descriptor`] makes the table reachable. It is ordered after these stores.
///
/// In assembly, which takes half an instruction for each entry where compiled code takes one:
/// clearing tables is most of the work of building a small context.
pub fn clear_descriptors(entries: &[AtomicU64; 512]) {
    #[cfg(not(target_os = "none"))]
    crate::host::clear_descriptors(entries);
    #[cfg(target_os = "none")]
    // SAFETY: writes the entries, 256 bytes at a time, and nothing else; atomics may be written
    // through a shared reference.
    unsafe {
        core::arch::asm!(
            "2:",
            ".rept 16",
            "stp xzr, xzr, [{at}], #16",
            ".endr",
            "cmp {at}, {end}",
            "b.ne 2b",
            at = inout(reg) entries.as_ptr() => _, end = in(reg) entries.as_ptr_range().end,
            options(nostack)
        );
    }
    #[cfg(not(target_os = "none"))]
    for entry in entries {
        entry.store(0, Ordering::Relaxed);
    }
}

/// Reads the 32-bit device register at virtual address `address`.
///
/// # Safety
///
/// A device register is mapped there as Device memory, and reading it has no effect on memory.
pub unsafe fn read_device(address: u64) -> u32 {
    #[cfg(not(target_os = "none"))]
    return crate::host::read_device(address);
    #[cfg(target_os = "none")]
    {
        let value;
        // SAFETY: the caller says that a register is mapped there.
        unsafe {
            core::arch::asm!("ldr {value:w}, [{address}]", value = out(reg) value,
                address = in(reg) address, options(nostack, preserves_flags))
        };
        value
    }
}

/// Writes the 32-bit device register at virtual address `address`.
///
/// # Safety
///
/// As for [`read_device`], and writing `value` has no effect on memory either.
pub unsafe fn write_device(address: u64, value: u32) {
    #[cfg(not(target_os = "none"))]
    crate::host::write_device(address, value);
    #[cfg(target_os = "none")]
    // SAFETY: the caller says that a register is mapped there.
    unsafe {
        core::arch::asm!("str {value:w}, [{address}]", value = in(reg) value,
            address = in(reg) address, options(nostack, preserves_flags))
    };
}

/// Whether descriptors are `first`, `first + step`, and so on, modulo 2^64. Table walkers may read
/// them meanwhile.
///
/// In assembly, which takes two and a half instructions for each descriptor, one and a half if
/// `step` is 0. Compiled code takes four.
pub fn is_progression(entries: &mut [AtomicU64; 512], first: u64, step: u64) -> bool {
    #[cfg(target_os = "none")]
    {
        // $add is the instruction that steps `next`; empty if all entries are to be equal.
        macro_rules! compare {
            ($add:literal) => {{
                let entries = entries.as_mut_ptr_range();
                let differs: u64;
                // SAFETY: reads the entries, 32 at a time, and nothing else; they are borrowed as
                // `&mut`.
                unsafe {
                    core::arch::asm!(
                        "2: cmp xzr, xzr",
                        ".rept 16",
                        "ldp {a}, {b}, [{at}], #16",
                        "ccmp {a}, {next}, #0, eq",
                        $add,
                        "ccmp {b}, {next}, #0, eq",
                        $add,
                        ".endr",
                        "b.ne 3f",
                        "cmp {at}, {end}",
                        "b.ne 2b",
                        "3: cset {differs}, ne",
                        "/* {step} */",
                        at = inout(reg) entries.start => _, end = in(reg) entries.end,
                        next = inout(reg) first => _, step = in(reg) step,
                        a = out(reg) _, b = out(reg) _, differs = lateout(reg) differs,
                        options(readonly, nostack)
                    );
                }
                differs == 0
            }};
        }
        if step == 0 { compare!("") } else { compare!("add {next}, {next}, {step}") }
    }
    #[cfg(not(target_os = "none"))]
    {
        let next = |raw: &u64| Some(raw.wrapping_add(step));
        let progression = core::iter::successors(Some(first), next);
        entries.iter_mut().zip(progression).all(|(entry, raw)| *entry.get_mut() == raw)
    }
}
