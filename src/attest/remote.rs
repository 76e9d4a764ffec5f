// SPDX-License-Identifier: BSD-3-Clause
//! Signatures by EL3, which keeps the Realm attestation key: requests are pushed and responses
//! pulled, one at a time. A REC may pull the response for another REC.
//!
//! Each request has a ticket. A table holds requests without a response, and responses that their
//! REC has not fetched yet. If it is full a new request replaces the oldest, whose REC then asks
//! again. A response whose ticket is not in the table is dropped: its token was abandoned or asked
//! for anew.

use zerocopy::IntoBytes;

use super::key::{DIGEST_SIZE, SIGNATURE_SIZE};
use crate::abi::el3::token_sign::{P384, Request, Response, SHA384};
use crate::el3::services::{self, Refusal};
use crate::mem::SharedBuffer;

/// Requests in the table.
const TABLE: usize = 8;

/// EL3 refused to sign, or its response is not a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSigned;

/// The progress of a request.
#[derive(Clone, Copy, Debug)]
enum Progress {
    Asked,
    Answered(Result<[u8; SIGNATURE_SIZE], NotSigned>),
}

/// A request. Ticket 0 means none.
#[derive(Clone, Copy, Debug)]
struct Slot {
    ticket: u64,
    progress: Progress,
}

#[derive(Debug)]
struct State {
    buffer: SharedBuffer,
    last_ticket: u64,
    table: [Slot; TABLE],
}

/// EL3 as a signer.
#[derive(Debug)]
pub struct RemoteSigner(spin::Mutex<State>);

impl RemoteSigner {
    /// A signer that is asked through this page, which is shared with EL3.
    pub fn new(buffer: SharedBuffer) -> Self {
        let free = Slot { ticket: 0, progress: Progress::Asked };
        Self(spin::Mutex::new(State { buffer, last_ticket: 0, table: [free; TABLE] }))
    }

    /// Requests the signature of a digest, unless `ticket` is that of a request in the table.
    /// Returns the signature if EL3 has made it. `cookie` identifies the requester to EL3.
    ///
    /// # Errors
    ///
    /// [`NotSigned`].
    pub fn poll(
        &self,
        ticket: &mut u64,
        cookie: u64,
        digest: impl FnOnce() -> [u8; DIGEST_SIZE],
    ) -> Result<Option<[u8; SIGNATURE_SIZE]>, NotSigned> {
        // If another CPU uses it this one does not wait: its REC calls again.
        let Some(mut state) = self.0.try_lock() else { return Ok(None) };
        if *ticket == 0 || state.find(*ticket).is_none() {
            *ticket = state.push(cookie, &digest())?;
        }
        state.pull();
        let Some(slot) = state.find(*ticket) else { return Ok(None) };
        let Progress::Answered(answer) = slot.progress else { return Ok(None) };
        slot.ticket = 0;
        answer.map(Some)
    }
}

impl State {
    /// The request with a ticket that is not 0.
    fn find(&mut self, ticket: u64) -> Option<&mut Slot> {
        self.table.iter_mut().find(|slot| ticket != 0 && slot.ticket == ticket)
    }

    /// Pushes a request to EL3. Returns its ticket, or 0 if EL3 takes no request now.
    fn push(&mut self, cookie: u64, digest: &[u8; DIGEST_SIZE]) -> Result<u64, NotSigned> {
        let ticket = self.last_ticket.wrapping_add(1).max(1);
        let mut request = Request {
            curve: P384,
            reserved_4: 0,
            cookie,
            ticket,
            hash: SHA384,
            reserved_1c: 0,
            digest: [0; 64],
        };
        if let Some(place) = request.digest.first_chunk_mut() {
            *place = *digest;
        }
        let pushed = self.buffer.lend(|buffer| {
            buffer.write(request.as_bytes());
            services::push_to_sign(buffer.address())
        });
        match pushed {
            Ok(()) => {}
            Err(Refusal::Again) => return Ok(0),
            Err(_) => return Err(NotSigned),
        }
        self.last_ticket = ticket;
        // A free slot, or the oldest.
        if let Some(slot) = self.table.iter_mut().min_by_key(|slot| slot.ticket) {
            *slot = Slot { ticket, progress: Progress::Asked };
        }
        Ok(ticket)
    }

    /// Takes a response, if EL3 has one.
    fn pull(&mut self) {
        let mut response: Response = zerocopy::FromZeros::new_zeroed();
        let pulled = self.buffer.lend(|buffer| {
            let pulled = services::pull_signature(buffer.address());
            buffer.read(response.as_mut_bytes());
            pulled
        });
        if pulled.is_err() {
            return;
        }
        let is_signature = usize::from(response.size) == SIGNATURE_SIZE;
        let signature = response.signature.first_chunk().copied().filter(|_| is_signature);
        if let Some(slot) = self.find(response.ticket) {
            slot.progress = Progress::Answered(signature.ok_or(NotSigned));
        }
    }
}
