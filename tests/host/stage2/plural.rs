// SPDX-License-Identifier: BSD-3-Clause
//! TLB invalidation of commands that remove many mappings: never one for each.

use rmm::host::{Event, record};
use rmm::rmi::function;

use super::ranges::{ATTRIBUTES, BLOCK, DATA, Host, PAGE, RD, SHARED, SINGLE, SUCCESS, range};

/// The pages of a table.
const PAGES: u64 = BLOCK / PAGE;
/// The number of pages invalidated together.
const TOGETHER: u64 = 16;

/// The answer of a call, with the number of TLBIs by IPA and of TLBIs for the whole VMID.
fn counted(call: impl FnOnce() -> [u64; 4]) -> ([u64; 2], [u64; 2]) {
    let ([status, top, ..], events) = record(call);
    let count = |wanted| {
        let tlbi = |event: &&Event| matches!(event, Event::Instruction(text, _) if *text == wanted);
        events.iter().filter(tlbi).count() as u64
    };
    ([status, top], [count("tlbi ipas2e1is"), count("tlbi vmalls12e1is")])
}

#[test]
fn a_table_of_pages_of_ram_is_unmapped_with_an_invalidation_for_sixteen() {
    let mut host = Host::new();
    host.tables(0, &[2, 3]);
    assert_eq!(host.call(function::RTT_INIT_RIPAS, &[RD, 0, BLOCK])[..2], [SUCCESS, BLOCK]);
    let pages = range(3, DATA, PAGES);
    let mapped = counted(|| host.map(0, BLOCK, SINGLE, pages));
    assert_eq!(mapped, ([SUCCESS, BLOCK], [0, 0]));
    let unmapped = counted(|| host.unmap(0, BLOCK, SINGLE, 0));
    assert_eq!(unmapped, ([SUCCESS, BLOCK], [0, PAGES / TOGETHER]));

    assert_eq!(host.map(0, BLOCK, SINGLE, pages)[0], SUCCESS);
    let one = counted(|| host.unmap(0, PAGE, SINGLE, 0));
    assert_eq!(one.1, [0, 0], "what was destroyed is no mapping");
}

#[test]
fn one_page_of_ram_is_unmapped_by_its_ipa() {
    let mut host = Host::new();
    host.tables(0, &[2, 3]);
    assert_eq!(host.call(function::RTT_INIT_RIPAS, &[RD, 0, BLOCK])[0], SUCCESS);
    assert_eq!(host.map(0, PAGE, SINGLE, range(3, DATA, 1))[0], SUCCESS);
    let unmapped = counted(|| host.unmap(0, PAGE, SINGLE, 0));
    assert_eq!(unmapped, ([SUCCESS, PAGE], [1, 0]));
}

#[test]
fn a_table_of_pages_of_the_host_is_unmapped_with_one_invalidation() {
    let mut host = Host::new();
    host.tables(SHARED, &[2, 3]);
    let top = SHARED + BLOCK;
    let flags = SINGLE | ATTRIBUTES;
    let arguments = [RD, SHARED, top, flags, range(3, DATA, PAGES)];
    let mapped = counted(|| host.call(function::RTT_UNPROT_MAP, &arguments));
    assert_eq!(mapped, ([SUCCESS, top], [0, 0]));
    let arguments = [RD, SHARED, top, 0, 0];
    let unmapped = counted(|| host.call(function::RTT_UNPROT_UNMAP, &arguments));
    assert_eq!(unmapped, ([SUCCESS, top], [0, 1]));
}
