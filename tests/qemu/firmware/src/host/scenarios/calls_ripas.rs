// SPDX-License-Identifier: BSD-3-Clause
//! The RIPAS of large ranges and of every kind of entry, as a Realm sets and sees it. Also calls
//! that need memory where there is none.

use rmm_abi::rsi::{CHANGE_DESTROYED, function as rsi, response};
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::realm_protocol::{BASE, PAGES, program};
use rmm_test_firmware::say;

use crate::check;
use crate::guest::{Guest, field, flag, reason};
use crate::memory::granule;
use crate::realm;
use crate::rmi::Status;
use crate::tables::{self, DESTROYED, EMPTY, RAM};

/// 2 GiB without tables.
const RANGE: u64 = 4 << 30;
const RANGE_TOP: u64 = RANGE + (2 << 30);
const GIB: u64 = 1 << 30;
const BLOCK: u64 = 2 << 20;
/// Pages after the payload.
const PAGE: u64 = BASE + PAGES * GRANULE;
/// Delegated granules. The last ones form a block.
const DATA: u64 = 1024;
const BLOCK_DATA: u64 = 2048;

/// The course of a change of RIPAS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Served {
    /// Exits, calls of RMI_RTT_SET_RIPAS, and tables created.
    exits: u64,
    calls: u64,
    created: u64,
    /// X0 to X2 of the Realm's last call.
    answer: [u64; 3],
}

/// How the host serves an exit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Host {
    /// It changes the whole range.
    Patient,
    /// It makes one call of RMI_RTT_SET_RIPAS that succeeds.
    Hasty,
    /// It changes nothing and rejects the request.
    Rejecting,
}

/// Makes the Realm change the RIPAS of a range until it is done or cannot go on.
fn change(guest: &mut Guest, base: u64, top: u64, ripas: u64, flags: u64, host: Host) -> Served {
    const REJECT: u64 = 1 << 4;
    let (rd, rec, run) = (guest.rd(), guest.rec(0), guest.run(0));
    let mut served = Served { exits: 0, calls: 0, created: 0, answer: [0; 3] };
    let mut entered = guest.begin_program(0, program::SET_RIPAS, &[base, top, ripas, flags]);
    while entered == Status::SUCCESS && run.reason() == reason::RIPAS_CHANGE {
        served.exits += 1;
        let [mut next, end] = [0, 8].map(|offset| run.exit(field::RIPAS + offset));
        while host != Host::Rejecting && next != end {
            let (status, reached) = tables::set_ripas(rd, rec, next, end);
            served.calls += 1;
            if status == Status::SUCCESS {
                next = reached;
                if host == Host::Hasty {
                    break;
                }
                continue;
            }
            let level = (status.0 >> 8).cast_signed();
            if level >= 3 {
                // DESTROYED, which the Realm does not want changed.
                break;
            }
            check::equal("the entry is too large", status, tables::error_rtt(level));
            let brought = tables::bring_tables(rd, guest.pool(), next, level + 1);
            check::equal("a table is created", brought, Status::SUCCESS);
            served.created += 1;
        }
        run.prepare(if host == Host::Rejecting { REJECT } else { 0 }, &[]);
        entered = guest.enter(0);
    }
    check::equal("the REC goes on", entered, Status::SUCCESS);
    let [status, next, response, calls] = guest.program_results(0);
    check::equal("an exit for each call", calls, served.exits);
    served.answer = [status, next, response];
    served
}

/// What the Realm sees of a range: the end of each run of one RIPAS, and the RIPAS.
fn see<const RUNS: usize>(guest: &Guest, base: u64, top: u64) -> [(u64, u64); RUNS] {
    let begun = guest.begin_program(0, program::GET_RIPAS, &[base, top]);
    check::equal("the Realm asks for RIPAS", begun, Status::SUCCESS);
    let words = guest.program_results::<27>(0);
    let [status, _, runs, ..] = words;
    check::equal("and is told", (status, runs), (0, RUNS as u64));
    core::array::from_fn(|run| (words[3 + 2 * run], words[4 + 2 * run]))
}

/// All cases.
pub fn ripas() {
    let mut guest = Guest::start(1);
    let top = [0, RANGE_TOP, response::ACCEPT];
    let figure = |what: &str, served: Served, calls: u64, exits: u64| {
        let Served { created, .. } = served;
        say!("2 GiB, {what}: {} exits, {} calls, {created} tables", served.exits, served.calls);
        check::equal("calls and exits", (served.calls, served.exits), (calls, exits));
    };
    let served = change(&mut guest, RANGE, RANGE_TOP, RAM, 0, Host::Patient);
    check::equal("2 GiB are RAM", served.answer, top);
    figure("no tables", served, 1, 1);
    check::equal(
        "the Realm sees it",
        see(&guest, RANGE, RANGE_TOP + GIB),
        [(RANGE_TOP, RAM), (RANGE_TOP + GIB, EMPTY)],
    );
    // The first and the last page are unchanged.
    let (base, end) = (RANGE + GRANULE, RANGE_TOP - GRANULE);
    let served = change(&mut guest, base, end, EMPTY, 0, Host::Patient);
    check::equal("all but two pages are EMPTY", served.answer, [0, end, response::ACCEPT]);
    figure("but for two pages, which need tables", served, 8, 1);
    let seen = [(base, RAM), (end, EMPTY), (RANGE_TOP, RAM)];
    check::equal("the Realm sees it", see(&guest, RANGE, RANGE_TOP), seen);
    let served = change(&mut guest, RANGE, RANGE_TOP, RAM, 0, Host::Hasty);
    check::equal("a hasty host gets there", served.answer, top);
    figure("a call an exit", served, 4, 4);
    let served = change(&mut guest, RANGE, RANGE_TOP, EMPTY, 0, Host::Rejecting);
    check::equal("EMPTY is not rejected", served.answer, [0, RANGE, response::ACCEPT]);
    figure("nothing done, EMPTY", served, 0, 1);
    for ipa in (RANGE + 2 * BLOCK..RANGE + 34 * BLOCK).step_by(2 * BLOCK as usize) {
        let brought = tables::bring_tables(guest.rd(), guest.pool(), ipa, 3);
        check::equal("a table of pages", brought, Status::SUCCESS);
    }
    let served = change(&mut guest, RANGE, RANGE_TOP, EMPTY, CHANGE_DESTROYED, Host::Patient);
    check::equal("through tables of pages", served.answer, top);
    figure("eighteen tables of pages", served, 1 + 16 * 2 + 1 + 2, 1);
    let served = change(&mut guest, RANGE, RANGE_TOP, RAM, 0, Host::Rejecting);
    check::equal("RAM is rejected", served.answer, [0, RANGE, response::REJECT]);
    figure("nothing done, RAM", served, 0, 1);
    let rd = guest.rd();
    for block in [0].into_iter().chain((2..34).step_by(2)).chain([1023]) {
        let (status, table, _) = tables::destroy(rd, RANGE + block * BLOCK, 3);
        check::equal("a table of pages is destroyed", status, Status::SUCCESS);
        guest.pool().give(table);
    }
    for ipa in [RANGE, RANGE + GIB] {
        let (status, table, _) = tables::destroy(rd, ipa, 2);
        check::equal("and one of blocks", status, Status::SUCCESS);
        guest.pool().give(table);
    }
    // Entries without a table are DESTROYED, since the host has destroyed their tables.
    check::equal("the Realm sees it", see(&guest, RANGE, RANGE_TOP), [(RANGE_TOP, DESTROYED)]);
    entries(&mut guest);
    missing(&mut guest);
    guest.destroy();
}

/// Pages and blocks of each kind.
fn entries(guest: &mut Guest) {
    let rd = guest.rd();
    let page = |index| PAGE + index * GRANULE;
    let delegated = realm::delegate(granule(DATA), 3) && realm::delegate(granule(BLOCK_DATA), 512);
    check::that("granules are delegated", delegated);
    let create = |index, ipa| tables::data_create_unknown(rd, granule(index), ipa);
    let served = change(guest, page(1), page(6), RAM, 0, Host::Patient);
    check::equal("pages are RAM", served.answer[..2] == [0, page(6)], true);
    let made = [create(DATA, page(2)), create(DATA + 1, page(3)), create(DATA + 2, page(4))];
    check::equal("some have memory", made, [Status::SUCCESS; 3]);
    let served = change(guest, page(3), page(4), EMPTY, 0, Host::Patient);
    check::equal("one is EMPTY with memory", served.answer[..2] == [0, page(4)], true);
    check::equal("one is DESTROYED", tables::data_destroy(rd, page(4)).0, Status::SUCCESS);
    let made = [create(DATA + 2, page(5)), tables::data_destroy(rd, page(5)).0];
    check::equal("so is the next", made, [Status::SUCCESS; 2]);
    check::equal("which gets memory", create(DATA + 2, page(5)), Status::SUCCESS);
    let seen = [
        (page(1), EMPTY),
        (page(3), RAM),
        (page(4), EMPTY),
        (page(6), DESTROYED),
        (page(8), EMPTY),
    ];
    check::equal("the Realm sees each page", see(guest, page(0), page(8)), seen);
    let served = change(guest, page(4), page(6), RAM, 0, Host::Patient);
    check::equal("DESTROYED stays", (served.answer, served.calls), ([0, page(4), 0], 1));

    // A block with memory between blocks without.
    let block = BASE + 4 * BLOCK;
    let served = change(guest, block, block + 2 * BLOCK, RAM, 0, Host::Patient);
    check::equal("blocks are RAM", served.answer[..2] == [0, block + 2 * BLOCK], true);
    let brought = tables::bring_tables(rd, guest.pool(), block, 3);
    check::equal("a table", brought, Status::SUCCESS);
    let filled = (0..512)
        .all(|index| create(BLOCK_DATA + index, block + index * GRANULE) == Status::SUCCESS);
    check::that("that is filled", filled);
    let (status, table) = tables::fold(rd, block, 3);
    check::equal("folds", status, Status::SUCCESS);
    guest.pool().give(table);
    let seen = [(block, EMPTY), (block + 2 * BLOCK, RAM), (block + 4 * BLOCK, EMPTY)];
    check::equal("the Realm sees blocks", see(guest, block - 3 * BLOCK, block + 4 * BLOCK), seen);
    let served = change(guest, block, block + BLOCK, EMPTY, 0, Host::Patient);
    check::equal("one entry is one call", (served.calls, served.exits), (1, 1));
    let seen = [(block + BLOCK, EMPTY), (block + 2 * BLOCK, RAM)];
    check::equal("EMPTY with memory", see(guest, block, block + 2 * BLOCK), seen);

    let table = guest.pool().take();
    check::equal("unfolded", tables::create(rd, table, block, 3), Status::SUCCESS);
    let emptied = (0..512)
        .all(|index| tables::data_destroy(rd, block + index * GRANULE).0 == Status::SUCCESS);
    let emptied = emptied
        && [2, 3, 5]
            .iter()
            .all(|index| tables::data_destroy(rd, page(*index)).0 == Status::SUCCESS);
    check::that("memory comes back", emptied);
    let (status, table, _) = tables::destroy(rd, block, 3);
    check::equal("and the table", status, Status::SUCCESS);
    guest.pool().give(table);
    check::that("and zero", realm::undelegate(granule(BLOCK_DATA), 512));
}

/// A call on a page without memory exits like an access, and is then repeated.
fn missing(guest: &mut Guest) {
    let (rd, run, page) = (guest.rd(), guest.run(0), PAGE + GRANULE);
    for (function, offset) in [(rsi::REALM_CONFIG, 0), (rsi::HOST_CALL, 0x700)] {
        let x = [u64::from(function), page + offset];
        for _ in 0..2 {
            let status = if run.reason() == reason::HOST_CALL {
                guest.begin_call(0, &x)
            } else {
                run.prepare(0, &[]);
                guest.enter(0)
            };
            check::equal("a call without memory", status, Status::SUCCESS);
            let words = [(field::ESR, 0x24 << 26 | 0b111), (field::HPFAR, page >> 8)];
            run.expect("an emulated data abort", &words);
            for flags in [flag::EMULATED_MMIO, flag::INJECT_SEA] {
                run.prepare(flags, &[]);
                check::equal("is not the host's", guest.enter(0), realm::ERROR_REC);
            }
            // A refused entry does not write the record.
            run.prepare(0, &[]);
            check::equal("it is there again", guest.enter(0), Status::SUCCESS);
        }
        let made = tables::data_create_unknown(rd, granule(DATA), page);
        check::equal("the page gets memory", made, Status::SUCCESS);
        run.prepare(0, &[]);
        check::equal("the call is made again", guest.enter(0), Status::SUCCESS);
        if function == rsi::HOST_CALL {
            run.expect("a call of the host, zeros", &[(field::REASON, reason::HOST_CALL)]);
            run.prepare(0, &[7; 31]);
            check::equal("is answered", guest.enter(0), Status::SUCCESS);
        }
        check::equal("with success", guest.called(0, &x, 3)[0], 0);
        check::equal("the page goes", tables::data_destroy(rd, page).0, Status::SUCCESS);
        // It is now DESTROYED; the Realm wants RAM.
        let served = change(guest, page, page + GRANULE, RAM, CHANGE_DESTROYED, Host::Patient);
        check::equal("RAM again", served.answer, [0, page + GRANULE, 0]);
    }
    // The page is unmapped before the answer. The call stays pending until the Realm makes the page
    // RAM.
    let made = tables::data_create_unknown(rd, granule(DATA), page);
    check::equal("the page gets memory", made, Status::SUCCESS);
    let called = guest.begin_call(0, &[u64::from(rsi::HOST_CALL), page]);
    check::equal(
        "the host is called",
        (called, run.reason()),
        (Status::SUCCESS, reason::HOST_CALL),
    );
    check::equal("the page goes", tables::data_destroy(rd, page).0, Status::SUCCESS);
    for _ in 0..2 {
        run.prepare(0, &[7; 31]);
        check::equal("the answer has no place", guest.enter(0), Status::SUCCESS);
        let words = [(field::ESR, 0x24 << 26 | 0b111), (field::HPFAR, page >> 8)];
        run.expect("an emulated data abort", &words);
    }
    check::that("all comes back", realm::undelegate(granule(DATA), 3));
}
