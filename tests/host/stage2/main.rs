// SPDX-License-Identifier: BSD-3-Clause
//! Stage-2 tables: entries, geometry and tables by themselves, and the commands on them.

mod entry;
mod geometry;
mod interrupts;
mod lifecycle;
mod maintenance;
mod plural;
mod properties;
mod random_ranges;
mod random_session;
mod ranges;
mod refusals;
mod registers;
mod table;
mod teardown;
mod threads;

use rmm::address::{Ipa, PhysAddr};
use rmm::granule::GranuleAddress;
use rmm::realm::stage2::{Stage2, Stage2Features};
use rmm::realm::vmid::Vmid;
use rmm::xlat::Level;

/// The granule that begins at `address`.
fn granule(address: u64) -> GranuleAddress {
    GranuleAddress::new(PhysAddr::new(address)).expect("aligned")
}

/// A stage 2 with the number of root tables that it needs.
fn stage2(ipa_bits: u8, start_level: Level, lpa2: bool) -> Stage2 {
    let table_bits = start_level.shift() + 9;
    let root_count = 1 << u32::from(ipa_bits).saturating_sub(table_bits);
    Stage2 {
        ipa_bits,
        start_level,
        root_count,
        lpa2,
        vmid: Vmid::new(0xab),
        root: granule(0x8004_0000),
        features: Stage2Features { physical_range: 6, vmid_16: true },
    }
}

fn ipa(raw: u64) -> Ipa {
    Ipa::new(raw)
}
