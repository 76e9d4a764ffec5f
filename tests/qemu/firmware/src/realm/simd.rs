// SPDX-License-Identifier: BSD-3-Clause
//! A REC's SVE registers. Only one REC at a time uses this module.

use core::arch::asm;
use core::cell::UnsafeCell;

use rmm_test_firmware::realm_protocol::command;
use rmm_test_firmware::simd::{Shown, fill, show};

struct Buffer(UnsafeCell<Shown>);

// SAFETY: the host lets one REC at a time use it.
unsafe impl Sync for Buffer {}

static BUFFER: Buffer = Buffer(UnsafeCell::new(Shown::NOTHING));

/// Carries out a command that concerns SIMD registers.
pub fn serve(what: u64, arguments: &[u64], results: &mut [u64; 31]) {
    match what {
        // SAFETY: the host has made the REC enable access in CPACR_EL1, and no values are kept in
        // them.
        command::FILL_SIMD => unsafe { fill(arguments[0], false) },
        command::SHOW_SIMD => {
            // SAFETY: as above; nothing else uses the buffer.
            let shown = unsafe { &mut *BUFFER.0.get() };
            let bytes: u64;
            // SAFETY: as above.
            unsafe {
                show(shown, false);
                asm!(".arch_extension sve", "rdvl {0}, #1", out(reg) bytes,
                    options(nomem, nostack, preserves_flags));
            }
            results[1] = bytes;
            results[2] = shown.sum();
        }
        _ => {}
    }
}
