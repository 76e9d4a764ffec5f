// SPDX-License-Identifier: BSD-3-Clause
//! Bytes and sizes compared with published values.

use rmm::attest::claims::{Claims, Profile};
use rmm::attest::key::RealmKey;
use rmm::attest::token::{CcaToken, Format, RealmToken};
use sha2::{Digest, Sha384};

use super::{SAMPLE_KEY, hex};

#[test]
fn the_public_half_of_the_sample_key_is_what_its_platform_token_is_bound_to() {
    let public = RealmKey::new(&SAMPLE_KEY).unwrap().public().unwrap();
    let key = public.cose_key();
    assert_eq!(key[..8], [0xa4, 0x01, 0x02, 0x20, 0x02, 0x21, 0x58, 0x30]);
    assert_eq!(key[56..59], [0x22, 0x58, 0x30]);
    let (x, y) = (&key[8..56], &key[59..]);
    assert_eq!((&x[..4], &x[45..]), (&hex::<4>("76f98809")[..], &hex::<3>("23146b")[..]));
    assert_eq!((&y[..4], &y[45..]), (&hex::<4>("28e1b062")[..], &hex::<3>("9544ae")[..]));
    let binding = "0d22e08a98469058486318283489bdb36f09dbefeb1864df433fa6e54ea2d711";
    assert_eq!(public.binding(), hex(binding));
}

#[test]
fn signatures_are_those_of_rfc_6979_a_2_6() {
    let key = RealmKey::new(&hex(
        "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
    ))
    .unwrap();
    for (message, r, s) in [
        (
            "sample",
            "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36d\
            d1e80fabe46",
            "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c\
            71a38628ac8",
        ),
        (
            "test",
            "8203b63d3c853e8d77227fb377bcf7b7b772e97892a80f36ab775d509d7a5feb0542a7f0812998da8f1dd\
            3ca3cf023db",
            "ddd0760448d42d8a43af45af836fce4de8be06b485e9b61b827c2f13173923e06a739f040649a667bf3b8\
            28246baa5a5",
        ),
    ] {
        let signature = key.sign(&Sha384::digest(message).into()).unwrap();
        assert_eq!((&signature[..48], &signature[48..]), (&hex::<48>(r)[..], &hex::<48>(s)[..]));
    }
}

#[test]
fn scalars_that_are_no_key_are_refused() {
    // The order of P-384.
    let order = hex(
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    );
    let mut below: [u8; 48] = order;
    below[47] -= 1;
    for (scalar, is_key) in [([0; 48], false), (order, false), ([0xff; 48], false), (below, true)] {
        assert_eq!(RealmKey::new(&scalar).is_some(), is_key, "{scalar:02x?}");
    }
}

#[test]
fn tokens_have_the_sizes_that_are_known_of_the_c_peer() {
    let public = RealmKey::new(&SAMPLE_KEY).unwrap().public().unwrap();
    let platform = [0; 1518];
    const SHA256: (&str, usize) = ("sha-256", 32);
    const SHA384: (&str, usize) = ("sha-384", 48);
    const SHA512: (&str, usize) = ("sha-512", 64);
    let v2 = Profile::Realm2_0 { instance: [1; 33], private_mec: false };
    for (profile, (algorithm, size), format, realm_size, cca_size) in [
        (Profile::Realm1_0, SHA256, Format::Tag399, 590, 2124),
        (Profile::Realm1_0, SHA512, Format::Tag399, 750, 2284),
        (v2, SHA256, Format::Tag907, 632, 2174),
        (v2, SHA384, Format::Tag907, 712, 2254),
        (v2, SHA512, Format::Tag907, 792, 2334),
    ] {
        let claims = Claims {
            profile,
            challenge: &[2; 8],
            personalization: &[3; 8],
            algorithm,
            initial: &[4; 64][..size],
            extensible: [&[5; 64][..size]; 4],
            key: &public,
        };
        let mut token = RealmToken::EMPTY;
        token.build(&claims).unwrap();
        let bytes = token.bytes();
        assert_eq!(bytes.len(), realm_size, "{algorithm:?}");
        assert_eq!(bytes[..9], hex::<9>("d28444a1013822a059"));
        // The payload lies between its own head and the head of the signature.
        let payload = realm_size - 9 - 2 - 2 - 96;
        assert_eq!(bytes[9..11], u16::try_from(payload).unwrap().to_be_bytes());
        assert_eq!(bytes[11 + payload..][..2], [0x58, 0x60]);
        let cca = CcaToken { platform: &platform, realm: bytes, format };
        let mut whole = [0xee; 4096];
        let read = |offset, to: &mut [u8]| {
            cca.read(offset, to.len(), |at, bytes| to[at..][..bytes.len()].copy_from_slice(bytes))
        };
        assert_eq!(read(0, &mut whole), cca_size);
        assert_eq!(cca.size(), cca_size);
        let head: &[u8] = match format {
            Format::Tag399 => &hex::<10>("d9018fa219acca5905ee"),
            Format::Tag907 => &hex::<14>("d9038ba219acca821901075905ee"),
        };
        assert_eq!(&whole[..head.len()], head);
        // Reads in pieces of any size give the same token.
        for piece in [1, 7, 64, 1000] {
            let mut copy = Vec::new();
            let mut buffer = vec![0; piece];
            loop {
                let count = read(copy.len(), &mut buffer);
                copy.extend_from_slice(&buffer[..count]);
                if count < piece {
                    break;
                }
            }
            assert_eq!(copy, whole[..cca_size], "{piece}");
        }
        assert_eq!(read(cca_size, &mut [0; 8]), 0);
        assert_eq!(read(usize::MAX, &mut [0; 8]), 0);
    }
}
