// SPDX-License-Identifier: BSD-3-Clause
//! EL3_TOKEN_SIGN: one request at a time. The response comes after a few polls; before that, the
//! RMM gets a response that it has not asked for.

use p384::ecdsa::signature::hazmat::PrehashSigner;
use p384::ecdsa::{Signature, SigningKey};
use rmm_abi::el3::token_sign::{P384, PUBLIC_KEY, PULL, PUSH, Request, Response, SHA384};
use rmm_test_firmware::REALM_KEY;
use spin::Mutex;
use zerocopy::{FromZeros, IntoBytes};

use super::Status;
use super::attestation::{buffer_start, read, write};
use crate::boot::options;
use crate::world::Frame;

/// The request, and how often its response has been polled.
static REQUEST: Mutex<Option<(Request, u32)>> = Mutex::new(None);
/// The number of polls without a response.
const EARLY: u32 = 3;

/// Serves the call.
pub fn serve(frame: &mut Frame) -> Status {
    let [_, operation, address, size, curve] = core::array::from_fn(|index| frame.x[index]);
    if options().el3_signs == 0 {
        return Status::Unknown;
    }
    let start = match buffer_start(address, size) {
        Ok(start) => start,
        Err(status) => return status,
    };
    match operation {
        PUSH if size == size_of::<Request>() as u64 => push(start),
        PULL if size == size_of::<Response>() as u64 => pull(start),
        PUBLIC_KEY if curve == u64::from(P384) => public_key(start, size, &mut frame.x[1]),
        _ => Status::Invalid,
    }
}

fn key() -> Option<SigningKey> {
    SigningKey::from_slice(&REALM_KEY).ok()
}

fn public_key(start: usize, size: u64, length: &mut u64) -> Status {
    let Some(key) = key() else { return Status::Invalid };
    let point = key.verifying_key().to_sec1_point(false);
    let bytes = point.as_bytes();
    if size < bytes.len() as u64 {
        return Status::Invalid;
    }
    write(start, bytes);
    *length = bytes.len() as u64;
    Status::Ok
}

fn push(start: usize) -> Status {
    let mut waiting = REQUEST.lock();
    if waiting.is_some() {
        return Status::Again;
    }
    let mut request = Request::new_zeroed();
    read(start, request.as_mut_bytes());
    if (request.curve, request.hash) != (P384, SHA384) {
        return Status::Invalid;
    }
    *waiting = Some((request, 0));
    Status::Ok
}

fn pull(start: usize) -> Status {
    let mut waiting = REQUEST.lock();
    let Some((request, asked)) = waiting.as_mut() else { return Status::Again };
    *asked += 1;
    let mut response = Response::new_zeroed();
    (response.cookie, response.ticket) = (request.cookie, request.ticket);
    match *asked {
        1 => (response.ticket, response.size) = (!request.ticket, 96),
        2..=EARLY => return Status::Again,
        _ => {
            let Some((digest, _)) = request.digest.split_at_checked(48) else {
                return Status::Invalid;
            };
            let signed = key().and_then(|key| key.sign_prehash(digest).ok());
            let Some(signature) = signed.map(|signature: Signature| signature.to_bytes()) else {
                return Status::Invalid;
            };
            response.size = 96;
            response.signature[..96].copy_from_slice(&signature);
            *waiting = None;
        }
    }
    write(start, response.as_bytes());
    Status::Ok
}
