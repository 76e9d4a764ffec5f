// SPDX-License-Identifier: BSD-3-Clause
//! The binary: the library's boot code with a panic handler. On a host it only says what it is.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    rmm::boot::report_panic(info)
}

// Keeps the entry point of the library in the image.
#[cfg(target_os = "none")]
#[used]
static BOOT: fn() = rmm::boot::keep;

#[cfg(not(target_os = "none"))]
fn main() {
    println!("rmm is firmware: build it with `make build`, run it with `make run`");
}
