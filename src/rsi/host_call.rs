// SPDX-License-Identifier: BSD-3-Clause
//! RSI_HOST_CALL: a Realm passes general registers to the host and gets them back.

use core::mem::offset_of;
use core::sync::atomic::Ordering;

use super::call::{Answer, Failure, Outcome, Status};
use super::memory::missing;
use crate::abi::rmi_v1::GPRS;
use crate::abi::rsi::{RsiHostCall, status};
use crate::address::{GRANULE_SIZE, Ipa};
use crate::realm::rec::exit::Report;
use crate::realm::rec::{PendingRequest, RecState};
use crate::realm::running::{Caller, RunningRealm};
use crate::realm::stage2::Stage2;

/// The word of the structure at which the general registers begin.
const FIRST_GPR: usize = offset_of!(RsiHostCall, gprs) / 8;

/// RSI_HOST_CALL.
pub(super) fn call(caller: &mut Caller<'_, '_, '_>, address: u64) -> Outcome {
    let (page, first) = place(caller.realm.stage2(), address).ok_or(Status::Input)?;
    let gprs = &mut *caller.gprs;
    let copied = caller.realm.memory.with_page(page, |words| {
        let mut words = words.iter().skip(first).map(|word| word.load(Ordering::Relaxed));
        let [b0, b1, ..] = words.next().unwrap_or(0).to_le_bytes();
        for (to, from) in gprs.iter_mut().zip(words) {
            *to = from;
        }
        u16::from_le_bytes([b0, b1])
    });
    let immediate = copied.map_err(|reason| missing(page, reason))?;
    caller.state.pending = PendingRequest::HostCall;
    Ok(Answer::Exit(Report::HostCall { immediate }))
}

/// The page that an RsiHostCall is in, and the index of its first word there.
fn place(stage2: &Stage2, address: u64) -> Option<(Ipa, usize)> {
    const ALIGNMENT: u64 = align_of::<RsiHostCall>() as u64;
    let ipa = Ipa::new(address);
    let page = ipa.align_down(GRANULE_SIZE);
    let valid = ipa.is_aligned(ALIGNMENT) && stage2.is_protected(ipa);
    let first = usize::try_from((address - page.get()) / 8).ok()?;
    valid.then_some((page, first))
}

/// Gives the host's registers to the REC, which called the host.
///
/// # Errors
///
/// What the host is told when the page of the call is not mapped any more; the call stays open.
pub fn complete_host_call(
    gprs: &[u64; GPRS],
    state: &mut RecState,
    realm: &mut RunningRealm<'_, '_>,
) -> Result<(), Report> {
    let result = match write(gprs, state.registers.x(1), realm) {
        Ok(()) => status::SUCCESS,
        Err(Failure::Status(status, _)) => status.word(),
        Err(Failure::Memory(report)) => return Err(report),
    };
    state.registers.set_x(0, result);
    state.pending = PendingRequest::None;
    Ok(())
}

fn write(
    gprs: &[u64; GPRS],
    address: u64,
    realm: &mut RunningRealm<'_, '_>,
) -> Result<(), Failure> {
    // X1 was checked by the call, and nobody has changed it.
    let (page, first) = place(realm.stage2(), address).ok_or(Status::Input)?;
    let written = realm.memory.with_page(page, |words| {
        for (word, value) in words.iter().skip(first + FIRST_GPR).zip(gprs) {
            word.store(*value, Ordering::Relaxed);
        }
    });
    written.map_err(|reason| missing(page, reason))
}
