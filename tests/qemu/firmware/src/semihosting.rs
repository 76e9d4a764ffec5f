// SPDX-License-Identifier: BSD-3-Clause
//! The semihosting calls that the images need (Arm semihosting specification, AArch64 `HLT
//! #0xF000`). They work at every exception level; the buffers must be mapped for the caller.

use core::arch::asm;
use core::ffi::CStr;

const SYS_WRITE0: u64 = 0x04;
const SYS_GET_CMDLINE: u64 = 0x15;
const SYS_EXIT_EXTENDED: u64 = 0x20;
const ADP_STOPPED_APPLICATION_EXIT: u64 = 0x2_0026;

/// Makes one semihosting call.
///
/// # Safety
/// `argument` must be what the operation expects, and its pointers must be valid for what the call
/// reads or writes.
unsafe fn call(operation: u64, argument: *const u64) -> u64 {
    let result;
    // SAFETY: the caller guarantees the argument. The call changes x0 and the memory that the
    // argument names.
    unsafe {
        asm!("hlt #0xf000", inout("x0") operation => result, in("x1") argument, options(nostack))
    };
    result
}

/// Writes text to the debugger's console.
pub fn write(text: &CStr) {
    // SAFETY: SYS_WRITE0 reads a zero-terminated string, which a CStr is.
    unsafe { call(SYS_WRITE0, text.as_ptr().cast()) };
}

/// Copies the command line into `buffer` and returns it. `None` if it does not fit or is not text.
pub fn command_line(buffer: &mut [u8]) -> Option<&str> {
    let block = [buffer.as_mut_ptr().expose_provenance() as u64, buffer.len() as u64];
    // SAFETY: SYS_GET_CMDLINE writes at most block[1] bytes at block[0], which is `buffer`.
    let failed = unsafe { call(SYS_GET_CMDLINE, block.as_ptr()) } != 0;
    if failed { None } else { CStr::from_bytes_until_nul(buffer).ok()?.to_str().ok() }
}

/// Ends the emulation with `code` as its exit status.
pub fn exit(code: u64) -> ! {
    let block = [ADP_STOPPED_APPLICATION_EXIT, code];
    loop {
        // SAFETY: SYS_EXIT_EXTENDED reads the two words of `block`.
        unsafe { call(SYS_EXIT_EXTENDED, block.as_ptr()) };
    }
}
