// SPDX-License-Identifier: BSD-3-Clause
//! TLB maintenance, instruction by instruction: the VMID in force, and the purpose of each barrier.

use rmm::host::{Event, preset_register, record};
use rmm::rmi::function;

use kit::stage2::host::{Host, LOW};
use kit::stage2::model::{SUCCESS, size};

const RD: u64 = LOW.0 + 0x10_0000;
/// A page of the host.
const SOURCE: u64 = LOW.0;
const ROOT: u64 = RD + 0x1_0000;
const VMID: u64 = 0x12ab;
/// CTR_EL0.DIC and IDC: instruction fetch sees writes without maintenance.
const DIC: u64 = 1 << 29 | 1 << 28;
/// The former values of the registers, which belong to the host.
const VTCR: u64 = 0x8000_1111;
const VTTBR: u64 = 0x7777_0000_4000_0000;

/// What the RMM does for Realms: accesses to stage-2 registers, TLBIs, stores to tables, and
/// barriers of the shareable domain.
fn maintenance(events: Vec<Event>, host: &Host) -> Vec<String> {
    let tables =
        core::ptr::from_ref(host.system.machine.memory.word(LOW.0).expect("it is there")).addr();
    events
        .into_iter()
        .filter_map(|event| match event {
            Event::Register(name @ ("VTCR_EL2" | "VTTBR_EL2"), value) => {
                Some(format!("{name}={value:#x}"))
            }
            Event::Instruction(
                text @ ("tlbi ipas2e1is" | "tlbi vmalle1is" | "tlbi vmalls12e1is"),
                operand,
            ) => Some(operand.map_or(text.to_owned(), |operand| format!("{text} {operand:#x}"))),
            Event::Instruction(text @ ("dsb ish" | "dsb ishst"), None) => Some(text.to_owned()),
            // Slots are not in this memory.
            Event::Descriptor(entry, value) if entry >= tables && entry - tables < 0x80_0000 => {
                Some(if value & 1 == 0 { "break" } else { "make" }.to_owned())
            }
            _ => None,
        })
        .collect()
}

fn realm() -> Host {
    let host = Host::with_tables(RD, 0x12ab, 1 << 39);
    preset_register("VTCR_EL2", VTCR);
    preset_register("CTR_EL0", DIC);
    preset_register("VTTBR_EL2", VTTBR);
    host
}

fn recorded(host: &mut Host, function: u32, arguments: &[u64]) -> Vec<String> {
    let ([status, ..], events) = record(|| host.raw_call(function, arguments));
    assert_eq!(status, SUCCESS);
    maintenance(events, host)
}

/// The maintenance around the TLBIs `invalidate`.
fn with_vmid(invalidate: &[&str]) -> Vec<String> {
    let vttbr = format!("VTTBR_EL2={:#x}", VMID << 48 | ROOT);
    let mut expected = vec!["VTCR_EL2=0x800d3558".to_owned(), vttbr, "dsb ishst".to_owned()];
    expected.extend(invalidate.iter().map(|text| (*text).to_owned()));
    let restored =
        ["dsb ish".to_owned(), format!("VTCR_EL2={VTCR:#x}"), format!("VTTBR_EL2={VTTBR:#x}")];
    expected.extend(restored);
    expected
}

#[test]
fn one_mapping_goes_by_its_ipa_and_then_all_that_combines_both_stages() {
    let (mut host, page) = (realm(), (1 << 39) + 0x5000);
    let made = recorded(&mut host, function::RTT_MAP_UNPROTECTED, &[RD, page, 3, 0x4000_00d8]);
    assert_eq!(made, ["make", "dsb ishst"], "nothing invalid is in any TLB");
    let gone = recorded(&mut host, function::RTT_UNMAP_UNPROTECTED, &[RD, page, 3]);
    let operand = format!("tlbi ipas2e1is {:#x}", page >> 12);
    let mut expected = vec!["break".to_owned()];
    expected.extend(with_vmid(&[&operand, "dsb ish", "tlbi vmalle1is"]));
    assert_eq!(gone, expected);
}

#[test]
fn a_block_is_broken_and_gone_before_the_table_is_made() {
    let (mut host, block) = (realm(), (1 << 39) + size(2));
    recorded(&mut host, function::RTT_MAP_UNPROTECTED, &[RD, block, 2, 0x4000_00d8]);
    let events = recorded(&mut host, function::RTT_CREATE, &[RD, RD + 0x9000, block, 3]);
    // The granule is wiped first. The wipe is complete for the system.
    let mut expected = vec!["dsb ish".to_owned(), "break".to_owned()];
    let operand = format!("tlbi ipas2e1is {:#x}", block >> 12);
    expected.extend(with_vmid(&[&operand, "dsb ish", "tlbi vmalle1is"]));
    expected.extend(["make".to_owned(), "dsb ishst".to_owned()]);
    assert_eq!(events, expected);
    let folded = recorded(&mut host, function::RTT_FOLD, &[RD, block, 3]);
    let mut expected = vec!["break".to_owned()];
    // A TLB may hold each page by itself.
    expected.extend(with_vmid(&["tlbi vmalls12e1is"]));
    expected.extend(["make".to_owned(), "dsb ishst".to_owned()]);
    assert_eq!(folded, expected);
}

#[test]
fn the_way_to_a_table_goes_with_the_table() {
    let mut host = realm();
    let gone = recorded(&mut host, function::RTT_DESTROY, &[RD, 1 << 39, 3]);
    let mut expected = vec!["break".to_owned()];
    let operand = format!("tlbi ipas2e1is {:#x}", (1_u64 << 39) >> 12);
    expected.extend(with_vmid(&[&operand, "dsb ish", "tlbi vmalle1is"]));
    assert_eq!(gone, expected);
}

#[test]
fn what_is_no_mapping_needs_no_maintenance() {
    let mut host = realm();
    for level in [2, 3] {
        let table = RD + 0x4000 + 0x1000 * level;
        assert_eq!(host.call(function::RTT_CREATE, [RD, table, 0, level, 0]), SUCCESS);
    }
    let data = RD + 0xa000;
    let events = recorded(&mut host, function::DATA_CREATE_UNKNOWN, &[RD, data, 0]);
    assert_eq!(
        events,
        ["dsb ish", "break", "dsb ishst"],
        "wiped, and assigned without being mapped"
    );
    assert_eq!(recorded(&mut host, function::DATA_DESTROY, &[RD, 0]), ["break", "dsb ishst"]);
}

#[test]
fn instructions_of_a_former_owner_are_gone_before_a_realm_can_execute_its_memory() {
    let mut host = realm();
    for level in [2, 3] {
        let table = RD + 0x1000 * (level + 8);
        assert_eq!(host.call(function::RTT_CREATE, [RD, table, 0, level, 0]), SUCCESS);
    }
    for (ctr, page, expected) in [(0, 0, 1), (DIC, 1, 0)] {
        preset_register("CTR_EL0", ctr);
        let data = RD + 0x1000 * (13 + page);
        let arguments = [RD, data, page << 12];
        let ([status, ..], events) =
            record(|| host.raw_call(function::DATA_CREATE_UNKNOWN, &arguments));
        assert_eq!(status, SUCCESS);
        let invalidate = Event::Instruction("ic ialluis", None);
        let found = events.iter().filter(|event| **event == invalidate).count();
        assert_eq!(found, expected, "CTR_EL0 = {ctr:#x}");
    }
}

#[test]
fn what_a_realm_executes_is_cleaned_for_fetches_and_invalidated_once_it_can_run() {
    const IDC: u64 = 1 << 28;
    let mut host = realm();
    for level in [2, 3] {
        let table = RD + 0x1000 * (level + 8);
        assert_eq!(host.call(function::RTT_CREATE, [RD, table, 0, level, 0]), SUCCESS);
    }
    let count = |events: &[Event], name: &str| {
        let named = |event: &&Event| matches!(event, Event::Instruction(text, _) if *text == name);
        events.iter().filter(named).count()
    };
    // Lines of 64 bytes, and of 128.
    for (ctr, page, cleaned) in [(4 << 16, 0, 64), (5 << 16, 1, 32), (IDC, 2, 0)] {
        preset_register("CTR_EL0", ctr);
        let arguments = [RD, RD + 0x1000 * (13 + page), page << 12, SOURCE, 0];
        let ([status, ..], events) = record(|| host.raw_call(function::DATA_CREATE, &arguments));
        assert_eq!(status, SUCCESS);
        assert_eq!(count(&events, "dc cvau"), cleaned, "CTR_EL0 = {ctr:#x}");
        assert_eq!(count(&events, "ic ialluis"), 0, "the Realm cannot run yet");
    }
    preset_register("CTR_EL0", 0);
    let (_, events) = record(|| host.raw_call(function::REALM_ACTIVATE, &[RD]));
    assert_eq!(count(&events, "ic ialluis"), 1);
}
