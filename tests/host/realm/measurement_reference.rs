// SPDX-License-Identifier: BSD-3-Clause
//! An independent computation of Realm measurements: it lays out whole structures and hashes them
//! with another implementation.

use orion::hazardous::hash::sha2::{sha256::Sha256, sha512::Sha512};
use rmm::realm::measurement::HashAlgorithm;

/// The hash of `message`, padded with zeros to 64 bytes.
pub fn hash(algorithm: HashAlgorithm, message: &[u8]) -> [u8; 64] {
    let mut value = [0; 64];
    match algorithm {
        HashAlgorithm::Sha256 => {
            value[..32].copy_from_slice(Sha256::digest(message).expect("short enough").as_ref());
        }
        HashAlgorithm::Sha512 => {
            value.copy_from_slice(Sha512::digest(message).expect("short enough").as_ref());
        }
    }
    value
}

/// The bytes of words in memory order.
pub fn bytes<const WORDS: usize, const BYTES: usize>(words: &[u64; WORDS]) -> [u8; BYTES] {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.try_into().expect("eight times as many")
}

/// A page of zeros with these fields: offset and bytes.
pub fn page(fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut page = vec![0; 4096];
    for (offset, bytes) in fields {
        page[*offset..*offset + bytes.len()].copy_from_slice(bytes);
    }
    page
}

/// The measured fields of RmiRealmParams: flags, s2sz, sve_vl, num_bps, num_wps, pmu_num_ctrs.
pub type RealmFields = (u64, [u32; 5]);

/// The measurement of a Realm just created.
pub fn initial(algorithm: HashAlgorithm, (flags, numbers): RealmFields) -> [u8; 64] {
    let bytes: Vec<[u8; 4]> = numbers.iter().map(|number| number.to_le_bytes()).collect();
    let number = match algorithm {
        HashAlgorithm::Sha256 => [0],
        HashAlgorithm::Sha512 => [1],
    };
    let structure = page(&[
        (0x00, &flags.to_le_bytes()),
        (0x08, &bytes[0]),
        (0x10, &bytes[1]),
        (0x18, &bytes[2]),
        (0x20, &bytes[3]),
        (0x28, &bytes[4]),
        (0x30, &number),
    ]);
    hash(algorithm, &structure)
}

/// A measurement extended by a descriptor of the kind `kind` with `fields`.
fn extend(
    algorithm: HashAlgorithm,
    measurement: &[u8; 64],
    kind: u8,
    fields: &[(usize, &[u8])],
) -> [u8; 64] {
    let mut all: Vec<(usize, &[u8])> = vec![(0x0, &[]), (0x8, &[0, 1]), (0x10, measurement)];
    let kind = [kind];
    all[0].1 = &kind;
    all.extend_from_slice(fields);
    hash(algorithm, &page(&all)[..0x100])
}

/// A measurement extended by RMI_DATA_CREATE.
pub fn data(
    algorithm: HashAlgorithm,
    measurement: &[u8; 64],
    ipa: u64,
    flags: u64,
    content: Option<&[u8]>,
) -> [u8; 64] {
    let content = content.map_or([0; 64], |content| hash(algorithm, content));
    let fields: [(usize, &[u8]); 3] =
        [(0x50, &ipa.to_le_bytes()), (0x58, &flags.to_le_bytes()), (0x60, &content)];
    extend(algorithm, measurement, 0, &fields)
}

/// A measurement extended by RMI_REC_CREATE of a runnable REC.
pub fn rec(
    algorithm: HashAlgorithm,
    measurement: &[u8; 64],
    flags: u64,
    pc: u64,
    gprs: [u64; 8],
) -> [u8; 64] {
    let gprs: Vec<u8> = gprs.iter().flat_map(|gpr| gpr.to_le_bytes()).collect();
    let structure =
        page(&[(0x0, &flags.to_le_bytes()), (0x200, &pc.to_le_bytes()), (0x300, &gprs)]);
    extend(algorithm, measurement, 1, &[(0x50, &hash(algorithm, &structure))])
}

/// A measurement extended by one step of RMI_RTT_INIT_RIPAS.
pub fn ripas(algorithm: HashAlgorithm, measurement: &[u8; 64], base: u64, top: u64) -> [u8; 64] {
    extend(algorithm, measurement, 2, &[(0x50, &base.to_le_bytes()), (0x58, &top.to_le_bytes())])
}
