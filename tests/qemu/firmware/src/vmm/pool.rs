// SPDX-License-Identifier: BSD-3-Clause
//! The host's memory for Realms. Each granule is taken and returned by itself.

use rmm_test_firmware::check;
use rmm_test_firmware::options::GRANULE;
use spin::Mutex;

use crate::rmi::{self, Status};
use crate::{give_up, options, probe};

struct Pool {
    /// From here on no granule was ever taken.
    next: u64,
    top: u64,
    /// The last granule returned. Its first word is the address of the one before it; 0 for none.
    free: u64,
    outstanding: u64,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { next: 0, top: 0, free: 0, outstanding: 0 });

/// Sets the pool to all memory from the test memory to the end of the DRAM.
pub fn set_up() {
    let mut pool = POOL.lock();
    pool.next = options().test_memory;
    pool.top = rmm_test_firmware::options::DRAM_BASE + options().memory;
}

/// The number of granules that were taken and not returned.
pub fn outstanding() -> u64 {
    POOL.lock().outstanding
}

/// Takes a granule of the host.
pub fn take() -> u64 {
    let mut pool = POOL.lock();
    pool.outstanding += 1;
    if pool.free != 0 {
        let granule = pool.free;
        pool.free = probe::read(granule).unwrap_or(0);
        return granule;
    }
    let granule = pool.next;
    pool.next += GRANULE;
    if pool.next > pool.top {
        give_up(format_args!("no memory for Realms is left"));
    }
    granule
}

/// Takes consecutive granules, aligned to their total size.
pub fn take_aligned(count: u64) -> u64 {
    let mut pool = POOL.lock();
    let base = pool.next.next_multiple_of(count * GRANULE);
    pool.next = base + count * GRANULE;
    pool.outstanding += count;
    base
}

/// Returns a granule of the host.
pub fn give(granule: u64) {
    let mut pool = POOL.lock();
    if probe::write(granule, pool.free).is_err() {
        check::that("a granule that comes back is the host's", false);
    }
    pool.free = granule;
    pool.outstanding -= 1;
}

/// Takes a granule and delegates it.
pub fn take_delegated() -> u64 {
    let granule = take();
    delegate(granule);
    granule
}

/// Delegates a granule of the pool.
pub fn delegate(granule: u64) {
    let status = rmi::delegate(granule);
    if status != Status::SUCCESS {
        check::equal(format_args!("{granule:#x} is delegated"), status, Status::SUCCESS);
    }
}

/// Undelegates a granule, checks that it is wiped, and returns it.
pub fn give_delegated(granule: u64) {
    let status = rmi::undelegate(granule);
    let is_zero = probe::granule_holds(granule, 0);
    if (status, is_zero) != (Status::SUCCESS, Ok(true)) {
        let expected = (Status::SUCCESS, Ok(true));
        check::equal(format_args!("{granule:#x} comes back"), (status, is_zero), expected);
    }
    give(granule);
}
