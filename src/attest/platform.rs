// SPDX-License-Identifier: BSD-3-Clause
//! What EL3 gives at a cold boot: the Realm attestation key, and the platform token that is bound
//! to it.

use p384::elliptic_curve::zeroize::Zeroizing;

use super::key::{PublicKey, RealmKey, SCALAR_SIZE};
use super::token::Format;
use crate::el3::services::{self, Hunk, Refusal};
use crate::el3::version::{Dialect, InterfaceVersion};
use crate::mem::{LentBuffer, SHARED_BUFFER_SIZE, SharedBuffer};

/// The longest platform token.
pub const MAX_PLATFORM_TOKEN: usize = 4096;
/// How often a call is tried that EL3 answers with "again".
const MAX_TRIES: usize = 10_000;

/// Why there are no tokens. Realms run without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// EL3 refuses a service.
    #[error("EL3 refuses: {0:?}")]
    Refused(Refusal),
    /// The key is not a scalar of P-384.
    #[error("the key is not one of P-384")]
    Key,
    /// The platform token is empty, or longer than [`MAX_PLATFORM_TOKEN`].
    #[error("the platform token is empty or too long")]
    Token,
}

impl From<Refusal> for Unavailable {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What all Realm tokens have in common.
#[derive(Debug)]
pub struct Platform {
    key: RealmKey,
    public: PublicKey,
    token: [u8; MAX_PLATFORM_TOKEN],
    token_size: usize,
    format: Format,
    dialect: Dialect,
}

impl Platform {
    /// Asks EL3, at a cold boot. The page shared with EL3 is zero afterwards.
    ///
    /// # Errors
    ///
    /// [`Unavailable`].
    pub fn ask(buffer: &mut SharedBuffer, version: InterfaceVersion) -> Result<Self, Unavailable> {
        let key = buffer.lend(realm_key)?;
        Self::new(key, version.dialect(), |binding, token| {
            buffer.lend(|buffer| platform_token(buffer, binding, version, token))
        })
    }

    /// With this key, and the platform token that `fetch` writes for a challenge. It returns the size
    /// of the token.
    ///
    /// # Errors
    ///
    /// [`Unavailable`].
    pub fn new(
        key: RealmKey,
        dialect: Dialect,
        fetch: impl FnOnce(&[u8], &mut [u8]) -> Result<usize, Unavailable>,
    ) -> Result<Self, Unavailable> {
        let public = key.public().ok_or(Unavailable::Key)?;
        let mut token = [0; MAX_PLATFORM_TOKEN];
        let token_size = fetch(&public.binding(), &mut token)?;
        Ok(Self { key, public, token, token_size, format: format(dialect), dialect })
    }

    /// The key that signs.
    pub fn key(&self) -> &RealmKey {
        &self.key
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The dialect of the RMI. It decides the profile and the format of tokens.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// How CCA tokens hold their tokens.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The platform token.
    pub fn token(&self) -> &[u8] {
        self.token.get(..self.token_size).unwrap_or_default()
    }
}

/// How CCA tokens are to hold their tokens: as the dialect says, or a build option, the environment
/// variable RMM_CCA_TOKEN.
fn format(dialect: Dialect) -> Format {
    const CHOSEN: Option<Format> = match option_env!("RMM_CCA_TOKEN") {
        Some(tag) => match u32::from_str_radix(tag, 10) {
            Ok(399) => Some(Format::Tag399),
            Ok(907) => Some(Format::Tag907),
            _ => panic!("RMM_CCA_TOKEN is 399 or 907"),
        },
        None => None,
    };
    CHOSEN.unwrap_or(match dialect {
        Dialect::V1_0 => Format::Tag399,
        Dialect::V2_0 => Format::Tag907,
    })
}

fn realm_key(buffer: &mut LentBuffer<'_>) -> Result<RealmKey, Unavailable> {
    let size = services::realm_key(buffer.address(), SHARED_BUFFER_SIZE)?;
    let mut scalar = Zeroizing::new([0; SCALAR_SIZE]);
    if size != scalar.len() as u64 {
        return Err(Unavailable::Key);
    }
    buffer.read(scalar.as_mut_slice());
    RealmKey::new(&scalar).ok_or(Unavailable::Key)
}

/// Fetches the platform token for `challenge`, hunk by hunk. Returns its size.
fn platform_token(
    buffer: &mut LentBuffer<'_>,
    challenge: &[u8],
    version: InterfaceVersion,
    token: &mut [u8],
) -> Result<usize, Unavailable> {
    buffer.write(challenge);
    let mut used = 0;
    let mut challenge_size = challenge.len();
    loop {
        let Hunk { size, remaining } = hunk(buffer, challenge_size)?;
        let place = usize::try_from(size)
            .ok()
            .filter(|size| (1..=SHARED_BUFFER_SIZE).contains(size))
            .and_then(|size| token.get_mut(used..)?.get_mut(..size))
            .ok_or(Unavailable::Token)?;
        buffer.read(place);
        used += place.len();
        // Before hunks there was no such output.
        if !version.has_token_hunks() || remaining == 0 {
            return Ok(used);
        }
        challenge_size = 0;
    }
}

fn hunk(buffer: &LentBuffer<'_>, challenge_size: usize) -> Result<Hunk, Refusal> {
    let ask = || services::platform_token(buffer.address(), SHARED_BUFFER_SIZE, challenge_size);
    let mut answer = ask();
    for _ in 1..MAX_TRIES {
        if answer != Err(Refusal::Again) {
            break;
        }
        answer = ask();
    }
    answer
}
