// SPDX-License-Identifier: BSD-3-Clause
//! RSI_HOST_CALL: a Realm passes general registers to the host, and gets the host's.

use core::mem::offset_of;

use super::call::{Answer, Failure, Outcome, Status};
use super::memory::missing;
use crate::abi::rmi_v1::{GPRS, RecEnter, RecExit, RmiRecRun};
use crate::abi::rsi::{RsiHostCall, status};
use crate::address::{GRANULE_SIZE, Ipa};
use crate::arch::atomic::{AtomicU64, Ordering};
use crate::mem::{GRANULE_WORDS, NsAccessError, NsMapping};
use crate::realm::epoch::Learned;
use crate::realm::rec::exit::Report;
use crate::realm::rec::{PendingRequest, RecState};
use crate::realm::running::{Caller, RunningRealm};

// The general registers follow the word with the immediate.
static_assertions::const_assert_eq!(offset_of!(RsiHostCall, gprs), size_of::<u64>());

/// Where the general registers for the Realm are in the host's page.
const ENTRY_GPRS: u64 = offset_of!(RecEnter, gprs) as u64;
/// Where those of the Realm go.
const EXIT_GPRS: u64 = (offset_of!(RmiRecRun, exit) + offset_of!(RecExit, gprs)) as u64;

/// RSI_HOST_CALL.
pub(super) fn call(caller: &mut Caller<'_, '_, '_>, address: u64) -> Outcome {
    let (page, first) = locate(address).ok_or(Status::Input)?;
    let host = caller.page;
    let learned = &mut *caller.learned;
    let copied = caller.realm.memory.with_call_page(page, learned, |words| {
        let (immediate, registers) = parts(words, first)?;
        let [b0, b1, ..] = immediate.load(Ordering::Relaxed).to_le_bytes();
        let immediate = u16::from_le_bytes([b0, b1]);
        Some(Report::HostCall { immediate, written: host.write_shared(EXIT_GPRS, registers) })
    });
    // `parts` fails only for a structure that crosses the end of the page. Aligned ones do not.
    let report = copied.map_err(|reason| missing(page, reason))?.ok_or(Status::Input)?;
    *caller.pending = PendingRequest::HostCall;
    Ok(Answer::Exit(report))
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
/// aligned.
fn locate(address: u64) -> Option<(Ipa, usize)> {
    const ALIGNMENT: u64 = align_of::<RsiHostCall>() as u64;
    let ipa = Ipa::new(address);
    let page = ipa.align_down(GRANULE_SIZE);
    let first = usize::try_from((address - page.get()) / 8).ok()?;
    ipa.is_aligned(ALIGNMENT).then_some((page, first))
}

/// Completes the pending host call of a REC: copies the general registers in the host's page to its
/// RsiHostCall.
///
/// # Errors
///
/// [`NsAccessError`]: some registers may have been copied. The inner error is the report for the
/// host if the page of the RsiHostCall is no longer mapped. In both cases the call stays pending.
pub fn complete_host_call(
    host: &NsMapping<'_>,
    state: &mut RecState,
    realm: &mut RunningRealm<'_, '_>,
) -> Result<Result<(), Report>, NsAccessError> {
    let address = state.registers.x(1);
    let result = match read(host, address, &mut state.learned, realm) {
        Ok(read) => {
            read?;
            status::SUCCESS
        }
        Err(Failure::Status(status, _)) => status.word(),
        Err(Failure::Memory(report)) => return Ok(Err(report)),
    };
    state.registers.set_x(0, result);
    state.pending = PendingRequest::None;
    Ok(Ok(()))
}

fn read(
    host: &NsMapping<'_>,
    address: u64,
    learned: &mut Learned,
    realm: &mut RunningRealm<'_, '_>,
) -> Result<Result<(), NsAccessError>, Failure> {
    // The call has checked X1, and it has not changed since.
    let (page, first) = locate(address).ok_or(Status::Input)?;
    let read = realm.memory.with_call_page(page, learned, |words| {
        let (_, registers) = parts(words, first)?;
        Some(host.read_shared(ENTRY_GPRS, registers))
    });
    Ok(read.map_err(|reason| missing(page, reason))?.ok_or(Status::Input)?)
}
