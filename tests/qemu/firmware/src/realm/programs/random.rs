// SPDX-License-Identifier: BSD-3-Clause
//! Random instructions, and writes to every system register.

use rmm_test_firmware::realm_protocol::BLOCK;

use super::{WORDS, results};
use crate::cage;

/// An xorshift64* generator.
pub struct Random(u64);

impl Random {
    /// A generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Whether an instruction is left out because of the emulator.
fn is_left_out(word: u32) -> bool {
    // HLT #0xf000, by which the Realm would call the emulator itself.
    const SEMIHOSTING: u32 = 0xd45e_0000;
    // BRAA, BRAAZ and those with key B: they fail an assertion in QEMU 10.0.
    let is_authenticated_branch =
        word & 0xffff_f81f == 0xd61f_081f || word & 0xffff_f800 == 0xd71f_0800;
    // MSR to SCTLR_EL1 and VBAR_EL1: after them fetches may fail endlessly, which does not count as
    // time. `registers` writes them.
    let is_control = matches!(word & !0x1f, 0xd518_1000 | 0xd518_c000);
    word == SEMIHOSTING || is_authenticated_branch || is_control
}

/// An instruction. Half of them are any word, the others of the classes that can leave a Realm.
fn instruction(random: &mut Random) -> u32 {
    let [a, b, c, d, class, ..] = random.next().to_be_bytes();
    let word = u32::from_be_bytes([a, b, c, d]);
    let word = match class & 7 {
        // Loads and stores.
        0 => word & !0x0a00_0000 | 0x0800_0000,
        // Exception generation.
        1 => 0xd400_0000 | word & 0x00ff_ffff,
        // System registers, system instructions, hints and barriers.
        2 | 3 => 0xd500_0000 | word & 0x003f_ffff,
        _ => word,
    };
    if is_left_out(word) { 0 } else { word }
}

/// Register values: addresses in the cage, small numbers, any number.
fn registers_of(random: &mut Random) -> [u64; 32] {
    let memory = cage::memory();
    let mut x = core::array::from_fn(|_| match random.next() {
        value if value & 3 == 0 => value,
        value if value & 3 == 1 => value >> 56,
        value => memory + (value >> 40) % (cage::PAGES as u64 * 4096) / 16 * 16,
    });
    x[31] = memory + cage::PAGES as u64 * 2048;
    x
}

/// Runs blocks of random instructions.
pub fn blocks(arguments: &[u64]) -> [u64; WORDS] {
    let [seed, count, ..] = *arguments else { return [!0; WORDS] };
    let mut random = Random::new(seed);
    let mut exceptions = 0;
    for _ in 0..count {
        let x = registers_of(&mut random);
        let block: [u32; BLOCK as usize] = core::array::from_fn(|_| instruction(&mut random));
        exceptions += cage::run(&block, x);
    }
    results([0, exceptions])
}

/// Runs MSR of every encoding from the second argument on, each in a block of its own.
pub fn registers(arguments: &[u64]) -> [u64; WORDS] {
    const MSR: u32 = 0xd510_0000;
    let [seed, first, count, ..] = *arguments else { return [!0; WORDS] };
    let mut random = Random::new(seed);
    let mut exceptions = 0;
    for encoding in first..first + count {
        let Ok(encoding) = u32::try_from(encoding) else { break };
        let value = random.next();
        exceptions += cage::run(&[MSR | encoding << 5], [value; 32]);
    }
    results([0, exceptions])
}
