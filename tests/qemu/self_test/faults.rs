// SPDX-License-Identifier: BSD-3-Clause
//! Deliberate faults, by number.

use core::sync::atomic::{AtomicU64, Ordering};

use rmm::address::{GRANULE_SIZE, native};
use rmm::boot::self_test::FAULT_TOKEN;
use rmm::mem::slot_layout::SlotIndex;
use rmm::mem::{high_va, linker};

unsafe extern "C" {
    /// A function that does nothing and does not begin with a landing pad.
    static no_landing_pad: [u32; 2];
}
core::arch::global_asm!(
    ".pushsection .text.no_landing_pad, \"ax\"",
    "no_landing_pad: nop",
    "ret",
    ".popsection"
);

static READ_ONLY: u64 = 1;

/// The points of a boot at which an activation token can request a fault. Place 1 is in `entry.S`,
/// before the MMU is on, and its fault is an undefined instruction.
mod place {
    pub const BEFORE_MAPS: u64 = 2;
    pub const AFTER_MAPS: u64 = 3;
}

/// The token of the cold boot, if it requests a fault.
static TOKEN: AtomicU64 = AtomicU64::new(0);

/// The number of the fault that `token` requests at `place`.
fn asked(token: u64, place: u64) -> Option<u64> {
    let request = token ^ FAULT_TOKEN;
    (request >> 8 == place).then_some(request & 0xff)
}

/// Causes the fault that is requested for a cold boot before its maps. A token with a later fault
/// is replaced, so that the boot gets there.
pub fn before_maps(token: &mut u64) {
    asked(*token, place::BEFORE_MAPS).map(commit);
    if asked(*token, place::AFTER_MAPS).is_some() {
        TOKEN.store(core::mem::take(token), Ordering::Relaxed);
    }
}

/// Causes the fault that is requested for a cold boot with its maps.
pub fn after_maps() {
    asked(TOKEN.load(Ordering::Relaxed), place::AFTER_MAPS).map(commit);
}

/// Causes the fault that is requested for a warm boot.
pub fn warm(token: u64) {
    asked(token, place::AFTER_MAPS).map(commit);
}

/// Causes a fault by its number. Most do not return. Gives whether the number is a fault's.
pub fn commit(fault: u64) -> bool {
    let write = |address: u64| {
        // SAFETY: none. This is the fault.
        unsafe { core::ptr::with_exposed_provenance_mut::<u64>(native(address)).write_volatile(1) }
    };
    let execute = |address: u64| {
        // SAFETY: none. This is the fault.
        let function: extern "C" fn() = unsafe { core::mem::transmute(native(address)) };
        // Through a register, since a direct branch needs no landing pad.
        core::hint::black_box(function)();
    };
    match fault {
        1 => write(linker::sections([]).code.start.get()),
        2 => write(core::ptr::from_ref(&READ_ONLY).addr() as u64),
        3 => write(linker::sections([]).low_tables.start.get()),
        4 => execute(linker::sections([]).read_write.start.get()),
        // SAFETY: none. This is the fault.
        5 => unsafe { core::arch::asm!("udf #0") },
        6 => panic!("asked for by a self-test"),
        // SAFETY: none. This is the fault.
        7 => unsafe {
            let _ = core::ptr::without_provenance::<u64>(0x10).read_volatile();
        },
        8 => execute((&raw const no_landing_pad).addr() as u64),
        9 => drop(core::hint::black_box(recurse(0))),
        10 => drop(core::hint::black_box(huge_frame())),
        // SAFETY: none. This is the fault.
        11 => unsafe {
            core::arch::asm!("mov sp, {top}", "ldr {top}, [sp], #16",
                top = in(reg) high_va::STACK.top, options(noreturn))
        },
        12 => execute(high_va::STACK.base),
        13 => write(SlotIndex::Delegated.address().get()),
        14 => write(high_va::BASE - GRANULE_SIZE),
        _ => return false,
    }
    true
}

/// Calls itself until the stack overflows.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = core::hint::black_box([depth; 8]);
    if depth == u64::MAX { 0 } else { recurse(depth + 1) + frame[7] }
}

/// Has a frame larger than the whole High VA range. Inlined, it would be part of cold boot's frame.
#[inline(never)]
fn huge_frame() -> u8 {
    let frame = core::hint::black_box([1; 4 << 20]);
    frame[native(READ_ONLY)]
}
