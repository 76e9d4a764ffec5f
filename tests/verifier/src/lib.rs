// SPDX-License-Identifier: BSD-3-Clause
//! Verifies a CCA token as a relying party does: the structure, the signatures, and that the two
//! tokens belong together. It shares no code with the firmware.

use ciborium::Value;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};

/// The reason why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not exactly one item of CBOR.
    #[error("{0} is not one item of CBOR")]
    Cbor(&'static str),
    /// It is CBOR of another structure.
    #[error("{0} is not what it should be")]
    Structure(&'static str),
    /// A signature is wrong.
    #[error("the signature of the {0} token is wrong")]
    Signature(&'static str),
    /// The platform token is bound to another key.
    #[error("the platform token is not bound to the key of the Realm token")]
    Binding,
}

/// The CBOR tag that holds the two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Tag 399.
    Tag399,
    /// Tag 907.
    Tag907,
}

/// The claims of a verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The tag that holds it.
    pub format: Format,
    /// The profile of the Realm token.
    pub profile: String,
    /// The challenge.
    pub challenge: Vec<u8>,
    /// The identity of the Realm, if it has one.
    pub instance: Option<Vec<u8>>,
    /// The Realm Personalization Value.
    pub personalization: Vec<u8>,
    /// The name of the hash algorithm of measurements.
    pub algorithm: String,
    /// Whether the MEC policy is private, if the token has one.
    pub mec_policy: Option<i128>,
    /// The initial measurement.
    pub initial: Vec<u8>,
    /// The extensible measurements.
    pub extensible: Vec<Vec<u8>>,
    /// The lifecycle state in the platform token.
    pub lifecycle: i128,
}

fn item(bytes: &[u8], what: &'static str) -> Result<Value, Refused> {
    let mut rest = bytes;
    let value = ciborium::from_reader(&mut rest).map_err(|_| Refused::Cbor(what))?;
    if rest.is_empty() { Ok(value) } else { Err(Refused::Cbor(what)) }
}

/// A map with integer keys, each of which occurs once and must be taken.
struct Claims {
    entries: Vec<(Value, Value)>,
    what: &'static str,
}

impl Claims {
    fn new(value: Value, what: &'static str) -> Result<Self, Refused> {
        let entries = value.into_map().map_err(|_| Refused::Structure(what))?;
        Ok(Self { entries, what })
    }

    fn optional(&mut self, label: i64) -> Result<Option<Value>, Refused> {
        let key = Value::from(label);
        let Some(index) = self.entries.iter().position(|(found, _)| *found == key) else {
            return Ok(None);
        };
        let (_, value) = self.entries.remove(index);
        if self.entries.iter().any(|(found, _)| *found == key) {
            return Err(Refused::Structure(self.what));
        }
        Ok(Some(value))
    }

    fn take<T>(
        &mut self,
        label: i64,
        convert: impl FnOnce(Value) -> Result<T, Value>,
    ) -> Result<T, Refused> {
        let value = self.optional(label)?.ok_or(Refused::Structure(self.what))?;
        convert(value).map_err(|_| Refused::Structure(self.what))
    }

    fn bytes(&mut self, label: i64, sizes: &[usize]) -> Result<Vec<u8>, Refused> {
        let bytes = self.take(label, Value::into_bytes)?;
        if sizes.contains(&bytes.len()) { Ok(bytes) } else { Err(Refused::Structure(self.what)) }
    }

    fn text(&mut self, label: i64) -> Result<String, Refused> {
        self.take(label, Value::into_text)
    }

    fn int(&mut self, label: i64) -> Result<i128, Refused> {
        self.take(label, Value::into_integer).map(i128::from)
    }

    fn end(self) -> Result<(), Refused> {
        if self.entries.is_empty() { Ok(()) } else { Err(Refused::Structure(self.what)) }
    }
}

/// A COSE_Sign1 by ES384.
struct Sign1 {
    payload: Vec<u8>,
    signature: Vec<u8>,
    what: &'static str,
}

impl Sign1 {
    const PROTECTED: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];

    fn parse(bytes: &[u8], what: &'static str) -> Result<Self, Refused> {
        let wrong = || Refused::Structure(what);
        let Value::Tag(18, inner) = item(bytes, what)? else { return Err(wrong()) };
        let parts: [Value; 4] =
            inner.into_array().ok().and_then(|parts| parts.try_into().ok()).ok_or_else(wrong)?;
        let [protected, unprotected, payload, signature] = parts;
        if protected != Value::Bytes(Self::PROTECTED.to_vec()) || unprotected != Value::Map(vec![])
        {
            return Err(wrong());
        }
        Ok(Self {
            payload: payload.into_bytes().map_err(|_| wrong())?,
            signature: signature.into_bytes().map_err(|_| wrong())?,
            what,
        })
    }

    fn verify(&self, point: &[u8]) -> Result<(), Refused> {
        let signed = Value::Array(vec![
            Value::Text("Signature1".into()),
            Value::Bytes(Self::PROTECTED.to_vec()),
            Value::Bytes(vec![]),
            Value::Bytes(self.payload.clone()),
        ]);
        let mut message = Vec::new();
        ciborium::into_writer(&signed, &mut message).map_err(|_| Refused::Cbor(self.what))?;
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
            .verify(&message, &self.signature)
            .map_err(|_| Refused::Signature(self.what))
    }
}

/// The uncompressed point of a COSE_Key on P-384.
fn point(cose_key: &[u8]) -> Result<Vec<u8>, Refused> {
    const WHAT: &str = "the public key of the Realm token";
    let mut key = Claims::new(item(cose_key, WHAT)?, WHAT)?;
    let (key_type, curve) = (key.int(1)?, key.int(-1)?);
    let (x, y) = (key.bytes(-2, &[48])?, key.bytes(-3, &[48])?);
    key.end()?;
    if (key_type, curve) != (2, 2) {
        return Err(Refused::Structure(WHAT));
    }
    Ok([&[4][..], &x, &y].concat())
}

/// The digest that binds a platform token to a public key, by the algorithm named in the token.
fn binding(algorithm: &str, cose_key: &[u8]) -> Result<Vec<u8>, Refused> {
    match algorithm {
        "sha-256" => Ok(digest(&SHA256, cose_key).as_ref().to_vec()),
        _ => Err(Refused::Structure("the hash algorithm of the binding")),
    }
}

/// Verifies a CCA token. `platform_key` is the public half of the key that signs its platform
/// token, as an uncompressed point.
///
/// # Errors
///
/// [`Refused`].
pub fn verify(token: &[u8], platform_key: &[u8]) -> Result<Verified, Refused> {
    const CCA: &str = "the CCA token";
    let Value::Tag(tag, inner) = item(token, CCA)? else { return Err(Refused::Structure(CCA)) };
    let format = match tag {
        399 => Format::Tag399,
        907 => Format::Tag907,
        _ => return Err(Refused::Structure(CCA)),
    };
    let mut tokens = Claims::new(*inner, CCA)?;
    let mut part = |label| match format {
        Format::Tag399 => tokens.take(label, Value::into_bytes),
        Format::Tag907 => {
            let pair = tokens.take(label, Value::into_array)?;
            let Ok([content, Value::Bytes(bytes)]) = <[Value; 2]>::try_from(pair) else {
                return Err(Refused::Structure(CCA));
            };
            if content == Value::from(263) { Ok(bytes) } else { Err(Refused::Structure(CCA)) }
        }
    };
    let platform = Sign1::parse(&part(44234)?, "platform")?;
    let realm = Sign1::parse(&part(44241)?, "realm")?;
    tokens.end()?;

    platform.verify(platform_key)?;
    let platform = item(&platform.payload, "the payload of the platform token")?;
    let mut platform = Claims::new(platform, "the platform token")?;
    let challenge = platform.bytes(10, &[32, 48, 64])?;
    let lifecycle = platform.int(2395)?;
    if platform.text(265)? != "tag:arm.com,2023:cca_platform#1.0.0" {
        return Err(Refused::Structure("the profile of the platform token"));
    }

    let what = "the Realm token";
    let mut claims = Claims::new(item(&realm.payload, "the payload of the Realm token")?, what)?;
    let cose_key = claims.bytes(44237, &[107])?;
    realm.verify(&point(&cose_key)?)?;
    if binding(&claims.text(44240)?, &cose_key)? != challenge {
        return Err(Refused::Binding);
    }
    let algorithm = claims.text(44236)?;
    let size = match algorithm.as_str() {
        "sha-256" => 32,
        "sha-384" => 48,
        "sha-512" => 64,
        _ => return Err(Refused::Structure("the hash algorithm of measurements")),
    };
    let bytes = |value: Value| value.into_bytes().ok().filter(|bytes| bytes.len() == size);
    let extensible: Option<Vec<_>> =
        claims.take(44239, Value::into_array)?.into_iter().map(bytes).collect();
    let instance = claims.optional(256)?;
    let mec_policy = claims.optional(44243)?;
    let wrong = |_| Refused::Structure(what);
    let verified = Verified {
        format,
        profile: claims.text(265)?,
        challenge: claims.bytes(10, &[64])?,
        instance: instance.map(Value::into_bytes).transpose().map_err(wrong)?,
        personalization: claims.bytes(44235, &[64])?,
        mec_policy: mec_policy.map(Value::into_integer).transpose().map_err(wrong)?.map(i128::from),
        initial: claims.bytes(44238, &[size])?,
        extensible: extensible.filter(|all| all.len() == 4).ok_or(Refused::Structure(what))?,
        algorithm,
        lifecycle,
    };
    claims.end()?;
    Ok(verified)
}
