// SPDX-License-Identifier: BSD-3-Clause
//! RSI_IPA_STATE_SET, RSI_IPA_STATE_GET: the RIPAS of protected memory.
//!
//! The host carries out a change: the REC exits, the host calls RMI_RTT_SET_RIPAS any number of
//! times, and the next entry reports to the REC how far the change has come.

use super::call::{Answer, Outcome, Status};
use crate::abi::rsi::{CHANGE_DESTROYED, response, status};
use crate::realm::rec::exit::Report;
use crate::realm::rec::{PendingRequest, RecState, RequestedRipas};
use crate::realm::running::Caller;

/// RSI_IPA_STATE_SET.
pub(super) fn set(
    caller: &mut Caller<'_, '_, '_>,
    base: u64,
    top: u64,
    ripas: u64,
    flags: u64,
) -> Outcome<2> {
    let requested = match ripas {
        0 => RequestedRipas::Empty,
        1 => RequestedRipas::Ram,
        _ => return Err(Status::Input.into()),
    };
    caller.realm.stage2().protected_range(base, top)?;
    let change_destroyed = flags & CHANGE_DESTROYED != 0;
    *caller.pending = PendingRequest::Ripas { base, top, ripas: requested, change_destroyed };
    Ok(Answer::Exit(Report::RipasChange { base, top, ripas }))
}

/// Reports to the REC how far its change of RIPAS has come, and whether the host rejects the rest.
pub fn complete_ripas_change(state: &mut RecState, rejected: bool) {
    let PendingRequest::Ripas { base, top, ripas, .. } = state.pending else { return };
    let rejected = rejected && ripas == RequestedRipas::Ram && base != top;
    let response = if rejected { response::REJECT } else { response::ACCEPT };
    let [x0, x1, x2, x3, ..] = &mut state.registers.gprs;
    (*x0, *x1, *x2, *x3) = (status::SUCCESS, base, response, 0);
    state.pending = PendingRequest::None;
}

/// RSI_IPA_STATE_GET. `out_top` is where another RIPAS begins, or where the last table of the walk
/// for `base` ends.
pub(super) fn get(caller: &mut Caller<'_, '_, '_>, base: u64, top: u64) -> Outcome<2> {
    let (base, top) = caller.realm.stage2().protected_range(base, top)?;
    let (ripas, out_top) = caller.realm.memory.ripas_range(base, top);
    Ok(Answer::Return([out_top.get(), ripas as u64]))
}
