// SPDX-License-Identifier: BSD-3-Clause
//! Workarounds for CPU errata, which stay on from the first boot of an affected CPU until the
//! program ends. So this is a program of its own with a single test.

use kit::stage2::host::{Host, LOW};
use kit::stage2::model::{SUCCESS, size};
use rmm::cpu::errata::{note_this_cpu, repeats_invalidations};
use rmm::host::{Event, preset_register, record};
use rmm::rmi::function;

const RD: u64 = LOW.0 + 0x10_0000;
const UNPROTECTED: u64 = 1 << 39;

/// The stage-2 TLBIs of a call, and the DSBs after the first one.
fn invalidations(host: &mut Host, function: u32, arguments: &[u64]) -> Vec<&'static str> {
    let ([status, ..], events) = record(|| host.raw_call(function, arguments));
    assert_eq!(status, SUCCESS);
    let texts = events.into_iter().filter_map(|event| match event {
        Event::Instruction(text, _) => Some(text),
        _ => None,
    });
    texts
        .skip_while(|text| !text.starts_with("tlbi"))
        .filter(|text| text.ends_with("1is") || *text == "dsb ish")
        .collect()
}

/// The invalidations when a page is mapped and unmapped, and when a table is folded into a block.
fn unmap_and_fold(host: &mut Host) -> [Vec<&'static str>; 2] {
    let (page, block) = (UNPROTECTED + 0x5000, UNPROTECTED + size(2));
    let map = [RD, page, 3, 0x4000_00d8];
    assert_eq!(host.raw_call(function::RTT_MAP_UNPROTECTED, &map)[0], SUCCESS);
    let unmapped = invalidations(host, function::RTT_UNMAP_UNPROTECTED, &map[..3]);
    let map = [RD, block, 2, 0x4000_00d8];
    assert_eq!(host.raw_call(function::RTT_MAP_UNPROTECTED, &map)[0], SUCCESS);
    let table = [RD, RD + 0x9000, block, 3];
    assert_eq!(host.raw_call(function::RTT_CREATE, &table)[0], SUCCESS);
    let folded = invalidations(host, function::RTT_FOLD, &[RD, block, 3]);
    assert_eq!(host.raw_call(function::RTT_UNMAP_UNPROTECTED, &map[..3])[0], SUCCESS);
    [unmapped, folded]
}

/// Whether invalidations are repeated before and after an affected CPU has booted, in this build.
const REPEATED: [bool; 2] = match option_env!("RMM_REPEAT_TLBI") {
    Some(word) => match word.as_bytes() {
        b"always" => [true, true],
        b"never" => [false, false],
        _ => [false, true],
    },
    None => [false, true],
};

/// The invalidations of [`unmap_and_fold`].
fn expected(repeated: bool) -> [Vec<&'static str>; 2] {
    const ONE: [&str; 4] = ["tlbi ipas2e1is", "dsb ish", "tlbi vmalle1is", "dsb ish"];
    const ALL: [&str; 2] = ["tlbi vmalls12e1is", "dsb ish"];
    if repeated {
        [[&ONE[..], &ONE[2..]].concat(), [&ALL[..], &ALL[..]].concat()]
    } else {
        [ONE.to_vec(), ALL.to_vec()]
    }
}

#[test]
fn from_the_boot_of_a_concerned_cpu_on_the_last_invalidation_of_stage_2_is_done_twice() {
    let [before, after] = REPEATED;
    let mut host = Host::with_tables(RD, 0x12ab, UNPROTECTED);
    // A CPU without the errata.
    preset_register("MIDR_EL1", 0x000f_0510);
    let ((), events) = record(note_this_cpu);
    assert_eq!((events, repeats_invalidations()), (vec![], before));
    assert_eq!(unmap_and_fold(&mut host), expected(before));

    // A Neoverse V3, which has them, comes online.
    preset_register("MIDR_EL1", 0x410f_d841);
    let ((), events) = record(note_this_cpu);
    assert_eq!(events, [Event::Instruction("dsb ish", None)], "complete before a Realm runs there");
    assert_eq!(unmap_and_fold(&mut host), expected(after));

    // The workaround stays on, whichever CPU boots next.
    preset_register("MIDR_EL1", 0x000f_0510);
    note_this_cpu();
    assert_eq!(unmap_and_fold(&mut host), expected(after));
}
