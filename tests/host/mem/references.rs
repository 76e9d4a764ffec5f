// SPDX-License-Identifier: BSD-3-Clause
//! Granules mapped with a reference instead of the lock, and reference counts of mapped granules.

use std::sync::atomic::{AtomicU64, Ordering};

use kit::system::System;
use rmm::granule::state::{Rec, Rtt};
use rmm::granule::{CountError, LockedGranule};
use rmm::mem::Content;
use rmm::rmi::Dialect;

use crate::take;
use kit::rmi::fixture::*;

/// Content that several CPUs access together.
struct Shared {
    value: AtomicU64,
}

// SAFETY: all bits zero is a valid value, and nothing else writes to granules in this state.
unsafe impl Content for Shared {
    type State = Rec;
    const SHARED: bool = true;
}

#[test]
fn references_are_counted_while_the_granule_is_mapped() {
    let system = boot(Dialect::V1_0);
    let mut cpu = System::cpu(0);
    let table: LockedGranule<'_, Rtt> = take(&system, &mut cpu, SECOND.0);
    let mapping = cpu.slots.rtt.map(&table);
    assert_eq!(table.get(512), Ok(()));
    assert_eq!(table.get(1), Err(CountError::Overflow));
    assert_eq!(table.put(511), Ok(()));
    let reference = table.reference().expect("there is room");
    assert_eq!(table.references(), 2);
    drop(mapping);
    drop(table);
    let at = granule(SECOND.0);
    let table = system.rmm.granules().lock::<Rtt>(cpu.index, at).expect("the counts went with it");
    assert_eq!(table.references(), 2);
    drop(reference);
    assert_eq!(table.put(1), Ok(()));
    assert_eq!(table.references(), 0);
}

#[test]
fn a_granule_mapped_by_a_reference_and_by_its_lock_is_one_and_the_same() {
    let system = boot(Dialect::V1_0);
    let (mut runner, mut other) = (System::cpu(0), System::cpu(1));
    let locked: LockedGranule<'_, Rec> = take(&system, &mut runner, SECOND.0);
    let reference = locked.reference().expect("there is room");
    drop(locked);
    let running = runner.slots.rec.map_reference(&reference);
    let at = granule(SECOND.0);
    let locked =
        system.rmm.granules().lock::<Rec>(other.index, at).expect("referred to, and not locked");
    let looking = other.slots.rec.map(&locked);
    running.get::<Shared>().value.store(5, Ordering::Relaxed);
    assert_eq!(looking.get::<Shared>().value.swap(6, Ordering::Relaxed), 5);
    assert_eq!(running.get::<Shared>().value.load(Ordering::Relaxed), 6);
    drop((running, looking));
    assert!(runner.slots.is_empty() && other.slots.is_empty());
}
