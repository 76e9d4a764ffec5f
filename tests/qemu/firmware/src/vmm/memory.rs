// SPDX-License-Identifier: BSD-3-Clause
//! The memory of a Realm: its initial content, memory mapped on first access, and memory shared
//! with the host.

use arrayvec::ArrayVec;
use rmm_abi::rmi::status;
use rmm_abi::rmi_v2::{MAX_RANGE_COUNT, RANGE_ADDRESS, RANGE_COUNT_SHIFT, RANGE_SIZE};
use rmm_test_firmware::check;
use rmm_test_firmware::options::GRANULE;

use crate::rmi::{self, Dialect, Status, fid};
use crate::{counts, give_up, pool, probe, tables};

/// Bits of an IPA. The topmost bit is set for unprotected memory.
pub const IPA_BITS: u64 = 33;
/// The first unprotected IPA.
pub const ALIAS: u64 = 1 << (IPA_BITS - 1);
/// The level of the root tables, and their number.
pub const START_LEVEL: i64 = 2;
/// See `START_LEVEL`.
pub const ROOTS: u64 = 8;
const PAGE_LEVEL: i64 = 3;
/// The output address in a descriptor.
const OUTPUT_ADDRESS: u64 = 0x0000_ffff_ffff_f000;
/// The first IPA of RAM in the protected half.
pub const RAM: u64 = 0x8000_0000;

/// The most shared pages that are recorded.
const MAX_SHARED: usize = 512;
/// The most shared pages that are unmapped at the same time.
const MAX_WITHHELD: usize = 16;

/// The memory of a Realm. Commands that lack tables get them.
pub struct Memory {
    rd: u64,
    /// Unprotected IPAs of shared pages.
    shared: ArrayVec<u64, MAX_SHARED>,
    /// Shared pages that are unmapped for a while, with their memory.
    withheld: ArrayVec<(u64, u64), MAX_WITHHELD>,
}

impl Memory {
    /// The memory of a new Realm.
    pub fn new(rd: u64) -> Self {
        Self { rd, shared: ArrayVec::new(), withheld: ArrayVec::new() }
    }

    /// Repeats a command and creates tables until none is missing. Gives true if it succeeded,
    /// false if the walk reached level 3 and the command refuses the entry there.
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

    /// Makes a range RAM before the Realm is activated.
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

    /// Copies the memory at `source` to the Realm, measured, before it is activated.
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

    /// Maps memory at an IPA that the Realm has accessed for the first time.
    pub fn populate(&self, ipa: u64) {
        let granule = pool::take_delegated();
        let created = self.with_tables(ipa, || tables::data_create_unknown(self.rd, granule, ipa));
        if !created {
            // Another REC of the Realm was faster.
            pool::give_delegated(granule);
        }
    }

    /// Maps a shared page at an unprotected IPA: the page mapped there before, or a zeroed one.
    pub fn share(&mut self, ipa: u64) {
        let before = self.withheld.iter().position(|(withheld, _)| *withheld == ipa);
        let granule = match before {
            Some(place) => self.withheld.swap_remove(place).1,
            None => {
                let granule = pool::take();
                if probe::fill_granule(granule, 0).is_err() {
                    check::that("the host writes its own memory", false);
                }
                granule
            }
        };
        let descriptor = granule | tables::UNPROTECTED;
        let mapped =
            self.with_tables(ipa, || tables::map_unprotected(self.rd, ipa, PAGE_LEVEL, descriptor));
        if !mapped {
            pool::give(granule);
        } else if before.is_none() {
            // A page that is not recorded is never unmapped.
            let _ = self.shared.try_push(ipa);
        }
    }

    /// The host's address of the shared page at an IPA.
    pub fn shared_address(&mut self, ipa: u64) -> u64 {
        let page = (ipa | ALIAS) & !(GRANULE - 1);
        loop {
            let (status, (level, state, descriptor, _)) =
                tables::read_entry(self.rd, page, PAGE_LEVEL);
            if status != Status::SUCCESS {
                give_up(format_args!("IPA {ipa:#x} cannot be shared: {status:?}"));
            }
            if level == PAGE_LEVEL && state == tables::ASSIGNED {
                return descriptor & OUTPUT_ADDRESS | ipa & (GRANULE - 1);
            }
            self.share(page);
        }
    }

    /// Unmaps a shared page until the Realm or the host accesses it again.
    pub fn withhold(&mut self, choice: u64) {
        let Some(ipa) = self.shared.get(choice as usize % self.shared.len().max(1)).copied() else {
            return;
        };
        let is_withheld = self.withheld.iter().any(|(withheld, _)| *withheld == ipa);
        if is_withheld || self.withheld.is_full() {
            return;
        }
        self.withheld.push((ipa, self.unmap(ipa)));
        counts::note_withheld();
    }

    /// Unmaps the page at an unprotected IPA and gives its address.
    fn unmap(&self, ipa: u64) -> u64 {
        let (_, (.., descriptor, _)) = tables::read_entry(self.rd, ipa, PAGE_LEVEL);
        let (status, _) = tables::unmap_unprotected(self.rd, ipa, PAGE_LEVEL);
        if status != Status::SUCCESS {
            give_up(format_args!("IPA {ipa:#x} is not unmapped: {status:?}"));
        }
        descriptor & OUTPUT_ADDRESS
    }

    /// Changes RIPAS as the REC has requested, and reclaims the memory that becomes EMPTY.
    pub fn set_ripas(&mut self, rec: u64, base: u64, top: u64, ripas: u64) {
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

    /// Unmaps a range with as few calls as possible, and gives each granule to `give` (RMI 2.0).
    fn unmap_range(&self, function: u32, base: u64, top: u64, give: fn(u64)) {
        let mut at = base;
        while at < top {
            let (status, next, range) = rmi::unmap(function, self.rd, at, top);
            if status != Status::SUCCESS || next <= at {
                give_up(format_args!("IPA {at:#x} is not unmapped: {status:?}"));
            }
            if range != 0 {
                let count = range >> RANGE_COUNT_SHIFT & MAX_RANGE_COUNT;
                if range & RANGE_SIZE != 0 {
                    give_up(format_args!("a block comes back: {range:#x}"));
                }
                let first = range & RANGE_ADDRESS;
                (0..count).for_each(|granule| give(first + granule * GRANULE));
            }
            at = next;
        }
    }

    /// Unmaps and reclaims the protected memory in a range.
    pub fn reclaim_protected(&self, base: u64, top: u64) {
        if Dialect::current() == Dialect::Two {
            self.unmap_range(fid::RTT_DATA_UNMAP, base, top, pool::give_delegated);
            return;
        }
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

    /// Unmaps the shared memory in a range of the unprotected half.
    pub fn reclaim_shared(&mut self, base: u64, top: u64) {
        let range = base..top;
        self.withheld.retain(|(ipa, granule)| {
            if range.contains(ipa) {
                pool::give(*granule);
            }
            !range.contains(ipa)
        });
        self.shared.retain(|ipa| !range.contains(ipa));
        if Dialect::current() == Dialect::Two {
            self.unmap_range(fid::RTT_UNPROT_UNMAP, base, top, pool::give);
            return;
        }
        let mut at = base;
        while at < top {
            let (status, (level, state, ..)) = tables::read_entry(self.rd, at, PAGE_LEVEL);
            let size = tables::size(level);
            if status == Status::SUCCESS && level == PAGE_LEVEL && state == tables::ASSIGNED {
                pool::give(self.unmap(at));
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
