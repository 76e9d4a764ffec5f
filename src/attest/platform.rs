// SPDX-License-Identifier: BSD-3-Clause
//! Attestation data that EL3 gives at a cold boot: the Realm attestation key, and the platform
//! token that is bound to it.

use p384::elliptic_curve::zeroize::Zeroizing;

use super::key::{POINT_SIZE, PublicKey, RealmKey, SCALAR_SIZE};
use super::remote::RemoteSigner;
use super::token::Format;
use crate::el3::services::{self, Hunk, Refusal};
use crate::el3::version::{Dialect, InterfaceVersion};
use crate::mem::{LentBuffer, SHARED_BUFFER_SIZE, SharedBuffer};

/// The longest platform token.
pub const MAX_PLATFORM_TOKEN: usize = 4096;
/// The greatest number of tries of a call that EL3 answers with "again".
const MAX_TRIES: usize = 10_000;

/// Why there are no tokens. Realms run without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// EL3 refuses a service.
    #[error("EL3 refuses: {0}")]
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

/// The holder of the Realm attestation key, which signs.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one value, for good")]
pub enum Signer {
    /// The RMM.
    Key(RealmKey),
    /// EL3.
    El3(RemoteSigner),
}

/// What all Realm tokens have in common.
#[derive(Debug)]
pub struct Platform {
    signer: Signer,
    public: PublicKey,
    token: &'static [u8],
    format: Format,
    dialect: Dialect,
}

impl Platform {
    /// Asks EL3, at a cold boot. The platform token is kept in `room`. The page shared with EL3 is
    /// zero afterwards.
    ///
    /// # Errors
    ///
    /// [`Unavailable`].
    pub fn ask(
        mut buffer: SharedBuffer,
        version: InterfaceVersion,
        room: &'static mut [u8],
    ) -> Result<Self, Unavailable> {
        let dialect = version.dialect();
        if version.has_features() && services::signs_tokens() == Ok(true) {
            let public = buffer.lend(realm_public_key)?;
            let token = bound_token(&mut buffer, &public, version, room)?;
            let signer = Signer::El3(RemoteSigner::new(buffer));
            return Ok(Self { signer, public, token, format: format(dialect), dialect });
        }
        let key = buffer.lend(realm_key)?;
        let public = key.public().ok_or(Unavailable::Key)?;
        let token = bound_token(&mut buffer, &public, version, room)?;
        let signer = Signer::Key(key);
        Ok(Self { signer, public, token, format: format(dialect), dialect })
    }

    /// With a key and the platform token that is bound to it.
    pub fn new(key: RealmKey, dialect: Dialect, token: &'static [u8]) -> Option<Self> {
        let public = key.public()?;
        Some(Self { signer: Signer::Key(key), public, token, format: format(dialect), dialect })
    }

    /// Who signs.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The public half of the key.
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
        self.token
    }
}

/// The format of CCA tokens: that of the dialect, unless the environment variable RMM_CCA_TOKEN
/// chose another at build time.
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

/// Fetches the platform token for this key.
fn bound_token(
    buffer: &mut SharedBuffer,
    public: &PublicKey,
    version: InterfaceVersion,
    room: &'static mut [u8],
) -> Result<&'static [u8], Unavailable> {
    let size = buffer.lend(|buffer| platform_token(buffer, &public.binding(), version, room))?;
    room.get(..size).ok_or(Unavailable::Token)
}

fn realm_public_key(buffer: &mut LentBuffer<'_>) -> Result<PublicKey, Unavailable> {
    let size = services::realm_public_key(buffer.address(), SHARED_BUFFER_SIZE)?;
    let mut point = [0; POINT_SIZE];
    buffer.read(&mut point);
    let is_point = size == point.len() as u64;
    PublicKey::from_point(&point).filter(|_| is_point).ok_or(Unavailable::Key)
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
        // Versions without hunks do not have the output `remaining`.
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
