// SPDX-License-Identifier: BSD-3-Clause
//! Signatures by any key, whose instructions are counted.

use sha2::{Digest, Sha384};

use rmm::attest::key::RealmKey;

/// Signs a digest with a key, both random. The nonce, which follows from them, is as well. Whether
/// there is a signature.
///
/// Not inlined, for its copies.
#[inline(never)]
pub(super) fn sign(seed: u64) -> bool {
    let random = |purpose: u64| {
        Sha384::new()
            .chain_update(seed.to_le_bytes())
            .chain_update(purpose.to_le_bytes())
            .finalize()
    };
    let signature = RealmKey::new(&random(0).into()).and_then(|key| key.sign(&random(1).into()));
    // A comparison may end early, and what is counted includes it.
    signature.is_some_and(|signature| signature.iter().fold(0, |all, byte| all | byte) != 0)
}
