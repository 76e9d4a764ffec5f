// SPDX-License-Identifier: BSD-3-Clause
//! Random numbers, the same in every run with the same `seed` option.

use crate::registers::linear_index_of_this_cpu;

/// An xorshift64* generator.
pub struct Random(u64);

impl Random {
    /// A generator for one purpose: `stream` makes generators with the same seed differ.
    pub fn new(stream: u64) -> Self {
        let start = super::options().seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(if start == 0 { 1 } else { start })
    }

    /// A generator for the calling CPU.
    pub fn for_this_cpu(stream: u64) -> Self {
        Self::new((linear_index_of_this_cpu() + 1) << 32 | stream)
    }

    /// The next 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.word() % bound
    }
}
