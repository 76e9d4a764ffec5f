// SPDX-License-Identifier: BSD-3-Clause
//! Reference counts of mapped granules.

use kit::system::System;
use rmm::granule::state::Rtt;
use rmm::granule::{CountError, LockedGranule};
use rmm::rmi::Dialect;

use crate::take;
use kit::rmi::fixture::*;

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
