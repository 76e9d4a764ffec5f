// SPDX-License-Identifier: BSD-3-Clause
//! Makes the platform token that the test EL3 serves, and compares it with the file in the tree.

use rmm::attest::cbor::{Encoder, NoRoom};
use rmm::attest::key::{RealmKey, SIGNATURE_SIZE};
use sha2::{Digest, Sha384};

use super::SAMPLE_KEY;

/// The path of the file.
const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/qemu/firmware/src/el3/rmmd_services/platform_token.cbor"
);
/// The content of the file.
pub const TOKEN: &[u8] =
    include_bytes!("../../qemu/firmware/src/el3/rmmd_services/platform_token.cbor");
/// The key that signs it. It is not secret.
const PLATFORM_KEY: [u8; 48] = [0x17; 48];
/// The size of the token that TF-A serves on QEMU.
const SIZE: usize = 1518;

/// The public half of the key, an uncompressed point.
pub fn platform_key() -> Vec<u8> {
    let public = RealmKey::new(&PLATFORM_KEY).unwrap().public().unwrap();
    let key = public.cose_key();
    [&[4][..], &key[8..56], &key[59..]].concat()
}

/// The claims of a platform token. `component` writes a software component: signer, measurement and
/// name.
fn claims(cbor: &mut Encoder<'_>, configuration: &[u8]) -> Result<(), NoRoom> {
    const COMPONENTS: [&str; 6] = ["RSE_BL1_2", "RSE_BL2", "RSE_S", "AP_BL1", "SOC_FW_BL31", "RMM"];
    let binding = RealmKey::new(&SAMPLE_KEY).unwrap().public().unwrap().binding();
    let mut instance = [0xa5; 33];
    instance[0] = 1;
    cbor.map(9)?;
    cbor.int(265)?.text("tag:arm.com,2023:cca_platform#1.0.0")?;
    cbor.int(10)?.bytes(&binding)?;
    cbor.int(2396)?.bytes(&[0x5a; 32])?;
    cbor.int(256)?.bytes(&instance)?;
    cbor.int(2401)?.bytes(configuration)?;
    cbor.int(2395)?.int(0x3003)?;
    cbor.int(2402)?.text("sha-256")?;
    cbor.int(2400)?.text("https://verifier.example/cca")?;
    cbor.int(2399)?.array(COMPONENTS.len() as u64)?;
    for (number, name) in (1_u8..).zip(COMPONENTS) {
        cbor.map(4)?.int(1)?.text(name)?.int(5)?.bytes(&[0x40 + number; 32])?;
        cbor.int(2)?.bytes(&[0x80 + number; 32])?.int(6)?.text("sha-256")?;
    }
    Ok(())
}

/// The COSE_Sign1 of a platform token with this configuration.
fn token(configuration: &[u8]) -> Vec<u8> {
    const PROTECTED: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];
    let mut payload = [0; 4096];
    let mut cbor = Encoder::new(&mut payload);
    claims(&mut cbor, configuration).unwrap();
    let used = cbor.used();
    let payload = &payload[..used];
    let mut signed = [0; 4096];
    let mut cbor = Encoder::new(&mut signed);
    let structure = cbor.array(4).unwrap().text("Signature1").unwrap();
    structure.bytes(&PROTECTED).unwrap().bytes(&[]).unwrap().bytes(payload).unwrap();
    let used = cbor.used();
    let key = RealmKey::new(&PLATFORM_KEY).unwrap();
    let signature: [u8; SIGNATURE_SIZE] =
        key.sign(&Sha384::digest(&signed[..used]).into()).unwrap();
    let mut token = [0; 4096];
    let mut cbor = Encoder::new(&mut token);
    cbor.tag(18).unwrap().array(4).unwrap().bytes(&PROTECTED).unwrap().map(0).unwrap();
    cbor.bytes(payload).unwrap().bytes(&signature).unwrap();
    let used = cbor.used();
    token[..used].to_vec()
}

#[test]
fn the_platform_token_of_the_test_el3_is_the_one_made_here() {
    const SHORT: usize = 256;
    let room = SIZE - token(&[0; SHORT]).len();
    let made = token(&vec![0xcf; SHORT + room]);
    assert_eq!(made.len(), SIZE);
    if std::env::var_os("RMM_UPDATE").is_some() {
        std::fs::write(PATH, &made).unwrap();
    }
    assert!(made == TOKEN, "RMM_UPDATE=1 writes the file");
}
