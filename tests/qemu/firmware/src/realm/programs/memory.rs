// SPDX-License-Identifier: BSD-3-Clause
//! Shows memory of the Realm to the host, or changes it while another REC uses it.

use rmm_test_firmware::realm_protocol::pattern;

use super::{WORDS, results};

/// As many words from an address on as a program can give.
pub fn read(arguments: &[u64]) -> [u64; WORDS] {
    let [address, ..] = *arguments else { return [!0; WORDS] };
    let words: *const u64 = core::ptr::with_exposed_provenance(address as usize);
    // SAFETY: the host gives the address of payload memory that only this REC uses now.
    core::array::from_fn(|index| unsafe { words.add(index).read_volatile() })
}

/// Fills an RsiHostCall repeatedly, word by word.
pub fn flip(arguments: &[u64]) -> [u64; WORDS] {
    let [address, times, ..] = *arguments else { return [!0; WORDS] };
    let words: *mut u64 = core::ptr::with_exposed_provenance_mut(address as usize);
    for turn in 0..times {
        for index in 0..32 {
            // SAFETY: the host gives the address of a page that the payload does not use.
            unsafe { words.add(index).write_volatile(pattern(turn, index)) };
        }
    }
    results([0])
}
