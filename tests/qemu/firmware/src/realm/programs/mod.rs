// SPDX-License-Identifier: BSD-3-Clause
//! Programs for RECs. Each has a number in `realm_protocol` and a file here.

mod config;
mod count;
mod debug;
mod hold;
mod memory;
mod power;
mod random;
mod ripas;
mod tables;

use rmm_test_firmware::realm_protocol::program;

pub use rmm_test_firmware::realm_protocol::WORDS;

use crate::execute::Execution;

/// Runs a program. An unknown one gives all ones.
pub fn run(number: u64, arguments: &[u64], execution: &mut Execution) -> [u64; WORDS] {
    match number {
        program::CONFIG => config::run(),
        program::SET_RIPAS => ripas::set(arguments),
        program::READ_MEMORY => memory::read(arguments),
        program::GET_RIPAS => ripas::get(arguments),
        program::COUNT => count::run(arguments),
        program::RANDOM => random::blocks(arguments),
        program::WRITE_REGISTERS => random::registers(arguments),
        program::HOLD => hold::run(arguments),
        program::TABLES => tables::run(arguments, execution),
        program::POWER => power::run(arguments),
        program::FLIP => memory::flip(arguments),
        program::WAIT => power::wait(arguments),
        program::SET_DEBUG => debug::set(arguments),
        program::AARCH32 => aarch32(arguments, execution),
        program::RUN_DEBUG => debug::run(arguments),
        program::AT_EL0 => at_el0(arguments, execution),
        _ => [!0; WORDS],
    }
}

/// Runs an instruction of A32 at EL0.
fn aarch32(arguments: &[u64], execution: &mut Execution) -> [u64; WORDS] {
    let [instruction, r0, ..] = *arguments else { return [!0; WORDS] };
    execution.execute_aarch32(instruction, [r0, 0, 0, 0]);
    results(execution.results())
}

/// Runs an instruction at EL0.
fn at_el0(arguments: &[u64], execution: &mut Execution) -> [u64; WORDS] {
    let [instruction, x0, x1, ..] = *arguments else { return [!0; WORDS] };
    execution.execute_at_el0(instruction, [x0, x1, 0, 0]);
    results(execution.results())
}

/// The results of a program, beginning with these words.
fn results<const N: usize>(first: [u64; N]) -> [u64; WORDS] {
    let mut results = [0; WORDS];
    results[..N].copy_from_slice(&first);
    results
}
