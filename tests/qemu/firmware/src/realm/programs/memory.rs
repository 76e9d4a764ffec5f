// SPDX-License-Identifier: BSD-3-Clause
//! Memory of the Realm, shown to the host, or changed while another REC uses it.

use rmm_test_firmware::realm_protocol::pattern;

use super::{WORDS, results};

/// As many words as a program gives, from an address on.
pub fn read(arguments: &[u64]) -> [u64; WORDS] {
    let [address, ..] = *arguments else { return [!0; WORDS] };
    let words: *const u64 = core::ptr::with_exposed_provenance(address as usize);
    // SAFETY: the host names memory of the payload, which this REC alone uses meanwhile.
    core::array::from_fn(|index| unsafe { words.add(index).read_volatile() })
}

/// Fills an RsiHostCall, again and again, word by word.
pub fn flip(arguments: &[u64]) -> [u64; WORDS] {
    let [address, times, ..] = *arguments else { return [!0; WORDS] };
    let words: *mut u64 = core::ptr::with_exposed_provenance_mut(address as usize);
    for turn in 0..times {
        for index in 0..32 {
            // SAFETY: the host names a page that the payload does not use.
            unsafe { words.add(index).write_volatile(pattern(turn, index)) };
        }
    }
    results([0])
}
