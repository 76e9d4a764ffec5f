// SPDX-License-Identifier: BSD-3-Clause
//! RSI_HOST_CALL: a Realm passes general registers to the host, and gets the host's.

use core::mem::offset_of;

use super::call::{Answer, Failure, Outcome, Status};
use super::memory::missing;
use crate::abi::rmi_v1::GPRS;
use crate::abi::rsi::{RsiHostCall, status};
use crate::address::{GRANULE_SIZE, Ipa};
use crate::arch::atomic::{AtomicU64, Ordering};
use crate::arch::memory::{copy_from_shared, copy_to_shared};
use crate::mem::GRANULE_WORDS;
use crate::realm::epoch::Learned;
use crate::realm::rec::exit::Report;
use crate::realm::rec::{PendingRequest, RecState};
use crate::realm::running::{Caller, RunningRealm};
use crate::realm::stage2::Stage2;

// The general registers follow the word with the immediate.
static_assertions::const_assert_eq!(offset_of!(RsiHostCall, gprs), size_of::<u64>());

/// RSI_HOST_CALL.
pub(super) fn call(caller: &mut Caller<'_, '_, '_>, address: u64) -> Outcome {
    let (page, first) = locate(caller.realm.stage2(), address).ok_or(Status::Input)?;
    let gprs = &mut *caller.gprs;
    let learned = &mut *caller.learned;
    let copied = caller.realm.memory.with_call_page(page, learned, |words| {
        let Some((immediate, registers)) = parts(words, first) else { return 0 };
        copy_from_shared(registers, gprs);
        let [b0, b1, ..] = immediate.load(Ordering::Relaxed).to_le_bytes();
        u16::from_le_bytes([b0, b1])
    });
    let immediate = copied.map_err(|reason| missing(page, reason))?;
    *caller.pending = PendingRequest::HostCall;
    Ok(Answer::Exit(Report::HostCall { immediate }))
}

/// The parts of the RsiHostCall at word `first` of a page: the word with the immediate, and the
/// general registers. `None` if it crosses the end of the page.
fn parts(
    words: &[AtomicU64; GRANULE_WORDS],
    first: usize,
) -> Option<(&AtomicU64, &[AtomicU64; GPRS])> {
    let (immediate, registers) = words.get(first..)?.split_first()?;
    Some((immediate, registers.first_chunk()?))
}

/// The page of an RsiHostCall, and the index of its first word there. `None` if the address is not
/// aligned or not protected.
fn locate(stage2: &Stage2, address: u64) -> Option<(Ipa, usize)> {
    const ALIGNMENT: u64 = align_of::<RsiHostCall>() as u64;
    let ipa = Ipa::new(address);
    let page = ipa.align_down(GRANULE_SIZE);
    let valid = ipa.is_aligned(ALIGNMENT) && stage2.is_protected(ipa);
    let first = usize::try_from((address - page.get()) / 8).ok()?;
    valid.then_some((page, first))
}

/// Completes the pending host call of a REC: writes the host's registers to its RsiHostCall.
///
/// # Errors
///
/// The report for the host if the page of the RsiHostCall is not mapped any more. The call still
/// pends.
pub fn complete_host_call(
    gprs: &[u64; GPRS],
    state: &mut RecState,
    realm: &mut RunningRealm<'_, '_>,
) -> Result<(), Report> {
    let address = state.registers.x(1);
    let result = match write(gprs, address, &mut state.learned, realm) {
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
    learned: &mut Learned,
    realm: &mut RunningRealm<'_, '_>,
) -> Result<(), Failure> {
    // The call has checked X1, and it has not changed since.
    let (page, first) = locate(realm.stage2(), address).ok_or(Status::Input)?;
    let written = realm.memory.with_call_page(page, learned, |words| {
        if let Some((_, registers)) = parts(words, first) {
            copy_to_shared(gprs, registers);
        }
    });
    written.map_err(|reason| missing(page, reason))
}
