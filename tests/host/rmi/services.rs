// SPDX-License-Identifier: BSD-3-Clause
//! The services that the RMM asks of EL3, and what it does with the answers.

use kit::el3::{El3, Pas, status};
use kit::machine::Machine;
use kit::machine::attach;
use kit::memory::Memory;
use kit::system::System;
use rmm::address::PhysAddr;
use rmm::arch::smc::Registers;
use rmm::el3::services::{Refusal, delegate, reserve_memory, undelegate};
use rmm::granule::State;
use rmm::granule::state::Delegated;
use rmm::host::{Event, record, set_monitor};
use rmm::rmi::Dialect;

use kit::rmi::fixture::*;

#[test]
fn memory_is_reserved_from_the_top_of_the_pool_down_aligned_until_there_is_no_more() {
    let el3 = El3::new(&[]).with_pool(0x4180_0000, 0x4180_8800);
    attach(&Machine::new(Memory::new(&[]), el3));
    assert_eq!(reserve_memory(0x1000, 12), Ok(PhysAddr::new(0x4180_7000)));
    assert_eq!(reserve_memory(0x2800, 14), Ok(PhysAddr::new(0x4180_4000)));
    assert_eq!(reserve_memory(8, 3), Ok(PhysAddr::new(0x4180_3ff8)));
    for size in [0, 0x4000, u64::MAX] {
        assert_eq!(reserve_memory(size, 12), Err(Refusal::NoMemory));
    }
    assert_eq!(reserve_memory(0x1000, 64), Err(Refusal::NoMemory));
    assert_eq!(reserve_memory(0x3000, 12), Ok(PhysAddr::new(0x4180_0000)));
}

#[test]
fn an_el3_with_nothing_to_give_refuses() {
    attach(&Machine::new(Memory::new(&[]), El3::new(&[])));
    assert_eq!(reserve_memory(0x1000, 12), Err(Refusal::NoMemory));
}

#[test]
fn each_service_is_one_smc_with_its_identifier_and_arguments() {
    let system = boot(Dialect::V1_0);
    let smcs = |events: Vec<Event>| -> Vec<Registers> {
        events
            .into_iter()
            .filter_map(
                |event| if let Event::Smc(registers) = event { Some(registers) } else { None },
            )
            .collect()
    };
    let granules = system.rmm.granules();
    let mut cpu = System::cpu(0);
    let at = granule(SECOND.0);
    let locked = granules.lock_ns(cpu.index, at).expect("it is");
    let locked = locked.prove(&mut cpu.slots.ns).expect("memory answers");
    let (_, events) = record(|| drop(delegate(locked).expect("EL3 grants it")));
    assert_eq!(smcs(events), [[0xC400_01B0, SECOND.0, 0, 0, 0, 0, 0, 0]]);
    let wiped = granules
        .lock::<Delegated>(cpu.index, at)
        .expect("it is")
        .wipe(&mut cpu.slots.delegated)
        .expect("memory answers");
    let (_, events) = record(|| drop(undelegate(wiped).expect("EL3 grants it")));
    assert_eq!(smcs(events), [[0xC400_01B1, SECOND.0, 0, 0, 0, 0, 0, 0]]);
    let (_, events) = record(|| reserve_memory(0x3000, 12));
    assert_eq!(smcs(events), [[0xC400_01BB, 0x3000, 12 << 56, 0, 0, 0, 0, 0]]);
}

#[test]
fn every_status_but_zero_is_a_refusal_that_leaves_the_granule_as_it_was() {
    let system = boot(Dialect::V1_0);
    let mut cpu = System::cpu(0);
    for (code, refusal) in [
        (status::UNKNOWN, Refusal::Other(-1)),
        (status::BAD_ADDRESS, Refusal::BadAddress),
        (status::BAD_PAS, Refusal::BadPas),
        (status::NO_MEMORY, Refusal::NoMemory),
        (-6, Refusal::Again),
        (-7, Refusal::Other(-7)),
        (1, Refusal::Other(1)),
        (i64::MIN, Refusal::Other(i64::MIN)),
    ] {
        set_monitor(Box::new(move |_| [code.cast_unsigned(), 0, 0, 0, 0, 0, 0, 0]));
        let locked = system.rmm.granules().lock_ns(cpu.index, granule(SECOND.0));
        let locked = locked.expect("it still is").prove(&mut cpu.slots.ns).expect("memory answers");
        assert_eq!(delegate(locked).map(drop), Err(refusal));
        assert_eq!(state(&system, SECOND.0), Some(State::Ns));
    }
}

#[test]
fn the_model_el3_answers_as_the_real_one_does() {
    let el3 = El3::new(&[(0x4000_0000, 0x4000, Pas::NonSecure)]);
    let call = |function: u64, address: u64| {
        el3.smc([function, address, 0, 0, 0, 0, 0, 0])[0].cast_signed()
    };
    const DELEGATE: u64 = 0xC400_01B0;
    const UNDELEGATE: u64 = 0xC400_01B1;
    assert_eq!(call(DELEGATE, 0x4000_0001), status::BAD_ADDRESS);
    assert_eq!(call(DELEGATE, 0x4000_4000), status::BAD_ADDRESS);
    assert_eq!(call(UNDELEGATE, 0x4000_0000), status::BAD_PAS);
    assert_eq!(call(DELEGATE, 0x4000_0000), status::OK);
    assert_eq!(el3.pas(0x4000_0fff), Pas::Realm);
    assert_eq!(call(DELEGATE, 0x4000_0000), status::BAD_PAS);
    assert_eq!(call(UNDELEGATE, 0x4000_0000), status::OK);
    el3.set_pas(0x4000_1000, Pas::Secure);
    assert_eq!(call(DELEGATE, 0x4000_1000), status::BAD_PAS);
    assert_eq!(call(0xC400_01B9, 0), status::UNKNOWN);
}
