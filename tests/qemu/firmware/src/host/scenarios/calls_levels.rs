// SPDX-License-Identifier: BSD-3-Clause
//! RSI_IPA_STATE_GET of every kind of entry at every level of the largest stage 2, in RMI 2.0,
//! which maps whole blocks.

use rmm_abi::rmi::function as fid;
use rmm_abi::rmi_v2::ADDRESS_SINGLE;
use rmm_abi::rsi::{CHANGE_DESTROYED, function as rsi};
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::realm_protocol::program;

use crate::check::{self, Every};
use crate::guest::{Guest, field, reason};
use crate::realm::Shape;
use crate::rmi::{self, Status};
use crate::tables::{self, DESTROYED, EMPTY, RAM, size};

/// A shape with all levels: level -1 resolves bits 48 and up.
const SHAPE: Shape = Shape { lpa2: true, ipa_bits: 52, level: -1, roots: 1 };
const LEVELS: core::ops::RangeInclusive<i64> = -1..=3;
/// A GiB of DRAM that nothing else uses.
const MEMORY: u64 = 0x8000_0000;

/// The RIPAS of adjacent entries, one of each kind, as the Realm first sees them.
const RIPAS: [u64; 5] = [EMPTY, RAM, DESTROYED, RAM, DESTROYED];
/// How many of them get memory, at levels that can have entries with memory.
const RAM_WITH: u64 = 3;
const DESTROYED_WITH: u64 = 4;

/// The first IPA of the entries of a level. Each level has a level -1 entry of its own.
fn base(level: i64) -> u64 {
    // The first entry is used by the payload.
    if level == -1 { size(-1) } else { (4 + level.unsigned_abs()) * size(-1) }
}

/// Whether entries of a level may have memory.
fn has_memory(level: i64) -> bool {
    level >= 1
}

/// The number of entries tested at a level.
fn kinds(level: i64) -> u64 {
    if has_memory(level) { 5 } else { 3 }
}

/// Makes the Realm set the RIPAS of a range. The host changes it at once.
fn change(guest: &Guest, base: u64, top: u64, ripas: u64) {
    let arguments = [base, top, ripas, CHANGE_DESTROYED];
    let begun = guest.begin_program(0, program::SET_RIPAS, &arguments);
    check::equal("the Realm asks for RIPAS", begun, Status::SUCCESS);
    let set = tables::set_ripas(guest.rd(), guest.rec(0), base, top);
    check::equal("and gets it", set, (Status::SUCCESS, top));
    guest.run(0).prepare(0, &[]);
    check::equal("the REC goes on", guest.enter(0), Status::SUCCESS);
    check::equal("with all of it", guest.program_results(0), [0, top, 0, 1]);
}

/// Maps memory for an entry.
fn map(guest: &Guest, ipa: u64, level: i64, memory: u64) {
    let top = ipa + size(level);
    let range = tables::range(level, memory, 0);
    let mapped = rmi::map(fid::RTT_DATA_MAP, guest.rd(), ipa, top, ADDRESS_SINGLE, range);
    check::equal("an entry gets memory", mapped, (Status::SUCCESS, top));
}

/// Unmaps it.
fn unmap(guest: &Guest, ipa: u64, level: i64) {
    let unmapped = rmi::unmap(fid::RTT_DATA_UNMAP, guest.rd(), ipa, ipa + size(level));
    check::equal("it goes", unmapped.0, Status::SUCCESS);
}

/// Makes the entries of a level, with steps of the Realm and of its host.
fn make(guest: &mut Guest, level: i64) {
    let (base, size) = (base(level), size(level));
    let entry = |index: u64| base + index * size;
    let rd = guest.rd();
    let brought = tables::bring_tables(rd, guest.pool(), base, level);
    check::equal("tables", brought, Status::SUCCESS);
    change(guest, entry(1), entry(2), RAM);
    destroyed(guest, entry(2), level);
    if has_memory(level) {
        change(guest, entry(RAM_WITH), entry(RAM_WITH + 1), RAM);
        destroyed(guest, entry(DESTROYED_WITH), level);
    }
}

/// Makes an entry without memory DESTROYED.
fn destroyed(guest: &mut Guest, ipa: u64, level: i64) {
    if level == 3 {
        change(guest, ipa, ipa + GRANULE, RAM);
        map(guest, ipa, level, MEMORY);
        return unmap(guest, ipa, level);
    }
    // An entry whose table is destroyed becomes DESTROYED.
    let rd = guest.rd();
    let brought = tables::bring_tables(rd, guest.pool(), ipa, level + 1);
    check::equal("a table", brought, Status::SUCCESS);
    let (status, table, _) = tables::destroy(rd, ipa, level + 1);
    check::equal("is destroyed", status, Status::SUCCESS);
    guest.pool().give(table);
}

/// Queries the RIPAS at `ipa`, up to `top`. Gives the end of the run and the RIPAS.
fn get(guest: &Guest, ipa: u64, top: u64) -> [u64; 4] {
    let [x0, x1, x2, x3, ..] = guest.call(0, &[rsi::IPA_STATE_GET.into(), ipa, top], 2);
    [x0, x1, x2, x3]
}

/// Queries the entries of a level: from the first page, the last and a middle one of each, up to
/// the next page, the end of the entry, and beyond.
fn see(guest: &Guest, every: &mut Every<'_>, level: i64, all: [u64; 5]) {
    let (base, size) = (base(level), size(level));
    for (index, ripas) in (0..kinds(level)).zip(all) {
        let (begin, end) = (base + index * size, base + (index + 1) * size);
        for ipa in [begin, begin + size / 1024 * 512, end - GRANULE] {
            let ipa = ipa & !(GRANULE - 1);
            for top in [ipa + GRANULE, end, end + size] {
                let case = format_args!("level {level}, {ripas} at {ipa:#x}, up to {top:#x}");
                // Adjacent entries differ, and the last one differs from what follows.
                every.equal(case, get(guest, ipa, top), [0, top.min(end), ripas, 0]);
            }
        }
    }
}

/// Queries entries with memory, which two entries get one after the other.
fn with_memory(guest: &Guest, every: &mut Every<'_>, level: i64) {
    let entry = |index| base(level) + index * size(level);
    let [e0, e1, e2, _, e4] = RIPAS;
    map(guest, entry(RAM_WITH), level, MEMORY);
    see(guest, every, level, RIPAS);
    change(guest, entry(RAM_WITH), entry(RAM_WITH + 1), EMPTY);
    see(guest, every, level, [e0, e1, e2, EMPTY, e4]);
    unmap(guest, entry(RAM_WITH), level);
    map(guest, entry(DESTROYED_WITH), level, MEMORY);
    see(guest, every, level, [e0, e1, e2, EMPTY, e4]);
    unmap(guest, entry(DESTROYED_WITH), level);
}

/// A call that needs memory where there is none leaves with the level of the walk's end.
fn missing(guest: &mut Guest, level: i64) {
    const LEVEL_MINUS_ONE: u64 = 0b10_1011;
    let run = guest.run(0);
    let ipa = base(level) + size(level) + 5 * GRANULE % size(level);
    let status = u64::try_from(level).map_or(LEVEL_MINUS_ONE, |level| 0b100 + level);
    let begun = guest.begin_call(0, &[rsi::REALM_CONFIG.into(), ipa]);
    check::equal("a call without memory", begun, Status::SUCCESS);
    let words = [(field::ESR, 0x24 << 26 | status), (field::HPFAR, ipa >> 8)];
    run.expect("an emulated data abort", &words);
    // The call gets memory, with tables down to level 3.
    let rd = guest.rd();
    let brought = tables::bring_tables(rd, guest.pool(), ipa, 3);
    check::equal("tables", brought, Status::SUCCESS);
    map(guest, ipa, 3, MEMORY);
    run.prepare(0, &[]);
    check::equal("the call is made again", guest.enter(0), Status::SUCCESS);
    check::equal("and comes back", run.reason(), reason::HOST_CALL);
    unmap(guest, ipa, 3);
    let gone = tables::destroy_tables(rd, guest.pool(), ipa, 3, level);
    check::equal("its tables go", gone, Status::SUCCESS);
}

/// All levels.
pub fn levels() {
    let mut guest = Guest::start_shaped(1, SHAPE, |_| {});
    let (from, to) = (MEMORY, MEMORY + size(1));
    check::that("a GiB is delegated", delegate(from, to));
    for level in LEVELS {
        make(&mut guest, level);
    }
    let mut every = Every::new("a Realm sees the RIPAS of each entry");
    for level in LEVELS {
        see(&guest, &mut every, level, RIPAS);
        if has_memory(level) {
            with_memory(&guest, &mut every, level);
        }
    }
    drop(every);
    for level in LEVELS {
        missing(&mut guest, level);
    }
    let rd = guest.rd();
    for level in LEVELS.skip(1) {
        let gone = tables::destroy_tables(rd, guest.pool(), base(level), level, -1);
        check::equal("tables go", gone, Status::SUCCESS);
    }
    check::that("the GiB comes back", undelegate(from, to));
    guest.destroy();
}

fn delegate(from: u64, to: u64) -> bool {
    in_ranges(from, to, rmi::range_delegate)
}

fn undelegate(from: u64, to: u64) -> bool {
    in_ranges(from, to, rmi::range_undelegate)
}

/// Calls until the range is complete. Gives whether it is.
fn in_ranges(mut from: u64, to: u64, command: impl Fn(u64, u64) -> (Status, u64)) -> bool {
    while from < to {
        let (status, next) = command(from, to);
        if status != Status::SUCCESS || next <= from {
            return false;
        }
        from = next;
    }
    true
}
