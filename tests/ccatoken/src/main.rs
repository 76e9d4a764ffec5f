// SPDX-License-Identifier: BSD-3-Clause
//! Verifies the tokens in the log of a run on QEMU with Veraison's `ccatoken`.
//!
//! `ccatoken` 0.1.0, the only version, knows the claims of the specification's 1.0-eac4, with
//! another name of the platform's profile and with the Realm's key as a point. Later specifications
//! have the key as a COSE_Key, to which the platform token is bound. So its decoder gets claims in
//! which these three have the old form, and the challenge only if it is right. The signatures are
//! verified over the tokens as they are.

use anyhow::{Context, Result, bail, ensure};
use ccatoken::store::{Cpak, ITrustAnchorStore, MemoTrustAnchorStore};
use ccatoken::token::{Evidence, Platform, Realm};
use ciborium::Value;
use openssl::sha::sha256;

/// Labels of claims.
const CHALLENGE: i64 = 10;
const PROFILE: i64 = 265;
const REALM_KEY: i64 = 44237;
/// The profile of the platform token, and the profile that `ccatoken` knows.
const PLATFORM_PROFILE: &str = "tag:arm.com,2023:cca_platform#1.0.0";
const KNOWN_PROFILE: &str = "http://arm.com/CCA-SSD/1.0.0";
/// The test EL3's platform: its instance, and the key that signs its token.
const INSTANCE: [u8; 33] = {
    let mut instance = [0xa5; 33];
    instance[0] = 1;
    instance
};
const TRUST_ANCHOR: &str = r#"[{
    "instance-id": "01a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5",
    "implementation-id": "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
    "pkey": {
        "kty": "EC", "crv": "P-384", "alg": "ES384",
        "x": "Z29m6TyR0g0jbdaiKAbQ7h-GsvrkDyu3dIUrojegMOuFLyE376MgLEYSKUuZLshc",
        "y": "0KRMl7b4gBsxnOVkMkxPS5ssRG3qvv-Ex3gAqi4WNe5R-0t4lyaBISeXuMAjFiFk"
    }
}]"#;

/// Decodes one item, which must have the shortest encoding.
fn item(bytes: &[u8]) -> Result<Value> {
    let value: Value = ciborium::from_reader(bytes)?;
    ensure!(encoded(&value)? == bytes, "not the shortest form of one item");
    Ok(value)
}

fn encoded(value: &Value) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes)?;
    Ok(bytes)
}

fn map(value: Value) -> Result<Vec<(Value, Value)>> {
    value.into_map().ok().context("a map")
}

fn entry(map: &mut [(Value, Value)], label: i64) -> Result<&mut Value> {
    let found = map.iter_mut().find(|(key, _)| *key == Value::from(label));
    Ok(&mut found.context("a claim is there")?.1)
}

fn bytes(value: &Value) -> Result<&Vec<u8>> {
    value.as_bytes().context("a byte string")
}

/// The two tokens in a CCA token.
fn parts(token: &[u8]) -> Result<[Vec<u8>; 2]> {
    let Value::Tag(tag, inner) = item(token)? else { bail!("no tag") };
    let mut entries = map(*inner)?;
    ensure!(entries.len() == 2, "two tokens");
    let mut part = |label| {
        let value = entry(&mut entries, label)?;
        let inner = match (tag, value.as_array().map(Vec::as_slice)) {
            (399, None) => value,
            (907, Some([content, inner])) if *content == Value::from(263) => inner,
            _ => bail!("neither of the two formats"),
        };
        bytes(inner).cloned()
    };
    Ok([part(44234)?, part(44241)?])
}

/// Checks the structure of a COSE_Sign1, which must have no unprotected header: the signature does
/// not cover it.
fn check_envelope(token: &[u8]) -> Result<()> {
    let Value::Tag(18, inner) = item(token)? else { bail!("no COSE_Sign1") };
    match inner.as_array().map(Vec::as_slice) {
        Some([Value::Bytes(_), Value::Map(unprotected), Value::Bytes(_), Value::Bytes(_)]) => {
            ensure!(unprotected.is_empty(), "an unprotected header");
            Ok(())
        }
        _ => bail!("no COSE_Sign1"),
    }
}

/// The evidence for `ccatoken` to verify.
fn evidence(token: &[u8]) -> Result<Evidence> {
    let [platform, realm] = parts(token)?;
    let mut evidence = Evidence::new();
    for (message, part) in [(&mut evidence.platform, platform), (&mut evidence.realm, realm)] {
        check_envelope(&part)?;
        message.bytes = part;
        message.init_decoder(None).ok().context("ccatoken: no COSE_Sign1")?;
        // Without this, `ccatoken` would panic.
        ensure!(message.header.alg.is_some(), "no algorithm");
    }
    let mut claims = map(item(&evidence.realm.payload)?)?;
    let key = entry(&mut claims, REALM_KEY)?;
    let cose_key = bytes(key)?.clone();
    // {1: 2, -1: 2, -2: x, -3: y}
    let mut coordinates = map(item(&cose_key)?)?;
    ensure!(coordinates.len() == 4, "a COSE_Key");
    ensure!(*entry(&mut coordinates, 1)? == Value::from(2), "its type is EC2");
    ensure!(*entry(&mut coordinates, -1)? == Value::from(2), "its curve is P-384");
    let x = bytes(entry(&mut coordinates, -2)?)?.clone();
    let y = bytes(entry(&mut coordinates, -3)?)?.clone();
    let point = [&[4], &x[..], &y[..]].concat();
    *key = Value::from(point.clone());
    evidence.realm_claims = Realm::decode(&encoded(&Value::Map(claims))?)?;

    let mut claims = map(item(&evidence.platform.payload)?)?;
    let profile = entry(&mut claims, PROFILE)?;
    ensure!(*profile == Value::from(PLATFORM_PROFILE), "the profile of the platform token");
    *profile = Value::from(KNOWN_PROFILE);
    let challenge = entry(&mut claims, CHALLENGE)?;
    if bytes(challenge)?[..] == sha256(&cose_key) {
        *challenge = Value::from(sha256(&point).to_vec());
    }
    evidence.platform_claims = Platform::decode(&encoded(&Value::Map(claims))?)?;
    Ok(evidence)
}

/// Verifies a token.
fn verify(token: &[u8], anchor: &Cpak) -> Result<Evidence> {
    let mut evidence = evidence(token)?;
    ensure!(evidence.platform_claims.inst_id == INSTANCE, "the platform");
    evidence.verify_with_cpak(anchor.clone())?;
    let (platform, realm) = evidence.get_trust_vectors();
    const TRUSTWORTHY: i8 = 2;
    // A wrong binding changes only the other claims of the vector.
    let told = [platform.instance_identity, realm.instance_identity].map(|claim| claim.get());
    ensure!(told == [TRUSTWORTHY; 2], "ccatoken: {platform:?} {realm:?}");
    ensure!(realm.hardware.get() == 0, "ccatoken: the binding of platform and Realm");
    Ok(evidence)
}

/// The bytes after `name` in the lines of a log: one item per run of lines.
fn named(log: &str, name: &str) -> Result<Vec<Vec<u8>>> {
    let mut items: Vec<Vec<u8>> = Vec::new();
    let mut continues = false;
    for line in log.lines() {
        let digits = line.trim_end().strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        if let Some(digits) = digits {
            let bytes =
                (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..][..2], 16));
            let bytes = bytes.collect::<Result<Vec<u8>, _>>()?;
            match items.last_mut() {
                Some(item) if continues => item.extend(bytes),
                _ => items.push(bytes),
            }
        }
        continues = digits.is_some();
    }
    Ok(items)
}

/// Asserts that a token is refused with any one bit changed. Gives how often `ccatoken` itself
/// refused it.
fn refuse_changes(token: &[u8], anchor: &Cpak) -> Result<usize> {
    let mut changed = token.to_vec();
    let mut refused = 0;
    for bit in 0..8 * token.len() {
        changed[bit / 8] ^= 1 << (bit % 8);
        match verify(&changed, anchor) {
            Ok(_) => bail!("accepted with bit {} of byte {} changed", bit % 8, bit / 8),
            Err(_) => refused += usize::from(evidence(&changed).is_ok()),
        }
        changed[bit / 8] ^= 1 << (bit % 8);
    }
    Ok(refused)
}

fn main() -> Result<()> {
    let mut anchors = MemoTrustAnchorStore::new();
    anchors.load_json(TRUST_ANCHOR).ok().context("the trust anchor")?;
    let anchor = anchors.lookup(&INSTANCE).context("the platform is known")?;
    let mut verified = 0;
    for path in std::env::args().skip(1) {
        let log = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        let (tokens, challenges) = (named(&log, "token")?, named(&log, "challenge")?);
        let initial = named(&log, "measurement 0")?;
        ensure!(!tokens.is_empty(), "{path}: no token");
        for (number, token) in tokens.iter().enumerate() {
            let evidence = verify(token, &anchor).with_context(|| format!("token {number}"))?;
            let claims = &evidence.realm_claims;
            let challenge = challenges.get(number).context("a challenge")?;
            ensure!(claims.challenge[..] == challenge[..], "the challenge of token {number}");
            let rim = initial.get(number).context("a measurement")?;
            ensure!(rim.starts_with(&claims.rim), "the RIM of token {number}");
            verified += 1;
        }
        let token = tokens.first().context("a token")?;
        let refused = refuse_changes(token, &anchor)?;
        let bits = 8 * token.len();
        println!(
            "{path}: {} tokens verified; the first is refused with any one of {bits} bits \
            changed, {refused} times by a signature or the binding",
            tokens.len()
        );
    }
    ensure!(verified != 0, "no log is named");
    Ok(())
}
