// SPDX-License-Identifier: BSD-3-Clause
//! The secret values of a signature, computed from its token and the key. Memory is searched for
//! their words.

use p384::Scalar;
use p384::ecdsa::Signature;
use p384::elliptic_curve::ff::PrimeField;
use p384::elliptic_curve::ops::Reduce;
use rmm_test_firmware::REALM_KEY;
use sha2::{Digest, Sha384};

/// The first bytes of each Realm token, up to the length of its payload.
const HEAD: [u8; 9] = [0xd2, 0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0x59];
const SIGNATURE: usize = 96;

/// A number modulo the order of P-384, as six words in memory order.
pub type Words = [u64; 6];

/// A number, and the form in which the library may hold it.
pub struct Secret {
    pub name: &'static str,
    pub words: Words,
}

/// The key and the nonce of a CCA token's signature. The nonce's inverse reveals the nonce. `None`
/// if the token is not complete.
///
/// By s = (z + r d) / k, which the verifier checks, the key d gives the nonce k.
pub fn of_token(token: &[u8]) -> Option<[Secret; 6]> {
    let start = token.windows(HEAD.len()).rposition(|bytes| bytes == HEAD)?;
    let (signed, signature) = token.get(start..)?.split_last_chunk::<SIGNATURE>()?;
    // The payload follows the empty map and precedes the signature's head of two bytes.
    let payload = signed.get(HEAD.len() - 1..signed.len().checked_sub(2)?)?;
    let digest = Sha384::new()
        .chain_update(b"\x84\x6aSignature1\x44\xa1\x01\x38\x22\x40")
        .chain_update(payload)
        .finalize();
    let signature = Signature::from_slice(signature).ok()?;
    let z = Scalar::reduce(&digest);
    let key = Option::<Scalar>::from(Scalar::from_repr(REALM_KEY.into()))?;
    let (r, s) = (*signature.r().as_ref(), *signature.s().as_ref());
    let inverse = s * Option::<Scalar>::from((z + r * key).invert())?;
    let nonce = Option::<Scalar>::from(inverse.invert())?;
    let secret = |name, value| Secret { name, words: words(value) };
    Some([
        secret("the key", key),
        secret("the key in Montgomery form", montgomery(key)),
        secret("the nonce", nonce),
        secret("the nonce in Montgomery form", montgomery(nonce)),
        secret("the nonce's inverse", inverse),
        secret("the nonce's inverse in Montgomery form", montgomery(inverse)),
    ])
}

/// The library's Montgomery form of `value`: 2^384 times the number.
fn montgomery(value: Scalar) -> Scalar {
    (0..384).fold(value, |value, _| value.double())
}

fn words(value: Scalar) -> Words {
    let bytes = value.to_repr();
    let (words, _) = bytes.as_chunks::<8>();
    core::array::from_fn(|index| u64::from_be_bytes(words[index]))
}
