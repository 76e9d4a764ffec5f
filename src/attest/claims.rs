// SPDX-License-Identifier: BSD-3-Clause
//! The claims of a Realm token (RMM specification 1.0 (DEN0137), Realm token claims).

use zerocopy::IntoBytes;

use super::cbor::{Encoder, NoRoom};
use super::key::PublicKey;

/// Bytes of the identity of a Realm.
pub const INSTANCE_SIZE: usize = 33;

/// The profile of a token: it defines labels and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// RMM 1.0.
    Realm1_0,
    /// RMM 2.0: with an identity of the Realm, and its MEC policy.
    Realm2_0 {
        /// 1 and 32 random bytes.
        instance: [u8; INSTANCE_SIZE],
        /// Whether the Realm has a MECID of its own.
        private_mec: bool,
    },
}

/// The claims about a Realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims<'a> {
    /// The kind of token.
    pub profile: Profile,
    /// The challenge that the Realm passes, as little-endian words.
    pub challenge: &'a [u64; 8],
    /// The Realm Personalization Value, as little-endian words.
    pub personalization: &'a [u64; 8],
    /// The name of the hash algorithm of measurements (IANA, Named Information Hash Algorithms).
    pub algorithm: &'static str,
    /// The initial measurement, without padding.
    pub initial: &'a [u8],
    /// The extensible measurements.
    pub extensible: [&'a [u8]; 4],
    /// The key that verifies the token.
    pub key: &'a PublicKey,
}

/// Keys of the map.
mod label {
    pub(super) const CHALLENGE: i64 = 10;
    pub(super) const INSTANCE: i64 = 256;
    pub(super) const PROFILE: i64 = 265;
    pub(super) const PERSONALIZATION: i64 = 44235;
    pub(super) const ALGORITHM: i64 = 44236;
    pub(super) const PUBLIC_KEY: i64 = 44237;
    pub(super) const INITIAL: i64 = 44238;
    pub(super) const EXTENSIBLE: i64 = 44239;
    pub(super) const BINDING_ALGORITHM: i64 = 44240;
    pub(super) const MEC_POLICY: i64 = 44243;
}

impl Claims<'_> {
    /// Encodes them as a map, in the order of TF-RMM.
    ///
    /// # Errors
    ///
    /// [`NoRoom`].
    pub fn encode(&self, cbor: &mut Encoder<'_>) -> Result<(), NoRoom> {
        let (entries, profile) = match self.profile {
            Profile::Realm1_0 => (8, "tag:arm.com,2023:realm#1.0.0"),
            Profile::Realm2_0 { .. } => (10, "tag:arm.com,2024:realm#2.0.0"),
        };
        cbor.map(entries)?.int(label::CHALLENGE)?.bytes(self.challenge.as_bytes())?;
        if let Profile::Realm2_0 { instance, .. } = &self.profile {
            cbor.int(label::INSTANCE)?.bytes(instance)?;
        }
        cbor.int(label::PERSONALIZATION)?.bytes(self.personalization.as_bytes())?;
        cbor.int(label::PUBLIC_KEY)?.bytes(self.key.cose_key())?;
        cbor.int(label::ALGORITHM)?.text(self.algorithm)?;
        cbor.int(label::BINDING_ALGORITHM)?.text("sha-256")?;
        if let Profile::Realm2_0 { private_mec, .. } = self.profile {
            cbor.int(label::MEC_POLICY)?.int(i64::from(private_mec))?;
        }
        cbor.int(label::PROFILE)?.text(profile)?;
        cbor.int(label::INITIAL)?.bytes(self.initial)?;
        cbor.int(label::EXTENSIBLE)?.array(self.extensible.len() as u64)?;
        for measurement in self.extensible {
            cbor.bytes(measurement)?;
        }
        Ok(())
    }
}
