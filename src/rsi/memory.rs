// SPDX-License-Identifier: BSD-3-Clause
//! What follows if memory that a command needs is not mapped.

use super::call::{Failure, Status};
use crate::address::Ipa;
use crate::realm::rec::exit::{Exit, ExitReason, Report};
use crate::realm::stage2::memory::NoMemory;
use crate::xlat::Level;

/// The failure of a command that cannot access `page` for this reason.
pub(super) fn missing(page: Ipa, reason: NoMemory) -> Failure {
    match reason {
        NoMemory::Unprotected | NoMemory::Empty => Status::Input.into(),
        NoMemory::Missing(level) => Failure::Memory(emulated_abort(page, level)),
    }
}

/// The report for the host when a command needs a page that is not mapped: a data abort by a
/// translation fault, as if the Realm had accessed the page.
fn emulated_abort(page: Ipa, level: Level) -> Report {
    const DATA_ABORT: u64 = 0x24 << 26;
    const TRANSLATION_FAULT: u64 = 0b100;
    const LEVEL_MINUS_ONE: u64 = 0b10_1011;
    let status = match u64::try_from(level.number()) {
        Ok(level) => TRANSLATION_FAULT + level,
        Err(_) => LEVEL_MINUS_ONE,
    };
    Report::Exception(Exit {
        esr: DATA_ABORT | status,
        hpfar: page.get() >> 8,
        ..Exit::new(ExitReason::Sync)
    })
}
