// SPDX-License-Identifier: BSD-3-Clause
//! The Realm attestation key (RAK), P-384, and its public half as tokens carry it.

use p384::SecretKey;
use p384::ecdsa::signature::hazmat::PrehashSigner;
use p384::ecdsa::{Signature, SigningKey, VerifyingKey};
use p384::elliptic_curve::point::AffineCoordinates;
use sha2::{Digest, Sha256};

use super::cbor::{Encoder, NoRoom};

/// Bytes of a scalar and of a coordinate of P-384.
pub const SCALAR_SIZE: usize = 48;
/// Bytes of an ES384 signature: r and s.
pub const SIGNATURE_SIZE: usize = 2 * SCALAR_SIZE;
/// Bytes of a SHA-384 digest. Digests are signed.
pub const DIGEST_SIZE: usize = 48;
/// Bytes of the public key as a COSE_Key.
pub const COSE_KEY_SIZE: usize = 107;
/// Bytes of the challenge that binds the platform token to the public key: a SHA-256 digest.
pub const BINDING_SIZE: usize = 32;

/// Bytes of an uncompressed point: 4 and two coordinates.
pub const POINT_SIZE: usize = 1 + 2 * SCALAR_SIZE;

/// The public key: a COSE_Key (RFC 9052 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; COSE_KEY_SIZE]);

impl PublicKey {
    /// The key that is this point: 4, x and y (SEC 1 section 2.3.3). `None` if it begins otherwise.
    pub fn from_point(point: &[u8; POINT_SIZE]) -> Option<Self> {
        let [4, coordinates @ ..] = point else { return None };
        let (x, y) = coordinates.split_at_checked(SCALAR_SIZE)?;
        Self::from_coordinates(x, y)
    }

    fn from_coordinates(x: &[u8], y: &[u8]) -> Option<Self> {
        let mut key = [0; COSE_KEY_SIZE];
        Self::encode(&mut Encoder::new(&mut key), x, y).ok()?;
        Some(Self(key))
    }

    fn encode(cbor: &mut Encoder<'_>, x: &[u8], y: &[u8]) -> Result<(), NoRoom> {
        /// Labels and values of RFC 9053 section 7.1.
        const KTY: i64 = 1;
        const EC2: i64 = 2;
        const CRV: i64 = -1;
        const P384: i64 = 2;
        const X: i64 = -2;
        const Y: i64 = -3;
        cbor.map(4)?.int(KTY)?.int(EC2)?.int(CRV)?.int(P384)?;
        cbor.int(X)?.bytes(x)?.int(Y)?.bytes(y)?;
        Ok(())
    }

    /// The COSE_Key.
    pub fn cose_key(&self) -> &[u8; COSE_KEY_SIZE] {
        &self.0
    }

    /// The challenge that binds a platform token to this key: the SHA-256 of the COSE_Key.
    pub fn binding(&self) -> [u8; BINDING_SIZE] {
        Sha256::digest(self.0).into()
    }
}

/// A key that signs. Zeroed when dropped.
#[derive(Debug)]
pub struct RealmKey(SigningKey);

impl RealmKey {
    /// The key that is this scalar, big-endian. `None` if it is 0 or not below the order of P-384.
    ///
    /// Computes the public key: as much work as a signature.
    pub fn new(scalar: &[u8; SCALAR_SIZE]) -> Option<Self> {
        Some(Self(SecretKey::from_slice(scalar).ok()?.into()))
    }

    /// Its public half.
    pub fn public(&self) -> Option<PublicKey> {
        // Not as a point of SEC 1: its error messages alone would add kilobytes to the image.
        let public: &VerifyingKey = self.0.verifying_key();
        let point = public.as_affine();
        PublicKey::from_coordinates(&point.x(), &point.y())
    }

    /// Signs a digest, with the nonce of RFC 6979.
    ///
    /// It takes millions of instructions, the same number for every key and digest: neither
    /// branches nor addresses depend on key or nonce. Copies of both stay on the stack.
    pub fn sign(&self, digest: &[u8; DIGEST_SIZE]) -> Option<[u8; SIGNATURE_SIZE]> {
        let signature: Signature = self.0.sign_prehash(digest).ok()?;
        Some(signature.to_bytes().into())
    }
}
