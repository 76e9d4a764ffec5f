// SPDX-License-Identifier: BSD-3-Clause
//! RSI_ATTESTATION_TOKEN_INIT, RSI_ATTESTATION_TOKEN_CONTINUE: the RMM makes a token and copies it
//! to the Realm's memory.

use zerocopy::IntoBytes;

use super::call::{Answer, Failure, Outcome, Status};
use super::memory::missing;
use crate::address::{GRANULE_SIZE, native};
use crate::arch::atomic::{AtomicU64, Ordering};
use crate::attest::claims::{Claims, INSTANCE_SIZE, Profile};
use crate::attest::session::{self, TokenError};
use crate::el3::version::Dialect;
use crate::realm::rd::RealmDescriptor;
use crate::realm::running::Caller;

/// The greatest size of a token that INIT reports: a Realm may have only one page for it.
const MAX_TOKEN: u64 = GRANULE_SIZE;

impl From<TokenError> for Status {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::None => Self::State,
            TokenError::Unsigned => Self::Unknown,
        }
    }
}

/// RSI_ATTESTATION_TOKEN_INIT. The token holds the measurements as they are now.
#[expect(clippy::too_many_arguments, reason = "they are the registers of the command")]
pub(super) fn init(
    caller: &mut Caller<'_, '_, '_>,
    c0: u64,
    c1: u64,
    c2: u64,
    c3: u64,
    c4: u64,
    c5: u64,
    c6: u64,
    c7: u64,
) -> Outcome<1> {
    let realm = &mut *caller.realm;
    let platform = realm.platform.ok_or(Status::Unknown)?;
    let (initial, extensible, personalization, profile) = realm.with_descriptor(|realm| {
        let profile = match platform.dialect() {
            Dialect::V1_0 => Profile::Realm1_0,
            Dialect::V2_0 => profile_2_0(realm),
        };
        let measurements = (realm.initial_measurement, realm.extensible_measurements);
        (measurements.0, measurements.1, realm.personalization, profile)
    });
    let (algorithm, size) = initial.algorithm().name_and_size();
    let hash = |value| <[u64]>::as_bytes(value).get(..size).unwrap_or_default();
    let [r0, r1, r2, r3] = &extensible;
    let claims = Claims {
        profile,
        challenge: &[c0, c1, c2, c3, c4, c5, c6, c7],
        personalization: &personalization,
        algorithm,
        initial: hash(initial.value()),
        extensible: [hash(r0), hash(r1), hash(r2), hash(r3)],
        key: platform.public(),
    };
    session::begin(&mut realm.auxiliary, platform, &claims).map_err(|_| Status::Unknown)?;
    Ok(Answer::Return([MAX_TOKEN]))
}

/// The profile of RMM 2.0. No Realm has a memory encryption context of its own.
fn profile_2_0(realm: &mut RealmDescriptor) -> Profile {
    let mut instance = [1; INSTANCE_SIZE];
    let [_, random @ ..] = &mut instance;
    *random = realm.instance();
    Profile::Realm2_0 { instance, private_mec: false }
}

/// RSI_ATTESTATION_TOKEN_CONTINUE. Signs until the token is ready or an interrupt is pending.
/// Copies the next bytes of a ready token, at most `size`, to byte `offset` and up of the page at
/// `address`.
pub(super) fn proceed(
    caller: &mut Caller<'_, '_, '_>,
    address: u64,
    offset: u64,
    size: u64,
) -> Outcome<1> {
    let realm = &mut *caller.realm;
    let page = realm.stage2().protected_granule(address)?;
    let inside = offset.checked_add(size).is_some_and(|end| end <= GRANULE_SIZE);
    if offset >= GRANULE_SIZE || !inside {
        return Err(Status::Input.into());
    }
    let platform = realm.platform.ok_or(Status::State)?;
    let cookie = realm.identity.realm.get().get();
    if !session::sign(&mut realm.auxiliary, platform, cookie)? {
        return Err(INCOMPLETE);
    }
    let auxiliary = &mut realm.auxiliary;
    let copied = realm.memory.with_page(page, |words| {
        session::read(auxiliary, platform, native(size), |at, bytes| {
            write(words, native(offset) + at, bytes);
        })
    });
    let (read, more) = copied.map_err(|reason| missing(page, reason))??;
    if more {
        return Err(Failure::Status(Status::Incomplete, [read as u64, 0, 0]));
    }
    Ok(Answer::Return([read as u64]))
}

/// Nothing was copied; the Realm calls again.
const INCOMPLETE: Failure = Failure::Status(Status::Incomplete, [0; 3]);

/// Writes bytes from byte `offset` of the words on. Other bytes of a word stay as they are, even if
/// the Realm changes them meanwhile.
fn write(words: &[AtomicU64], offset: usize, bytes: &[u8]) {
    const WORD: usize = size_of::<u64>();
    let skip = offset % WORD;
    let lead = if skip == 0 { 0 } else { bytes.len().min(WORD - skip) };
    let (lead, rest) = bytes.split_at(lead);
    let (whole, tail) = rest.as_chunks();
    let mut words = words.iter().skip(offset / WORD);
    if !lead.is_empty() {
        merge(words.next(), skip, lead);
    }
    for bytes in whole {
        if let Some(word) = words.next() {
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
    }
    if !tail.is_empty() {
        merge(words.next(), 0, tail);
    }
}

/// Writes bytes from byte `skip` of a word on.
fn merge(word: Option<&AtomicU64>, skip: usize, bytes: &[u8]) {
    let Some(word) = word else { return };
    let merged = |old: u64| {
        let mut new = old.to_le_bytes();
        for (to, from) in new.iter_mut().skip(skip).zip(bytes) {
            *to = *from;
        }
        Some(u64::from_le_bytes(new))
    };
    let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, merged);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_from_any_offset_and_others_stay() {
        for offset in 0..20 {
            for length in 0..20 {
                let words: [AtomicU64; 8] = [const { AtomicU64::new(!0) }; 8];
                let bytes: Vec<u8> = (1..=length).collect();
                write(&words, offset, &bytes);
                let written: Vec<u8> = words
                    .iter()
                    .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes())
                    .collect();
                let mut expected = vec![0xff; 64];
                expected[offset..offset + bytes.len()].copy_from_slice(&bytes);
                assert_eq!(written, expected);
            }
        }
    }
}
