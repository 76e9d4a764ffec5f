// SPDX-License-Identifier: BSD-3-Clause
//! The memory of a Realm: what it begins with, what it is given when it touches it, and what it
//! shares with the host.

use rmm_abi::rmi::status;
use rmm_test_firmware::check;
use rmm_test_firmware::options::GRANULE;

use crate::rmi::Status;
use crate::{give_up, pool, probe, tables};

/// Bits of an IPA. The topmost says that memory is unprotected.
pub const IPA_BITS: u64 = 33;
/// The unprotected half.
pub const ALIAS: u64 = 1 << (IPA_BITS - 1);
/// The level of the root tables, and their number.
pub const START_LEVEL: i64 = 2;
/// See `START_LEVEL`.
pub const ROOTS: u64 = 8;
const PAGE_LEVEL: i64 = 3;
/// Where RAM begins in the protected half.
pub const RAM: u64 = 0x8000_0000;

/// The tables of a Realm. A command that needs more of them than there are gets them.
pub struct Memory {
    rd: u64,
}

impl Memory {
    pub const fn new(rd: u64) -> Self {
        Self { rd }
    }

    /// Repeats a command until tables are no longer missing for it. True if it succeeded, false
    /// if the walk reached the level of pages and found what the command does not want.
    fn with_tables(&self, ipa: u64, mut command: impl FnMut() -> Status) -> bool {
        loop {
            let answer = command();
            if answer == Status::SUCCESS {
                return true;
            }
            let (code, level) = (answer.0 & 0xff, answer.0 >> 8 & 0xff);
            let level = level.cast_signed();
            if code != u64::from(status::ERROR_RTT) {
                give_up(format_args!("a command at IPA {ipa:#x}: {answer:?}"));
            }
            if level >= PAGE_LEVEL {
                return false;
            }
            self.create_table(ipa, level + 1);
        }
    }

    fn create_table(&self, ipa: u64, level: i64) {
        let table = pool::take_delegated();
        let base = ipa & !(tables::size(level - 1) - 1);
        let status = tables::create(self.rd, table, base, level);
        if status != Status::SUCCESS {
            give_up(format_args!("a table of level {level} at IPA {ipa:#x}: {status:?}"));
        }
    }

    /// Makes a range RAM, before the Realm is activated.
    pub fn init_ripas(&self, base: u64, top: u64) {
        let mut at = base;
        while at < top {
            let done = self.with_tables(at, || {
                let (status, reached) = tables::init_ripas(self.rd, at, top);
                if status == Status::SUCCESS {
                    at = reached;
                }
                status
            });
            if !done {
                give_up(format_args!("IPA {at:#x} does not become RAM"));
            }
        }
    }

    /// Puts what is at `source` into the Realm, measured, before it is activated.
    pub fn load(&self, ipa: u64, source: u64, size: u64) {
        for offset in (0..size).step_by(GRANULE as usize) {
            let granule = pool::take_delegated();
            let (ipa, source) = (ipa + offset, source + offset);
            let created =
                self.with_tables(ipa, || tables::data_create(self.rd, granule, ipa, source, true));
            if !created {
                give_up(format_args!("IPA {ipa:#x} is loaded twice"));
            }
        }
    }

    /// Gives the Realm memory where it has touched none.
    pub fn populate(&self, ipa: u64) {
        let granule = pool::take_delegated();
        let created = self.with_tables(ipa, || tables::data_create_unknown(self.rd, granule, ipa));
        if !created {
            // Another of its RECs was first.
            pool::give_delegated(granule);
        }
    }

    /// Shares a page at an unprotected IPA.
    pub fn share(&self, ipa: u64) {
        let granule = pool::take();
        if probe::fill_granule(granule, 0).is_err() {
            check::that("the host writes its own memory", false);
        }
        let descriptor = granule | tables::UNPROTECTED;
        let mapped =
            self.with_tables(ipa, || tables::map_unprotected(self.rd, ipa, PAGE_LEVEL, descriptor));
        if !mapped {
            pool::give(granule);
        }
    }

    /// Changes RIPAS as the REC asked for, and takes back what the Realm has no use for any more.
    pub fn set_ripas(&self, rec: u64, base: u64, top: u64, ripas: u64) {
        let mut at = base;
        while at < top {
            let done = self.with_tables(at, || {
                let (status, reached) = tables::set_ripas(self.rd, rec, at, top);
                if status == Status::SUCCESS {
                    at = reached;
                }
                status
            });
            if !done {
                break;
            }
        }
        if ripas == tables::EMPTY {
            self.reclaim_protected(base, at);
        } else {
            self.reclaim_shared(base | ALIAS, at | ALIAS);
        }
    }

    /// Destroys the protected memory in a range.
    pub fn reclaim_protected(&self, base: u64, top: u64) {
        let mut at = base;
        while at < top {
            let (status, granule, next) = tables::data_destroy(self.rd, at);
            if status == Status::SUCCESS {
                pool::give_delegated(granule);
                at += GRANULE;
            } else if next > at {
                at = next;
            } else {
                give_up(format_args!("IPA {at:#x} is not destroyed: {status:?}"));
            }
        }
    }

    /// Unmaps what is shared in a range of the unprotected half.
    pub fn reclaim_shared(&self, base: u64, top: u64) {
        let mut at = base;
        while at < top {
            let (status, (level, state, descriptor, _)) =
                tables::read_entry(self.rd, at, PAGE_LEVEL);
            let size = tables::size(level);
            if status == Status::SUCCESS && level == PAGE_LEVEL && state == tables::ASSIGNED {
                let (status, _) = tables::unmap_unprotected(self.rd, at, PAGE_LEVEL);
                if status != Status::SUCCESS {
                    give_up(format_args!("IPA {at:#x} is not unmapped: {status:?}"));
                }
                pool::give(descriptor & 0x0000_ffff_ffff_f000);
            }
            at = (at & !(size - 1)) + size;
        }
    }

    /// Destroys all tables below the root.
    pub fn destroy_tables(&self) {
        let mut at = 0;
        while at < 1 << IPA_BITS {
            let (status, table, next) = tables::destroy(self.rd, at, START_LEVEL + 1);
            if status == Status::SUCCESS {
                pool::give_delegated(table);
            }
            if status != Status::SUCCESS && next <= at {
                give_up(format_args!("the table at IPA {at:#x} is not destroyed: {status:?}"));
            }
            at = next.max(at + tables::size(START_LEVEL));
        }
    }
}
