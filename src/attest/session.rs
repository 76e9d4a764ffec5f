// SPDX-License-Identifier: BSD-3-Clause
//! The token of a REC: made from the Realm's claims at that moment, signed step by step while the
//! REC runs, and handed out in pieces.
//!
//! It is in two auxiliary granules of the REC, and each step is a call of the REC:
//!
//! | State | INIT | CONTINUE |
//! | --- | --- | --- |
//! | none | claims are made, signing | an error |
//! | signing | abandons it, and as from none | signs on; at the end of it ready |
//! | ready | as from none | hands out bytes; behind the last none |

use super::cbor::NoRoom;
use super::claims::Claims;
use super::key::RealmKey;
use super::platform::{Platform, Signer};
use super::remote::{NotSigned, RemoteSigner};
use super::token::{CcaToken, RealmToken};
use crate::arch::fiber::Stopped;
use crate::mem::{AuxiliaryContent, RunningAuxiliary, Work};

/// How far a token has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    None = 0,
    Signing = 1,
    Ready = 2,
}

/// The state of a token.
#[derive(Debug)]
#[repr(C)]
struct Session {
    phase: Phase,
    /// Bytes that were handed out.
    offset: usize,
    /// What EL3 was asked for; 0: nothing.
    ticket: u64,
}

// SAFETY: zero is no token; granule 9 has this content alone.
unsafe impl AuxiliaryContent for Session {
    const GRANULE: usize = 9;
}

/// A token that is to be signed, or is.
#[derive(Debug)]
#[repr(C)]
struct Signing {
    token: RealmToken,
    key: Option<&'static RealmKey>,
    is_signed: bool,
}

// SAFETY: zero is an empty token; granule 10 has this content alone. `run` uses its own memory, and
// the key, which all CPUs have at one address.
unsafe impl Work for Signing {
    const GRANULE: usize = 10;

    fn run(&mut self) {
        let Some(key) = self.key else { return };
        if let Some(signature) = key.sign(&self.token.digest()) {
            self.token.set_signature(&signature);
            self.is_signed = true;
        }
    }
}

/// Why no token is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// There is none.
    None,
    /// It could not be signed.
    Unsigned,
}

/// Begins a token with these claims. Abandons one that there is.
///
/// # Errors
///
/// [`NoRoom`]; then there is none.
pub fn begin(
    auxiliary: &mut RunningAuxiliary<'_>,
    platform: &'static Platform,
    claims: &Claims<'_>,
) -> Result<(), NoRoom> {
    auxiliary.get::<Session>().phase = Phase::None;
    match platform.signer() {
        Signer::Key(key) => auxiliary.start_work(|signing: &mut Signing| {
            signing.key = Some(key);
            signing.token.build(claims)
        })?,
        Signer::El3(_) => {
            auxiliary.prepare_work(|signing: &mut Signing| signing.token.build(claims))?;
        }
    }
    *auxiliary.get() = Session { phase: Phase::Signing, offset: 0, ticket: 0 };
    Ok(())
}

/// Continues to sign. Gives whether the token was ready before this call: the call in which signing
/// ends copies nothing, so an interrupt waits for one of the two at most. EL3 gets `cookie`.
///
/// # Errors
///
/// [`TokenError`].
pub fn sign(
    auxiliary: &mut RunningAuxiliary<'_>,
    platform: &Platform,
    cookie: u64,
) -> Result<bool, TokenError> {
    match auxiliary.get::<Session>().phase {
        Phase::None => return Err(TokenError::None),
        Phase::Ready => return Ok(true),
        Phase::Signing => {}
    }
    match platform.signer() {
        Signer::Key(_) => {
            if auxiliary.continue_work::<Signing>() == Stopped::ByInterrupt {
                return Ok(false);
            }
        }
        Signer::El3(signer) => match sign_remotely(auxiliary, signer, cookie) {
            Ok(true) | Err(NotSigned) => {}
            Ok(false) => return Ok(false),
        },
    }
    let signed = auxiliary.work().is_some_and(|signing: &mut Signing| signing.is_signed);
    auxiliary.get::<Session>().phase = if signed { Phase::Ready } else { Phase::None };
    if signed { Ok(false) } else { Err(TokenError::Unsigned) }
}

/// Asks EL3 for the signature. Whether it is there.
fn sign_remotely(
    auxiliary: &mut RunningAuxiliary<'_>,
    signer: &RemoteSigner,
    cookie: u64,
) -> Result<bool, NotSigned> {
    let mut ticket = auxiliary.get::<Session>().ticket;
    let signing: &mut Signing = auxiliary.work().ok_or(NotSigned)?;
    let signature = signer.poll(&mut ticket, cookie, || signing.token.digest())?;
    if let Some(signature) = &signature {
        signing.token.set_signature(signature);
        signing.is_signed = true;
    }
    auxiliary.get::<Session>().ticket = ticket;
    Ok(signature.is_some())
}

/// Hands out the next bytes of a token that is ready, at most `room`. `take` gets them piece by
/// piece, each with its offset from the first. Gives their number, and whether more follow. After
/// the last byte there is no token any more.
///
/// # Errors
///
/// [`TokenError::None`].
pub fn read(
    auxiliary: &mut RunningAuxiliary<'_>,
    platform: &Platform,
    room: usize,
    take: impl FnMut(usize, &[u8]),
) -> Result<(usize, bool), TokenError> {
    let Session { phase: Phase::Ready, offset, .. } = *auxiliary.get() else {
        return Err(TokenError::None);
    };
    let signing: &Signing = auxiliary.work().ok_or(TokenError::None)?;
    let (platform, format) = (platform.token(), platform.format());
    let token = CcaToken { platform, realm: signing.token.bytes(), format };
    let read = token.read(offset, room, take);
    let more = offset + read < token.size();
    let session: &mut Session = auxiliary.get();
    session.offset += read;
    if !more {
        session.phase = Phase::None;
        auxiliary.abandon_work::<Signing>();
    }
    Ok((read, more))
}
