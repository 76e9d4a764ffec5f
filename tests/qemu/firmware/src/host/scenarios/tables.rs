// SPDX-License-Identifier: BSD-3-Clause
//! Whole Realms: tables, memory and unprotected mappings are built, changed and destroyed (both
//! dialects).

use core::fmt::{self, Display};

use rmm_test_firmware::options::GRANULE;
use rmm_test_firmware::{say, write_register};

use crate::check::{self, Every};
use crate::memory::{GPI_NONSECURE, granule};
use crate::probe;
use crate::realm::{self, ERROR_REALM, Shape};
use crate::rmi::{Dialect, Status};
use crate::smc;
use crate::tables::{
    self, ASSIGNED, DESTROYED, EMPTY, Pool, RAM, UNASSIGNED, UNPROTECTED, error_rtt, size,
};

/// Indices in test memory. The root tables are aligned to their largest number, the Realm's memory
/// to a block.
const PARAMETERS: u64 = 0;
const RD: u64 = 1;
const RECS: [u64; 2] = [2, 3];
const AUXILIARY: [u64; 2] = [0x3e00, 0x3f00];
const ROOT: u64 = 16;
const POOL: u64 = 32;
const IMAGE: u64 = 0x1000;
const DATA: u64 = 0x2000;
/// The memory of unprotected mappings.
const SHARED: u64 = 0x3000;

/// Pages of the Realm: 16 MiB.
const PAGES: u64 = 4096;
/// Pages of the image whose content is measured. Of the others only the address is.
const MEASURED: u64 = 16;
/// The bytes that a block of level 2 maps.
const BLOCK: u64 = 0x20_0000;

/// The order in which a Realm is destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Memory upwards, by the addresses in the RMM's answers; RECs last.
    Ascending,
    /// Memory downwards, unprotected mappings first.
    Descending,
    /// RECs first, then each table right after its memory.
    TableByTable,
}

/// A Realm that is being built or destroyed.
struct Session {
    rd: u64,
    shape: Shape,
    pages: u64,
    pool: Pool,
}

impl Session {
    /// The first unprotected IPA.
    fn unprotected(&self) -> u64 {
        1 << (self.shape.ipa_bits - 1)
    }

    fn tables(&mut self, ipa: u64, level: i64) -> Status {
        tables::bring_tables(self.rd, &mut self.pool, ipa, level)
    }

    fn no_tables(&mut self, ipa: u64, level: i64, above: i64) -> Status {
        tables::destroy_tables(self.rd, &mut self.pool, ipa, level, above)
    }

    /// Folds the table at `level` for `ipa`. Gives the status.
    fn fold(&mut self, ipa: u64, level: i64) -> Status {
        let (status, table) = tables::fold(self.rd, ipa & !(size(level - 1) - 1), level);
        if status == Status::SUCCESS {
            self.pool.give(table);
        }
        status
    }

    /// Creates a table at `level` in place of a block or an empty entry. Gives the status.
    fn unfold(&mut self, ipa: u64, level: i64) -> Status {
        let table = self.pool.take();
        let status = tables::create(self.rd, table, ipa & !(size(level - 1) - 1), level);
        if status != Status::SUCCESS {
            self.pool.give(table);
        }
        status
    }

    fn create(shape: Shape, pages: u64) -> Option<Self> {
        let rd = granule(RD);
        let status = realm::create(rd, granule(PARAMETERS), shape, granule(ROOT), 1);
        let session = Self { rd, shape, pages, pool: Pool::new(granule(POOL)) };
        (status == Status::SUCCESS).then_some(session)
    }

    /// Makes RAM from IPA 0 up, and copies the image to it.
    fn populate(&mut self, every: &mut Every<'_>) {
        let (rd, top) = (self.rd, self.pages * GRANULE);
        every.equal("tables of level 2", self.tables(0, 2), Status::SUCCESS);
        // Without pages, a whole block becomes RAM at once. The rest does page by page.
        let blocks = top & !(BLOCK - 1);
        let mut next = 0;
        while next < top {
            if next == blocks {
                every.equal("a table of level 3", self.tables(next, 3), Status::SUCCESS);
            }
            let (status, reached) = tables::init_ripas(rd, next, top);
            every.equal(format_args!("RIPAS from {next:#x}"), status, Status::SUCCESS);
            if status != Status::SUCCESS {
                return;
            }
            next = reached;
        }
        for page in 0..self.pages {
            let ipa = page * GRANULE;
            if ipa.is_multiple_of(BLOCK) {
                every.equal("a table of level 3", self.tables(ipa, 3), Status::SUCCESS);
            }
            let (data, source) = (granule(DATA + page), granule(IMAGE + page));
            let status = tables::data_create(rd, data, ipa, source, page < MEASURED);
            every.equal(format_args!("the page at {ipa:#x}"), status, Status::SUCCESS);
        }
        let last = top - GRANULE;
        let entry = (3, ASSIGNED, granule(DATA + self.pages - 1), RAM);
        every.equal("the last page", tables::read_entry(rd, last, 3), (Status::SUCCESS, entry));
        let again = tables::data_create_unknown(rd, granule(ROOT), 0);
        // RMI 2.0 checks the entry first, which has other memory.
        let is_2_0 = Dialect::current() == Dialect::Two;
        let refused = if is_2_0 { error_rtt(3) } else { Status::ERROR_INPUT };
        every.equal("a root table is no memory", again, refused);
        let in_use = tables::data_create(rd, granule(DATA), 0, granule(IMAGE), false);
        every.equal("nor is memory that is in use", in_use, Status::ERROR_INPUT);
        let spare = self.pool.take();
        let twice = tables::data_create(rd, spare, 0, granule(IMAGE), false);
        every.equal("a page is not given twice", twice, error_rtt(3));
        self.pool.give(spare);
    }

    /// Folds and unfolds memory that is aligned to blocks.
    fn fold_memory(&mut self, every: &mut Every<'_>) {
        let rd = self.rd;
        for ipa in (0..self.pages * GRANULE).step_by(BLOCK as usize) {
            every.equal("a table of pages is folded", self.fold(ipa, 3), Status::SUCCESS);
            let entry = (2, ASSIGNED, granule(DATA) + ipa, RAM);
            every.equal("it is a block", tables::read_entry(rd, ipa, 2), (Status::SUCCESS, entry));
            let destroyed = (error_rtt(2), 0, ipa);
            every.equal("a block is not destroyed", tables::data_destroy(rd, ipa), destroyed);
        }
        // The table above is not homogeneous, so it cannot be folded.
        let folded = if self.shape.level < 2 { error_rtt(2) } else { Status::ERROR_INPUT };
        every.equal("the table of blocks is not folded", self.fold(0, 2), folded);
        for ipa in (0..self.pages * GRANULE).step_by(BLOCK as usize) {
            every.equal("the block is unfolded", self.unfold(ipa, 3), Status::SUCCESS);
            let page = ipa + 5 * GRANULE;
            let entry = (3, ASSIGNED, granule(DATA) + page, RAM);
            every.equal("into pages", tables::read_entry(rd, page, 3), (Status::SUCCESS, entry));
        }
    }

    /// Tables without memory, created from the root down and folded up again, in both halves.
    fn fold_emptiness(&mut self, every: &mut Every<'_>) {
        let last = (1_u64 << self.shape.ipa_bits) - GRANULE;
        for (ipa, ripas) in [(self.unprotected() - GRANULE, DESTROYED), (last, EMPTY)] {
            // Existing tables are not homogeneous.
            let (_, (above, ..)) = tables::read_entry(self.rd, ipa, 3);
            every.equal("tables down to level 3", self.tables(ipa, 3), Status::SUCCESS);
            let (status, (level, state, ..)) = tables::read_entry(self.rd, ipa, 3);
            every.equal(
                "nothing is there",
                (status, level, state),
                (Status::SUCCESS, 3, UNASSIGNED),
            );
            for level in (above + 1..=3).rev() {
                every.equal(
                    format_args!("level {level} is folded"),
                    self.fold(ipa, level),
                    Status::SUCCESS,
                );
            }
            for level in above + 1..=3 {
                every.equal(
                    format_args!("level {level} comes back"),
                    self.unfold(ipa, level),
                    Status::SUCCESS,
                );
            }
            every.equal("and all of them go", self.no_tables(ipa, 3, above), Status::SUCCESS);
            let read = tables::read_entry(self.rd, ipa & !(size(above) - 1), above);
            every.equal("what is left", read, (Status::SUCCESS, (above, UNASSIGNED, 0, ripas)));
        }
    }

    /// Memory of the host in the unprotected half: pages, a block of level 2 and one of level 1,
    /// folded and unfolded.
    fn share(&mut self, every: &mut Every<'_>) {
        let (rd, base, shared) = (self.rd, self.unprotected(), granule(SHARED));
        every.equal("tables for pages", self.tables(base, 3), Status::SUCCESS);
        for offset in (0..BLOCK).step_by(GRANULE as usize) {
            let descriptor = (shared + offset) | UNPROTECTED;
            let status = tables::map_unprotected(rd, base + offset, 3, descriptor);
            every.equal("a page of the host", status, Status::SUCCESS);
        }
        let twice = tables::map_unprotected(rd, base, 3, shared | UNPROTECTED);
        // In RMI 2.0 mapping the same again succeeds.
        let is_2_0 = Dialect::current() == Dialect::Two;
        let expected = if is_2_0 { Status::SUCCESS } else { error_rtt(3) };
        every.equal("but not twice", twice, expected);
        every.equal("the pages are folded", self.fold(base, 3), Status::SUCCESS);
        let entry = (2, ASSIGNED, shared | UNPROTECTED, EMPTY);
        every.equal("into a block", tables::read_entry(rd, base, 2), (Status::SUCCESS, entry));
        every.equal("which is unfolded", self.unfold(base, 3), Status::SUCCESS);
        let next = base + BLOCK;
        let status = tables::map_unprotected(rd, next, 2, (shared + BLOCK) | UNPROTECTED);
        every.equal("a block of the host", status, Status::SUCCESS);
        every.equal("it is unmapped", tables::unmap_unprotected(rd, next, 2).0, Status::SUCCESS);
        if self.shape.level <= 1 {
            // Beyond the first GiB, which has tables.
            let far = base + size(1);
            let status = tables::map_unprotected(rd, far, 1, 0x4000_0000 | UNPROTECTED);
            every.equal("a GiB of the host", status, Status::SUCCESS);
            every.equal("it is unfolded", self.unfold(far, 2), Status::SUCCESS);
            let entry = (2, ASSIGNED, (0x4000_0000 + 7 * BLOCK) | UNPROTECTED, EMPTY);
            let read = tables::read_entry(rd, far + 7 * BLOCK, 2);
            every.equal("into blocks", read, (Status::SUCCESS, entry));
            every.equal("which are folded", self.fold(far, 2), Status::SUCCESS);
            every.equal("and unmapped", tables::unmap_unprotected(rd, far, 1).0, Status::SUCCESS);
        }
    }

    /// Unmaps what [`share`](Self::share) has left, by the addresses in the RMM's answers.
    fn unshare(&mut self, every: &mut Every<'_>) {
        let base = self.unprotected();
        let mut ipa = base;
        while ipa < base + BLOCK {
            let (status, next) = tables::unmap_unprotected(self.rd, ipa, 3);
            every.equal("a page is unmapped", status, Status::SUCCESS);
            every.equal("and the next one named", next, ipa + GRANULE);
            ipa += GRANULE;
        }
        every.equal("its tables go", self.no_tables(base, 3, self.shape.level), Status::SUCCESS);
    }

    fn destroy_page(&mut self, every: &mut Every<'_>, ipa: u64) -> u64 {
        let (status, data, top) = tables::data_destroy(self.rd, ipa);
        let expected = (Status::SUCCESS, granule(DATA) + ipa);
        every.equal(format_args!("the page at {ipa:#x} goes"), (status, data), expected);
        top
    }

    /// Destroys the level 3 tables of the memory, and all tables above them.
    fn destroy_memory_tables(&mut self, every: &mut Every<'_>) {
        for ipa in (0..self.pages * GRANULE).step_by(BLOCK as usize) {
            let (status, table, _) = tables::destroy(self.rd, ipa, 3);
            every.equal("a table of level 3 goes", status, Status::SUCCESS);
            self.pool.give(table);
        }
    }

    fn take_down(&mut self, every: &mut Every<'_>, order: Order) {
        let (rd, top) = (self.rd, self.pages * GRANULE);
        every.equal("a Realm that has something stays", realm::destroy(rd), ERROR_REALM);
        let destroy_recs = |every: &mut Every<'_>| {
            for rec in RECS {
                every.equal(
                    "a REC goes",
                    realm::rec_destroy(granule(rec), granule(PARAMETERS)),
                    Status::SUCCESS,
                );
            }
        };
        match order {
            Order::Ascending => {
                let mut ipa = 0;
                while ipa < top {
                    ipa = self.destroy_page(every, ipa);
                }
                self.unshare(every);
                self.destroy_memory_tables(every);
                destroy_recs(every);
            }
            Order::Descending => {
                self.unshare(every);
                for page in (0..self.pages).rev() {
                    self.destroy_page(every, page * GRANULE);
                }
                destroy_recs(every);
                self.destroy_memory_tables(every);
            }
            Order::TableByTable => {
                destroy_recs(every);
                for block in (0..top).step_by(BLOCK as usize) {
                    let live = (error_rtt(3), 0, block);
                    every.equal("a table with memory stays", tables::destroy(rd, block, 3), live);
                    for ipa in (block..top.min(block + BLOCK)).step_by(GRANULE as usize) {
                        self.destroy_page(every, ipa);
                    }
                    let (status, table, _) = tables::destroy(rd, block, 3);
                    every.equal("a table without goes", status, Status::SUCCESS);
                    self.pool.give(table);
                }
                self.unshare(every);
            }
        }
        every.equal("the tables above go", self.no_tables(0, 2, self.shape.level), Status::SUCCESS);
        every.equal("every table is back", self.pool.is_full(), true);
        every.equal("the Realm goes", realm::destroy(rd), Status::SUCCESS);
    }

    fn create_recs(&mut self, every: &mut Every<'_>) {
        for (mpidr, (rec, auxiliary)) in (0..).zip(RECS.into_iter().zip(AUXILIARY)) {
            let auxiliary = realm::auxiliary(granule(auxiliary));
            let status =
                realm::rec_create(self.rd, granule(rec), granule(PARAMETERS), mpidr, &auxiliary);
            every.equal("a REC", status, Status::SUCCESS);
        }
    }
}

/// Builds and destroys a whole Realm. `None` if it could not be created.
fn build_and_take_down(
    every: &mut Every<'_>,
    shape: Shape,
    pages: u64,
    order: Order,
) -> Option<()> {
    let mut session = Session::create(shape, pages)?;
    session.populate(every);
    if pages.is_multiple_of(BLOCK / GRANULE) {
        session.fold_memory(every);
    }
    session.create_recs(every);
    session.fold_emptiness(every);
    session.share(every);
    every.equal("it is activated", realm::activate(session.rd), Status::SUCCESS);
    let spare = session.pool.take();
    let late = tables::data_create(session.rd, spare, 0, granule(IMAGE), false);
    every.equal("and not measured any more", late, ERROR_REALM);
    session.pool.give(spare);
    let unasked = tables::set_ripas(session.rd, granule(RECS[0]), 0, GRANULE);
    every.equal("and no RIPAS changes unless the Realm asks", unasked.0, Status::ERROR_INPUT);
    session.take_down(every, order);
    Some(())
}

/// Delegates the granules of test memory that Realms use, and the memory, but not the parameters.
fn delegate_all(pages: u64) -> bool {
    AUXILIARY.into_iter().all(|first| realm::delegate(granule(first), realm::AUXILIARY as u64))
        && realm::delegate(granule(RD), 3)
        && realm::delegate(granule(ROOT), 16 + Pool::GRANULES as u64)
        && realm::delegate(granule(DATA), pages)
}

fn undelegate_all(pages: u64) -> bool {
    AUXILIARY.into_iter().all(|first| realm::undelegate(granule(first), realm::AUXILIARY as u64))
        && realm::undelegate(granule(RD), 3)
        && realm::undelegate(granule(ROOT), 16 + Pool::GRANULES as u64)
        && realm::undelegate(granule(DATA), pages)
}

/// Writes an image to the host's memory, with a different word in each page.
fn write_image(pages: u64) -> bool {
    (0..pages).all(|page| probe::fill_granule(granule(IMAGE + page), 0x1a6e << 32 | page).is_ok())
}

/// A Realm of 16 MiB with two RECs, at every legal size for one start level and one descriptor
/// format, destroyed in each order. The option `argument` is the level plus 1, plus 16 for LPA2.
pub fn sessions() {
    crate::rmi::activate();
    let (_, features) = crate::rmi::features(0);
    let (most_bits, has_lpa2) = (features & 0xff, features >> 8 & 1 != 0);
    let argument = crate::options().argument;
    let (lpa2, level) = (argument & 16 != 0, (argument & 15).cast_signed() - 1);
    check::that("an image is in the host's memory", write_image(PAGES));
    check::that("granules are delegated", delegate_all(PAGES));
    let orders = [Order::Ascending, Order::Descending, Order::TableByTable];
    let mut built = 0;
    let mut every = Every::new("Realms are built, changed and taken down");
    Shape::for_all(|shape| {
        let is_meant = (shape.lpa2, shape.level) == (lpa2, level);
        if !is_meant || shape.ipa_bits > most_bits || (shape.lpa2 && !has_lpa2) {
            return;
        }
        let done = build_and_take_down(&mut every, shape, PAGES, orders[built % orders.len()]);
        every.equal(format_args!("{shape:?}"), done, Some(()));
        built += 1;
    });
    drop(every);
    say!("{built} Realms of {} MiB", (PAGES * GRANULE) >> 20);
    check::that("every granule comes back, and zero", undelegate_all(PAGES));
    check::equal("to the host", smc::granule_gpi(granule(DATA)), GPI_NONSECURE);
}

/// A small Realm from its creation to its end.
pub fn story() {
    const STORY_PAGES: u64 = 16;
    say!("-- A Realm is built");
    check::that("granules are delegated", delegate_all(STORY_PAGES) && write_image(STORY_PAGES));
    let Some(mut session) = Session::create(Shape::USUAL, STORY_PAGES) else {
        check::that("RMI_REALM_CREATE succeeds", false);
        return;
    };
    say!("   {:?}, RD {:#x}, root {:#x}", session.shape, session.rd, granule(ROOT));
    let mut every = Every::new("RIPAS is RAM, and the image is copied in");
    session.populate(&mut every);
    drop(every);
    let (_, (level, _, address, _)) = tables::read_entry(session.rd, 0x5000, 3);
    say!("   IPA 0x5000 is granule {address:#x}, in a table of level {level}");
    let mut every = Every::new("it has two RECs");
    session.create_recs(&mut every);
    drop(every);
    let mut every = Every::new("it shares 2 MiB with the host");
    session.share(&mut every);
    drop(every);
    check::equal("RMI_REALM_ACTIVATE succeeds", realm::activate(session.rd), Status::SUCCESS);
    say!("-- and taken down");
    let mut every = Every::new("memory, tables, RECs and the Realm itself go");
    session.take_down(&mut every, Order::Ascending);
    drop(every);
    check::that("every granule comes back, and zero", undelegate_all(STORY_PAGES));
}

/// Bounds: half of TF-RMM's release build, by median, for a Realm of the usual shape.
const BOUNDS: [(&str, u64); 5] = [
    ("RMI_RTT_CREATE", 1_339),
    ("RMI_RTT_DESTROY", 3_814),
    ("RMI_RTT_READ_ENTRY", 897),
    ("RMI_DATA_CREATE", 14_000),
    ("RMI_RTT_INIT_RIPAS", 3_000),
];

/// The name of a command on a table at a level, in one half of the IPA space.
struct Name(&'static str, i64, &'static str);

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, level {}, {}", self.0, self.1, self.2)
    }
}

/// Sets SVCR. SIMD registers hold no values.
fn set_streaming_mode(svcr: u64) {
    // SAFETY: CPTR_EL2 and SVCR of this image, which uses no SIMD registers.
    unsafe {
        write_register!("cptr_el2", 0x2ff);
        core::arch::asm!("isb", options(nostack, preserves_flags));
        write_register!("s3_3_c4_c2_2", svcr);
        core::arch::asm!("isb", options(nostack, preserves_flags));
    }
}

/// Instructions of the RMM for each command, on a Realm of the usual shape.
pub fn instructions() {
    let pages = 3;
    check::that("granules are delegated", delegate_all(pages) && write_image(pages));
    let Some(mut session) = Session::create(Shape::USUAL, pages) else {
        check::that("RMI_REALM_CREATE succeeds", false);
        return;
    };
    let (rd, half) = (session.rd, session.unprotected());
    let figure = |name: &dyn Display, command: &str, status: Status| {
        let instructions = smc::last_visit().last;
        check::equal(format_args!("{name} succeeds"), status, Status::SUCCESS);
        say!("figure: Instructions, RMI 1.0 | {name} | {instructions}");
        if let Some((_, bound)) = BOUNDS.iter().find(|(bounded, _)| *bounded == command) {
            check::that(format_args!("{name} keeps its bound, {bound}"), instructions <= *bound);
        }
    };
    for (ipa, half) in [(0, "protected"), (half, "unprotected")] {
        for level in [2, 3] {
            let status = tables::create(rd, session.pool.take(), ipa, level);
            figure(&Name("RMI_RTT_CREATE", level, half), "RMI_RTT_CREATE", status);
        }
    }
    figure(
        &"RMI_RTT_INIT_RIPAS, a page",
        "RMI_RTT_INIT_RIPAS",
        tables::init_ripas(rd, 0, GRANULE).0,
    );
    let data = |page| granule(DATA + page);
    let image = granule(IMAGE);
    figure(
        &"RMI_DATA_CREATE, not measured",
        "RMI_DATA_CREATE",
        tables::data_create(rd, data(0), 0, image, false),
    );
    figure(
        &"RMI_DATA_CREATE, measured",
        "RMI_DATA_CREATE",
        tables::data_create(rd, data(1), GRANULE, image, true),
    );
    // In streaming mode a CPU has no hash instructions.
    set_streaming_mode(1);
    let hashed = tables::data_create(rd, data(2), 2 * GRANULE, image, true);
    figure(&"RMI_DATA_CREATE, measured in software", "", hashed);
    set_streaming_mode(0);
    check::equal("it is destroyed", tables::data_destroy(rd, 2 * GRANULE).0, Status::SUCCESS);
    figure(&"RMI_RTT_READ_ENTRY", "RMI_RTT_READ_ENTRY", tables::read_entry(rd, 0, 3).0);
    let shared = granule(SHARED) | UNPROTECTED;
    figure(&"RMI_RTT_MAP_UNPROTECTED", "", tables::map_unprotected(rd, half, 3, shared));
    figure(&"RMI_RTT_UNMAP_UNPROTECTED", "", tables::unmap_unprotected(rd, half, 3).0);
    figure(&"RMI_DATA_DESTROY", "", tables::data_destroy(rd, 0).0);
    figure(&"RMI_DATA_DESTROY, the last", "", tables::data_destroy(rd, GRANULE).0);
    figure(&"RMI_DATA_CREATE_UNKNOWN", "", tables::data_create_unknown(rd, data(0), 0));
    figure(&"RMI_DATA_DESTROY, not RAM", "", tables::data_destroy(rd, 0).0);
    figure(&"RMI_RTT_FOLD", "", tables::fold(rd, half, 3).0);
    figure(&"RMI_RTT_DESTROY of level 3", "RMI_RTT_DESTROY", tables::destroy(rd, 0, 3).0);
    figure(&"RMI_RTT_DESTROY of level 2", "RMI_RTT_DESTROY", tables::destroy(rd, 0, 2).0);
}
