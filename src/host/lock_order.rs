// SPDX-License-Identifier: BSD-3-Clause
//! The checker of the lock order (`docs/design/memory.md`, the order): a test fails as soon as a
//! CPU takes locks in an order that could deadlock, even if no other CPU is there to deadlock with.

use std::cell::RefCell;

use crate::granule::lock_order::Lock;

thread_local! {
    /// The locks that the CPUs of this thread hold.
    static HELD: RefCell<Vec<Lock>> = const { RefCell::new(Vec::new()) };
}

/// The rule that taking `new` while `held` is held breaks.
fn broken(held: &Lock, new: &Lock) -> Option<String> {
    let (before, rank) = (held.rank, new.rank);
    if held.granule == new.granule {
        Some("it is held already".to_owned())
    } else if rank < before {
        Some(format!("one {rank} comes before those {before}"))
    } else if rank == before && rank.is_ascending() && new.granule < held.granule {
        Some(format!("those {rank} are taken in ascending order"))
    } else {
        None
    }
}

pub(crate) fn about_to_take(lock: Lock) {
    HELD.with_borrow_mut(|held| {
        let same = |held: &&Lock| (held.cpu, held.table) == (lock.cpu, lock.table);
        for other in held.iter().filter(same) {
            if let Some(rule) = broken(other, &lock) {
                panic!("lock order: {lock:x?} after {other:x?}: {rule}");
            }
        }
        held.push(lock);
    });
}

pub(crate) fn released(cpu: usize, table: usize, granule: u64) {
    // A guard may be dropped by another thread, or while this one ends.
    let _gone = HELD.try_with(|held| {
        held.borrow_mut()
            .retain(|lock| (lock.cpu, lock.table, lock.granule) != (cpu, table, granule));
    });
}
