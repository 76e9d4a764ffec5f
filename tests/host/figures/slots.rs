// SPDX-License-Identifier: BSD-3-Clause
//! Counts of what slots cost when opened and closed: descriptors stored, barriers, TLBIs. The tests
//! of the translation tables assert the order.

use kit::system::System;
use rmm::granule::state::Delegated;
use rmm::host::{self, Event};
use rmm::rmi::Dialect;

use crate::{boot, figure, granule};

/// The instructions that are counted, by the first word.
const COUNTED: [&str; 3] = ["dsb", "isb", "tlbi"];

/// Counts the stores, DSBs, ISBs and TLBIs of `body`, asserts and prints them.
fn count<R>(name: &str, expected: [usize; 4], body: impl FnOnce() -> R) -> R {
    let (result, events) = host::record(body);
    let stores = events.iter().filter(|event| matches!(event, Event::Descriptor(..))).count();
    let [dsb, isb, tlbi] = COUNTED.map(|word| {
        let counted =
            |event: &&Event| matches!(event, Event::Instruction(text, _) if text.starts_with(word));
        events.iter().filter(counted).count()
    });
    assert_eq!([stores, dsb, isb, tlbi], expected, "{name}: {events:x?}");
    for (what, number) in [("stores", stores), ("DSB", dsb), ("ISB", isb), ("TLBI", tlbi)] {
        figure("Slots", &format!("{name}, {what}"), number);
    }
    result
}

#[test]
fn a_slot_takes_two_stores_and_five_barriers() {
    let system = boot(Dialect::V1_0);
    let table = system.rmm.granules();
    let mut cpu = System::cpu(0);
    let locked = table.lock_ns(cpu.index, granule(0)).expect("free");
    drop(locked.prove(&mut cpu.slots.ns).expect("memory answers").transition::<Delegated>());
    let one = table.lock::<Delegated>(cpu.index, granule(0)).expect("free");
    let mapping = count("map a granule", [1, 1, 1, 0], || cpu.slots.delegated.map(&one));
    count("unmap it", [1, 2, 1, 1], || drop(mapping));
}

#[test]
fn a_copy_of_a_granule_of_the_host_opens_one_slot_once() {
    let system = boot(Dialect::V1_0);
    let mut cpu = System::cpu(0);
    let page = system.rmm.granules().ns_granule(granule(3).get()).expect("it is the host's");
    let mut words = [0; 512];
    let copied =
        count("read 4 KiB of the host's", [2, 3, 2, 1], || cpu.slots.ns.read(page, 0, &mut words));
    assert_eq!(copied, Ok(()));
    let copied =
        count("write 4 KiB of the host's", [2, 3, 2, 1], || cpu.slots.ns.write(page, 0, &words));
    assert_eq!(copied, Ok(()));
}
