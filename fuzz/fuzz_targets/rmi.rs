// SPDX-License-Identifier: BSD-3-Clause
//! Fuzzes whole RMI calls in both dialects, with the model and the checks of the tests' random
//! calls.
//!
//! Run with `cargo +nightly fuzz run rmi -- -max_len=2048`.
#![no_main]

use kit::system::Storage;
use libfuzzer_sys::fuzz_target;
use rmm::rmi::Dialect;

use kit::rmi::harness::{Choices, Harness};

/// The fuzzer's bytes as choices. Zeros follow when they are used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }
}

impl Choices for Bytes<'_> {
    fn any(&mut self) -> u64 {
        u64::from_le_bytes([0; 8].map(|_: u8| self.take()))
    }

    /// Takes as few bytes as the bound needs, so that one byte of input is one choice.
    fn below(&mut self, bound: u64) -> u64 {
        let mut number = u64::from(self.take());
        if bound > 0x100 {
            number |= u64::from(self.take()) << 8;
        }
        number % bound
    }
}

fuzz_target!(|input: &[u8]| {
    for dialect in [Dialect::V1_0, Dialect::V2_0] {
        let mut storage = Storage::default();
        let mut harness = Harness::new(&mut storage, dialect, Bytes(input));
        while !harness.choices.0.is_empty() {
            harness.step();
        }
    }
});
