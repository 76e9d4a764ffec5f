// SPDX-License-Identifier: BSD-3-Clause
//! Memory of the Realm, shown to the host.

use super::WORDS;

/// As many words as a program gives, from an address on.
pub fn read(arguments: &[u64]) -> [u64; WORDS] {
    let [address, ..] = *arguments else { return [!0; WORDS] };
    let words: *const u64 = core::ptr::with_exposed_provenance(address as usize);
    // SAFETY: the host names memory of the payload, which this REC alone uses meanwhile.
    core::array::from_fn(|index| unsafe { words.add(index).read_volatile() })
}
