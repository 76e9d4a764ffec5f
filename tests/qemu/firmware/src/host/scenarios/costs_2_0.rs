// SPDX-License-Identifier: BSD-3-Clause
//! The cost of the commands of RMI 2.0. Each is called once, on a Realm of the usual shape.

use rmm_abi::psci;
use rmm_abi::rmi::{function as fid, status};
use rmm_abi::rmi_v1::{RecFlags, RmiRecParams};
use rmm_abi::rmi_v2::{ADDRESS_LIST, LIST_COUNT_SHIFT, RANGE_COUNT_SHIFT};
use rmm_abi::rsi::function as rsi;
use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::say;
use zerocopy::{FromZeros, transmute_ref};

use crate::guest::{Guest, reason};
use crate::memory::granule;
use crate::realm::{self, AUXILIARY, Shape};
use crate::rmi::{self, Status};
use crate::tables::{self, Pool, UNPROTECTED};
use crate::{check, probe, smc};

/// Indices of granules in test memory.
const PARAMETERS: u64 = 0;
const RD: u64 = 1;
const REC: u64 = 2;
const IMAGE: u64 = 3;
const LIST: u64 = 4;
const SHARED: u64 = 8;
const ROOT: u64 = 16;
const TABLES: u64 = 32;
const AUX: u64 = 128;
const DATA: u64 = 160;
/// The most RMM instructions before a pending interrupt is served.
const INTERRUPT_BOUND: u64 = 10_000;
/// The number of pages that a list maps.
const PAGES: u64 = 8;

/// Prints the figure of the last command, and asserts its status.
fn figure(name: &str, status: Status, expected: Status) {
    let instructions = smc::last_visit().last;
    check::equal(name, status, expected);
    say!("figure: Instructions, RMI 2.0 | {name} | {instructions}");
}

/// As [`figure`], for a command that succeeds.
fn done(name: &str, status: Status) {
    figure(name, status, Status::SUCCESS);
}

/// Writes a list of single pages, from the granule `first` on, to the page for lists.
fn write_list(first: u64, count: u64) {
    for index in 0..count {
        let entry = tables::range(3, granule(first + index), 0);
        if probe::write(granule(LIST) + 8 * index, entry).is_err() {
            check::that("the host writes its own memory", false);
        }
    }
}

/// Figures of every RMI 2.0 command that the scenario `instructions` leaves out.
pub fn instructions() {
    states_of_the_rmm();
    let delegated = realm::delegate(granule(RD), 2)
        && realm::delegate(granule(ROOT), 2)
        && realm::delegate(granule(TABLES), Pool::GRANULES as u64)
        && realm::delegate(granule(AUX), AUXILIARY as u64)
        && realm::delegate(granule(DATA), PAGES);
    check::that("the granules are delegated", delegated);
    let (rd, page) = (granule(RD), granule(PARAMETERS));
    let created = realm::create(rd, page, Shape::USUAL, granule(ROOT), 0);
    done("RMI_REALM_CREATE", created);
    let mut pool = Pool::new(granule(TABLES));
    memory(rd, &mut pool);
    let handle = rec(rd, page);
    done("RMI_REALM_ACTIVATE", realm::activate(rd));
    end_of_rec(handle);
    done("RMI_REALM_TERMINATE", Status(rmi::call(fid::REALM_TERMINATE, &[rd], 0)[0]));
    done("RMI_REALM_DESTROY", Status(rmi::call(fid::REALM_DESTROY, &[rd], 0)[0]));
    let back = realm::undelegate(granule(RD), 2)
        && realm::undelegate(granule(ROOT), 2)
        && realm::undelegate(granule(TABLES), Pool::GRANULES as u64)
        && realm::undelegate(granule(AUX), AUXILIARY as u64)
        && realm::undelegate(granule(DATA), PAGES);
    check::that("all comes back, and zero", back);
    of_a_realm_that_runs();
}

fn states_of_the_rmm() {
    done("RMI_RMM_ACTIVATE", rmi::rmm_activate());
    done("RMI_RMM_DEACTIVATE", rmi::rmm_deactivate());
    rmi::activate();
    let there = Status(status::ERROR_GPT.into());
    let base = granule(0) & !((1 << 30) - 1);
    figure("RMI_GPT_L1_CREATE", Status(rmi::call(fid::GPT_L1_CREATE, &[base], 0)[0]), there);
    let info = rmi::call(fid::GPT_INFO, &[base, base + (1 << 30)], 2);
    done("RMI_GPT_INFO", Status(info[0]));
}

fn memory(rd: u64, pool: &mut Pool) {
    let half = 1 << (Shape::USUAL.ipa_bits - 1);
    let create = [
        (0, 2, "RMI_RTT_CREATE, level 2, protected"),
        (0, 3, "RMI_RTT_CREATE, level 3, protected"),
        (half, 2, "RMI_RTT_CREATE, level 2, unprotected"),
        (half, 3, "RMI_RTT_CREATE, level 3, unprotected"),
    ];
    for (ipa, level, name) in create {
        done(name, tables::create(rd, pool.take(), ipa, level));
    }
    done("RMI_RTT_INIT_RIPAS, a page", tables::init_ripas(rd, 0, GRANULE).0);
    let image = granule(IMAGE);
    let init = |page, measured| {
        tables::data_create(rd, granule(DATA + page), page * GRANULE, image, measured)
    };
    done("RMI_RTT_DATA_MAP_INIT, not measured", init(0, false));
    done("RMI_RTT_DATA_MAP_INIT, measured", init(1, true));
    done("RMI_RTT_READ_ENTRY", tables::read_entry(rd, 0, 3).0);
    let shared = granule(SHARED) | UNPROTECTED;
    done("RMI_RTT_UNPROT_MAP, a page", tables::map_unprotected(rd, half, 3, shared));
    done("RMI_RTT_UNPROT_UNMAP, a page", tables::unmap_unprotected(rd, half, 3).0);
    done("RMI_RTT_DATA_UNMAP, a page", tables::data_destroy(rd, 0).0);
    done("RMI_RTT_DATA_UNMAP, the last", tables::data_destroy(rd, GRANULE).0);
    done("RMI_RTT_DATA_MAP, a page", tables::data_create_unknown(rd, granule(DATA), 0));
    done("RMI_RTT_DATA_UNMAP, not RAM", tables::data_destroy(rd, 0).0);
    write_list(DATA, PAGES);
    let top = PAGES * GRANULE;
    let flags = ADDRESS_LIST | PAGES << LIST_COUNT_SHIFT;
    let map = rmi::map(fid::RTT_DATA_MAP, rd, 0, top, flags, granule(LIST));
    done("RMI_RTT_DATA_MAP of a list of 8 pages", map.0);
    check::equal("to the end", map.1, top);
    let unmapped = rmi::call(fid::RTT_DATA_UNMAP, &[rd, 0, top, flags, granule(LIST)], 3);
    done("RMI_RTT_DATA_UNMAP of 8 pages to a list", Status(unmapped[0]));
    check::equal("to the end, as one range", (unmapped[1], unmapped[3]), (top, 1));
    list_of_holes(rd);
    done("RMI_RTT_FOLD", tables::fold(rd, half, 3).0);
    done("RMI_RTT_DESTROY of level 3", tables::destroy(rd, 0, 3).0);
    done("RMI_RTT_DESTROY of level 2", tables::destroy(rd, 0, 2).0);
    // The table above the folded one.
    check::equal("the last table", tables::destroy(rd, half, 2).0, Status::SUCCESS);
}

/// A list with an entry only at its end.
fn list_of_holes(rd: u64) {
    const NAME: &str = "RMI_RTT_DATA_MAP of a list of 511 empty entries and a page";
    const ENTRIES: u64 = GRANULE / 8;
    if probe::fill_granule(granule(LIST), 0).is_err() {
        check::that("the host writes its own memory", false);
    }
    let entry = tables::range(3, granule(DATA), 0);
    if probe::write(granule(LIST) + GRANULE - 8, entry).is_err() {
        check::that("the host writes its own memory", false);
    }
    let flags = ADDRESS_LIST | ENTRIES << LIST_COUNT_SHIFT;
    done(NAME, rmi::map(fid::RTT_DATA_MAP, rd, 0, GRANULE, flags, granule(LIST)).0);
    let waits = smc::last_visit().last;
    check::that("an interrupt would be served soon", waits <= INTERRUPT_BOUND);
    check::equal("it is mapped", tables::data_destroy(rd, 0).1, granule(DATA));
}

/// Creates a REC; the first attempt fails. Gives its granule.
fn rec(rd: u64, page: u64) -> u64 {
    let rec = granule(REC);
    let mut parameters = RmiRecParams::new_zeroed();
    parameters.flags = RecFlags::RUNNABLE.bits();
    realm::write_page(page, transmute_ref!(&parameters));
    write_list(AUX, AUXILIARY as u64);
    let (status, handle, _) = rmi::operation(fid::REC_CREATE, &[rd, rec, page]);
    figure("RMI_REC_CREATE, which asks for memory", status, Status::DONATE);
    let donate = [handle, granule(LIST), AUXILIARY as u64];
    let (status, ..) = rmi::operation(fid::OP_MEM_DONATE, &donate);
    figure("RMI_OP_MEM_DONATE of 11 granules", status, Status::CONTINUE_OR_CANCEL);
    let (status, ..) = rmi::operation(fid::OP_CANCEL, &[handle]);
    figure("RMI_OP_CANCEL", status, Status::RECLAIM);
    reclaim("RMI_OP_MEM_RECLAIM of 11 granules", handle);
    let (status, ..) = rmi::operation(fid::OP_CONTINUE, &[handle, 0]);
    figure("RMI_OP_CONTINUE, the end of what was cancelled", status, Status::ERROR_INPUT);

    write_list(AUX, AUXILIARY as u64);
    let (_, handle, _) = rmi::operation(fid::REC_CREATE, &[rd, rec, page]);
    let donate = [handle, granule(LIST), AUXILIARY as u64];
    let (status, ..) = rmi::operation(fid::OP_MEM_DONATE, &donate);
    check::equal("all is donated again", status, Status::CONTINUE_OR_CANCEL);
    done("RMI_OP_CONTINUE, which creates a REC", rmi::operation(fid::OP_CONTINUE, &[handle, 0]).0);
    rec
}

fn reclaim(name: &str, handle: u64) {
    let reclaim = [handle, granule(LIST), AUXILIARY as u64];
    let (status, entries, _) = rmi::operation(fid::OP_MEM_RECLAIM, &reclaim);
    figure(name, status, Status::CONTINUE);
    let all = tables::range(3, granule(AUX), 0) + ((AUXILIARY as u64 - 1) << RANGE_COUNT_SHIFT);
    let told = (entries, probe::read(granule(LIST)).unwrap_or(0));
    check::equal("they are one range", told, (1, all));
}

fn end_of_rec(rec: u64) {
    let (status, handle, _) = rmi::operation(fid::REC_DESTROY, &[rec]);
    figure("RMI_REC_DESTROY, which gives back memory", status, Status::RECLAIM);
    reclaim("RMI_OP_MEM_RECLAIM of 11 granules of a REC", handle);
    done("RMI_OP_CONTINUE, the end of a REC", rmi::operation(fid::OP_CONTINUE, &[handle, 0]).0);
}

/// The commands that serve the requests of a Realm.
fn of_a_realm_that_runs() {
    let mut guest = Guest::start(2);
    let base = 1 << 30;
    let change = [rsi::IPA_STATE_SET.into(), base, base + GRANULE, tables::RAM, 0];
    check::equal("a REC asks for RAM", guest.begin_call(0, &change), Status::SUCCESS);
    check::equal("by an exit", guest.run(0).reason(), reason::RIPAS_CHANGE);
    let (rd, rec) = (guest.rd(), guest.rec(0));
    let tables = tables::bring_tables(rd, guest.pool(), base, 3);
    check::equal("it has tables", tables, Status::SUCCESS);
    done("RMI_RTT_SET_RIPAS, a page", tables::set_ripas(rd, rec, base, base + GRANULE).0);
    guest.run(0).prepare(0, &[]);
    check::equal("it goes on", guest.enter(0), Status::SUCCESS);
    let on = [psci::function::CPU_ON_64.into(), 1, base, 0];
    check::equal("a REC turns another on", guest.begin_call(0, &on), Status::SUCCESS);
    check::equal("by an exit", guest.run(0).reason(), reason::PSCI);
    let complete = |x: &[u64]| Status(rmi::call(fid::PSCI_COMPLETE, x, 0)[0]);
    done("RMI_PSCI_COMPLETE, which finds the target", complete(&[rec, psci::SUCCESS]));
    check::equal("it goes on", guest.enter(0), Status::SUCCESS);
    check::equal("a REC turns another on", guest.begin_call(0, &on), Status::SUCCESS);
    done("RMI_PSCI_COMPLETE, of a target", complete(&[rec, guest.rec(1), psci::SUCCESS]));
    check::equal("it goes on", guest.enter(0), Status::SUCCESS);
    let pool = guest.pool();
    let gone = tables::destroy_tables(rd, pool, base, 3, 1);
    check::equal("its tables go", gone, Status::SUCCESS);
    guest.destroy();
}
