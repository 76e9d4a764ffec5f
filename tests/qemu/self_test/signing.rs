// SPDX-License-Identifier: BSD-3-Clause
//! Signatures with any key, whose instructions are counted.

use sha2::{Digest, Sha384};

use rmm::attest::key::RealmKey;

/// Signs a random digest with a random key. The nonce follows from both, so it is random too. Gives
/// whether there is a signature.
///
/// Not inlined because of its copies.
#[inline(never)]
pub(super) fn sign(seed: u64) -> bool {
    let random = |purpose: u64| {
        Sha384::new()
            .chain_update(seed.to_le_bytes())
            .chain_update(purpose.to_le_bytes())
            .finalize()
    };
    let signature = RealmKey::new(&random(0).into()).and_then(|key| key.sign(&random(1).into()));
    // Not by a comparison, which may end early and would change the count.
    signature.is_some_and(|signature| signature.iter().fold(0, |all, byte| all | byte) != 0)
}
