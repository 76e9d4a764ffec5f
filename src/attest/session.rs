// SPDX-License-Identifier: BSD-3-Clause
//! The token of a REC: INIT makes it from the Realm's current claims, CONTINUE signs it step by
//! step, then hands it out in pieces.
//!
//! It is in two auxiliary granules of the REC. Each call of the REC is a step:
//!
//! | State | INIT | CONTINUE |
//! | --- | --- | --- |
//! | none | makes claims; signing | an error |
//! | signing | abandons the token, then as from none | continues to sign; when signed, ready |
//! | ready | as from none | hands out bytes; after the last one none |

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
    /// Bytes handed out so far.
    offset: usize,
    /// The ticket of the request to EL3; 0 for none.
    ticket: u64,
}

// SAFETY: zero means no token; granule 9 has no other content.
unsafe impl AuxiliaryContent for Session {
    const GRANULE: usize = 9;
}

/// A token, before and after it is signed.
#[derive(Debug)]
#[repr(C)]
struct Signing {
    token: RealmToken,
    key: Option<&'static RealmKey>,
    is_signed: bool,
}

// SAFETY: zero is an empty token; granule 10 has no other content. `run` uses its own memory, and
// the key, which is at the same address on all CPUs.
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

/// Begins a token with these claims. Abandons an earlier one.
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

/// Continues to sign. Returns whether the token was ready before this call: the call that ends
/// signing copies nothing, so an interrupt waits for only one of the two. EL3 gets `cookie`.
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

/// Asks EL3 for the signature. Returns whether it is complete.
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
/// piece, each with its offset from the first. Returns their number, and whether more follow. The
/// last byte ends the token.
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
