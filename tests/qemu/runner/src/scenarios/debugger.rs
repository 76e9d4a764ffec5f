// SPDX-License-Identifier: BSD-3-Clause
//! The RMM in gdb: a scenario is stopped in the middle of a command, and every command of
//! `scripts/gdb/rmm.py` shows it. Also an exception that only a debugger can cause.

use crate::scenario::Scenario;

/// The scenarios, and gdb's expected output in the first one. Addresses of granules are those of
/// the host's scenario `session`.
pub fn debugger() -> Vec<Scenario> {
    let scenario = Scenario::new(
        "debugger",
        "session",
        "gdb finds the image, and shows tables, slots and granules in the middle of a command",
    )
    .debugger("tests/qemu/runner/gdb/session.gdb");
    let lines = [
        r"^image at 0x40100000$",
        // The RMM's translation tables.
        r"^TTBR0_EL2, low VA range, 31 bits, root 0x[0-9a-f]+$",
        r"^0x0000000009000000-0x0000000009000fff -> 0x0000000009000000 device rw xn non-secure outer$",
        r"^0x0000000040100000-0x[0-9a-f]+ -> 0x0000000040100000 normal ro x (guarded )?realm inner$",
        r"^TTBR1_EL2, high VA range, 21 bits, root 0x[0-9a-f]+$",
        r"^0xffffffffffe01000-0xffffffffffe06fff -> 0x[0-9a-f]+ normal rw xn realm inner non-global$",
        // The slots that are in use.
        concat!(
            r"^0xfffffffffffe2000 Rd: 0x70001000 normal rw xn realm inner non-global transient; ",
            r"Rd, locked, \d+ references$"
        ),
        r"^[1-9]\d* of 24 slots mapped$",
        // Granules: one in use, an address without a granule, and all granules.
        r"^0x70001000: Rd, locked, \d+ references$",
        r"^0x1000: no granule is known there$",
        r"^bank 0x[0-9a-f]+-0xffffffff, \d+ granules$",
        r"^Ns \d+; Rd 1; Delegated \d+; Rtt \d+$",
        r"^0x70001000-0x70001fff: Rd, locked, \d+ references$",
        // The host gets its answers.
        r"^ok: x4-x7 unless results, and x8-x30, survived each of \d+ calls$",
    ];
    let serror = Scenario::new(
        "realm-serror",
        "realm-serror",
        "an SError leaves the Realm, and is pending for it until it takes it",
    )
    .debugger("tests/qemu/runner/gdb/serror.gdb");
    vec![lines.into_iter().fold(scenario, Scenario::expect), serror]
}
