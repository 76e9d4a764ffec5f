// SPDX-License-Identifier: BSD-3-Clause
//! Access to the host's memory: bounded, aligned, and refused where the host has taken it away.

use rmm::address::PhysAddr;
use rmm::host::el3::Pas;
use rmm::host::system::System;
use rmm::mem::NsAccessError;
use rmm::rmi::Dialect;

use crate::fixture::*;

#[test]
fn words_land_where_they_are_meant_to_and_nowhere_else() {
    let system = boot(Dialect::V1_0);
    let mut slots = System::cpu(0).slots;
    let page = system.rmm.granules().ns_granule(PhysAddr::new(SECOND.0)).expect("it is the host's");
    let words = [1, 2, 3];
    assert_eq!(slots.ns.write(page, 0xfe8, &words), Ok(()));
    let mut read = [0; 4];
    assert_eq!(slots.ns.read(page, 0xfe0, &mut read), Ok(()));
    assert_eq!(read, [0, 1, 2, 3]);
    assert!(system.machine.memory.granule_is(SECOND.0 + 0x1000, 0));
    assert!(slots.is_empty());
}

#[test]
fn words_that_are_unaligned_or_pass_the_end_of_the_granule_are_refused() {
    let system = boot(Dialect::V1_0);
    let mut slots = System::cpu(0).slots;
    let page = system.rmm.granules().ns_granule(PhysAddr::new(SECOND.0)).expect("it is the host's");
    for (offset, count) in
        [(1, 1), (4, 1), (0x1000, 1), (0xff8, 2), (0, 513), (8, 512), (!7, 1), (!7, 3), (0x1008, 0)]
    {
        let mut words = vec![0; count];
        assert_eq!(slots.ns.read(page, offset, &mut words), Err(NsAccessError::Bounds), "{offset:#x}");
        assert_eq!(slots.ns.write(page, offset, &words), Err(NsAccessError::Bounds), "{offset:#x}");
    }
    let mut words = vec![0; 512];
    assert_eq!(slots.ns.read(page, 0, &mut words), Ok(()));
}

#[test]
fn memory_of_another_world_is_a_fault_that_is_survived() {
    let system = boot(Dialect::V1_0);
    let mut slots = System::cpu(0).slots;
    let page = system.rmm.granules().ns_granule(PhysAddr::new(SECOND.0)).expect("it is the host's");
    for pas in [Pas::Secure, Pas::Realm, Pas::Root] {
        system.machine.el3.set_pas(SECOND.0, pas);
        let fault = Err(NsAccessError::GranuleProtectionFault);
        assert_eq!(slots.ns.read(page, 0, &mut [0]), fault);
        assert_eq!(slots.ns.write(page, 0, &[1]), fault);
    }
    assert!(system.machine.memory.granule_is(SECOND.0, 0));
}
