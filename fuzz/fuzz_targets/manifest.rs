// SPDX-License-Identifier: BSD-3-Clause
//! Fuzzes the boot manifest's parser with any page, with and without corrected checksums.
//!
//! No page may make it panic, and every accepted page must keep the rules stated in the tests. Run
//! with `cargo +nightly fuzz run manifest -- -max_len=4096`.
#![no_main]

use kit::manifest::model;
use libfuzzer_sys::{Corpus, fuzz_target};
use rmm::address::PhysAddr;
use rmm::el3::manifest::Header;

/// Low, so that valid pointers are near numbers that come up by chance.
const BASE: PhysAddr = PhysAddr::new(0x1000);
const PHYSICAL_LIMIT: PhysAddr = PhysAddr::new(1 << 48);

fn examine(bytes: &[u8; 4096]) {
    let Ok(header) = Header::read(bytes, BASE, PHYSICAL_LIMIT) else { return };
    let early = header.consoles().map(Iterator::count);
    let Ok(manifest) = header.validate() else { return };
    assert_eq!(early.ok(), Some(manifest.consoles().len()));
    model::Model::new(bytes, BASE).check(PHYSICAL_LIMIT, &manifest);
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let mut bytes = [0; 4096];
    let Some(page) = bytes.get_mut(..input.len()) else { return Corpus::Reject };
    page.copy_from_slice(input);
    examine(&bytes);
    model::seal(&mut bytes, BASE);
    examine(&bytes);
    Corpus::Keep
});
