// SPDX-License-Identifier: BSD-3-Clause
//! Independent software verifies tokens and refuses them after any bit has changed.

use rmm::attest::claims::{Claims, Profile};
use rmm::attest::key::RealmKey;
use rmm::attest::token::{CcaToken, Format, RealmToken};
use verifier::{Refused, verify};

use super::SAMPLE_KEY;
use super::platform_token::{TOKEN, platform_key};

const SHA256: (&str, usize) = ("sha-256", 32);
const CHALLENGE: [u8; 64] = [0xc4; 64];
const PERSONALIZATION: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

fn token(
    profile: Profile,
    (algorithm, size): (&'static str, usize),
    format: Format,
    scalar: &[u8; 48],
) -> Vec<u8> {
    let key = RealmKey::new(scalar).unwrap();
    let public = key.public().unwrap();
    let claims = Claims {
        profile,
        challenge: &[0xc4c4_c4c4_c4c4_c4c4; 8],
        personalization: &PERSONALIZATION,
        algorithm,
        initial: &[0x11; 64][..size],
        extensible: [&[2; 64][..size], &[3; 64][..size], &[4; 64][..size], &[5; 64][..size]],
        key: &public,
    };
    let mut realm = RealmToken::EMPTY;
    realm.build(&claims).unwrap();
    realm.set_signature(&key.sign(&realm.digest()).unwrap());
    let cca = CcaToken { platform: TOKEN, realm: realm.bytes(), format };
    let mut bytes = Vec::new();
    cca.read(0, 4096, |_, piece| bytes.extend_from_slice(piece));
    bytes
}

#[test]
fn tokens_of_both_profiles_and_hashes_in_both_formats_are_verified_with_every_claim() {
    let v2 = Profile::Realm2_0 { instance: [1; 33], private_mec: true };
    for profile in [Profile::Realm1_0, v2] {
        for (name, size) in [SHA256, ("sha-384", 48), ("sha-512", 64)] {
            for format in [Format::Tag399, Format::Tag907] {
                let bytes = token(profile, (name, size), format, &SAMPLE_KEY);
                let verified = verify(&bytes, &platform_key()).unwrap();
                assert_eq!(verified.challenge, CHALLENGE);
                let words = PERSONALIZATION.map(u64::to_le_bytes).concat();
                assert_eq!(verified.personalization, words);
                assert_eq!(verified.algorithm, name);
                assert_eq!(verified.initial, vec![0x11; size]);
                for (index, value) in verified.extensible.iter().zip(2..) {
                    assert_eq!(*index, vec![value; size]);
                }
                let (instance, mec) = match profile {
                    Profile::Realm1_0 => (None, None),
                    Profile::Realm2_0 { .. } => (Some(vec![1; 33]), Some(1)),
                };
                assert_eq!((verified.instance, verified.mec_policy), (instance, mec));
                assert_eq!(verified.lifecycle, 0x3003);
            }
        }
    }
}

/// Asserts that the token is refused with any one of these bits changed.
fn refuse_changes(bytes: &[u8], bits: impl Iterator<Item = usize>) {
    let key = platform_key();
    let mut changed = bytes.to_vec();
    for bit in bits {
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&changed, &key).is_err(), "byte {} bit {}", bit / 8, bit % 8);
        changed[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_token_with_any_one_bit_changed_is_refused() {
    let token = |format| token(Profile::Realm1_0, SHA256, format, &SAMPLE_KEY);
    let bytes = token(Format::Tag399);
    std::thread::scope(|scope| {
        for first in 0..2 {
            let bytes = &bytes;
            scope.spawn(move || refuse_changes(bytes, (first..8 * bytes.len()).step_by(2)));
        }
    });
    // In the other format only the part around the two tokens differs.
    let other = token(Format::Tag907);
    let realm = other.len() - 590;
    refuse_changes(&other, 0..8 * 14);
    refuse_changes(&other, 8 * (realm - 10)..8 * realm);
    for bytes in [bytes, other] {
        let longer = [&bytes[..], &[0]].concat();
        assert!(verify(&longer, &platform_key()).is_err());
        assert!(verify(&bytes[..bytes.len() - 1], &platform_key()).is_err());
    }
}

#[test]
fn a_realm_token_by_another_key_is_not_bound_to_the_platform_token() {
    let bytes = token(Profile::Realm1_0, SHA256, Format::Tag399, &[7; 48]);
    assert_eq!(verify(&bytes, &platform_key()), Err(Refused::Binding));
}
