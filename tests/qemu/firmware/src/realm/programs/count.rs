// SPDX-License-Identifier: BSD-3-Clause
//! Repeats a call, so that the host can compute the cost of one.

use core::arch::asm;

use super::{WORDS, results};

/// Calls as often as the first argument says, with the others in X0 to X3. Each iteration has
/// [`TURN`](rmm_test_firmware::realm_protocol::TURN) instructions of the Realm.
pub fn run(arguments: &[u64]) -> [u64; WORDS] {
    let [times, function, x1, x2, x3, ..] = *arguments else { return [!0; WORDS] };
    // SAFETY: the host asks for calls that change no memory. The registers that a call may change
    // are listed.
    unsafe {
        asm!(
            "2:",
            "mov x0, {function}",
            "mov x1, {x1}",
            "mov x2, {x2}",
            "mov x3, {x3}",
            "smc #0",
            "subs {times}, {times}, #1",
            "b.ne 2b",
            times = inout(reg) times => _,
            function = in(reg) function, x1 = in(reg) x1, x2 = in(reg) x2, x3 = in(reg) x3,
            out("x0") _, out("x1") _, out("x2") _, out("x3") _, out("x4") _, out("x5") _,
            out("x6") _, out("x7") _, out("x8") _,
            options(nostack)
        );
    }
    results([0])
}
