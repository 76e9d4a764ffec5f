// SPDX-License-Identifier: BSD-3-Clause
//! The Realm Services Interface: what a Realm calls by SMC (RMM specification 1.0, RSI).
//!
//! A call that the RMM does not know answers -1 in X0, and the Realm goes on.

use core::sync::atomic::Ordering;

use crate::abi::rmi_v1::GPRS;

use crate::address::{GRANULE_SIZE, Ipa};
use crate::mem::RunningAuxiliary;
use crate::realm::rec::exit::{Exit, ExitReason, Report};
use crate::realm::rec::{PendingRequest, RecState, RequestedRipas};
use crate::realm::stage2::memory::{NoMemory, RealmMemory};

/// Function identifiers, less the hint in bit 16.
mod function {
    pub(super) const VERSION: u32 = 0xC400_0190;
    pub(super) const IPA_STATE_SET: u32 = 0xC400_0197;
    pub(super) const HOST_CALL: u32 = 0xC400_0199;
    pub(super) const SMCCC_VERSION: u32 = 0x8000_0000;
}

/// RsiCommandReturnCode.
mod status {
    pub(super) const SUCCESS: u64 = 0;
    pub(super) const ERROR_INPUT: u64 = 1;
    /// SMCCC: there is no such function.
    pub(super) const NOT_SUPPORTED: u64 = u64::MAX;
}

/// RSI 1.0.
const VERSION: u64 = 0x1_0000;
/// SMCCC 1.2.
const SMCCC_VERSION: u64 = 0x1_0002;

/// RsiHostCall: bytes, the immediate in bits 15:0 of word 0, the general registers from word 1 on.
const HOST_CALL_SIZE: u64 = 256;
const HOST_CALL_GPRS: usize = 1;

/// What follows from a call.
enum Outcome {
    /// The Realm goes on behind the SMC with these in X0 to X3.
    Return([u64; 4]),
    /// The REC leaves, and later goes on behind the SMC.
    Leave(Report),
    /// The REC leaves, and later executes the SMC again.
    Retry(Report),
}

const fn error_input() -> Outcome {
    Outcome::Return([status::ERROR_INPUT, 0, 0, 0])
}

/// Carries out the call in the registers of a REC. `Some` if it leaves; `gprs` are then what it
/// passes to the host, if that is why.
pub fn call(
    state: &mut RecState,
    memory: &mut RealmMemory<'_, '_>,
    _auxiliary: &mut RunningAuxiliary<'_>,
    gprs: &mut [u64; GPRS],
) -> Option<Report> {
    match outcome(state, memory, gprs) {
        Outcome::Return(results) => {
            state.registers.skip_instruction();
            for (index, result) in results.into_iter().enumerate() {
                state.registers.set_x(index, result);
            }
            None
        }
        Outcome::Leave(report) => {
            state.registers.skip_instruction();
            Some(report)
        }
        Outcome::Retry(report) => Some(report),
    }
}

fn outcome(
    state: &mut RecState,
    memory: &mut RealmMemory<'_, '_>,
    gprs: &mut [u64; GPRS],
) -> Outcome {
    /// Bit 16: the caller has no live SVE state. A hint.
    const SVE_HINT: u64 = 1 << 16;
    let [x0, x1, x2, x3, x4, ..] = state.registers.gprs;
    let [b0, b1, b2, b3, ..] = (x0 & !SVE_HINT).to_le_bytes();
    match u32::from_le_bytes([b0, b1, b2, b3]) {
        function::VERSION => version(x1),
        function::IPA_STATE_SET => set_ipa_state(state, memory, [x1, x2, x3, x4]),
        function::HOST_CALL => host_call(state, memory, gprs, x1),
        function::SMCCC_VERSION => Outcome::Return([SMCCC_VERSION, 0, 0, 0]),
        _ => Outcome::Return([status::NOT_SUPPORTED, 0, 0, 0]),
    }
}

/// RSI_VERSION(X1 = wanted): X1 = lower, X2 = higher version.
fn version(wanted: u64) -> Outcome {
    let status = if wanted == VERSION { status::SUCCESS } else { status::ERROR_INPUT };
    Outcome::Return([status, VERSION, VERSION, 0])
}

/// RSI_IPA_STATE_SET(X1 = base, X2 = top, X3 = RIPAS, X4 = flags).
fn set_ipa_state(
    state: &mut RecState,
    memory: &RealmMemory<'_, '_>,
    [base, top, ripas, flags]: [u64; 4],
) -> Outcome {
    /// DESTROYED memory is changed, too.
    const CHANGE_DESTROYED: u64 = 1 << 0;
    let requested = match ripas {
        0 => RequestedRipas::Empty,
        1 => RequestedRipas::Ram,
        _ => return error_input(),
    };
    if memory.stage2().protected_range(base, top).is_err() {
        return error_input();
    }
    state.pending = PendingRequest::Ripas {
        base,
        top,
        ripas: requested,
        change_destroyed: flags & CHANGE_DESTROYED != 0,
    };
    Outcome::Leave(Report::RipasChange { base, top, ripas })
}

/// Tells the REC how far its change of RIPAS came, and whether the host rejected the rest.
pub fn complete_ripas_change(state: &mut RecState, rejected: bool) {
    let PendingRequest::Ripas { base, top, ripas, .. } = state.pending else { return };
    let rejected = rejected && ripas == RequestedRipas::Ram && base != top;
    let results = [status::SUCCESS, base, u64::from(rejected), 0];
    for (index, result) in results.into_iter().enumerate() {
        state.registers.set_x(index, result);
    }
    state.pending = PendingRequest::None;
}

/// RSI_HOST_CALL(X1 = RsiHostCall).
fn host_call(
    state: &mut RecState,
    memory: &mut RealmMemory<'_, '_>,
    gprs: &mut [u64; GPRS],
    address: u64,
) -> Outcome {
    let Some((page, first)) = host_call_place(memory, address) else { return error_input() };
    let copied = memory.with_page(page, |words| {
        let mut words = words.iter().skip(first).map(|word| word.load(Ordering::Relaxed));
        let [b0, b1, ..] = words.next().unwrap_or(0).to_le_bytes();
        for (to, from) in gprs.iter_mut().zip(words) {
            *to = from;
        }
        u16::from_le_bytes([b0, b1])
    });
    match copied {
        Ok(immediate) => {
            state.pending = PendingRequest::HostCall;
            Outcome::Leave(Report::HostCall { immediate })
        }
        Err(NoMemory::Empty) => error_input(),
        Err(missing) => Outcome::Retry(emulated_abort(page, missing)),
    }
}

/// The page that an RsiHostCall is in, and the index of its first word there.
fn host_call_place(memory: &RealmMemory<'_, '_>, address: u64) -> Option<(Ipa, usize)> {
    let ipa = Ipa::new(address);
    let page = ipa.align_down(GRANULE_SIZE);
    let valid = ipa.is_aligned(HOST_CALL_SIZE) && memory.stage2().is_protected(ipa);
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
    memory: &mut RealmMemory<'_, '_>,
) -> Result<(), Report> {
    let Some((page, first)) = host_call_place(memory, state.registers.x(1)) else {
        // X1 was checked by the call, and nobody has changed it.
        state.pending = PendingRequest::None;
        return Ok(());
    };
    let written = memory.with_page(page, |words| {
        for (word, value) in words.iter().skip(first + HOST_CALL_GPRS).zip(gprs) {
            word.store(*value, Ordering::Relaxed);
        }
    });
    let result = match written {
        Ok(()) => status::SUCCESS,
        Err(NoMemory::Empty) => status::ERROR_INPUT,
        Err(missing) => return Err(emulated_abort(page, missing)),
    };
    state.registers.set_x(0, result);
    state.pending = PendingRequest::None;
    Ok(())
}

/// What the host is told when a call needs a page that is not mapped: a data abort by a translation
/// fault, as if the Realm had accessed it.
fn emulated_abort(page: Ipa, missing: NoMemory) -> Report {
    const DATA_ABORT: u64 = 0x24 << 26;
    const TRANSLATION_FAULT: u64 = 0b100;
    const LEVEL_MINUS_ONE: u64 = 0b10_1011;
    let status = match missing {
        NoMemory::Missing(level) => match u64::try_from(level.number()) {
            Ok(level) => TRANSLATION_FAULT + level,
            Err(_) => LEVEL_MINUS_ONE,
        },
        NoMemory::Empty => TRANSLATION_FAULT,
    };
    Report::Exception(Exit {
        esr: DATA_ABORT | status,
        hpfar: page.get() >> 8,
        ..Exit::new(ExitReason::Sync)
    })
}
