// SPDX-License-Identifier: BSD-3-Clause
//! Stage-1 tables that change while in use, and that map memory of every kind and none.

use core::arch::asm;
use core::cell::UnsafeCell;

use rmm_test_firmware::realm_protocol::{BASE, PAGES};

use super::random::Random;
use super::{WORDS, results};
use crate::cage;
use crate::execute::Execution;

/// A table of level 1.
#[repr(C, align(4096))]
struct Table(UnsafeCell<[u64; 512]>);

// SAFETY: the host lets one REC at a time use it.
unsafe impl Sync for Table {}

static ROOT: Table = Table(UnsafeCell::new([0; 512]));

/// `ldr x1, [x0]`, `str x1, [x0]`, `br x0`, `at s1e1r, x0`, `ldadd x1, x2, [x0]`.
const ACCESSES: [u32; 5] = [0xf940_0001, 0xf900_0001, 0xd61f_0000, 0xd508_7800, 0xf821_0002];

/// TCR_EL1: 39 bits from level 1, Normal memory, 48-bit addresses, HA and HD.
const TCR: u64 = 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 5 << 32;
const TCR_HARDWARE_FLAGS: u64 = 3 << 39;

/// A random descriptor, or one that maps memory of some kind.
fn descriptor(random: &mut Random) -> u64 {
    const TABLE: u64 = 3;
    let (choice, offset) = (random.next() % 8, (random.next() % cage::PAGES as u64) * 4096);
    let kind = TABLE | random.next() & 0xff00_0000_0000_0ffc;
    match choice {
        0 => random.next(),
        1 => 0,
        // The cage, whose words are also used as descriptors.
        2 | 3 => (cage::memory() + offset) | TABLE,
        // A protected IPA with RIPAS EMPTY.
        4 => (BASE + PAGES * 4096 + offset) | kind,
        // An unprotected IPA, one beyond the IPA space, and one that no descriptor can hold.
        5 => ((1 << 39) + offset) | kind,
        6 => ((1 << 41) + offset) | kind,
        _ => ((1 << 47) + offset) | kind,
    }
}

/// Changes and uses the tables as often as the second argument says.
pub fn run(arguments: &[u64], execution: &mut Execution) -> [u64; WORDS] {
    let [seed, times, ..] = *arguments else { return [!0; WORDS] };
    let mut random = Random::new(seed);
    let root = ROOT.0.get().cast::<u64>();
    let sctlr: u64;
    // SAFETY: the payload is mapped flat, as writable and executable Normal memory, by an entry
    // that does not change. Nothing runs in the cage.
    let words = unsafe {
        root.write_bytes(0, 512);
        root.add(2).write_volatile(BASE | 1 << 10 | 3 << 8 | 1);
        let words = cage::pages();
        words.write_bytes(0, cage::PAGES * 512);
        asm!(
            "msr mair_el1, {mair}", "msr tcr_el1, {tcr}", "msr ttbr0_el1, {root}", "isb",
            "tlbi vmalle1", "dsb sy", "isb",
            "mrs {sctlr}, sctlr_el1", "orr {on}, {sctlr}, #1", "msr sctlr_el1, {on}", "isb",
            mair = in(reg) 0xff_u64, root = in(reg) root, sctlr = out(reg) sctlr, on = out(reg) _,
            tcr = in(reg) TCR | if seed & 2 == 0 { 0 } else { TCR_HARDWARE_FLAGS },
        );
        words
    };
    let mut exceptions = 0;
    for _ in 0..times {
        let entry = descriptor(&mut random);
        let choice = random.next();
        let index = (choice >> 8) % (cage::PAGES as u64 * 512);
        // SAFETY: entries of tables. The one that maps the payload does not change.
        unsafe {
            if choice & 3 == 0 {
                let index = (choice >> 8) as usize % 512;
                if index != 2 {
                    root.add(index).write_volatile(entry);
                }
            } else {
                words.add(index as usize).write_volatile(entry);
            }
            if choice & 0x10 != 0 {
                asm!("dsb sy", "tlbi vmalle1", "dsb sy", "isb");
            }
        }
        // An address that a root entry maps with entries of the cage, or any address.
        let address = random.next() & 0x7f_ffff_fff8;
        let address = if address >> 30 == 2 { address | 1 << 30 } else { address };
        let access = ACCESSES[(choice >> 32) as usize % ACCESSES.len()];
        execution.execute(u64::from(access), [address, entry, 0, 0]);
        exceptions += execution.exceptions();
    }
    // SAFETY: restores the former value.
    unsafe {
        asm!(
            "msr sctlr_el1, {sctlr}",
            "isb",
            "tlbi vmalle1",
            "dsb sy",
            "isb",
            sctlr = in(reg) sctlr,
        );
    }
    results([0, exceptions])
}
