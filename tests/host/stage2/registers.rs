// SPDX-License-Identifier: BSD-3-Clause
//! The stage-2 registers, compared with values written from the architecture.

use rmm::cpu::CpuFeatures;
use rmm::host::preset_register;
use rmm::realm::stage2::{Stage2, Stage2Features};
use rmm::realm::vmid::Vmid;
use rmm::xlat::Level;

use crate::{granule, stage2};

#[test]
fn vtcr_says_size_start_level_and_format() {
    // RES1, VS, PS, TG0 4 KiB, SH0 inner, ORGN0 and IRGN0 write-back.
    const COMMON: u64 = 0x8008_3500;
    for (bits, level, lpa2, value) in [
        (40, Level::One, false, 0x5_0000 | 1 << 6 | 24),
        (48, Level::Zero, false, 0x5_0000 | 2 << 6 | 16),
        (32, Level::Two, false, 0x5_0000 | 32),
        (34, Level::Two, false, 0x5_0000 | 30),
        (52, Level::Zero, true, 0x1_0006_0000 | 2 << 6 | 12),
        (52, Level::MinusOne, true, 0x3_0006_0000 | 12),
    ] {
        assert_eq!(stage2(bits, level, lpa2).vtcr(), COMMON | value, "{bits} bits, level {level}");
    }
}

#[test]
fn vtcr_says_no_more_than_the_cpu_has() {
    let features = Stage2Features { physical_range: 2, vmid_16: false };
    let narrow = Stage2 { features, ..stage2(40, Level::One, false) };
    assert_eq!(narrow.vtcr(), 0x8000_3500 | 2 << 16 | 1 << 6 | 24);
}

#[test]
fn features_are_read_from_the_identification_registers() {
    preset_register("ID_AA64MMFR0_EL1", 0x5);
    preset_register("ID_AA64MMFR1_EL1", 0x20);
    let read = || Stage2Features::from(&CpuFeatures::read());
    assert_eq!(read(), Stage2Features { physical_range: 5, vmid_16: true });
    preset_register("ID_AA64MMFR1_EL1", 0x100);
    assert!(!read().vmid_16);
}

#[test]
fn vttbr_holds_vmid_and_root() {
    assert_eq!(stage2(40, Level::One, false).vttbr(), 0x00ab_0000_8004_0000);
    let high = Stage2 {
        vmid: Vmid::new(0xffff),
        root: granule(0xf_8000_4000_1000),
        ..stage2(52, Level::MinusOne, true)
    };
    assert_eq!(high.vttbr(), 0xffff_8000_4000_103c);
}
