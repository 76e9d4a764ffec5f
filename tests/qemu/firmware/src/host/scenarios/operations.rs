// SPDX-License-Identifier: BSD-3-Clause
//! Stateful operations of RMI 2.0 from all CPUs at once, which take granules, handles and RECs from
//! each other. In the end every granule comes back.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rmm_abi::rmi::status;
use rmm_abi::rmi_v1::{RecFlags, RmiRecParams};
use rmm_test_firmware::say;
use zerocopy::{FromZeros, transmute_ref};

use crate::check::{self, Every};
use crate::memory::{GPI_NONSECURE, granule};
use crate::random::Random;
use crate::realm::{self, Shape};
use crate::rmi::{self, Status, fid};
use crate::{cpus, probe, smc, tables};

/// Indices of granules in test memory. Those of a CPU are its own from `PARAMETERS` and `LISTS` on.
const RD: u64 = 1;
const ROOT: u64 = 2;
const PARAMETERS: u64 = 16;
const LISTS: u64 = 32;
const POOL: u64 = 64;
const POOL_SIZE: u64 = 64;

/// The number of operations that the host remembers at a time, and in all.
const PLACES: usize = 4;
const MOST: usize = 1 << 14;

/// An operation that may be live: its handle times 2, plus 1 if it creates a REC; 0 for none.
static LIVE: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];
/// All handles so far, and their number.
static ALL: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
static BEGUN: AtomicUsize = AtomicUsize::new(0);
/// The index of the next REC, as far as a CPU knows.
static RECS: AtomicU64 = AtomicU64::new(0);

struct Host<'a> {
    index: u64,
    random: Random,
    answers: Every<'a>,
}

impl Host<'_> {
    fn granule(&mut self) -> u64 {
        granule(POOL + self.random.below(POOL_SIZE))
    }

    /// A granule, most often one that this CPU has just delegated. Others may use it.
    fn delegated(&mut self) -> u64 {
        for _ in 0..4 {
            let granule = self.granule();
            if rmi::delegate(granule) == Status::SUCCESS || self.random.below(128) == 0 {
                return granule;
            }
        }
        self.granule()
    }

    fn list(&self) -> u64 {
        granule(LISTS + self.index)
    }

    /// A place for an operation, and the operation in it.
    fn operation(&mut self) -> (&'static AtomicU64, u64) {
        let place = usize::try_from(self.random.below(PLACES as u64)).unwrap_or(0);
        let place = &LIVE[place];
        (place, place.load(Ordering::Acquire))
    }

    fn write(&mut self, address: u64, word: u64) {
        if probe::write(address, word).is_err() {
            self.answers.equal("the host writes its own memory", false, true);
        }
    }

    /// Asserts that an answer is possible for this call.
    fn expect(&mut self, function: u32, (answer, ..): (Status, u64, u64)) {
        const ERRORS: [u8; 6] = [
            status::ERROR_INPUT,
            status::ERROR_REALM,
            status::ERROR_REC,
            status::BUSY,
            status::BLOCKED,
            status::INCOMPLETE,
        ];
        let is_one = answer == Status::SUCCESS
            || ERRORS.iter().any(|error| answer.0 & 0xff == u64::from(*error));
        self.answers.equal(format_args!("{function:#x}: {answer:?}"), is_one, true);
    }

    fn call(&mut self, function: u32, arguments: &[u64]) -> (Status, u64, u64) {
        let answer = rmi::operation(function, arguments);
        self.expect(function, answer);
        answer
    }

    fn begin(&mut self, function: u32, arguments: &[u64]) {
        let (status, handle, _) = self.call(function, arguments);
        if status.0 & 0xff != u64::from(status::INCOMPLETE) {
            return;
        }
        match ALL.get(BEGUN.fetch_add(1, Ordering::AcqRel)) {
            Some(place) => place.store(handle, Ordering::Release),
            None => self.answers.equal("there is room for its handle", false, true),
        }
        let (place, _) = self.operation();
        let creates = u64::from(function == fid::REC_CREATE);
        let word = handle << 1 | creates;
        let free = place.compare_exchange(0, word, Ordering::AcqRel, Ordering::Acquire);
        if free.is_err() {
            self.end(handle);
        }
    }

    /// Ends an operation unless another CPU works on it.
    fn end(&mut self, handle: u64) {
        let list = self.list();
        self.call(fid::OP_CANCEL, &[handle]);
        self.call(fid::OP_MEM_RECLAIM, &[handle, list, 64]);
        self.call(fid::OP_CONTINUE, &[handle, 0]);
    }

    fn step(&mut self) {
        match self.random.below(16) {
            0..6 => {
                let granule = self.granule();
                rmi::undelegate(granule);
            }
            6 => {
                let rec = self.delegated();
                let parameters = granule(PARAMETERS + self.index);
                self.begin(fid::REC_CREATE, &[granule(RD), rec, parameters]);
            }
            7 => {
                let rec = self.granule();
                self.begin(fid::REC_DESTROY, &[rec]);
            }
            8..12 => {
                let (list, count) = (self.list(), self.random.below(7));
                for place in 0..count {
                    let granule = self.delegated();
                    self.write(list + 8 * place, tables::range(3, granule, 0));
                }
                let (_, word) = self.operation();
                self.call(fid::OP_MEM_DONATE, &[word >> 1, list, count]);
            }
            12 => {
                let (_, word) = self.operation();
                let (list, capacity) = (self.list(), self.random.below(4));
                self.call(fid::OP_MEM_RECLAIM, &[word >> 1, list, capacity]);
            }
            13 | 14 => self.go_on(),
            _ => {
                let (place, word) = self.operation();
                if word != 0 && self.random.below(4) == 0 {
                    self.end(word >> 1);
                    let _ = place.compare_exchange(word, 0, Ordering::AcqRel, Ordering::Acquire);
                }
            }
        }
    }

    fn go_on(&mut self) {
        let (place, word) = self.operation();
        let index = RECS.load(Ordering::Acquire);
        let mpidr = index & 0xf | index >> 4 << 8;
        let parameters = granule(PARAMETERS + self.index);
        self.write(parameters + core::mem::offset_of!(RmiRecParams, mpidr) as u64, mpidr);
        let (status, ..) = self.call(fid::OP_CONTINUE, &[word >> 1, 0]);
        if status == Status::SUCCESS {
            let _ = place.compare_exchange(word, 0, Ordering::AcqRel, Ordering::Acquire);
            RECS.fetch_max((index + 1) * (word & 1), Ordering::AcqRel);
        }
    }
}

fn steps(index: u64) {
    let answers = Every::new("each call has an answer that it may have");
    let mut host = Host { index, random: Random::for_this_cpu(19), answers };
    (0..crate::options().argument).for_each(|_| host.step());
}

/// All CPUs take random steps with the same operations, RECs and granules.
pub fn operations() {
    rmi::activate();
    let (rd, root) = (granule(RD), granule(ROOT));
    check::that("granules are delegated", realm::delegate(rd, 1) && realm::delegate(root, 2));
    let created = realm::create(rd, granule(0), Shape::USUAL, root, 0);
    check::equal("a Realm is created", created, Status::SUCCESS);
    let mut parameters = RmiRecParams::new_zeroed();
    parameters.flags = RecFlags::RUNNABLE.bits();
    for cpu in 0..cpus::count() {
        realm::write_page(granule(PARAMETERS + cpu), transmute_ref!(&parameters));
    }
    cpus::on_every_cpu(steps);

    let answers = Every::new("what is left is ended by one CPU");
    let mut host = Host { index: 0, random: Random::new(19), answers };
    let begun = BEGUN.load(Ordering::Acquire);
    ALL.iter().take(begun).for_each(|handle| host.end(handle.load(Ordering::Acquire)));
    for rec in (POOL..POOL + POOL_SIZE).map(granule) {
        let (status, handle, _) = host.call(fid::REC_DESTROY, &[rec]);
        if status == Status::RECLAIM {
            host.end(handle);
        }
    }
    // A REC's auxiliary granules may lie below it, so RECs are destroyed first.
    for rec in (POOL..POOL + POOL_SIZE).map(granule) {
        rmi::undelegate(rec);
        let content = (smc::granule_gpi(rec), probe::read(rec).is_ok());
        host.answers.equal(format_args!("{rec:#x} comes back"), content, (GPI_NONSECURE, true));
    }
    drop(host);
    say!("{begun} operations, {} RECs", RECS.load(Ordering::Acquire));
    check::equal("the Realm has no REC any more", realm::destroy(rd), Status::SUCCESS);
    check::that("all comes back", realm::undelegate(rd, 1) && realm::undelegate(root, 2));
}
