// SPDX-License-Identifier: BSD-3-Clause
//! The RMM with tests inside: deliberate faults, and calls that only this image answers.
//!
//! It equals the product except for the hook of `rmm::boot::self_test`.
#![no_std]
#![no_main]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod faults;
mod hashing;
mod signing;
mod slots;

use rmm::arch::smc::Registers;
use rmm::boot::self_test::{self, Moment};
use rmm_test_requests::{SELF_TEST, STACK_USE, request};

/// The answer after a fault that does not exist in this image, as a missing landing pad in a plain
/// one.
const SURVIVED: u64 = u64::MAX - 1;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    rmm::boot::report_panic(info)
}

// Keeps the library's entry point in the image.
#[used]
static BOOT: fn() = rmm::boot::keep;

// SAFETY: the only definition of what `rmm::boot::self_test` declares.
#[unsafe(no_mangle)]
fn rmm_self_test(moment: Moment<'_>) -> bool {
    match moment {
        Moment::BeforeMaps(token) => faults::before_maps(token),
        Moment::AfterMaps => faults::after_maps(),
        Moment::WarmBoot(token) => faults::warm(token),
        Moment::Call(rmm, cpu, registers) => {
            return intercept(registers) || slots::intercept(rmm, cpu, registers);
        }
    }
    false
}

/// Answers a call that needs no state of the RMM. Gives whether it was one.
fn intercept(registers: &mut Registers) -> bool {
    let [function, x1, x2, ..] = *registers;
    match function {
        SELF_TEST if x1 == request::HASH => {
            (registers[0], registers[1]) = (0, hashing::compare(x2))
        }
        SELF_TEST if x1 == request::SIGN => {
            (registers[0], registers[1]) = (0, signing::sign(x2).into())
        }
        // Most faults do not return.
        SELF_TEST if faults::commit(x1) => registers[0] = SURVIVED,
        STACK_USE => tell_stack_use(x1, registers),
        _ => return false,
    }
    true
}

/// Answers [`STACK_USE`].
fn tell_stack_use(cpu: u64, registers: &mut Registers) {
    registers[0] = match self_test::stack_use(cpu) {
        Some([stack, exceptions]) => {
            let bytes = [stack.0, stack.1, exceptions.0, exceptions.1].map(|bytes| bytes as u64);
            registers[1..5].copy_from_slice(&bytes);
            0
        }
        None => u64::MAX,
    };
}
