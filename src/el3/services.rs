// SPDX-License-Identifier: BSD-3-Clause
//! EL3's services for the RMM (RMM-EL3 communication interface; for granules also RMM spec 1.0
//! (DEN0137), "Granule Transition Service").
//!
//! Each call is one SMC that returns a signed status in x0. A granule's Physical Address Space and
//! its state change together, here and nowhere else.

use crate::abi::el3::{self as function, status, token_sign};
pub use crate::abi::el3::{BOOT_COMPLETE, REQ_COMPLETE as REQUEST_COMPLETE};
use crate::address::PhysAddr;
use crate::arch::smc::{Registers, smc};
use crate::arch::wait::halt;
use crate::el3::error::BootStatus;
use crate::granule::LockedGranule;
use crate::granule::state::{Delegated, Ns, Wiped};

/// Why EL3 refused: a status in x0 other than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// -2: EL3 does not manage this address.
    #[error("it does not manage the address")]
    BadAddress,
    /// -3: the granule is not in the Physical Address Space that the service starts from.
    #[error("the granule is in another Physical Address Space")]
    BadPas,
    /// -4: no memory, or no such service.
    #[error("it has no memory")]
    NoMemory,
    /// -6: EL3 is busy; repeat the same call.
    #[error("it is busy")]
    Again,
    /// Any other status.
    #[error("status {0}")]
    Other(i64),
}

impl Refusal {
    fn from_status(status: u64) -> Self {
        match status.cast_signed() {
            status::BAD_ADDRESS => Self::BadAddress,
            status::BAD_PAS => Self::BadPas,
            status::NO_MEMORY => Self::NoMemory,
            status::AGAIN => Self::Again,
            other => Self::Other(other),
        }
    }
}

/// Calls a service: its identifier, then its arguments. Returns x1 and x2 if EL3 reports success.
fn call_for_two<const ARGUMENTS: usize>(service: [u64; ARGUMENTS]) -> Result<[u64; 2], Refusal> {
    let [status, x1, x2, ..]: Registers = smc(service);
    if status == 0 { Ok([x1, x2]) } else { Err(Refusal::from_status(status)) }
}

/// As [`call_for_two`], but returns only x1.
fn call<const ARGUMENTS: usize>(service: [u64; ARGUMENTS]) -> Result<u64, Refusal> {
    call_for_two(service).map(|[x1, _]| x1)
}

/// Asks EL3 to move a granule from Non-secure to Realm PAS. EL3 cleans and invalidates the caches
/// for it. Its content is unknown: the host wrote it last.
///
/// # Errors
///
/// The [`Refusal`], such as for a granule of the Root or Secure PAS. The granule is unlocked in its
/// former state.
#[inline]
pub fn delegate(granule: LockedGranule<'_, Ns>) -> Result<LockedGranule<'_, Delegated>, Refusal> {
    call([function::GRANULE_DELEGATE, granule.address().get().get()])?;
    Ok(granule.transition())
}

/// Asks EL3 to move a zeroed granule from Realm to Non-secure PAS.
///
/// # Errors
///
/// The [`Refusal`]: EL3 and the RMM disagree about the granule's PAS. The granule is unlocked, in
/// state Delegated.
#[inline]
pub fn undelegate(granule: LockedGranule<'_, Wiped>) -> Result<LockedGranule<'_, Ns>, Refusal> {
    call([function::GRANULE_UNDELEGATE, granule.address().get().get()])?;
    Ok(granule.transition())
}

/// Requests `size` bytes of Realm memory, aligned to 2^`alignment` bytes. They stay the RMM's.
/// Valid only before the boot of the first CPU is complete.
///
/// # Errors
///
/// The [`Refusal`]; [`Refusal::NoMemory`] also from an EL3 that reserves no memory.
pub fn reserve_memory(size: u64, alignment: u8) -> Result<PhysAddr, Refusal> {
    call([function::RESERVE_MEMORY, size, u64::from(alignment) << 56]).map(PhysAddr::new)
}

/// Asks EL3 to write the Realm attestation key, on P-384, to a buffer in the page shared with it.
/// Returns the bytes of the key: a scalar, big-endian.
///
/// # Errors
///
/// The [`Refusal`].
pub fn realm_key(buffer: PhysAddr, size: usize) -> Result<u64, Refusal> {
    const P384: u64 = 0;
    call([function::ATTEST_GET_REALM_KEY, buffer.get(), size as u64, P384])
}

/// A part of the platform token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// Its bytes.
    pub size: u64,
    /// Bytes of the token after this hunk. Undefined if EL3 does not support hunks.
    pub remaining: u64,
}

/// Asks EL3 to write a hunk of the platform token to a buffer in the page shared with it. If
/// `challenge_size` is not 0 the buffer holds a challenge of that size, and EL3 writes the first
/// hunk; otherwise it writes the next.
///
/// # Errors
///
/// The [`Refusal`]; [`Refusal::Again`] while EL3 has no answer yet.
pub fn platform_token(
    buffer: PhysAddr,
    size: usize,
    challenge_size: usize,
) -> Result<Hunk, Refusal> {
    let service = function::ATTEST_GET_PLAT_TOKEN;
    let [size, remaining] =
        call_for_two([service, buffer.get(), size as u64, challenge_size as u64])?;
    Ok(Hunk { size, remaining })
}

/// Whether EL3 signs tokens of Realms itself. The key then stays at EL3.
///
/// # Errors
///
/// The [`Refusal`].
pub fn signs_tokens() -> Result<bool, Refusal> {
    const REGISTER: u64 = 0;
    Ok(call([function::EL3_FEATURES, REGISTER])? & token_sign::FEATURE != 0)
}

/// Asks EL3 to write the public half of the Realm attestation key, on P-384, to a buffer in the
/// page shared with it. Returns its size.
///
/// # Errors
///
/// The [`Refusal`].
pub fn realm_public_key(buffer: PhysAddr, size: usize) -> Result<u64, Refusal> {
    let service = function::EL3_TOKEN_SIGN;
    let curve = u64::from(token_sign::P384);
    call([service, token_sign::PUBLIC_KEY, buffer.get(), size as u64, curve])
}

/// Asks EL3 to take the [`token_sign::Request`] in a buffer in the page shared with it.
///
/// # Errors
///
/// The [`Refusal`]; [`Refusal::Again`] while EL3 takes no more requests.
pub fn push_to_sign(buffer: PhysAddr) -> Result<(), Refusal> {
    let size = size_of::<token_sign::Request>() as u64;
    call([function::EL3_TOKEN_SIGN, token_sign::PUSH, buffer.get(), size]).map(drop)
}

/// Asks EL3 to write a [`token_sign::Response`] to a buffer in the page shared with it.
///
/// # Errors
///
/// The [`Refusal`]; [`Refusal::Again`] while there is no response.
pub fn pull_signature(buffer: PhysAddr) -> Result<(), Refusal> {
    let size = size_of::<token_sign::Response>() as u64;
    call([function::EL3_TOKEN_SIGN, token_sign::PULL, buffer.get(), size]).map(drop)
}

/// Tells EL3 that this CPU does not boot. EL3 runs the host on it and does not return.
pub fn refuse_boot(status: BootStatus) -> ! {
    smc([BOOT_COMPLETE, status.to_register(), 0]);
    halt()
}
